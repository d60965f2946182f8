//! I3, I6, I8: workers killed by SIGKILL at random points of their loop, a thousand times. The reader always gets a whole
//! and consistent reading within its bounded tries, and no slot leaks.

mod common;

use common::{again, given, role, say, scratch};
use hangwatch::layout::Slot;
use hangwatch::layout::phase::Phase;
use hangwatch::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use hangwatch::layout::word::Tag;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, ErrorKind, Outcome, Total};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const TEST: &str = "a_worker_killed_anywhere_leaves_a_readable_slot_and_no_slot_leaks";
const SEGMENT: &str = "SEGMENT_TEST_SEGMENT";
const KILLS: usize = 1000;
const SLOTS: u32 = 8;
const IN_FLIGHT: usize = 4;
/// A life: enough work that a kill hits it as often as the attach and the detach around it.
const JOBS: u32 = 200;

/// From a job's number follow its total, its id and its model, so a reading of two jobs' words shows.
const fn total(job: u32) -> u64 {
    10 + job as u64 % 7
}

fn work() -> ! {
    let path = given(SEGMENT);
    for life in 0u64.. {
        let mut worker =
            Attach::new().segment(&path).name("killed").attach().expect("four workers, eight slots: one is free or dead");
        if life == 0 {
            say("attached");
        }
        for job in 1..=JOBS {
            worker.begin_job(&format!("job-{job}"), &format!("model-{job}"), Total::Known(total(job)));
            for done in 0..=total(job) {
                worker.step(done);
            }
            worker.note(&format!("note-{job}"));
            worker.end_job(Outcome::Ok);
        }
        worker.detach();
    }
    unreachable!("killed long before 2^64 lives")
}

/// Inode of a process's pidfd, unique for a boot: its pid, its working thread, its start time.
type Seen = HashMap<u64, (u32, u32, u64)>;

/// Reads all of a slot as an observer does. `quiet`: nobody writes it any more, so it must be readable.
fn read(slot: &Slot, quiet: bool, seen: &mut Seen) {
    let hot = slot.read_hot();
    let info = slot.read_info();
    let identity = slot.read_identity();
    if let Ok(hot) = hot {
        let job = hot.epoch.job();
        assert!(job <= JOBS && hot.epoch.falls() == 0 && hot.epoch.pass() == 0, "an epoch that was written: {:?}", hot.epoch);
        assert_eq!(hot.beat.generation(), hot.owner.generation(), "I7: the beat is the owner's");
        match Phase::from_id(hot.phase.id()) {
            Phase::Inference => {
                // The count that follows is stored before the phase that it belongs to: idle's total may be seen early.
                let own = hot.total == total(job) || hot.total == TOTAL_NONE;
                assert!(own && hot.phase.job_open(), "I2: a job's total belongs to it: {hot:?}");
                assert!(hot.progress == NO_PROGRESS || hot.progress <= total(job), "I2: so does its progress: {hot:?}");
            }
            Phase::Idle | Phase::Starting => {}
            other => panic!("nobody entered {other:?}"),
        }
    }
    if let Some(info) = &info {
        let (job, idle) = (info.job, info.job_id.is_empty());
        assert_eq!(info.name, if info.generation == 0 { "" } else { "killed" }, "I2: one record, one worker");
        assert!(idle || info.job_id == format!("job-{job}"), "I2: one record, one job: {info:?}");
        assert!(job == 0 || info.model == format!("model-{job}"), "I2: one record, one job: {info:?}");
        assert!(info.detail.is_empty() || info.detail == format!("note-{job}"), "I2: one record, one job: {info:?}");
    }
    if let Some((owner, identity)) = identity.filter(|(_, identity)| identity.pidfd_ino != 0) {
        let words = (owner.pid(), identity.tid, identity.starttime);
        let known = *seen.entry(identity.pidfd_ino).or_insert(words);
        assert_eq!(words, known, "I2: a process has one pid, one working thread, one start: {owner:?} {identity:?}");
    }
    if quiet {
        assert!(!matches!(&hot, Err(e) if format!("{e:?}") == "Busy"), "I3: a dead writer leaves nothing half done");
        assert!(info.is_some(), "I3: one of the two records is whole");
        let tag = slot.peek_owner().tag();
        assert_eq!((hot.is_ok(), identity.is_some()), (tag == Tag::Live, tag == Tag::Live), "LIVE means readable");
    }
}

#[test]
fn a_worker_killed_anywhere_leaves_a_readable_slot_and_no_slot_leaks() {
    if role().is_some() {
        work();
    }
    let dir = scratch();
    let path = dir.path().join("s");
    let segment = Arc::new(Segment::create(&path, Geometry { slots: SLOTS, slot_size: 1024 }).expect("a segment"));
    let observer = Segment::open_read_only(&path).expect("it is there");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut seen = Seen::new();
    let mut flight: VecDeque<common::Held> = VecDeque::new();
    let (mut killed, mut owned) = (0, 0);
    while killed < KILLS {
        while flight.len() < IN_FLIGHT {
            let mut child = again(TEST, "work");
            child.env(SEGMENT, &path);
            // Every eighth may be killed on its way in; the others have been attached at least once.
            flight.push_back(if next(8) == 0 {
                common::Held(child.stdout(std::process::Stdio::null()).spawn().expect("the child starts"))
            } else {
                common::Held::start(child).0
            });
        }
        // Not to let anything settle: the point of the kill is what is drawn.
        std::thread::sleep(Duration::from_micros(next(1500)));
        let pid = flight.pop_front().expect("four in flight").kill_and_reap();
        killed += 1;
        for (_, slot) in observer.slots() {
            let before = slot.peek_owner();
            let dead = before.pid() == pid && matches!(before.tag(), Tag::Live | Tag::Claiming);
            owned += usize::from(dead);
            // While others work, any of them may take the dead one's slot: readable, but not quiet.
            read(slot, false, &mut seen);
        }
    }
    drop(flight);
    assert!(owned > KILLS / 10, "kills that hit nobody prove nothing: {owned} of {killed} owned a slot");
    observer.slots().for_each(|(_, slot)| read(slot, true, &mut seen));

    let generations: Vec<u16> = segment.slots().map(|(_, slot)| slot.peek_owner().generation()).collect();
    let all: Vec<_> =
        (0..SLOTS).map(|_| Attach::new().attach_to(&segment).expect("I8: the dead are proven dead, no slot leaks")).collect();
    let mut indices: Vec<u32> = all.iter().filter_map(|w| w.slot()).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..SLOTS).collect::<Vec<_>>(), "every slot was given, each once");
    for worker in &all {
        let before = generations[worker.slot().expect("attached") as usize];
        assert_eq!(worker.generation(), before.wrapping_add(1), "I6: strictly one more");
    }
    let e = Attach::new().attach_to(&segment).expect_err("the living keep theirs");
    assert_eq!(e.kind(), ErrorKind::Full);
}
