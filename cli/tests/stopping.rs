//! How `hangwatch run` is asked to end.

#![allow(unsafe_code, reason = "a terminal is made by calls that libc alone has")]

mod common;

use common::{Held, Monitor, Scratch, c_worker, hangwatch, until};
use hangwatch::segment::Segment;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// One job without end, and a worker that hears no SIGTERM and reads no command word.
const DEAF: &str = "--steps 1000000 --step-ms 50 --ignore-term --hang-at 0";

fn words(flags: &str) -> Vec<&str> {
    let program = c_worker().to_str().expect("UTF-8");
    [program].into_iter().chain(flags.split_whitespace()).collect()
}

fn at_work(path: &Path) {
    let segment = Segment::open_read_only(path).expect("the segment of the run");
    until(|| segment.slot(0).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.phase.job_open())));
}

#[test]
fn a_second_sigterm_ends_workers_that_hear_none_without_the_grace() {
    let scratch = Scratch::new();
    let path = scratch.segment();
    let mut run = Monitor::run(&path, "--grace 600s", &words(DEAF));
    run.attached(1);
    at_work(&path);
    run.held.signal(libc::SIGTERM);
    let asked = run.next("action");
    assert!(asked["detail"].as_str().is_some_and(|d| d.contains("SIGTERM") && d.contains("10m00s")), "{asked}");
    run.held.signal(libc::SIGTERM);
    let killed = run.next("action");
    assert!(
        killed["detail"].as_str().is_some_and(|d| d.contains("SIGKILL")),
        "ten minutes of grace are not waited for: {killed}"
    );
    assert_eq!(run.end(), Some(0), "a stop is no failure");
    assert!(!path.exists(), "it ends well all the same");
}

/// A terminal: the side that a program has, and the side of the one who looks at it.
fn terminal() -> (File, OwnedFd) {
    // SAFETY: the call takes flags and gives a new descriptor or -1.
    let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    assert!(master >= 0, "a terminal can be made");
    // SAFETY: the descriptor was made just now and belongs to nobody else.
    let master = unsafe { OwnedFd::from_raw_fd(master) };
    // SAFETY: the descriptor is open.
    assert_eq!(unsafe { libc::grantpt(master.as_raw_fd()) }, 0);
    // SAFETY: the same.
    assert_eq!(unsafe { libc::unlockpt(master.as_raw_fd()) }, 0);
    let mut name = [0; 128];
    // SAFETY: the buffer is valid for the call to fill, and its size is given.
    assert_eq!(unsafe { libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()) }, 0);
    // SAFETY: the call wrote a C string.
    let name = unsafe { std::ffi::CStr::from_ptr(name.as_ptr()) }.to_str().expect("ASCII");
    let slave = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(name).expect("its other side");
    (slave, master)
}

#[test]
fn a_sighup_of_a_terminal_that_was_closed_means_to_stop_and_else_to_reload() {
    let scratch = Scratch::new();
    let (slave, master) = terminal();
    let mut command = hangwatch();
    command.args(["run", "--events", "-", "--segment"]).arg(scratch.segment()).args([
        "--",
        "sh",
        "-c",
        "echo up; exec sleep 100000",
    ]);
    let mut run = Held::start(command.stderr(slave));
    drop(command);
    run.leads = true;
    run.line_with("up");
    run.signal(libc::SIGHUP);
    run.line_with("config_reloaded");
    drop(master);
    run.signal(libc::SIGHUP);
    run.line_with("stopping: SIGTERM");
    while run.line().is_some() {}
    assert_eq!(run.wait().code(), Some(0), "as by Ctrl-C");
}
