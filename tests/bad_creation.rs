//! Making a segment: no room, bad names, names that are taken. No error leaves anything behind.
#![allow(unsafe_code)]

mod common;

use common::words::{self, forge};
use common::{c_path, shaped, skip};
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, ErrorKind};
use std::ffi::CString;
use std::path::Path;

const PATH: &str = "SEGMENT_TEST_PATH";

#[test]
fn a_worker_replaces_a_segment_from_before_the_boot() {
    let dir = common::scratch();
    let path = dir.path().join("train");
    forge(&path, |words| words[12] ^= 1);
    let stale = words::read(&path);
    let worker = Attach::new().segment(path.to_str().expect("text")).attach().expect("a stale segment is replaced");
    let segment = worker.segment().expect("attached");
    assert_eq!((segment.len(), segment.fixed().boot_id), (64, words::boot_id()));
    assert_ne!(words::read(&path)[10..12], stale[10..12], "another segment, not the old one patched");
    let mut left: Vec<_> = std::fs::read_dir(dir.path()).expect("our dir").map(|e| e.expect("an entry").file_name()).collect();
    left.sort();
    assert_eq!(left, ["train", "train.liveness"], "neither the unlink lock nor a temporary stays beside what a worker makes");
}

#[test]
fn a_worker_replaces_nothing_but_a_stale_segment() {
    let dir = common::scratch();
    let path = dir.path().join("train");
    words::write(&path, &[7; 1024]);
    let e = Attach::new().segment(path.to_str().expect("text")).attach().expect_err("it is another program's file");
    assert_eq!(e.kind(), ErrorKind::BadSegment);
    assert_eq!(words::read(&path), [7; 1024], "what is not ours is left as it is");
}

#[test]
fn a_tmpfs_without_room_is_an_error_and_never_a_sigbus() {
    const TEST: &str = "a_tmpfs_without_room_is_an_error_and_never_a_sigbus";
    if common::role().is_some() {
        return create_in_a_small_tmpfs(Path::new(&common::given(PATH)));
    }
    let dir = common::scratch();
    let mut child = common::again(TEST, "create");
    child.env(PATH, dir.path());
    let said = common::run_well(child);
    if let [reason] = said.as_slice()
        && let Some(reason) = reason.strip_prefix("skipped: ")
    {
        skip(&format!("{TEST}: {reason}"));
        return;
    }
    let dir = dir.path().display();
    let expected = |needs: u32, free: u32, fit: &str| {
        let why = format!("cannot create segment '{dir}/train': it needs {needs} KiB, '{dir}' has {free} KiB free");
        let more = "or give the tmpfs more room, or set HANGWATCH_DIR to a folder in one that has it";
        format!("{why}\n  each slot takes {fit}\n  {more}")
    };
    let small = expected(68, 4, "1 KiB, the header 4 KiB: not one fits");
    let fewer = |slots: u32| format!("{slots} slots fit; ask for no more with --slots {slots} or HANGWATCH_SLOTS={slots}");
    let default = expected(68, 64, &format!("1 KiB, the header 4 KiB: {}", fewer(60)));
    let large = expected(68, 64, &format!("4 KiB, the header 4 KiB: {}", fewer(15)));
    let none = format!("cannot create segment '{dir}/train': '{dir}' has room for no more files");
    let none = format!("{none}\n  remove some, or mount it with a higher nr_inodes");
    let all = [small, "nothing is left".into(), "2 slots fit 6 KiB".into(), default, large, "60 slots fit 64 KiB".into(), none];
    assert_eq!(said, all);
}

/// In a mount namespace of this thread's own: nothing of it is seen outside or outlives the process.
fn create_in_a_small_tmpfs(dir: &Path) {
    let mount = |options: &str| {
        let (source, target, options) = (c"tmpfs", c_path(dir), CString::new(options).expect("no NUL"));
        // SAFETY: all strings are NUL-terminated and live through the call.
        let rc = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), source.as_ptr(), 0, options.as_ptr().cast()) };
        if rc == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: unshare takes flags only.
    let mut isolated = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    if isolated {
        // SAFETY: the strings are NUL-terminated constants; a null source and data are allowed for a change of propagation.
        let rc = unsafe {
            libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE, std::ptr::null())
        };
        isolated = rc == 0;
    }
    if !isolated {
        return common::say(format!("skipped: no mount namespace: {}", std::io::Error::last_os_error()));
    }
    if let Err(e) = mount("size=4k") {
        return common::say(format!("skipped: no tmpfs: {e}"));
    }
    let path = dir.join("train");
    let e = Attach::new().segment(path.to_str().expect("text")).attach().expect_err("68 KiB do not fit 4");
    assert_eq!(e.kind(), ErrorKind::Full);
    common::say(shaped(&e));
    assert_eq!(std::fs::read_dir(dir).expect("our dir").count(), 0);
    common::say("nothing is left");
    // Over the first: a segment that fits, all of it written.
    mount("size=8k").expect("it went well a moment ago");
    let segment = Segment::create(&path, Geometry { slots: 2, slot_size: 1024 }).expect("6 KiB fit 8");
    let worker = Attach::new().attach_to(&std::sync::Arc::new(segment)).expect("a free slot");
    let lane = worker.lane("second").expect("another");
    assert_eq!((worker.slot(), lane.slot()), (Some(0), Some(1)));
    common::say("2 slots fit 6 KiB");
    // As a container's /dev/shm may be made: what is said to fit does, to the last slot, and not one more.
    mount("size=64k").expect("it went well a moment ago");
    let e = Attach::new().segment(path.to_str().expect("text")).attach().expect_err("68 KiB do not fit 64");
    common::say(shaped(&e));
    let e = Segment::create(&path, Geometry { slots: 16, slot_size: 4096 }).expect_err("nor do 16 slots for devices");
    common::say(shaped(&e));
    let e = Segment::create(&path, Geometry { slots: 61, slot_size: 1024 }).expect_err("65 KiB do not fit 64");
    assert_eq!(e.kind(), ErrorKind::Full);
    let segment = std::sync::Arc::new(Segment::create(&path, Geometry { slots: 60, slot_size: 1024 }).expect("64 KiB fit"));
    let mut workers: Vec<_> = (0..60).map(|_| Attach::new().attach_to(&segment).expect("a free slot")).collect();
    workers.iter_mut().for_each(|worker| worker.begin_job("a", "m", hangwatch::Total::Known(4)));
    assert!(segment.slots().all(|(_, slot)| slot.read_hot().is_ok_and(|hot| hot.phase.job_open())), "all of it can be written");
    common::say("60 slots fit 64 KiB");
    // The folder itself is the one file that it has room for.
    mount("size=1m,nr_inodes=1").expect("it went well a moment ago");
    let e = Attach::new().segment(path.to_str().expect("text")).attach().expect_err("no file can be made");
    assert_eq!(e.kind(), ErrorKind::Full);
    common::say(shaped(&e));
}

#[test]
fn a_name_that_could_mislead_is_refused_escaped() {
    let hint = "\n  a name has 1 to 64 letters, digits, '.', '_' or '-' and does not begin with '.'; a path has a '/'";
    let long = "x".repeat(65);
    for (name, shown, why) in [
        ("", "", "it is empty"),
        (".hidden", ".hidden", "it begins with '.'"),
        ("a b", "a b", "' ' is not allowed in a name"),
        ("a\u{1b}[31m", "a\\u{1b}[31m", "'\\u{1b}' is not allowed in a name"),
        ("größe", "gr\\u{f6}\\u{df}e", "'\\u{f6}' is not allowed in a name"),
        ("train.monitor", "train.monitor", "'.monitor' is the ending of a file beside a segment"),
        ("train.unlink", "train.unlink", "'.unlink' is the ending of a file beside a segment"),
        ("train.children", "train.children", "'.children' is the ending of a file beside a segment"),
        ("train.liveness", "train.liveness", "'.liveness' is the ending of a file beside a segment"),
        (&long, &long, "it has 65 bytes, at most 64"),
    ] {
        let e = Attach::new().segment(name).attach().expect_err("a bad name");
        assert_eq!(e.kind(), ErrorKind::Usage);
        assert_eq!(shaped(&e), format!("cannot use segment name '{shown}': {why}{hint}"));
    }
}

#[test]
fn a_geometry_out_of_range_is_refused_with_the_range() {
    let dir = common::scratch();
    let path = dir.path().join("train");
    let refused = |slots, slot_size| shaped(&Segment::create(&path, Geometry { slots, slot_size }).expect_err("out of range"));
    let what = format!("cannot create segment '{}'", path.display());
    assert_eq!(refused(0, 1024), format!("{what}: 0 slots, expected 1 to 1048576"));
    assert_eq!(refused(1 << 21, 1024), format!("{what}: 2097152 slots, expected 1 to 1048576"));
    assert_eq!(refused(4, 2048), format!("{what}: slot size 2048, expected 1024, or 4096 for device slots"));
    assert!(!path.exists(), "a refused segment leaves no name");
}

#[test]
fn a_name_is_made_once() {
    let dir = common::scratch();
    let path = dir.path().join("train");
    let geometry = Geometry { slots: 1, slot_size: 1024 };
    let first = Segment::create(&path, geometry).expect("a free name");
    let e = Segment::create(&path, geometry).expect_err("the name is taken");
    assert_eq!(
        (e.kind(), shaped(&e)),
        (ErrorKind::Held, format!("cannot create segment '{}': the name is taken", path.display()))
    );
    let again = Segment::open_or_create(&path, Geometry { slots: 9, slot_size: 4096 }).expect("the one that is there");
    assert_eq!(again.file_id(), first.file_id(), "the first maker's segment and geometry stand");
}

#[test]
fn a_name_that_is_seen_leads_to_a_whole_segment() {
    let dir = common::scratch();
    let path = dir.path().join("train");
    let geometry = Geometry { slots: 16, slot_size: 1024 };
    for _ in 0..40 {
        // Four make it at once while two look: whoever sees the name sees all of it (I12).
        let start = std::sync::Barrier::new(6);
        let ids: Vec<_> = std::thread::scope(|scope| {
            let looking = || {
                start.wait();
                let seen = std::iter::repeat_with(|| Segment::open_read_only(&path)).find(|o| {
                    // Absent until it is whole, and never anything between.
                    !matches!(o, Err(e) if e.kind() == ErrorKind::NotFound)
                });
                seen.expect("endless").expect("a name that is seen is a whole segment").file_id()
            };
            let making = || {
                start.wait();
                Segment::open_or_create(&path, geometry).expect("one makes it, the others open it").file_id()
            };
            let looking = [scope.spawn(looking), scope.spawn(looking)];
            let making: Vec<_> = (0..4).map(|_| scope.spawn(making)).collect();
            making.into_iter().chain(looking).map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "one segment for all: {ids:?}");
        Segment::open(&path).and_then(|segment| segment.unlink()).expect("the next round makes another");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("our dir").count(), 0, "no temporary and no lock stays");
}
