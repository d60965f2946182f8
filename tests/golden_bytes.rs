//! I21: the bytes of a segment are the contract between languages, versions and processes. A segment is built through the
//! public API, its volatile words are set to fixed values by offset, and the rest must be, byte for byte, what
//! `golden/segment_v1.hex` holds. A change there is a change of the layout: it needs VERSION and a reason.

#[path = "golden/architectures.rs"]
mod architectures;
mod common;

use common::words;
use hangwatch::layout::phase::Class;
use hangwatch::layout::slot::{FIELDS, SLOT_LEN, TOTAL_UNKNOWN};
use hangwatch::layout::word::{Beat, Epoch, Kind, Lease, Owner, PhaseWord, Tag};
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Job, Outcome, Phase, Total};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The slot as C declares it (PROTOCOL, section 8): offset, name.
const PICTURE: &str = "
    000 beat      008 progress    010 phase             018 stamp_ns   020 lease       028 epoch
    030 progress_stamp_ns         038 alive             040 total      048 jobs_ok     050 jobs_bad
    058 reserved0 060 reserved1   068 reserved2         070 reserved3  078 reserved4
    080 owner     088 starttime   090 pidfd_ino         098 namespaces 0a0 tid         0a8 claimed_boottime_ns
    0b0 cmd       0b8 info_seq    0c0 seen_beat         0c8 beat_at    0d0 verdict     0d8 restarts
    0e0 high_mark 0e8 progress_at 0f0 epoch_seen        0f8 episode";

/// The words of the header that are not zero by reservation: offset, name.
const HEADER: &str = "
    000 magic         008 abi_tag           010 version             018 header_len          020 slot_size
    028 slot_count    030 slots_off         038 total_len           040 feat_incompat       048 feat_compat
    050 segment_id0   058 segment_id1       060 boot_id0            068 boot_id1            070 created_boottime_ns
    078 created_realtime_ns                 080 creator_pid         088 creator_starttime   090 creator_pidns_ino
    098 stamp_clock   0a0 timens_ino        0f8 hdr_check           100 mon_beat            108 mon_stamp_ns
    110 mon_owner     118 mon_starttime     120 mon_pidfd_ino       128 mon_interval_ns     130 seg_state
    138 mon_timens_ino                      140 mon_clock_ns        148 worst_case_detection_ns
    180 claim_hint";

/// The info record: offset, name; a string goes on to the next one's offset.
const INFO: &str = "
    000 gen_tag 008 job_start_boottime_ns 010 lens 018 deadline_ns 020 batch 028 device_id 030 size 038 reserved
    040 job_id  080 model  0e0 name  108 lane  120 detail";

const INFO_LEN: usize = 384;
const VOLATILE_HEADER: [usize; 10] = [0x50, 0x58, 0x60, 0x68, 0x70, 0x78, 0x80, 0x88, 0x90, 0xa0];
const PID: u32 = 0x00ab_cdef;
const TID: u32 = 0x00ab_cdf0;

fn drawn(picture: &str) -> Vec<(usize, String)> {
    let words: Vec<&str> = picture.split_whitespace().collect();
    let pair = |pair: &[&str]| (usize::from_str_radix(pair[0], 16).expect("hex"), pair[1].into());
    words.chunks(2).map(pair).collect()
}

/// What stands at a byte offset of a segment with 1 KiB slots.
fn name_of(offset: usize) -> String {
    let at_or_before =
        |picture: &str, offset: usize| drawn(picture).into_iter().rfind(|(at, _)| *at <= offset).expect("from 0 on");
    let exactly = |picture: &str, offset: usize| match at_or_before(picture, offset) {
        (at, name) if at == offset => name,
        _ => "reserved".into(),
    };
    match offset {
        0..0x400 => format!("header.{}", exactly(HEADER, offset)),
        0x400..0x1000 => {
            let at = offset - 0x400;
            let part = ["first", "budget_ns"].get(at % 64 / 8).copied().unwrap_or("name");
            format!("user_phase[{}].{part}", at / 64)
        }
        _ => {
            let (slot, at) = ((offset - 0x1000) / SLOT_LEN, (offset - 0x1000) % SLOT_LEN);
            match at.checked_sub(0x100) {
                None => format!("slot[{slot}].{}", exactly(PICTURE, at)),
                Some(at) => format!("slot[{slot}].info[{}].{}", at / INFO_LEN, at_or_before(INFO, at % INFO_LEN).1),
            }
        }
    }
}

fn golden_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/segment_v1.hex")
}

/// A line a word that is not zero: its offset, its bytes as they lie there, its name. The first line is the length.
fn dump(words: &[u64]) -> String {
    let mut text = format!("{:04x} bytes\n", words.len() * 8);
    for (i, word) in words.iter().enumerate().filter(|(_, word)| **word != 0) {
        let bytes: Vec<String> = word.to_le_bytes().iter().map(|b| format!("{b:02x}")).collect();
        text += &format!("{:04x}  {}  {}\n", 8 * i, bytes.join(" "), name_of(8 * i));
    }
    text
}

fn parse(dump: &str) -> Vec<u64> {
    let mut lines = dump.lines();
    let bytes = lines.next().and_then(|l| l.strip_suffix(" bytes")).expect("the length stands first");
    let mut words = vec![0; usize::from_str_radix(bytes, 16).expect("hex") / 8];
    for line in lines {
        let mut parts = line.split_whitespace();
        let at = usize::from_str_radix(parts.next().expect("an offset"), 16).expect("hex");
        let bytes = std::array::from_fn(|_| u8::from_str_radix(parts.next().expect("a byte"), 16).expect("hex"));
        words[at / 8] = u64::from_le_bytes(bytes);
    }
    words
}

/// Two workers' slots with something in every field that the public API can write.
fn build(path: &Path) -> Vec<u64> {
    let geometry = Geometry { slots: 2, slot_size: SLOT_LEN as u32 };
    let attach = Attach::new().segment(path.to_str().expect("text")).geometry(geometry).name("sd-0").device(1);
    let mut worker = attach.attach().expect("an attached worker");
    let mut lane = worker.lane("hires").expect("the second slot");
    let job = Job::new("a1b2c3d4-e5f6-7890").model("stable_diffusion_xl").total(Total::Known(50));
    worker.begin_job_with(&job.batch(2).size(1 << 20).deadline(Duration::from_secs(90)).device(3));
    worker.step(12);
    worker.step(11);
    let upscale = worker.register_phase("upscale", Class::Work, Duration::from_secs(30)).expect("an entry");
    assert_eq!(upscale, Phase::User(0));
    worker.phase_total(upscale, Total::Known(9));
    worker.step(4);
    worker.note("tile 4 of 9: Größe 2×");
    worker.extend(Duration::from_millis(30_500));
    worker.alive();
    worker.helper().alive();

    for (outcome, times) in [(Outcome::Ok, 3), (Outcome::Failed, 2), (Outcome::Cancelled, 1)] {
        for _ in 0..times {
            lane.begin_job("short", "llama", Total::None);
            lane.end_job(outcome);
        }
    }
    lane.begin_job("decode", "llama", Total::Unknown);
    lane.step(100);
    lane.begin_pass();
    lane.step(7);
    let words = words::read(path);
    assert_eq!(words.len(), 4096 / 8 + 2 * SLOT_LEN / 8);
    words
}

/// What differs from run to run gets a value of its own, by offset and never by meaning.
fn normalise(words: &mut [u64]) {
    let fixed = |at: usize| 0xa0a0_0000_0000_0000 | at as u64;
    for at in VOLATILE_HEADER {
        words[at / 8] = fixed(at);
    }
    words[0x98 / 8] = 1;
    words::seal(words);
    for slot in 0..2 {
        let base = 0x1000 + slot * SLOT_LEN;
        for at in [0x18, 0x30, 0x88, 0x90, 0x98, 0xa8] {
            words[(base + at) / 8] = fixed(at);
        }
        let owner = &mut words[(base + 0x80) / 8];
        *owner = *owner >> 32 << 32 | u64::from(PID);
        let tid = &mut words[(base + 0xa0) / 8];
        *tid = u64::from(TID) << 32 | *tid & 0xffff_ffff;
        for at in [0x108, 0x288] {
            let start = &mut words[(base + at) / 8];
            *start = if *start == 0 { 0 } else { fixed(at) };
        }
    }
}

#[test]
fn the_bytes_of_a_segment_are_the_golden_ones() {
    let dir = common::scratch();
    let mut words = build(&dir.path().join("golden"));
    normalise(&mut words);
    let new = dump(&words);
    let old = std::fs::read_to_string(golden_file()).unwrap_or_default();
    if new == old {
        return;
    }
    let lines = |text: &str| text.lines().map(|l| (l[..4].to_string(), l.to_string())).collect::<BTreeMap<_, _>>();
    let (was, is) = (lines(&old), lines(&new));
    let mut map = String::new();
    for at in was.keys().chain(is.keys()).collect::<std::collections::BTreeSet<_>>() {
        match (was.get(at), is.get(at)) {
            (a, b) if a == b => {}
            (a, b) => {
                a.into_iter().for_each(|line| map += &format!("- {line}\n"));
                b.into_iter().for_each(|line| map += &format!("+ {line}\n"));
            }
        }
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("segment_v1.hex");
    std::fs::write(&kept, &new).expect("a file beside the build");
    panic!("the layout is a contract; these words changed (- golden, + now):\n{map}the new map is in '{}'", kept.display());
}

#[test]
fn the_slots_words_stand_where_the_drawing_has_them() {
    let drawn = drawn(PICTURE);
    let fields: Vec<(usize, String)> = FIELDS.iter().map(|(name, at)| (*at, (*name).to_string())).collect();
    assert_eq!(fields, drawn, "FIELDS and the C picture are one drawing");
    assert!(FIELDS.iter().enumerate().all(|(i, (_, at))| *at == 8 * i), "every word of the two lines has one name");
    assert_eq!((SLOT_LEN, hangwatch::layout::header::HEADER_LEN), (1024, 4096));
}

#[test]
fn a_segment_made_of_the_golden_bytes_reads_back_what_was_reported() {
    let dir = common::scratch();
    let path = dir.path().join("by-hand");
    let mut words = parse(&std::fs::read_to_string(golden_file()).expect("the golden file"));
    [words[0x60 / 8], words[0x68 / 8]] = words::boot_id();
    words::seal(&mut words);
    words::write(&path, &words);

    let segment = Segment::open_read_only(&path).expect("golden bytes are a valid segment");
    assert_eq!((segment.len(), segment.fixed().slot_size, segment.fixed().version), (2, 1024, 1 << 32));
    assert_eq!(segment.fixed().creator_pid, 0xa0a0_0000_0000_0080);
    let phase = segment.user_phase(0).expect("a registered phase");
    assert_eq!((phase.name.as_str(), phase.class, phase.budget_ns), ("upscale", Class::Work, 30_000_000_000));
    assert!(segment.user_phase(1).is_none(), "one phase was registered");

    let slot = segment.slot(0).expect("slot 0");
    let hot = slot.read_hot().expect("a quiet slot is readable");
    assert_eq!(hot.owner, Owner::new(1, Tag::Live, Kind::Worker, PID));
    assert_eq!((hot.beat.generation(), hot.beat.count()), (1, 6), "begin, two steps, a phase, a step, a lease");
    assert_eq!(hot.epoch, Epoch::new(1, 0, 1), "job 1, pass 0, fell back once");
    assert_eq!(hot.phase, PhaseWord::new(256, PhaseWord::flags_of(true, 0, 2), 2));
    assert_eq!((hot.progress, hot.total), (4, 9), "the user phase's own count");
    assert_eq!(hot.lease, Lease::new(1, 30_500));
    assert_eq!(hot.alive, Beat(1 << 48 | 2));
    assert_eq!((hot.stamp_ns, hot.progress_stamp_ns), (0xa0a0_0000_0000_0018, 0xa0a0_0000_0000_0030));
    let (owner, identity) = slot.read_identity().expect("a live slot has an identity");
    assert_eq!((owner, identity.tid, identity.sub), (hot.owner, TID, 1));
    assert_eq!((identity.starttime, identity.pidfd_ino), (0xa0a0_0000_0000_0088, 0xa0a0_0000_0000_0090));
    assert_eq!((identity.pid_namespace, identity.time_namespace), (0xa0a0_0000, 0x98));
    let info = slot.read_info().expect("a quiet slot is readable");
    assert_eq!((info.generation, info.job, info.job_id.as_str()), (1, 1, "a1b2c3d4-e5f6-7890"));
    assert_eq!((info.model.as_str(), info.name.as_str(), info.lane.as_str()), ("stable_diffusion_xl", "sd-0", ""));
    assert_eq!(info.detail, "tile 4 of 9: Größe 2×");
    assert_eq!((info.deadline_ns, info.batch, info.size, info.device), (90_000_000_000, 2, 1 << 20, 3));

    let slot = segment.slot(1).expect("slot 1");
    let hot = slot.read_hot().expect("a quiet slot is readable");
    assert_eq!(hot.owner, Owner::new(1, Tag::Live, Kind::Lane, PID));
    assert_eq!(hot.epoch, Epoch::new(7, 1, 0), "the seventh job, its second pass");
    assert_eq!(hot.phase, PhaseWord::new(Phase::Inference.id(), PhaseWord::flags_of(true, 0, 13), 13), "a pass is no entry");
    assert_eq!((hot.progress, hot.total), (7, TOTAL_UNKNOWN));
    let raw = slot.raw_words();
    assert_eq!((raw[9], raw[10]), (3, 2 << 32 | 1), "3 well, 2 failed, 1 cancelled");
    let info = slot.read_info().expect("a quiet slot is readable");
    assert_eq!((info.name.as_str(), info.lane.as_str(), info.job_id.as_str()), ("sd-0", "hires", "decode"));
}
