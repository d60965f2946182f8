//! The attach-only door, both ways: what one side writes the other reads, and nobody's drop removes the segment.
#![cfg(feature = "shmem")]
#![allow(unsafe_code)]

mod common;

use common::{again, given, role, run_well, say, shaped};
use hangwatch::layout::header::MAGIC;
use hangwatch::segment::{Geometry, Presence, Segment};
use hangwatch::{Attach, ErrorKind, Total};
use shared_memory::{Shmem, ShmemConf};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const OS_ID: &str = "SEGMENT_TEST_OS_ID";

/// A segment right in /dev/shm, where the crate looks; removed at the end of the test.
struct Named {
    os_id: String,
    path: PathBuf,
}

impl Named {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hangwatch-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let named = Self { path: Path::new("/dev/shm").join(&name), os_id: format!("/{name}") };
        drop(Segment::create(&named.path, Geometry { slots: 2, slot_size: 1024 }).expect("a segment"));
        named
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        for path in [self.path.clone(), self.path.with_extension("liveness")] {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[test]
fn a_worker_that_came_through_the_crate_is_read_through_the_path() {
    let named = Named::new();
    let door = Arc::new(Segment::open_shmem(&named.os_id).expect("the crate's way in"));
    let mut worker = Attach::new().name("sd-0").attach_to(&door).expect("a free slot");
    worker.begin_job("j", "m", Total::Known(9));
    worker.step(4);
    let reader = Segment::open_read_only(&named.path).expect("the path's way in");
    let slot = reader.slot(0).expect("inside");
    let hot = slot.read_hot().expect("live");
    assert_eq!((hot.progress, hot.total, hot.owner.pid()), (4, 9, std::process::id()));
    assert_eq!(slot.read_info().expect("quiet").job_id, "j");
    assert_eq!((door.presence(), door.file_id()), (Presence::Present, reader.file_id()), "one file, two doors");
}

#[test]
fn a_worker_that_came_through_the_path_is_read_through_the_crate() {
    let named = Named::new();
    let mut worker = Attach::new().segment(named.path.to_str().expect("text")).attach().expect("a free slot");
    worker.begin_job("j", "m", Total::Unknown);
    worker.step(70);
    // With and without the leading slash, as os ids are written.
    for os_id in [named.os_id.as_str(), &named.os_id[1..]] {
        let door = Segment::open_shmem(os_id).expect("the crate's way in");
        assert_eq!(door.slot(0).expect("inside").read_hot().expect("live").progress, 70);
        assert_eq!(door.len(), 2);
    }
}

fn word(map: &Shmem, at: usize) -> &AtomicU64 {
    assert!(at + 8 <= map.len() && at.is_multiple_of(8));
    // SAFETY: checked to be inside the mapping, which outlives the reference.
    let word = unsafe { map.as_ptr().add(at) };
    // SAFETY: aligned, mapped, and accessed as atomics by everyone.
    unsafe { AtomicU64::from_ptr(word.cast()) }
}

#[test]
fn a_program_that_knows_only_the_crate_sees_the_magic_and_the_beat_move() {
    let named = Named::new();
    let mut worker = Attach::new().segment(named.path.to_str().expect("text")).attach().expect("a free slot");
    let map = ShmemConf::new().os_id(&named.os_id).open().expect("mapped by the crate itself");
    assert_eq!(word(&map, 0).load(Ordering::Relaxed), MAGIC);
    let beat = || word(&map, 0x1000).load(Ordering::Acquire);
    let before = beat();
    worker.beat();
    worker.step(3);
    assert_eq!(beat(), before + 2, "two reports, two beats");
    assert_eq!(word(&map, 0x1008).load(Ordering::Relaxed), 3);
    drop(map);
    assert!(named.path.exists(), "who did not make it does not remove it");
}

#[test]
fn dropping_the_door_removes_nothing_not_even_in_a_forked_child() {
    const TEST: &str = "dropping_the_door_removes_nothing_not_even_in_a_forked_child";
    let named = Named::new();
    if role().is_none() {
        drop(Segment::open_shmem(&named.os_id).expect("open"));
        assert!(named.path.exists(), "the door is attach-only");
        let mut child = again(TEST, "forks");
        child.env(OS_ID, &named.os_id);
        assert_eq!(run_well(child), ["forked and dropped"]);
        assert!(named.path.exists(), "neither the child nor its fork removed it");
        assert_eq!(Segment::open(&named.path).expect("whole").presence(), Presence::Present);
        return;
    }
    let door = Arc::new(Segment::open_shmem(&given(OS_ID)).expect("open"));
    let worker = Attach::new().attach_to(&door).expect("a free slot");
    // SAFETY: no other thread is at work here; the child drops what it inherited and ends by _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(worker);
        drop(door);
        // SAFETY: ends the forked child without running the parent's exit handlers.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `status` is valid for the call to fill; the child is ours.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0, "the fork dropped both and ended well");
    assert!(worker.is_attached() && door.slot(0).expect("inside").read_hot().is_ok(), "the parent's slot is still its own");
    drop((worker, door));
    say("forked and dropped");
}

#[test]
fn what_is_no_name_in_dev_shm_is_refused() {
    for os_id in ["/a/b", "a/b", "", "/"] {
        let e = Segment::open_shmem(os_id).expect_err("no name");
        assert_eq!(e.kind(), ErrorKind::Usage);
        let expected = format!(
            "cannot attach to shared memory '{os_id}': expected a name without a slash but the first\n  a segment in a folder is opened by its path, with Segment::open"
        );
        assert_eq!(shaped(&e), expected);
    }
}

#[test]
fn the_door_validates_as_the_path_does() {
    let named = Named::new();
    std::fs::OpenOptions::new().write(true).open(&named.path).expect("ours").set_len(5000).expect("shortened");
    let path = named.path.display();
    let e = Segment::open_shmem(&named.os_id).expect_err("cut short");
    assert_eq!(
        e.to_string().lines().next(),
        Some(format!("cannot open segment '{path}': truncated: 5000 bytes, its header needs 6144").as_str())
    );
    std::fs::write(&named.path, [7; 6144]).expect("ours");
    let e = Segment::open_shmem(&named.os_id).expect_err("garbage");
    assert!(e.why().starts_with("not a hangwatch segment"), "{e}");
}
