//! The byte of a slot that its worker holds locked in `<segment>.liveness`: whom the kernel names for it, and when it lets go.
//! Each test works in a process of its own; a forked child asks, which holds no lock of its parent's.
#![allow(unsafe_code)]

mod common;

use common::fork::{fork, in_fork};
use common::{Held, again, given, role, run_well, say, scratch};
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Worker};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const SEGMENT: &str = "SEGMENT_TEST_SEGMENT";

fn attach(path: &str) -> Worker {
    Attach::new().segment(path).geometry(Geometry { slots: 4, slot_size: 1024 }).attach().expect("a free slot")
}

fn liveness(segment: &str) -> PathBuf {
    format!("{segment}.liveness").into()
}

/// Who holds the byte, as the kernel names it to this process; 0 is nobody.
fn holder(segment: &str, slot: u32) -> u32 {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(liveness(segment)).expect("the lock file");
    // SAFETY: flock is a struct of integers, for which all zero is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    (lock.l_start, lock.l_len) = (slot.into(), 1);
    // SAFETY: the descriptor is open, `lock` is valid for the call to fill.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut lock) }, 0);
    if i32::from(lock.l_type) == libc::F_UNLCK { 0 } else { lock.l_pid as u32 }
}

/// Which of the four bytes this very process holds. A forked child asks, and closes what it opened.
fn held_by_us(segment: &str) -> [bool; 4] {
    let parent = std::process::id();
    let bits = in_fork(fork, || (0..4).map(|slot| i32::from(holder(segment, slot) == parent) << slot).sum());
    assert!(bits < 16, "asked: {bits}");
    [0, 1, 2, 3].map(|slot| bits & 1 << slot != 0)
}

/// How many descriptors of the lock file this process has.
fn descriptors(segment: &str) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").expect("ours").flatten();
    open.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == liveness(segment))).count()
}

/// Runs `in_child` in a process that has no other thread at work.
fn alone(test: &str, in_child: impl FnOnce(&str)) {
    if role().is_none() {
        let dir = scratch();
        let mut child = again(test, "alone");
        child.env(SEGMENT, dir.path().join("s"));
        assert_eq!(run_well(child), ["well"]);
        return;
    }
    in_child(&given(SEGMENT));
    say("well");
}

#[test]
fn each_slot_of_a_process_is_a_byte_that_it_holds_until_it_detaches() {
    alone("each_slot_of_a_process_is_a_byte_that_it_holds_until_it_detaches", |path| {
        let worker = attach(path);
        assert_eq!(held_by_us(path), [true, false, false, false]);
        let lane = worker.lane("second").expect("a slot");
        let other = attach(path);
        assert_eq!((lane.slot(), other.slot()), (Some(1), Some(2)));
        assert_eq!(held_by_us(path), [true, true, true, false]);
        assert_eq!(descriptors(path), 1, "the file is opened once");
        drop(lane);
        assert_eq!(held_by_us(path), [true, false, true, false], "to detach one lets go of its byte alone");
        drop(worker);
        assert_eq!(held_by_us(path), [false, false, true, false]);
        drop(other);
        assert_eq!(held_by_us(path), [false; 4]);
        assert_eq!(descriptors(path), 0, "and closed by its last user");
        drop(attach(path));
        let _again = attach(path);
        assert_eq!(held_by_us(path).iter().filter(|held| **held).count(), 1, "and opened anew");
    });
}

#[test]
fn a_forked_child_takes_no_lock_of_its_parents_away_whatever_it_drops() {
    alone("a_forked_child_takes_no_lock_of_its_parents_away_whatever_it_drops", |path| {
        let worker = attach(path);
        let mut copy = Some(worker);
        let code = in_fork(fork, || {
            drop(copy.take());
            // Its own slot, through its own descriptor of the same file, held and let go of.
            let own = attach(path);
            let held = held_by_us(path);
            drop(own);
            i32::from(held == [false, true, false, false])
        });
        assert_eq!(code, 1, "a child that attaches itself holds its own byte");
        assert_eq!(held_by_us(path), [true, false, false, false], "its parent holds what it held");
        drop(copy);
    });
}

#[test]
fn exec_drops_the_locks_and_attaching_again_takes_them_anew() {
    const TEST: &str = "exec_drops_the_locks_and_attaching_again_takes_them_anew";
    if role().as_deref() == Some("after exec") {
        let path = given(SEGMENT);
        assert_eq!(held_by_us(&path), [false; 4], "exec closes the file");
        let worker = attach(&path);
        assert_eq!((worker.slot(), worker.generation()), (Some(0), 2), "its slot is taken over");
        assert_eq!(held_by_us(&path), [true, false, false, false]);
        return say("well");
    }
    alone(TEST, |path| {
        let worker = attach(path);
        assert_eq!(held_by_us(path), [true, false, false, false]);
        let e = again(TEST, "after exec").env(SEGMENT, path).exec();
        panic!("exec returned: {e}, {:?}", worker.slot());
    });
}

#[test]
fn the_lock_is_gone_with_a_killed_worker_though_its_forked_child_lives_on() {
    const TEST: &str = "the_lock_is_gone_with_a_killed_worker_though_its_forked_child_lives_on";
    if role().is_some() {
        let worker = attach(&given(SEGMENT));
        // SAFETY: the child calls read and _exit alone.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "forked");
        if pid == 0 {
            let mut byte = 0u8;
            // SAFETY: one byte of our own. It ends with the test, whose end of the pipe is its input.
            unsafe { libc::read(0, std::ptr::from_mut(&mut byte).cast(), 1) };
            // SAFETY: ends the forked child at once.
            unsafe { libc::_exit(0) };
        }
        say(pid);
        loop {
            std::thread::park();
            assert!(worker.is_attached());
        }
    }
    let dir = scratch();
    let path = dir.path().join("s").display().to_string();
    let mut command = again(TEST, "worker");
    command.env(SEGMENT, &path).stdin(Stdio::piped());
    let (mut held, child) = Held::start(command);
    // Kept open over the worker's death, for its child.
    let input = held.0.stdin.take();
    assert_eq!(holder(&path, 0), held.0.id(), "the worker's, not its child's");
    held.kill_and_reap();
    assert_eq!(holder(&path, 0), 0, "the kernel drops it with its holder");
    assert!(Path::new(&format!("/proc/{child}")).exists(), "the forked child lives");
    drop(input);
}

/// How many locks there are on a file, as the kernel lists them.
fn locks_on(about: &std::fs::Metadata) -> usize {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{} ", about.ino());
    std::fs::read_to_string("/proc/locks").expect("the kernel's list").lines().filter(|line| line.contains(&inode)).count()
}

#[test]
fn a_worker_attaches_where_the_lock_file_cannot_be_used() {
    let dir = scratch();
    let target = dir.path().join("target");
    std::fs::write(&target, "precious").expect("a file");
    type Plant<'a> = &'a dyn Fn(&Path);
    let plants: [(&str, Plant<'_>); 4] = [
        ("a symbolic link", &|at| std::os::unix::fs::symlink(&target, at).expect("planted")),
        ("a link to nothing", &|at| std::os::unix::fs::symlink(dir.path().join("nothing"), at).expect("planted")),
        ("a folder", &|at| std::fs::create_dir(at).expect("planted")),
        ("a file that others may write", &|at| {
            std::fs::write(at, "").expect("planted");
            std::fs::set_permissions(at, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("its mode");
        }),
    ];
    for (number, (what, plant)) in plants.into_iter().enumerate() {
        let path = dir.path().join(format!("s{number}")).display().to_string();
        plant(&liveness(&path));
        let mut worker = attach(&path);
        worker.step(1);
        assert!(worker.is_attached(), "{what}: a lock is no reason to fail");
        let planted = std::fs::metadata(liveness(&path)).ok().filter(std::fs::Metadata::is_file);
        assert_eq!(planted.map_or(0, |about| locks_on(&about)), 0, "{what}: it is not locked either");
    }
    assert_eq!(std::fs::read_to_string(&target).expect("there"), "precious");
    assert!(!dir.path().join("nothing").exists(), "nothing is made where a link leads");
}

#[test]
fn a_segment_that_is_removed_takes_its_lock_file_along_and_leaves_its_successors() {
    let dir = scratch();
    let path = dir.path().join("s").display().to_string();
    let worker = attach(&path);
    let segment = Segment::open(Path::new(&path)).expect("made");
    assert!(liveness(&path).exists());
    segment.unlink().expect("ours");
    assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 0, "nothing is left");
    let successor = attach(&path);
    assert_eq!(successor.slot(), Some(0));
    segment.unlink().expect("no error: the name leads to another segment by now");
    assert!(liveness(&path).exists(), "another segment's files are left alone");
    drop((worker, successor));
}
