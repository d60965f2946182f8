//! I11: a forked child never changes its parent's slot, however it was forked; after exec the same process takes its slot
//! over with the next generation. Each test works in a process of its own.
#![allow(unsafe_code)]

mod common;

use common::fork::{fork, in_fork};
use common::{again, given, role, run_well, say, scratch};
use hangwatch::layout::word::Tag;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Outcome, Total, Worker};
use std::os::unix::process::CommandExt;
use std::path::Path;

const SEGMENT: &str = "SEGMENT_TEST_SEGMENT";

fn attach(path: &str) -> Worker {
    Attach::new().segment(path).geometry(Geometry { slots: 4, slot_size: 1024 }).attach().expect("a free slot")
}

fn tags(path: &str) -> Vec<(Tag, u16)> {
    let segment = Segment::open_read_only(Path::new(path)).expect("it is there");
    segment.slots().map(|(_, slot)| (slot.peek_owner().tag(), slot.peek_owner().generation())).collect()
}

/// Past glibc: no atfork handler runs.
fn raw_clone() -> libc::pid_t {
    // SAFETY: as above; no flag shares memory, a null stack means the parent's, copied.
    unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t }
}

/// The body of a forked child: every report through the inherited handle, and its end.
fn a_child_that_reports_through_its_parents_handle(mut worker: Worker) -> i32 {
    assert!(!worker.is_attached() && worker.slot().is_none() && worker.segment().is_none());
    let helper = worker.helper();
    worker.step(99);
    worker.beat();
    worker.begin_job("child", "child", Total::Known(1));
    worker.begin_pass();
    worker.note("child");
    worker.extend(std::time::Duration::from_secs(1));
    worker.phase(hangwatch::Phase::Loading);
    worker.end_job(Outcome::Failed);
    helper.alive();
    worker.alive();
    assert!(!worker.lane("l").expect("detached").is_attached());
    drop(worker);
    7
}

fn a_fork_leaves_the_slot_alone(test: &str, fork: fn() -> libc::pid_t) {
    if role().is_none() {
        let dir = scratch();
        let mut child = again(test, "parent");
        child.env(SEGMENT, dir.path().join("s"));
        assert_eq!(run_well(child), ["the slot is as it was"]);
        return;
    }
    let path = given(SEGMENT);
    let mut worker = attach(&path);
    worker.begin_job("parent", "m", Total::Known(4));
    worker.step(2);
    let before = common::words::read(Path::new(&path));
    // The child's copy of the handle: moved into the child's body, forgotten here.
    let mut copy = Some(worker);
    let code = in_fork(fork, || copy.take().map_or(102, a_child_that_reports_through_its_parents_handle));
    assert_eq!(code, 7, "the child ran to its end, past every report and the drop");
    assert_eq!(common::words::read(Path::new(&path)), before, "not one word of the segment has changed");
    let mut worker = copy.take().expect("the parent's own");
    assert!(worker.is_attached(), "the parent's handle goes on");
    worker.step(3);
    let hot = worker.segment().and_then(|s| s.slot(0)).expect("slot 0").read_hot().expect("live");
    assert_eq!((hot.progress, hot.beat.count()), (3, 3));
    say("the slot is as it was");
}

#[test]
fn a_forked_childs_reports_and_its_drop_change_nothing() {
    a_fork_leaves_the_slot_alone("a_forked_childs_reports_and_its_drop_change_nothing", fork);
}

#[test]
fn a_child_of_a_raw_clone_changes_nothing_either() {
    a_fork_leaves_the_slot_alone("a_child_of_a_raw_clone_changes_nothing_either", raw_clone);
}

#[test]
fn a_forked_child_that_attaches_itself_gets_a_slot_of_its_own() {
    const TEST: &str = "a_forked_child_that_attaches_itself_gets_a_slot_of_its_own";
    if role().is_none() {
        let dir = scratch();
        let mut child = again(TEST, "parent");
        child.env(SEGMENT, dir.path().join("s"));
        assert_eq!(run_well(child), ["two slots"]);
        return;
    }
    let path = given(SEGMENT);
    let mut parents = attach(&path);
    let code = in_fork(fork, || {
        let mut own = attach(&path);
        own.step(1);
        parents.step(50);
        assert!(own.is_attached() && !parents.is_attached(), "the new canary revives no inherited handle");
        // A fork of the fork: both handles are dead there.
        let grandchild = in_fork(raw_clone, || i32::from(own.is_attached() || parents.is_attached()));
        assert_eq!(grandchild, 0);
        assert_eq!(tags(&path), [(Tag::Live, 1), (Tag::Live, 1), (Tag::Free, 0), (Tag::Free, 0)]);
        own.slot().expect("attached") as i32
    });
    assert_eq!(code, 1, "the child's slot is another than its parent's");
    parents.step(2);
    let hot = parents.segment().and_then(|s| s.slot(0)).expect("slot 0").read_hot().expect("live");
    assert_eq!((hot.progress, hot.owner.pid()), (2, std::process::id()));
    say("two slots");
}

#[test]
fn after_exec_the_process_takes_its_slot_over_and_frees_its_others() {
    const TEST: &str = "after_exec_the_process_takes_its_slot_over_and_frees_its_others";
    match role().as_deref() {
        None => {
            let dir = scratch();
            let path = dir.path().join("s");
            // Slot 0 is another's, and stays so.
            let others = attach(path.to_str().expect("text"));
            let mut child = again(TEST, "before exec");
            child.env(SEGMENT, &path);
            assert_eq!(run_well(child), ["slot 1, lane 2", "slot 1 again, generation 2, progress forgotten"]);
            let freed = [(Tag::Live, 1), (Tag::Free, 2), (Tag::Free, 1), (Tag::Free, 1)];
            assert_eq!(
                tags(path.to_str().expect("text")),
                freed,
                "released at the end; the lane by the takeover; the second copy too"
            );
            assert_eq!((others.slot(), others.is_attached()), (Some(0), true));
        }
        Some("before exec") => {
            let path = given(SEGMENT);
            let mut worker = attach(&path);
            worker.begin_job("j", "m", Total::Known(9));
            worker.step(8);
            let lane = worker.lane("second").expect("a slot");
            say(format!("slot {}, lane {}", worker.slot().expect("attached"), lane.slot().expect("attached")));
            let e = again(TEST, "after exec").env(SEGMENT, path).exec();
            panic!("exec returned: {e}");
        }
        Some(_) => {
            let path = given(SEGMENT);
            assert_eq!(tags(&path)[1..3], [(Tag::Live, 1), (Tag::Live, 1)], "exec leaves the slots as they were");
            let worker = attach(&path);
            let hot = worker.segment().and_then(|s| s.slot(worker.slot()?)).expect("attached").read_hot().expect("live");
            assert_eq!((hot.progress, hot.beat.count(), hot.epoch.0), (u64::MAX, 0, 0), "a new generation has no history");
            assert_eq!(
                tags(&path)[1..3],
                [(Tag::Live, 2), (Tag::Free, 1)],
                "taken over with the next generation; the lane is free"
            );
            let second = attach(&path);
            assert_eq!(second.slot(), Some(3), "a second copy after exec takes nothing over");
            drop(second);
            let slot = worker.slot().expect("attached");
            say(format!("slot {slot} again, generation {}, progress forgotten", worker.generation()));
        }
    }
}
