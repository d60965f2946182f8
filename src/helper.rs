//! Commands of the operator, such as a dumper, a hook or a probe: each in a disposable process group, bounded in time and in
//! output, and left behind if not even SIGKILL ends it.
//!
//! Whoever calls waits, for the timeout and a second at most: never on the thread that scans.

mod dialogue;

pub use dialogue::Dialogue;

use crate::clock;
use crate::os::pidfd::PidFd;
use crate::os::spawn::{self, Exit};
use crate::os::wake::wait_readable;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a helper may take to go after SIGKILL before it is left behind: more than a process needs that can go at all.
const AFTER_KILL: Duration = Duration::from_secs(1);

/// Those that were left behind; reaped when they have gone.
static LEFT_BEHIND: Mutex<Vec<PidFd>> = Mutex::new(Vec::new());

/// How a helper ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Code(i32),
    /// By itself, by this signal.
    Signal(i32),
    /// It was still there at its timeout, and was ended with its group.
    TimedOut,
    /// The same, and not even SIGKILL has ended it yet: it was left behind.
    LeftBehind,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::TimedOut => f.write_str("killed at its timeout"),
            Self::LeftBehind => f.write_str("left behind: it outlived SIGKILL"),
        }
    }
}

/// What a helper left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// Its standard output and error, as they came, up to what was allowed.
    pub output: Vec<u8>,
    /// There was more output than was allowed.
    pub is_cut: bool,
}

impl Finished {
    /// It ended by itself and says that all went well.
    pub fn is_success(&self) -> bool {
        self.end == End::Code(0)
    }
}

/// Runs `command` with `input` as its standard input. Its output beyond `max_output` bytes is read and thrown away. An error
/// where it could not be started.
pub fn run(command: Command, input: &[u8], timeout: Duration, max_output: usize) -> io::Result<Finished> {
    run_until(None, command, input, timeout, max_output)
}

/// The same; once `cancelled` is readable it is ended as at its timeout.
pub fn run_unless(
    cancelled: BorrowedFd<'_>,
    command: Command,
    input: &[u8],
    timeout: Duration,
    max_output: usize,
) -> io::Result<Finished> {
    run_until(Some(cancelled), command, input, timeout, max_output)
}

fn run_until(
    cancelled: Option<BorrowedFd<'_>>,
    mut command: Command,
    input: &[u8],
    timeout: Duration,
    max_output: usize,
) -> io::Result<Finished> {
    let mut left = LEFT_BEHIND.lock().unwrap_or_else(PoisonError::into_inner);
    left.retain(|fd| !matches!(spawn::reap(fd), Ok(Some(_)) | Err(_)));
    drop(left);
    let (mut reader, writer) = io::pipe()?;
    command.stdin(if input.is_empty() { Stdio::null() } else { spawn::memory_file(input)?.into() });
    command.stdout(writer.try_clone()?).stderr(writer);
    let deadline = clock::monotonic_ns().saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
    // The command holds the pipe's other end, so it goes with the call.
    let (_, fd) = spawn::spawn_leader(command)?;
    let mut output = Output { bytes: Vec::new(), max: max_output, is_cut: false, is_open: true };
    let end = loop {
        let left = deadline.saturating_sub(clock::monotonic_ns());
        if left == 0 {
            break kill(&fd);
        }
        let mut awaited = vec![fd.as_fd()];
        awaited.extend(cancelled);
        if output.is_open {
            awaited.push(reader.as_fd());
        }
        let ready = wait_readable(&awaited, Some(Duration::from_nanos(left)));
        let is_cancelled = cancelled.is_some() && ready[1];
        if output.is_open && ready.last() == Some(&true) {
            output.take(&mut reader);
        }
        if let Some(exit) = ready.first().filter(|ready| **ready).and_then(|_| spawn::peek_exit(&fd).ok().flatten()) {
            break match exit {
                Exit::Code(code) => End::Code(code),
                Exit::Signal(signal) => End::Signal(signal),
            };
        }
        if is_cancelled {
            break kill(&fd);
        }
    };
    // What it wrote before it went; a child of its own may hold the pipe open for ever.
    while output.is_open && wait_readable(&[reader.as_fd()], Some(Duration::ZERO))[0] {
        output.take(&mut reader);
    }
    if end == End::LeftBehind {
        LEFT_BEHIND.lock().unwrap_or_else(PoisonError::into_inner).push(fd);
    } else {
        let _ = fd.signal(libc::SIGKILL, true);
        let _ = spawn::reap(&fd);
    }
    Ok(Finished { end, output: output.bytes, is_cut: output.is_cut })
}

fn kill(fd: &PidFd) -> End {
    let _ = fd.signal(libc::SIGKILL, true);
    let gone = wait_readable(&[fd.as_fd()], Some(AFTER_KILL))[0];
    if gone { End::TimedOut } else { End::LeftBehind }
}

struct Output {
    bytes: Vec<u8>,
    max: usize,
    is_cut: bool,
    is_open: bool,
}

impl Output {
    /// Reads once from a pipe that is readable.
    fn take(&mut self, from: &mut impl Read) {
        let mut buffer = [0; 16 * 1024];
        match from.read(&mut buffer) {
            Ok(n @ 1..) => {
                let room = self.max.saturating_sub(self.bytes.len()).min(n);
                self.bytes.extend_from_slice(&buffer[..room]);
                self.is_cut |= room < n;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => self.is_open = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn it_reads_its_input_and_its_output_and_code_are_told() {
        let finished = run(sh("cat; echo more >&2; exit 3"), b"input\n", LONG, 100).expect("started");
        assert_eq!(finished, Finished { end: End::Code(3), output: b"input\nmore\n".to_vec(), is_cut: false });
        assert!(!finished.is_success());
        assert_eq!(run(sh("kill -9 $$"), b"", LONG, 100).expect("started").end, End::Signal(9));
    }

    #[test]
    fn what_it_says_beyond_its_allowance_is_cut_and_does_not_hold_it_up() {
        let finished = run(sh("head -c 1000000 /dev/zero"), b"", LONG, 10).expect("started");
        assert_eq!((finished.end, finished.output.len(), finished.is_cut), (End::Code(0), 10, true));
    }

    #[test]
    fn one_that_does_not_end_is_ended_at_its_timeout_with_its_group() {
        let finished =
            run(sh("trap '' TERM; sleep 1000 & echo $!; sleep 1000"), b"", Duration::from_secs(1), 100).expect("started");
        assert_eq!(finished.end, End::TimedOut);
        let child: u32 = String::from_utf8(finished.output).expect("a number").trim().parse().expect("its child's pid");
        let still_there = || {
            let stat = crate::os::proc::stat(child);
            stat.is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
        };
        while still_there() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_that_is_cancelled_is_ended_before_its_timeout_and_one_that_is_not_is_not() {
        let (cancelled, cancels) = io::pipe().expect("a pipe");
        let finished = run_unless(cancelled.as_fd(), sh("cat; exit 3"), b"input\n", LONG, 100).expect("started");
        assert_eq!((finished.end, finished.output), (End::Code(3), b"input\n".to_vec()));
        drop(cancels);
        let finished = run_unless(cancelled.as_fd(), sh("sleep 1000"), b"", LONG, 100).expect("started");
        assert_eq!(finished.end, End::TimedOut);
    }

    #[test]
    fn a_child_that_holds_its_output_does_not_hold_it() {
        let finished = run(sh("setsid sleep 1000 & echo $!; exit 0"), b"", LONG, 100).expect("started");
        assert_eq!(finished.end, End::Code(0));
        let pid: u32 = String::from_utf8(finished.output).expect("a number").trim().parse().expect("a pid");
        let fd = PidFd::open(pid).expect("it lives");
        fd.signal(libc::SIGKILL, false).expect("the test's own");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert_eq!(
            run(Command::new("/no/such/program"), b"", LONG, 0).expect_err("no such file").kind(),
            io::ErrorKind::NotFound
        );
    }
}
