//! One slot of a frame: which of its fields changed, as a mask, then those fields in the order of the mask's bits.

use super::wire::{Cursor, Malformed, put, put_difference, put_text};
use crate::layout::hot::HotWords;
use crate::layout::info::Info;
use crate::layout::phase::Class;
use crate::layout::user_phase::UserPhase;
use crate::layout::word::Owner;
use crate::snapshot::{Probe, Process, SlotSnapshot};
use std::sync::Arc;

// Bits 0 to 8 are the hot words that count, in the order of [`HotWords::to_words`].
const HOT_WORDS: usize = 9;
const OWNER: u64 = 1 << 9;
/// There are hot words; without the bit there are none.
const HOT: u64 = 1 << 10;
/// The hot words are of another owner than the snapshot's.
const HOT_OWNER: u64 = 1 << 11;
const INFO: u64 = 1 << 12;
const USER_PHASE: u64 = 1 << 13;
const PROCESS: u64 = 1 << 14;
const RUN_DELAY: u64 = 1 << 15;
const KNOWN: u64 = (1 << 16) - 1;

/// Process states by their number.
const PROCESSES: [Process; 8] = [
    Process::Unknown,
    Process::Running,
    Process::Stopped,
    Process::Traced,
    Process::Frozen,
    Process::Zombie,
    Process::Gone,
    Process::Unkillable,
];
const THREAD_GONE: u8 = 0x80;

/// What every slot was before its first frame.
fn blank(index: u32) -> SlotSnapshot {
    SlotSnapshot { index, owner: Owner(0), hot: None, info: None, user_phase: None, probe: Probe::default() }
}

pub(super) fn put_slot(out: &mut Vec<u8>, now: &SlotSnapshot, before: Option<&SlotSnapshot>) {
    let blank = blank(now.index);
    let before = before.unwrap_or(&blank);
    let was = before.hot.as_ref().map_or([0; HOT_WORDS], HotWords::to_words);
    let is = now.hot.as_ref().map_or(was, HotWords::to_words);
    let mut mask = (0..HOT_WORDS).filter(|&i| is[i] != was[i]).fold(0, |mask, i| mask | 1 << i);
    let mut mark = |bit, changed: bool| mask |= if changed { bit } else { 0 };
    mark(OWNER, now.owner != before.owner);
    mark(HOT, now.hot.is_some());
    mark(HOT_OWNER, now.hot.as_ref().is_some_and(|hot| hot.owner != now.owner));
    mark(INFO, now.info != before.info);
    mark(USER_PHASE, now.user_phase != before.user_phase);
    mark(PROCESS, (now.probe.process, now.probe.thread_gone) != (before.probe.process, before.probe.thread_gone));
    mark(RUN_DELAY, now.probe.run_delay_ns != before.probe.run_delay_ns);
    put(out, mask);
    for i in (0..HOT_WORDS).filter(|i| mask & 1 << i != 0) {
        put_difference(out, is[i], was[i]);
    }
    if mask & OWNER != 0 {
        put(out, now.owner.0);
    }
    if let Some(hot) = now.hot.as_ref().filter(|_| mask & HOT_OWNER != 0) {
        put(out, hot.owner.0);
    }
    if mask & INFO != 0 {
        out.push(now.info.is_some().into());
        if let Some(info) = &now.info {
            put_info(out, info);
        }
    }
    if mask & USER_PHASE != 0 {
        out.push(now.user_phase.is_some().into());
        if let Some(user) = &now.user_phase {
            out.extend([user.index, user.class.bits()]);
            put(out, user.budget_ns);
            put_text(out, &user.name);
        }
    }
    if mask & PROCESS != 0 {
        let process = PROCESSES.iter().position(|known| *known == now.probe.process).unwrap_or(0) as u8;
        out.push(process | if now.probe.thread_gone { THREAD_GONE } else { 0 });
    }
    if mask & RUN_DELAY != 0 {
        out.push(now.probe.run_delay_ns.is_some().into());
        if let Some(run_delay) = now.probe.run_delay_ns {
            put_difference(out, run_delay, before.probe.run_delay_ns.unwrap_or(0));
        }
    }
}

pub(super) fn take_slot(from: &mut Cursor<'_>, index: u32, before: Option<&SlotSnapshot>) -> Result<SlotSnapshot, Malformed> {
    let mut now = before.cloned().unwrap_or_else(|| blank(index));
    let mask = from.number()?;
    if mask & !KNOWN != 0 {
        return Err(format!("slot {index} has fields that version 1 does not know, mask {mask:#x}"));
    }
    let mut hot = now.hot.as_ref().map_or([0; HOT_WORDS], HotWords::to_words);
    for (_, word) in hot.iter_mut().enumerate().filter(|(i, _)| mask & 1 << i != 0) {
        *word = from.difference(*word)?;
    }
    if mask & OWNER != 0 {
        now.owner = Owner(from.number()?);
    }
    let hot_owner = if mask & HOT_OWNER != 0 { Owner(from.number()?) } else { now.owner };
    now.hot = (mask & HOT != 0).then(|| HotWords::from_words(hot_owner, hot));
    if mask & INFO != 0 {
        now.info = if is_there(from)? { Some(Arc::new(take_info(from)?)) } else { None };
    }
    if mask & USER_PHASE != 0 {
        now.user_phase = if is_there(from)? { Some(Arc::new(take_user_phase(from)?)) } else { None };
    }
    if mask & PROCESS != 0 {
        let byte = from.byte()?;
        now.probe.process = *PROCESSES
            .get(usize::from(byte & !THREAD_GONE))
            .ok_or_else(|| format!("slot {index} has process state {}", byte & !THREAD_GONE))?;
        now.probe.thread_gone = byte & THREAD_GONE != 0;
    }
    if mask & RUN_DELAY != 0 {
        let before = now.probe.run_delay_ns.unwrap_or(0);
        now.probe.run_delay_ns = if is_there(from)? { Some(from.difference(before)?) } else { None };
    }
    Ok(now)
}

fn is_there(from: &mut Cursor<'_>) -> Result<bool, Malformed> {
    match from.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(format!("a field is there or not, the trace says {other}")),
    }
}

fn put_info(out: &mut Vec<u8>, info: &Info) {
    let numbers = [
        u64::from(info.generation),
        u64::from(info.job),
        info.job_start_boottime_ns,
        info.deadline_ns,
        info.batch,
        // No device is the largest number; one more is the shortest.
        info.device.wrapping_add(1),
        info.size,
    ];
    numbers.into_iter().for_each(|number| put(out, number));
    [&info.job_id, &info.model, &info.name, &info.lane, &info.detail].into_iter().for_each(|text| put_text(out, text));
}

fn take_info(from: &mut Cursor<'_>) -> Result<Info, Malformed> {
    Ok(Info {
        generation: from.small("an info record's generation")?,
        job: from.small("an info record's job")?,
        job_start_boottime_ns: from.number()?,
        deadline_ns: from.number()?,
        batch: from.number()?,
        device: from.number()?.wrapping_sub(1),
        size: from.number()?,
        job_id: from.text()?,
        model: from.text()?,
        name: from.text()?,
        lane: from.text()?,
        detail: from.text()?,
    })
}

fn take_user_phase(from: &mut Cursor<'_>) -> Result<UserPhase, Malformed> {
    let index = from.byte()?;
    let class = from.byte()?;
    if class > Class::Exit.bits() {
        return Err(format!("a phase's class is {class}"));
    }
    Ok(UserPhase { index, class: Class::from_bits(class), budget_ns: from.number()?, name: from.text()? })
}
