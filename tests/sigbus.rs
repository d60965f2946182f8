//! A program that asked for it survives the loss of a segment's pages; every other SIGBUS does what it did before.
//! Each test plays its part in a child process: a handler is the process's, and some parts end by the signal.
#![allow(unsafe_code)]

mod common;

use common::{again, given, role, run, run_well, say, scratch};
use hangwatch::segment::{Geometry, Presence, Segment, survive_truncation};
use hangwatch::{Attach, Total};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};

const DIR: &str = "SEGMENT_TEST_DIR";

/// Plays the part in a child, with a folder of its own; how it ended and what it said.
fn played(test: &str, part: &str) -> (ExitStatus, Vec<String>) {
    let dir = scratch();
    run(child(test, part, dir.path()))
}

fn child(test: &str, part: &str, dir: &Path) -> Command {
    let mut child = again(test, part);
    child.env(DIR, dir);
    child
}

fn made(name: &str) -> Segment {
    let path = PathBuf::from(given(DIR)).join(name);
    Segment::create(&path, Geometry { slots: 8, ..Geometry::default() }).expect("a segment")
}

fn cut(segment: &Segment, len: u64) {
    File::options().write(true).open(segment.path()).and_then(|file| file.set_len(len)).expect("cut");
}

/// A page of a file of nobody's that is cut: its first touch is a SIGBUS.
fn foreign_page() -> *const AtomicU64 {
    let path = PathBuf::from(given(DIR)).join("foreign");
    let file = File::options().read(true).write(true).create_new(true).open(path).expect("a file");
    file.set_len(4096).expect("a page");
    // SAFETY: an address of the kernel's choice touches nothing of ours.
    let at = unsafe { libc::mmap(ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    assert_ne!(at, libc::MAP_FAILED);
    file.set_len(0).expect("cut");
    at.cast()
}

fn touch(page: *const AtomicU64) -> u64 {
    // SAFETY: it is mapped and aligned; that its file is gone is what is tested.
    unsafe { &*page }.load(Relaxed)
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn set_errno(to: i32) {
    // SAFETY: a thread's own errno is always there.
    let at = unsafe { libc::__errno_location() };
    // SAFETY: it is valid, and this thread's alone.
    unsafe { *at = to };
}

#[test]
fn a_segment_that_is_cut_while_a_thread_reads_it_reads_as_zeroes_for_everybody() {
    const TEST: &str = "a_segment_that_is_cut_while_a_thread_reads_it_reads_as_zeroes_for_everybody";
    if role().is_none() {
        let dir = scratch();
        let lengths = [0, 1, 4096, 8192];
        let expected: Vec<_> = lengths.iter().map(|len| format!("cut to {len}: Truncated")).collect();
        assert_eq!(run_well(child(TEST, "reader", dir.path())), expected, "it lives, and knows");
        return;
    }
    for len in [0, 1, 4096, 8192] {
        let segment = Arc::new(made(&format!("s{len}")));
        let mut worker = Attach::new().attach_to(&segment).expect("a slot");
        worker.begin_job("j", "m", Total::Known(u64::MAX - 1));
        // After the mapping on the first round, before it on the others: either is seen to.
        survive_truncation().expect("a handler");
        let (is_reading, owner) = (AtomicBool::new(false), || segment.slot(7).map_or(0, |slot| slot.peek_owner().0));
        let word = segment.slot(0).expect("the worker's").peek_owner().0;
        assert_ne!(word, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                set_errno(libc::ENOLINK);
                while segment.slot(0).expect("inside").peek_owner().0 == word {
                    is_reading.store(true, Release);
                    owner();
                }
                assert_eq!(errno(), libc::ENOLINK, "the handler leaves no trace");
            });
            while !is_reading.load(Acquire) {
                std::hint::spin_loop();
            }
            cut(&segment, len);
            // What is left of the pages reads on; the last slot is in none of them.
            owner();
        });
        assert!(
            segment.slots().all(|(_, slot)| slot.peek_owner().0 == 0 && slot.read_info().is_none_or(|i| i.job_id.is_empty()))
        );
        worker.step(1);
        File::options().write(true).open(segment.path()).and_then(|file| file.set_len(1 << 20)).expect("long again");
        say(format_args!("cut to {len}: {:?}", segment.presence()));
    }
}

#[test]
fn of_several_segments_only_the_one_that_was_cut_is_lost() {
    const TEST: &str = "of_several_segments_only_the_one_that_was_cut_is_lost";
    if role().is_none() {
        let dir = scratch();
        assert_eq!(run_well(child(TEST, "several", dir.path())), ["[Present, Present, Truncated, Present, Present]"]);
        return;
    }
    survive_truncation().expect("a handler");
    let segments: Vec<_> = (0..5).map(|i| made(&format!("s{i}"))).collect();
    cut(&segments[2], 0);
    for segment in &segments {
        segment.slots().for_each(|(_, slot)| assert_ne!(slot.raw_words(), [u64::MAX; 32]));
    }
    for (i, segment) in segments.iter().enumerate() {
        assert_eq!(segment.state() == hangwatch::layout::header::SegmentState::Open, i != 2, "its words stand, or are zeroes");
    }
    say(format_args!("{:?}", segments.iter().map(Segment::presence).collect::<Vec<_>>()));
}

/// The signal that ended the child, after it said `before`.
fn ended_by(test: &str, part: &str, before: &[&str]) -> Option<i32> {
    let (status, said) = played(test, part);
    assert_eq!(said, before, "it got so far");
    status.signal()
}

#[test]
fn a_touch_that_is_of_no_segment_is_a_sigbus_as_before() {
    const TEST: &str = "a_touch_that_is_of_no_segment_is_a_sigbus_as_before";
    match role().as_deref() {
        None => {
            for part in ["foreign", "let go", "default", "ignored"] {
                assert_eq!(ended_by(TEST, part, &["touching"]), Some(libc::SIGBUS), "{part}");
            }
            return;
        }
        Some("default") => drop(set_action(libc::SIG_DFL, 0)),
        Some("ignored") => drop(set_action(libc::SIG_IGN, 0)),
        _ => {}
    }
    survive_truncation().expect("a handler");
    survive_truncation().expect("a second call changes nothing");
    let segment = made("s");
    if role().as_deref() == Some("let go") {
        // What lies where a segment was is not a segment.
        let start = ptr::from_ref(segment.header()).addr();
        drop(segment);
        let file =
            File::options().read(true).write(true).create_new(true).open(PathBuf::from(given(DIR)).join("f")).expect("a file");
        file.set_len(4096).expect("a page");
        let (at, flags) = (ptr::without_provenance_mut(start), libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE);
        // SAFETY: nothing is replaced.
        let page = unsafe { libc::mmap(at, 4096, libc::PROT_READ, flags, file.as_raw_fd(), 0) };
        assert_eq!(page.addr(), start);
        file.set_len(0).expect("cut");
        say("touching");
        say(touch(page.cast_const().cast()));
        return;
    }
    let page = foreign_page();
    say("touching");
    say(touch(page));
}

#[test]
fn a_sigbus_that_was_sent_does_what_it_did_before() {
    const TEST: &str = "a_sigbus_that_was_sent_does_what_it_did_before";
    match role().as_deref() {
        None => {
            assert_eq!(ended_by(TEST, "default", &["sent"]), Some(libc::SIGBUS), "it ends the process by default");
            let (status, said) = played(TEST, "ignored");
            assert!(status.success() && said == ["sent", "alive"], "one that was ignored still is: {status}, {said:?}");
            return;
        }
        Some("default") => drop(set_action(libc::SIG_DFL, 0)),
        Some(_) => drop(set_action(libc::SIG_IGN, 0)),
    }
    survive_truncation().expect("a handler");
    let _segment = made("s");
    say("sent");
    // SAFETY: it touches no memory.
    unsafe { libc::raise(libc::SIGBUS) };
    say("alive");
}

static STRUCK: AtomicUsize = AtomicUsize::new(0);

fn set_action(handler: usize, flags: libc::c_int) -> libc::sigaction {
    // SAFETY: a struct of integers, for which all zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    (action.sa_sigaction, action.sa_flags) = (handler, flags);
    // SAFETY: the handler is of the type that its flags say, and may run anywhere.
    assert_eq!(unsafe { libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) }, 0);
    action
}

/// Puts zeroes under a foreign page, as a program does that sees to its own.
fn mend(address: usize) {
    STRUCK.fetch_add(1, Relaxed);
    let (at, flags) = (ptr::without_provenance_mut(address), libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: the page is the one that was touched.
    unsafe { libc::mmap(at, 4096, libc::PROT_READ, flags, -1, 0) };
}

extern "C" fn with_info(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's siginfo of a fault.
    let what = unsafe { &*info };
    // SAFETY: the same.
    let address = unsafe { what.si_addr() };
    mend(address.addr() & !4095);
}

static PAGE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn without_info(_: libc::c_int) {
    mend(PAGE.load(Relaxed));
}

#[test]
fn the_handler_before_is_called_for_what_is_of_no_segment_and_for_nothing_else() {
    const TEST: &str = "the_handler_before_is_called_for_what_is_of_no_segment_and_for_nothing_else";
    let with: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = with_info;
    let without: extern "C" fn(libc::c_int) = without_info;
    match role().as_deref() {
        None => {
            for part in ["with info", "without info"] {
                let dir = scratch();
                assert_eq!(run_well(child(TEST, part, dir.path())), ["read 0, struck 1"], "{part}");
            }
            // One that asked to be called once is called once.
            assert_eq!(ended_by(TEST, "once", &["read 0, struck 1"]), Some(libc::SIGBUS));
            return;
        }
        Some("with info") => drop(set_action(with as usize, libc::SA_SIGINFO)),
        Some("without info") => drop(set_action(without as usize, 0)),
        Some(_) => drop(set_action(with as usize, libc::SA_SIGINFO | libc::SA_RESETHAND)),
    }
    survive_truncation().expect("a handler");
    let segment = made("s");
    cut(&segment, 0);
    assert_eq!(segment.slot(0).expect("inside").peek_owner().0, 0);
    assert_eq!(STRUCK.load(Relaxed), 0, "a segment's is no business of its");
    let page = foreign_page();
    PAGE.store(page.addr(), Relaxed);
    let read = touch(page);
    say(format_args!("read {read}, struck {}", STRUCK.load(Relaxed)));
    if role().as_deref() == Some("once") {
        let path = PathBuf::from(given(DIR)).join("foreign");
        std::fs::remove_file(path).expect("the first one");
        touch(foreign_page());
        say("alive");
    }
}

#[test]
fn without_being_asked_the_library_handles_no_signal() {
    const TEST: &str = "without_being_asked_the_library_handles_no_signal";
    if role().is_none() {
        assert_eq!(ended_by(TEST, "not asked", &["touching"]), Some(libc::SIGBUS));
        return;
    }
    let segment = made("s");
    assert_eq!(segment.presence(), Presence::Present);
    cut(&segment, 0);
    say("touching");
    say(segment.slot(0).expect("inside").peek_owner().0);
}
