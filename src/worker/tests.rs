//! Reserved slots: what a supervisor sets aside, its child claims through the environment. The child is this test again.

mod gpu;

use super::{Attach, ENV_SEGMENT, ENV_SLOT};
use crate::layout::word::{Cmd, Command as Asked, Kind, Owner, Tag};
use crate::segment::{Geometry, Segment};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const ROLE: &str = "WORKER_TEST_ROLE";

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temp dir")
}

fn segment(dir: &Path, slots: u32) -> Arc<Segment> {
    Arc::new(Segment::create(&dir.join("s"), Geometry { slots, slot_size: 1024 }).expect("a segment"))
}

fn reserve(segment: &Segment, index: u32) -> Owner {
    let slot = segment.slot(index).expect("inside");
    slot.reserve(slot.peek_owner(), std::process::id()).expect("it is free")
}

/// Runs `test` again with `HANGWATCH_SLOT` as a supervisor sets it. There it must attach, and leave its slot LIVE.
fn child_attaches(test: &str, segment: &Segment, slot: &str) {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command.args([&format!("worker::tests::{test}"), "--exact", "--test-threads=1"]).stdout(Stdio::null());
    command.env(ROLE, "child").env(ENV_SEGMENT, segment.path()).env(ENV_SLOT, slot);
    let mut child = command.spawn().expect("the child starts");
    // 0 would also be the end of a child that ran no test at all.
    assert_eq!(child.wait().expect("ours").code(), Some(77), "the child attached and left without a release");
}

/// The child's part; its slot stays LIVE, as nothing is dropped.
fn attach_if_child() {
    if std::env::var_os(ROLE).is_some() {
        let worker = Attach::new().attach().expect("the child attaches");
        std::process::exit(if worker.is_attached() { 77 } else { 78 });
    }
}

fn owners(segment: &Segment) -> Vec<(Tag, u16)> {
    segment.slots().map(|(_, slot)| (slot.peek_owner().tag(), slot.peek_owner().generation())).collect()
}

#[test]
fn a_reserved_slot_is_claimed_by_the_child_that_it_is_for() {
    attach_if_child();
    let dir = scratch();
    let segment = segment(dir.path(), 3);
    let reserved = reserve(&segment, 2);
    assert_eq!((reserved.tag(), reserved.generation(), reserved.pid()), (Tag::Reserved, 0, std::process::id()));
    child_attaches("a_reserved_slot_is_claimed_by_the_child_that_it_is_for", &segment, "2:0");
    assert_eq!(owners(&segment), [(Tag::Free, 0), (Tag::Free, 0), (Tag::Live, 1)], "its own slot, one generation on");
    assert_ne!(segment.slot(2).expect("inside").peek_owner().pid(), std::process::id());
}

#[test]
fn a_reserved_slot_that_is_taken_sends_the_child_to_a_free_one() {
    attach_if_child();
    let dir = scratch();
    let segment = segment(dir.path(), 3);
    reserve(&segment, 2);
    let test = "a_reserved_slot_that_is_taken_sends_the_child_to_a_free_one";
    child_attaches(test, &segment, "2:0");
    // A second process with the same environment: a wrapper's other child.
    child_attaches(test, &segment, "2:0");
    assert_eq!(owners(&segment), [(Tag::Live, 1), (Tag::Free, 0), (Tag::Live, 1)], "the first keeps it");
    // Another generation than the one that was reserved, and an index past the end.
    reserve(&segment, 1);
    let e = Attach::new().segment(segment.path().to_string_lossy()).attach().map(|w| w.slot());
    assert_eq!(e.expect("one of the dead owners' slots"), Some(0), "a reserved slot is not given to others, not even when full");
    child_attaches(test, &segment, "1:7");
    child_attaches(test, &segment, "9:0");
    assert_eq!(owners(&segment)[1], (Tag::Reserved, 0), "a reservation of another generation is not this child's");
}

#[test]
fn a_reserved_or_quarantined_slot_is_never_free() {
    let dir = scratch();
    let segment = segment(dir.path(), 2);
    reserve(&segment, 0);
    let held = Attach::new().attach_to(&segment).expect("slot 1");
    let slot = segment.slot(1).expect("inside");
    let owner = slot.peek_owner();
    assert!(slot.reclaim(owner, crate::layout::claim::Freed::Quarantined));
    drop(held);
    assert_eq!(slot.peek_owner().tag(), Tag::Quarantined, "a late release must not free what is quarantined");
    let e = Attach::new().attach_to(&segment).expect_err("nothing is free");
    assert_eq!(e.why(), "all 2 slots are taken and no owner is proven dead");
}

#[test]
fn a_late_release_frees_nothing_of_the_next_owner() {
    let dir = scratch();
    let segment = segment(dir.path(), 1);
    let slot = segment.slot(0).expect("inside");
    let late = Attach::new().attach_to(&segment).expect("free");
    assert!(slot.reclaim(slot.peek_owner(), crate::layout::claim::Freed::Free), "as if it had been taken for dead");
    let mut next = Attach::new().attach_to(&segment).expect("free again");
    next.step(3);
    let before = slot.peek_owner();
    drop(late);
    assert_eq!(slot.peek_owner(), before, "I6: release swaps the exact word, and this one is another's");
    assert_eq!(slot.read_hot().expect("live").progress, 3);
}

#[test]
fn a_reborn_number_is_proof_of_death_and_a_foreign_namespaces_is_none() {
    let dir = scratch();
    let segment = segment(dir.path(), 1);
    let slot = segment.slot(0).expect("inside");
    let me = crate::os::identity::myself();
    let claim = |pid: u32, pidfd_ino: u64, pid_namespace: u64| {
        let free = slot.peek_owner();
        let identity = crate::layout::claim::Identity { pidfd_ino, pid_namespace: pid_namespace as u32, ..Default::default() };
        let live = slot.claim(free, Kind::Worker, pid, &identity, |_, _| {}).expect("it is free");
        let proof = crate::segment::death::proven(&segment, slot, me.pidns_ino);
        assert!(slot.release(live));
        proof.is_some()
    };
    let nobody = i32::MAX as u32;
    assert!(claim(nobody, 5, me.pidns_ino), "no process has the number");
    assert!(!claim(nobody, 0, me.pidns_ino + 1), "the number means nothing in another namespace");
    assert!(!claim(nobody, me.pidfd_ino, me.pidns_ino + 1), "nor does it speak against a process that is there by its inode");
    assert!(!claim(me.pid, me.pidfd_ino, me.pidns_ino), "it lives");
    if me.pidfd_ino != 0 {
        assert!(claim(me.pid, me.pidfd_ino + 1, me.pidns_ino), "another process has the number by now");
    }
    assert!(!claim(me.pid, 0, me.pidns_ino), "without an inode a reborn number cannot be told: no proof");
    assert!(!claim(0, 5, me.pidns_ino), "no number is no proof");
}

#[test]
fn a_command_for_another_generation_is_nobodys() {
    let dir = scratch();
    let segment = segment(dir.path(), 1);
    let slot = segment.slot(0).expect("inside");
    drop(Attach::new().attach_to(&segment).expect("free"));
    slot.publish_command(Cmd::new(1, Asked::Stop, 0));
    let worker = Attach::new().attach_to(&segment).expect("free");
    assert!(!worker.should_stop(), "the last owner was asked, not this one");
    slot.publish_command(Cmd::new(worker.generation(), Asked::Unknown(9), 0));
    assert!(!worker.should_stop(), "an unknown command is ignored");
    slot.publish_command(Cmd::new(worker.generation(), Asked::Stop, 0));
    assert!(worker.should_stop());
}

#[test]
fn a_helper_beside_progress_keeps_no_job_alive_that_is_judged_by_its_life_alone() {
    use crate::{Phase, Total};
    let dir = scratch();
    let mut worker = Attach::new().segment(dir.path().join("s").to_string_lossy()).attach().expect("attached");
    let helper = worker.helper();
    let says = |worker: &super::Worker| {
        let alive = || worker.segment().expect("attached").slot(0).expect("there").peek_alive();
        let before = alive();
        helper.alive_beside_progress();
        alive() != before
    };
    assert!(says(&worker), "no job is open");
    worker.begin_job("a", "", Total::None);
    assert!(!says(&worker), "nothing but signs of life would show that it hangs");
    helper.alive();
    worker.step(1);
    assert!(says(&worker), "now its steps do");
    worker.phase(Phase::Loading);
    assert!(says(&worker), "no phase but inference is judged by it");
    worker.begin_job("b", "", Total::Known(9));
    assert!(says(&worker), "its progress is judged from its beginning");
    worker.begin_job("c", "", Total::Unknown);
    assert!(says(&worker), "towards an end that is not known too");
}
