//! What is written is read back, whatever the words; what is cut or damaged is told, never a panic.

use super::*;
use crate::layout::hot::HotWords;
use crate::layout::info::Info;
use crate::layout::phase::Class;
use crate::layout::user_phase::UserPhase;
use crate::layout::word::{Beat, Epoch, Kind, Lease, Owner, PhaseWord, Tag};
use crate::snapshot::{HostSnapshot, Probe, Process, SlotSnapshot};
use proptest::prelude::*;
use std::sync::Arc;

const HEADER: Header = Header { slots: 64, slot_size: 1024, poll_interval_ns: 1_000_000_000 };
const NO_BOUND: u64 = u64::MAX;

fn live(index: u32) -> SlotSnapshot {
    let owner = Owner::new(1, Tag::Live, Kind::Worker, 4821);
    SlotSnapshot {
        index,
        owner,
        hot: Some(HotWords {
            owner,
            beat: Beat(1 << 48 | 7),
            epoch: Epoch::new(1, 0, 0),
            phase: PhaseWord::new(7, PhaseWord::JOB_OPEN, 2),
            progress: 21,
            total: 50,
            lease: Lease(0),
            alive: Beat::start(1),
            stamp_ns: 5_000_000_000,
            progress_stamp_ns: 5_000_000_000,
        }),
        info: Some(Arc::new(Info {
            generation: 1,
            job: 1,
            job_id: "a1b2".into(),
            model: "sdxl".into(),
            name: "sd-0".into(),
            ..Info::default()
        })),
        user_phase: None,
        probe: Probe::default(),
    }
}

/// A step later.
fn stepped(slot: &SlotSnapshot) -> SlotSnapshot {
    let hot = slot.hot.expect("live");
    let hot = HotWords { beat: Beat(hot.beat.0 + 1), progress: hot.progress + 1, stamp_ns: hot.stamp_ns + 1_000_000_000, ..hot };
    SlotSnapshot { hot: Some(hot), ..slot.clone() }
}

fn host(seconds: u64) -> HostSnapshot {
    HostSnapshot { monotonic_ns: seconds * 1_000_000_000, boottime_ns: seconds * 1_000_000_000, cpu_pressure_us: Some(seconds) }
}

fn written(polls: &[(HostSnapshot, Vec<SlotSnapshot>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, HEADER, NO_BOUND).expect("memory");
    for (host, slots) in polls {
        writer.frame(host, slots).expect("memory");
    }
    bytes
}

/// Frames before the end or the first damage; the damage, or the cut.
fn read(bytes: &[u8]) -> (Vec<Frame>, Option<TraceError>, Option<Cut>) {
    let mut reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(e) => return (Vec::new(), Some(e), None),
    };
    let mut frames = Vec::new();
    let mut damage = None;
    for frame in reader.by_ref() {
        match frame {
            Ok(frame) => frames.push(frame),
            Err(e) => damage = Some(e),
        }
    }
    (frames, damage, reader.cut())
}

/// The slots as a monitor had them at each poll.
fn pictures(frames: &[Frame]) -> Vec<Vec<SlotSnapshot>> {
    let mut now = std::collections::BTreeMap::new();
    frames
        .iter()
        .map(|frame| {
            now.extend(frame.slots.iter().map(|slot| (slot.index, slot.clone())));
            now.values().cloned().collect()
        })
        .collect()
}

fn example() -> Vec<u8> {
    let first = live(2);
    written(&[(host(5), vec![first.clone()]), (host(6), vec![stepped(&first)]), (host(7), vec![stepped(&first)])])
}

#[test]
fn the_page_draws_the_bytes_that_are_written_and_read() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/trace.md")).expect("the page");
    let hex = page.split("```hex\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of hex");
    let bytes: Vec<u8> = hex
        .lines()
        .flat_map(|line| line.split('|').next().unwrap_or_default().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).expect("hex"))
        .collect();
    let ours: Vec<String> = example().chunks(16).map(|row| row.iter().map(|byte| format!("{byte:02x} ")).collect()).collect();
    assert_eq!(bytes, example(), "the page's example is what is written now:\n{}", ours.join("\n"));
    let (frames, damage, cut) = read(&bytes);
    assert_eq!((damage, cut), (None, None));
    assert_eq!(frames[0], Frame { host: host(5), slots: vec![live(2)] });
    assert_eq!(frames[1].slots, vec![stepped(&live(2))]);
    assert_eq!(frames[2], Frame { host: host(7), slots: Vec::new() }, "what did not change is not there");
    for (name, value) in [("version", u64::from(VERSION)), ("header", HEADER_LEN as u64), ("longest payload", MAX_FRAME as u64)] {
        assert!(page.contains(&format!("| {name} | {value} |")), "the page's constants lack {name} = {value}");
    }
}

#[test]
fn a_quiet_poll_is_a_few_bytes_however_many_slots_there_are() {
    let slots: Vec<_> = (0..64).map(live).collect();
    let mut writer = Writer::new(Vec::new(), HEADER, NO_BOUND).expect("memory");
    writer.frame(&host(1), &slots).expect("memory");
    let Written::Frame(bytes) = writer.frame(&host(2), &slots).expect("memory") else { panic!("no bound") };
    assert!(bytes <= 16, "a poll in which nothing changed takes {bytes} bytes");
}

#[test]
fn a_trace_never_passes_its_bound_and_the_next_one_begins_whole() {
    let mut writer = Writer::new(Vec::new(), HEADER, 400).expect("memory");
    let mut slot = live(3);
    let mut seconds = 0;
    while matches!(writer.frame(&host(seconds), std::slice::from_ref(&slot)).expect("memory"), Written::Frame(_)) {
        seconds += 1;
        slot = stepped(&slot);
    }
    let before = writer.restart(Vec::new()).expect("memory");
    assert!(before.len() <= 400, "{} bytes are past the bound", before.len());
    let (frames, damage, cut) = read(&before);
    assert_eq!((frames.len() as u64, damage, cut), (seconds, None, None), "the poll that did not fit left nothing behind");
    // Nothing is passed that did not change since the last poll, and all that is known is there.
    writer.frame(&host(seconds), &[]).expect("memory");
    let after = writer.restart(Vec::new()).expect("memory");
    assert_eq!(read(&after).0[0].slots, frames.last().expect("some").slots, "the new trace stands on nothing before it");
}

#[test]
fn a_keyframe_past_the_bound_is_an_error_and_not_an_endless_restart() {
    let mut writer = Writer::new(Vec::new(), HEADER, 40).expect("memory");
    assert!(writer.frame(&host(1), &[live(0)]).is_err_and(|e| e.kind() == std::io::ErrorKind::StorageFull));
}

#[test]
fn recording_goes_on_where_a_trace_was_cut() {
    let bytes = example();
    let (_, _, cut) = read(&bytes[..bytes.len() - 3]);
    let cut = cut.expect("three bytes of the last frame are gone");
    let mut kept = bytes[..cut.offset as usize].to_vec();
    let mut writer = Writer::go_on(&mut kept, HEADER, NO_BOUND, cut.offset);
    writer.frame(&host(9), &[live(5)]).expect("memory");
    let (frames, damage, cut) = read(&kept);
    assert_eq!((frames.len(), damage, cut), (3, None, None));
    assert_eq!(frames[2].slots.last(), Some(&live(5)));
}

#[test]
fn a_slot_that_a_keyframe_does_not_name_is_nobodys() {
    let mut bytes = written(&[(host(5), vec![live(2), live(3)])]);
    let whole = bytes.len() as u64;
    let mut writer = Writer::go_on(&mut bytes, HEADER, NO_BOUND, whole);
    writer.frame(&host(9), &[live(3)]).expect("memory");
    let (frames, ..) = read(&bytes);
    let [gone, stays] = &frames[1].slots[..] else { panic!("both slots are told of: {:?}", frames[1]) };
    assert_eq!((gone.owner, gone.hot), (live(2).owner.freed(), None), "its owner left while nobody recorded");
    assert_eq!(stays, &live(3));
}

#[test]
fn a_reader_goes_on_in_the_trace_that_follows_and_in_no_other() {
    let mut reader = Reader::new(std::io::Cursor::new(example())).expect("a trace");
    assert_eq!(reader.by_ref().count(), 3);
    reader.go_on(std::io::Cursor::new(written(&[(host(9), vec![live(5)])]))).expect("the same header");
    let next = reader.next().expect("a frame").expect("whole");
    assert_eq!(next.slots.iter().map(|slot| (slot.index, slot.hot.is_some())).collect::<Vec<_>>(), [(2, false), (5, true)]);
    let mut other = Vec::new();
    Writer::new(&mut other, Header { slots: 63, ..HEADER }, NO_BOUND).expect("memory");
    assert!(reader.go_on(std::io::Cursor::new(other)).is_err_and(|e| e.why.contains("another segment")));
}

#[test]
fn a_header_of_another_version_or_with_a_wrong_bit_is_refused_with_its_offset() {
    let good = example();
    for (at, expected) in [(0, 0), (8, 8), (13, 28), (29, 28)] {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        assert_eq!(Reader::new(&bytes[..]).map(|_| ()).map_err(|e| e.offset), Err(expected), "byte {at}");
    }
    assert!(Reader::new(&good[..HEADER_LEN - 1]).is_err_and(|e| e.offset == HEADER_LEN as u64 - 1));
}

fn process() -> impl Strategy<Value = Process> {
    use Process::{Frozen, Gone, Running, Stopped, Traced, Unkillable, Unknown, Zombie};
    prop::sample::select(vec![Unknown, Running, Stopped, Traced, Frozen, Zombie, Gone, Unkillable])
}

prop_compose! {
    fn hot()(words in any::<[u64; 9]>(), owner in any::<u64>()) -> HotWords {
        HotWords::from_words(Owner(owner), words)
    }
}

prop_compose! {
    fn slot()(
        index in 0..6u32,
        (owner, same) in any::<(u64, bool)>(),
        hot in prop::option::of(hot()),
        info in prop::option::of((any::<[u64; 5]>(), any::<u16>(), "\\PC{0,40}")),
        user in prop::option::of((any::<u8>(), 0..3u8, any::<u64>(), "\\PC{0,20}")),
        process in process(),
        (thread_gone, run_delay_ns) in any::<(bool, Option<u64>)>(),
    ) -> SlotSnapshot {
        SlotSnapshot {
            index,
            owner: Owner(owner),
            hot: hot.map(|hot| if same { HotWords { owner: Owner(owner), ..hot } } else { hot }),
            info: info.map(|([job_start_boottime_ns, deadline_ns, batch, device, size], generation, text)| Arc::new(Info {
                generation, job: batch as u32, job_start_boottime_ns, deadline_ns, batch, device, size,
                job_id: text.clone(), model: text.clone(), name: String::new(), lane: text.clone(), detail: text,
            })),
            user_phase: user.map(|(index, class, budget_ns, name)| Arc::new(UserPhase { index, class: Class::from_bits(class), budget_ns, name })),
            probe: Probe { process, thread_gone, run_delay_ns },
        }
    }
}

fn polls() -> impl Strategy<Value = Vec<(HostSnapshot, Vec<SlotSnapshot>)>> {
    let host = any::<(u64, u64, Option<u64>)>().prop_map(|(monotonic_ns, boottime_ns, cpu_pressure_us)| HostSnapshot {
        monotonic_ns,
        boottime_ns,
        cpu_pressure_us,
    });
    let slots = prop::collection::vec(slot(), 0..4).prop_map(|mut slots| {
        slots.sort_by_key(|slot| slot.index);
        slots.dedup_by_key(|slot| slot.index);
        slots
    });
    prop::collection::vec((host, slots), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_words_hold_they_are_read_back(polls in polls()) {
        let bytes = written(&polls);
        let (frames, damage, cut) = read(&bytes);
        prop_assert_eq!((damage, cut), (None, None));
        prop_assert_eq!(frames.iter().map(|f| f.host).collect::<Vec<_>>(), polls.iter().map(|(host, _)| *host).collect::<Vec<_>>());
        let said: Vec<Frame> = polls.iter().map(|(host, slots)| Frame { host: *host, slots: slots.clone() }).collect();
        prop_assert_eq!(pictures(&frames), pictures(&said), "every slot stands as it was passed last");
    }

    #[test]
    fn a_trace_that_is_cut_anywhere_reads_up_to_its_last_whole_frame(polls in polls(), share in 0.0..1.0f64) {
        let bytes = written(&polls);
        let at = HEADER_LEN + ((bytes.len() - HEADER_LEN) as f64 * share) as usize;
        let (all, _, _) = read(&bytes);
        let (frames, damage, cut) = read(&bytes[..at]);
        prop_assert_eq!(damage, None, "a cut is no damage");
        prop_assert_eq!(&frames[..], &all[..frames.len()], "a prefix of the trace is a prefix of its frames");
        let lost = cut.map_or(0, |cut| cut.bytes);
        prop_assert_eq!(at as u64 - lost, written(&polls[..frames.len()]).len() as u64, "no whole frame is lost and the cut is counted");
    }

    #[test]
    fn a_wrong_bit_is_found_before_the_frame_is_believed(polls in polls(), share in 0.0..1.0f64, bit in 0..8u32) {
        let good = written(&polls);
        let at = HEADER_LEN + ((good.len() - HEADER_LEN) as f64 * share) as usize;
        prop_assume!(at < good.len());
        let mut bytes = good.clone();
        bytes[at] ^= 1 << bit;
        let (all, _, _) = read(&good);
        let (frames, damage, cut) = read(&bytes);
        prop_assert_eq!(&frames[..], &all[..frames.len()]);
        prop_assert!(damage.is_some() || cut.is_some(), "the bit is in some frame");
        let whole = damage.map(|e| e.offset).or(cut.map(|cut| cut.offset)).unwrap_or(0);
        prop_assert_eq!(whole, written(&polls[..frames.len()]).len() as u64, "the offset is where the frame begins");
    }

    #[test]
    fn any_bytes_are_frames_a_cut_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300), keeps in any::<bool>()) {
        let mut trace = if keeps { written(&[]) } else { Vec::new() };
        trace.extend(bytes);
        let (frames, damage, _) = read(&trace);
        prop_assert!(frames.is_empty() || keeps, "{:?}", damage);
    }

    #[test]
    fn any_payload_with_a_right_checksum_is_a_frame_or_an_error(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut trace = written(&[]);
        let start = trace.len();
        super::wire::put(&mut trace, payload.len() as u64);
        trace.extend(payload);
        let crc = super::crc::crc32(&[&trace[start..]]);
        trace.extend(crc.to_le_bytes());
        let (frames, damage, cut) = read(&trace);
        prop_assert_eq!(cut, None);
        prop_assert_eq!(frames.len() + usize::from(damage.is_some()), 1);
    }
}
