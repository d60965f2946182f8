//! One poll: `length │ payload │ crc32`. The payload is flags, the host, and the slots that changed, by ascending index.

use super::crc::crc32;
use super::slot::{put_slot, take_slot};
use super::wire::{Cursor, Malformed, put, put_difference};
use crate::snapshot::{HostSnapshot, Probe, SlotSnapshot};
use std::collections::BTreeMap;

/// Bytes that a payload may have: a keyframe of 100 000 slots has a third of it.
pub const MAX_FRAME: usize = 1 << 26;

/// It stands on nothing before it: what the frames before said is forgotten.
const KEY: u8 = 1;
const BOOTTIME: u8 = 2;
const CPU_PRESSURE: u8 = 4;

/// One poll as it is read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The machine.
    pub host: HostSnapshot,
    /// The slots that changed since the last frame, whole, by ascending index; in the first frame all that anybody had.
    pub slots: Vec<SlotSnapshot>,
}

/// What the next frame is told as a difference to.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) host: HostSnapshot,
    pub(super) slots: BTreeMap<u32, SlotSnapshot>,
}

/// The whole frame: its length, its payload, its checksum.
pub(super) fn encode(key: bool, host: &HostSnapshot, slots: &[&SlotSnapshot], known: &Known) -> Vec<u8> {
    let payload = payload(key, host, slots, known);
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    put(&mut bytes, payload.len() as u64);
    bytes.extend_from_slice(&payload);
    let crc = crc32(&[&bytes]);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn payload(key: bool, host: &HostSnapshot, slots: &[&SlotSnapshot], known: &Known) -> Vec<u8> {
    let nothing = Known::default();
    let known = if key { &nothing } else { known };
    let HostSnapshot { monotonic_ns, boottime_ns, cpu_pressure_us } = *host;
    let mut out = vec![u8::from(key)];
    put_difference(&mut out, monotonic_ns, known.host.monotonic_ns);
    if boottime_ns != 0 {
        out[0] |= BOOTTIME;
        // Both clocks grow alike but for a suspend.
        let apart = known.host.boottime_ns.wrapping_sub(known.host.monotonic_ns);
        put_difference(&mut out, boottime_ns, monotonic_ns.wrapping_add(apart));
    }
    if let Some(cpu_pressure_us) = cpu_pressure_us {
        out[0] |= CPU_PRESSURE;
        put_difference(&mut out, cpu_pressure_us, known.host.cpu_pressure_us.unwrap_or(0));
    }
    put(&mut out, slots.len() as u64);
    let mut next = 0;
    for slot in slots {
        put(&mut out, u64::from(slot.index - next));
        next = slot.index + 1;
        put_slot(&mut out, slot, known.slots.get(&slot.index));
    }
    out
}

/// A keyframe says all: a slot that it does not name is nobody's by now.
fn left_alone(slot: &SlotSnapshot) -> SlotSnapshot {
    let (owner, probe) = (slot.owner.freed(), Probe::default());
    SlotSnapshot { index: slot.index, owner, hot: None, info: None, user_phase: None, probe }
}

/// A payload back, with `known` moved on to it.
pub(super) fn decode(payload: &[u8], slots: u32, known: &mut Known) -> Result<Frame, Malformed> {
    let mut from = Cursor(payload);
    let flags = from.byte()?;
    if flags & !(KEY | BOOTTIME | CPU_PRESSURE) != 0 {
        return Err(format!("flags {flags:#x} hold what version 1 does not know"));
    }
    let forgotten = if flags & KEY != 0 { std::mem::take(known).slots } else { BTreeMap::new() };
    let was = known.host;
    let monotonic_ns = from.difference(was.monotonic_ns)?;
    let apart = was.boottime_ns.wrapping_sub(was.monotonic_ns);
    let boottime_ns = if flags & BOOTTIME != 0 { from.difference(monotonic_ns.wrapping_add(apart))? } else { 0 };
    let pressure = was.cpu_pressure_us.unwrap_or(0);
    let cpu_pressure_us = if flags & CPU_PRESSURE != 0 { Some(from.difference(pressure)?) } else { None };
    known.host = HostSnapshot { monotonic_ns, boottime_ns, cpu_pressure_us };
    let mut changed = Vec::new();
    let count = from.number()?;
    let mut next = 0u64;
    for _ in 0..count {
        let index = from.number()?.checked_add(next).filter(|index| *index < u64::from(slots));
        let index = index.ok_or_else(|| format!("a slot past the {slots} that the header says"))? as u32;
        next = u64::from(index) + 1;
        let slot = take_slot(&mut from, index, known.slots.get(&index))?;
        known.slots.insert(index, slot.clone());
        changed.push(slot);
    }
    if !from.0.is_empty() {
        return Err(format!("{} bytes follow the last slot", from.0.len()));
    }
    let left = forgotten.into_values().filter(|slot| !known.slots.contains_key(&slot.index));
    changed.extend(left.map(|slot| left_alone(&slot)));
    changed.sort_by_key(|slot| slot.index);
    Ok(Frame { host: known.host, slots: changed })
}
