//! I3, I6, I8: eight workers killed by SIGKILL at random points of their loop, 500 times, or 10 000 with `TRIALS=full`. The
//! reader always gets a whole and consistent reading within its bounded tries, no slot leaks, and by what the workers wrote down
//! in files of their own no slot ever had two live owners.

mod common;

use common::diary::{self, Claim, Diary, Job, Life};
use common::trial::{self, Random};
use common::{again, given, role, say, scratch};
use hangwatch::clock::monotonic_ns;
use hangwatch::layout::Slot;
use hangwatch::layout::phase::Phase;
use hangwatch::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use hangwatch::layout::word::Tag;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, ErrorKind, Outcome, Total};
use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

const TEST: &str = "a_worker_killed_anywhere_leaves_a_readable_slot_and_no_slot_leaks";
const SEGMENT: &str = "SEGMENT_TEST_SEGMENT";
const IN_FLIGHT: usize = 8;
const SLOTS: u32 = 12;
/// A life: enough work that a kill hits it as often as the attach and the detach around it.
const JOBS: u32 = 600;
/// Jobs that are written down at once: most of a worker's time is to go into the segment, not into its diary.
const AT_ONCE: u32 = 20;

/// From a job's number follow its total, its id and its model, so a reading of two jobs' words shows.
const fn total(job: u32) -> u64 {
    10 + job as u64 % 7
}

fn work() -> ! {
    let path = given(SEGMENT);
    let mut diary = Diary::begin(Path::new(&path).parent().expect("the scratch folder"));
    for life in 0u64.. {
        diary.write("try");
        let mut worker =
            Attach::new().segment(&path).name("killed").attach().expect("eight workers, twelve slots: one is free or dead");
        let lock = diary.write_own(worker.slot().expect("attached"), worker.generation());
        if life == 0 {
            say("attached");
        }
        for job in 1..=JOBS {
            if job % AT_ONCE == 1 {
                diary.write(format_args!("jobs {job} {}", job + AT_ONCE - 1));
            }
            worker.begin_job(&format!("job-{job}"), &format!("model-{job}"), Total::Known(total(job)));
            for done in 0..=total(job) {
                worker.step(done);
            }
            worker.note(&format!("note-{job}"));
            worker.end_job(Outcome::Ok);
        }
        diary.write(format_args!("leave {}", monotonic_ns()));
        drop(lock);
        worker.detach();
        diary.write("left");
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

/// What the slot of a worker that was killed shows agrees with what it wrote down. Whether it shows its slot at all.
fn agrees(slot: &Slot, index: u32, life: &Life) -> bool {
    let Some(hot) = slot.read_hot().ok().filter(|hot| hot.owner.pid() == life.pid) else { return false };
    let shown = (index, hot.owner.generation());
    match life.claims.last().filter(|_| !life.is_trying) {
        Some(claim) => {
            assert_eq!(shown, (claim.slot, claim.generation), "I6: a slot is its last claimer's: {life:?}");
            assert!(life.may_show_job(hot.epoch.job()), "I2: it shows {:?} of {life:?}", hot.epoch);
        }
        None => assert_eq!(hot.epoch.job(), 0, "I2: it had no time for a job: {life:?}"),
    }
    true
}

#[test]
fn a_worker_killed_anywhere_leaves_a_readable_slot_and_no_slot_leaks() {
    if role().is_some() {
        work();
    }
    let kills = trial::size(500, 10_000) as usize;
    let mut random = Random(trial::seed(TEST));
    let dir = scratch();
    let path = dir.path().join("s");
    let segment = Arc::new(Segment::create(&path, Geometry { slots: SLOTS, slot_size: 1024 }).expect("a segment"));
    let observer = Segment::open_read_only(&path).expect("it is there");
    let mut seen = Seen::new();
    let mut flight: Vec<common::Held> = Vec::new();
    let mut lives: Vec<Life> = Vec::new();
    let mut owned = 0;
    // The end of a worker that is killed, and what it wrote down.
    let kill = |held: common::Held| {
        let killed_at = Some(monotonic_ns());
        let diary = diary::path(dir.path(), held.kill_and_reap());
        // One that was killed before it wrote a line has none.
        let text = std::fs::read_to_string(&diary).unwrap_or_default();
        let _ = std::fs::remove_file(diary);
        Life { killed_at, ..Life::read(&text) }
    };
    while lives.len() < kills {
        while flight.len() < IN_FLIGHT {
            let mut child = again(TEST, "work");
            child.env(SEGMENT, &path);
            // Every eighth may be killed on its way in; the others have been attached at least once.
            flight.push(if random.below(8) == 0 {
                common::Held(child.stdout(Stdio::null()).spawn().expect("the child starts"))
            } else {
                common::Held::start(child).0
            });
        }
        // Not to let anything settle: the point of the kill is what is drawn.
        std::thread::sleep(Duration::from_micros(random.below(1500)));
        let life = kill(flight.swap_remove(random.below(IN_FLIGHT as u64) as usize));
        for (index, slot) in observer.slots() {
            owned += usize::from(agrees(slot, index, &life));
            // While others work, any of them may take the dead one's slot: readable, but not quiet.
            read(slot, false, &mut seen);
        }
        lives.push(life);
    }
    lives.extend(flight.drain(..).map(kill));
    assert!(owned > kills / 10, "kills that hit nobody prove nothing: {owned} of {kills} owned a slot");
    observer.slots().for_each(|(_, slot)| read(slot, true, &mut seen));

    let mut diary = Diary::begin(dir.path());
    let all: Vec<_> =
        (0..SLOTS).map(|_| Attach::new().attach_to(&segment).expect("I8: the dead are proven dead, no slot leaks")).collect();
    let locks: Vec<_> = all.iter().map(|w| diary.write_own(w.slot().expect("attached"), w.generation())).collect();
    let e = Attach::new().attach_to(&segment).expect_err("the living keep theirs");
    assert_eq!(e.kind(), ErrorKind::Full);
    drop(locks);

    let at_the_end = Life::read(&std::fs::read_to_string(diary::path(dir.path(), std::process::id())).expect("written"));
    let wrong = diary::wrong_with_owners(&lives, SLOTS, &at_the_end);
    assert!(wrong.is_empty(), "I6, by the workers' own account: {wrong:#?}");
    let claims: usize = lives.iter().map(|life| life.claims.len()).sum();
    let trying = lives.iter().filter(|life| life.is_trying).count();
    trial::tell(format_args!(
        "{} killed, {owned} of them owners at the end, {trying} while attaching; {claims} claims",
        lives.len()
    ));
    assert!(claims > kills / 2, "workers that claim nothing prove nothing: {claims} claims");
}

/// Two lives in one slot, and the one that gets it at the end.
const FIRST: &str = "is 10 1\ntry\nown 0 1 100 alone\njobs 1 20\nleave 200\nleft\ntry\nown 0 2 300 alone\njobs 1 20\n";
const SECOND: &str = "is 11 2\ntry\nown 0 3 500 alone\njobs 1 20\njobs 21 40\n";
const LAST: &str = "is 12 3\nown 0 4 700 alone\n";

/// What is wrong with these, of which the first two were killed.
fn wrong(first: &str, second: &str, last: &str) -> Vec<String> {
    let killed = |text: &str, at| Life { killed_at: Some(at), ..Life::read(text) };
    diary::wrong_with_owners(&[killed(first, 400), killed(second, 600)], 1, &Life::read(last))
}

#[test]
fn diaries_of_one_owner_after_the_other_are_believed() {
    assert_eq!(wrong(FIRST, SECOND, LAST), [""; 0]);
    let silent = FIRST.replace("own 0 2 300 alone\njobs 1 20\n", "");
    assert_eq!(wrong(&silent, SECOND, LAST), [""; 0], "one that was killed while attaching explains a generation of nobody");
    let cut = format!("{SECOND}leave 55");
    assert_eq!(wrong(FIRST, &cut, LAST), [""; 0], "a line that was not written to its end says nothing");
    let life = Life::read(SECOND);
    assert_eq!((life.pid, life.start, life.jobs, life.job.clone()), (11, 2, (21, 40), Job::None));
    assert_eq!(life.claims, [Claim { slot: 0, generation: 3, from: 500, until: None, is_alone: true }]);
    assert!([20, 21, 40].into_iter().all(|job| life.may_show_job(job)), "the announced, and the one before");
    assert!([0, 19, 41].into_iter().all(|job| !life.may_show_job(job)), "a reading of any other is torn");
}

#[test]
fn diaries_that_cannot_all_be_true_are_not_believed() {
    let says = |wrong: &[String], what: &str| assert!(wrong.iter().any(|line| line.contains(what)), "{what}: {wrong:?}");
    says(&wrong(FIRST, &SECOND.replace("alone", "shared"), LAST), "while another process held the slot's lock");
    says(&wrong(FIRST, &SECOND.replace("own 0 3 500", "own 0 3 399"), LAST), "two live owners");
    says(&wrong(&FIRST.replace("leave 200", "leave 301"), SECOND, LAST), "two live owners");
    says(&wrong(FIRST, &SECOND.replace("own 0 3", "own 0 2"), LAST), "one more a claim");
    says(&wrong(FIRST, &SECOND.replace("own 0 3", "own 0 1"), LAST), "one more a claim");
    says(&wrong(FIRST, SECOND, &LAST.replace("own 0 4", "own 0 5")), "1 generations were nobody's");
    says(&wrong(FIRST, SECOND, "is 12 3\n"), "it leaked");
    says(&wrong(FIRST, SECOND, &LAST.repeat(2)), "it leaked");
}
