//! Bytes as a recorded trace: frames, a cut or an error with its offset; and what its frames are judged to be.

use crate::Tally;
use crate::draw::Draw;
use crate::show::{check_lines, check_text};
use crate::slots::policies;
use hangwatch::engine::Engine;
use hangwatch::judge::Severity;
use hangwatch::layout::HotWords;
use hangwatch::layout::info::Info;
use hangwatch::layout::word::{Beat, Kind, Owner, Tag};
use hangwatch::record::{HEADER_LEN, Header, Reader, Writer};
use hangwatch::snapshot::{HostSnapshot, Probe, SlotSnapshot};
use hangwatch::tell::text::escaped;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Slots of a trace that are judged; its header may promise more.
const SLOTS: u32 = 64;
const HEADER: Header = Header { slots: SLOTS, slot_size: 1024, poll_interval_ns: 1_000_000_000 };

/// The first byte: 0, the bytes are the trace. 1, they are the payloads of its frames, each after a byte of its length, and what is
/// around them is right. 2, they are the slots of polls that a writer of this build has recorded, and changes of single bytes after
/// that, sealed again. The byte's bit 7: the last byte of the trace is missing.
pub(crate) fn run(data: &[u8]) -> Tally {
    let Some((how, data)) = data.split_first() else { return Tally::default() };
    let mut trace = match how & 0x7f {
        0 => data.to_vec(),
        how if how & 1 == 1 => seal(data),
        _ => recorded(&mut Draw(data)),
    };
    if how & 0x80 != 0 {
        trace.pop();
    }
    let mut tally = Tally::default();
    let mut reader = match Reader::new(&trace[..]) {
        Ok(reader) => reader,
        Err(error) => {
            assert!(error.offset <= trace.len() as u64);
            check_lines(&error.of("trace").to_string(), &mut tally);
            tally.refused += 1;
            return tally;
        }
    };
    tally.opened += 1;
    let header = reader.header();
    let slots = header.slots.min(SLOTS);
    let mut engine = Engine::new(slots as usize, policies(), 0);
    let mut end = HEADER_LEN as u64;
    let (mut host, mut last) = (HostSnapshot::default(), BTreeMap::new());
    for frame in reader.by_ref() {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                assert!(error.offset >= end && error.offset <= trace.len() as u64, "an error says where");
                check_lines(&error.of("trace").to_string(), &mut tally);
                tally.refused += 1;
                break;
            }
        };
        host = frame.host;
        engine.begin(&host);
        tally.polls += 1;
        for slot in frame.slots {
            assert!(slot.index < header.slots, "I15: no slot is outside");
            tally.read += 1;
            if let Some(info) = &slot.info {
                for text in [&info.job_id, &info.model, &info.name, &info.lane, &info.detail] {
                    check_text(&escaped(text), 8 * 1024);
                    tally.texts += 1;
                }
            }
            tally.live += u64::from(slot.hot.is_some());
            if slot.index < SLOTS {
                last.insert(slot.index, slot.clone());
            }
            engine.take(slot);
        }
        finish(&mut engine, slots, &mut tally);
    }
    // What stood there at the end is judged until every budget is spent.
    for _ in 0..6 {
        host.monotonic_ns = host.monotonic_ns.saturating_add(1_000_000_000);
        engine.begin(&host);
        last.values().cloned().for_each(|slot| engine.take(slot));
        finish(&mut engine, slots, &mut tally);
    }
    end = end.max(reader.offset());
    assert!(end <= trace.len() as u64, "I15: nothing is read past the end");
    if let Some(cut) = reader.cut() {
        assert_eq!(cut.offset + cut.bytes, trace.len() as u64, "a cut is what is left");
    }
    tally
}

fn finish(engine: &mut Engine, slots: u32, tally: &mut Tally) {
    let findings = engine.finish();
    assert!(findings.judged.len() <= slots as usize, "I15: a slot is judged once a poll");
    tally.events += findings.changes.len() as u64;
    tally.acting += findings.judged.iter().filter(|judged| judged.judgement.severity == Severity::Acting).count() as u64;
}

/// A trace of these payloads, each after a byte of its length, with the header, the lengths and the checksums that it should have.
pub fn seal(payloads: &[u8]) -> Vec<u8> {
    let mut trace = Vec::new();
    drop(Writer::new(&mut trace, HEADER, u64::MAX).expect("memory takes it"));
    let mut rest = payloads;
    while let Some((len, more)) = rest.split_first() {
        let (payload, more) = more.split_at(usize::from(*len).min(more.len()));
        let start = trace.len();
        let len = payload.len();
        if len >= 0x80 {
            trace.push(len as u8 | 0x80);
        }
        trace.push((len >> if len >= 0x80 { 7 } else { 0 }) as u8);
        trace.extend(payload);
        let crc = crc32(&trace[start..]);
        trace.extend(crc.to_le_bytes());
        rest = more;
    }
    trace
}

/// What a writer of this build makes of drawn slots, with some bytes changed and the checksums right again.
fn recorded(draw: &mut Draw<'_>) -> Vec<u8> {
    let mut trace = Vec::new();
    let mut writer = Writer::new(&mut trace, HEADER, u64::MAX).expect("memory takes it");
    let mut ends = vec![HEADER_LEN];
    let mut monotonic_ns = 0;
    for _ in 0..1 + draw.below(12) {
        monotonic_ns += [1_000_000_000, draw.word() >> 1][draw.below(2)] % (1 << 60);
        let host = HostSnapshot { monotonic_ns, boottime_ns: monotonic_ns, cpu_pressure_us: Some(draw.byte().into()) };
        let slots: Vec<SlotSnapshot> = (0..draw.below(4) as u32).map(|index| slot(index, draw)).collect();
        writer.frame(&host, &slots).expect("slots come in order");
        ends.push(writer.written() as usize);
    }
    drop(writer);
    for _ in 0..draw.below(4) {
        let at = draw.raw() as usize % trace.len();
        trace[at] ^= draw.byte();
    }
    for pair in ends.windows(2) {
        let crc = crc32(&trace[pair[0]..pair[1] - 4]);
        trace[pair[1] - 4..pair[1]].copy_from_slice(&crc.to_le_bytes());
    }
    trace
}

fn slot(index: u32, draw: &mut Draw<'_>) -> SlotSnapshot {
    let owner = Owner::new(draw.byte().into(), Tag::Live, Kind::Worker, draw.byte().into());
    let beat = Beat::start(owner.generation()).0 | u64::from(draw.byte());
    let (phase, epoch) = ([7 << 48 | 1 << 32, draw.word()][draw.below(2)], u64::from(draw.byte()) << 32);
    let words = [beat, epoch, phase, draw.word(), draw.word(), draw.word(), draw.word(), 0, 0];
    let hot = HotWords::from_words(owner, words);
    let text = |draw: &mut Draw<'_>| String::from_utf8_lossy(draw.bytes(6)).into_owned();
    let info = Info { generation: owner.generation(), job_id: text(draw), model: text(draw), ..Info::default() };
    let info = (draw.byte() & 1 == 1).then(|| Arc::new(info));
    SlotSnapshot { index, owner, hot: Some(hot), info, user_phase: None, probe: Probe::default() }
}

/// The CRC-32 of zlib and PNG: by its definition, not by the library's table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
