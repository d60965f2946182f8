//! A helper that is asked a line at a time, and answers each with a line within a deadline.

use super::{LEFT_BEHIND, kill};
use crate::clock;
use crate::os::pidfd::PidFd;
use crate::os::spawn::{self, Exit};
use crate::os::wake::wait_readable;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;

/// A line that is longer is no answer: a bound on what a helper can make its caller hold.
const LONGEST: usize = 1 << 20;

/// A running helper, in a process group of its own. Dropping it kills the group.
#[derive(Debug)]
pub struct Dialogue {
    fd: Option<PidFd>,
    pid: u32,
    input: Option<PipeWriter>,
    output: PipeReader,
    /// Read, and not yet a whole line.
    begun: Vec<u8>,
}

impl Dialogue {
    /// Starts `command`; its standard input and output become the dialogue, its standard error is the caller's.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let (reader, input) = io::pipe()?;
        let (output, writer) = io::pipe()?;
        command.stdin(Stdio::from(reader)).stdout(Stdio::from(writer));
        // The command holds the pipes' other ends, so they go with the call.
        let (pid, fd) = spawn::spawn_leader(command)?;
        Ok(Self { fd: Some(fd), pid, input: Some(input), output, begun: Vec::new() })
    }

    /// Its number, which is its own until the dialogue is dropped.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Inode of a pidfd on it; 0 where the kernel has none.
    pub fn pidfd_inode(&self) -> u64 {
        self.fd.as_ref().map_or(0, PidFd::inode)
    }

    /// Says a line. `BrokenPipe`: it has ended, or closed its side.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        let Some(input) = &mut self.input else { return Err(io::ErrorKind::BrokenPipe.into()) };
        input.write_all(format!("{line}\n").as_bytes())
    }

    /// Waits for a line. `TimedOut`: none came, which may be asked again. `UnexpectedEof`: it has ended, or closed its side.
    pub fn hear(&mut self, timeout: Duration) -> io::Result<String> {
        let deadline = clock::monotonic_ns().saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        loop {
            if let Some(at) = self.begun.iter().position(|byte| *byte == b'\n') {
                let rest = self.begun.split_off(at + 1);
                let line = std::mem::replace(&mut self.begun, rest);
                return String::from_utf8(line[..at].to_vec()).map_err(|_| io::ErrorKind::InvalidData.into());
            }
            let left = deadline.saturating_sub(clock::monotonic_ns());
            if left == 0 || self.begun.len() > LONGEST {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if wait_readable(&[self.output.as_fd()], Some(Duration::from_nanos(left)))[0] {
                let mut buffer = [0; 4096];
                match self.output.read(&mut buffer) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(n) => self.begun.extend_from_slice(&buffer[..n]),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
        }
    }

    /// Closes its input and waits for its end: what it says then. `TimedOut`: it was still there, and was killed with its group.
    pub fn end(mut self, timeout: Duration) -> io::Result<super::End> {
        self.input = None;
        let Some(fd) = self.fd.take() else { return Err(io::ErrorKind::NotFound.into()) };
        let gone = wait_readable(&[fd.as_fd()], Some(timeout))[0];
        let exit = if gone { spawn::peek_exit(&fd)? } else { None };
        finish(fd);
        match exit {
            Some(Exit::Code(code)) => Ok(super::End::Code(code)),
            Some(Exit::Signal(signal)) => Ok(super::End::Signal(signal)),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Ends what is left of the group, and reaps the helper, or leaves it behind where not even SIGKILL ends it.
fn finish(fd: PidFd) {
    if kill(&fd) == super::End::LeftBehind {
        LEFT_BEHIND.lock().unwrap_or_else(PoisonError::into_inner).push(fd);
    } else {
        let _ = spawn::reap(&fd);
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            finish(fd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::End;
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn sh(script: &str) -> Dialogue {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Dialogue::start(command).expect("started")
    }

    fn ask(dialogue: &mut Dialogue, line: &str, timeout: Duration) -> io::Result<String> {
        dialogue.say(line)?;
        dialogue.hear(timeout)
    }

    fn kind<T: std::fmt::Debug>(asked: io::Result<T>) -> io::ErrorKind {
        asked.expect_err("no answer").kind()
    }

    #[test]
    fn each_line_is_answered_and_its_end_is_told() {
        let mut dialogue = sh("while read -r line; do echo \"you said $line\"; done; exit 3");
        for line in ["a", "b c", ""] {
            assert_eq!(ask(&mut dialogue, line, LONG).expect("an answer"), format!("you said {line}"));
        }
        assert_eq!(dialogue.end(LONG).expect("an end"), End::Code(3));
    }

    #[test]
    fn answers_that_come_together_are_given_one_by_one() {
        let mut dialogue = sh("read x; printf 'one\\ntwo\\nthr'; read x; echo ee; exec sleep 1000");
        let answers: Vec<_> = (0..3).map(|_| ask(&mut dialogue, "go", LONG).expect("an answer")).collect();
        assert_eq!(answers, ["one", "two", "three"]);
    }

    #[test]
    fn one_that_does_not_answer_is_an_error_and_is_ended_with_its_group() {
        let mut dialogue = sh("sleep 1000 & echo $!; sleep 1000");
        let child: u32 = ask(&mut dialogue, "x", LONG).expect("its child's pid").parse().expect("a number");
        assert_eq!(kind(dialogue.hear(Duration::from_millis(50))), io::ErrorKind::TimedOut);
        drop(dialogue);
        while crate::os::proc::stat(child).is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X')) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_that_ends_or_says_what_is_no_text_is_an_error() {
        assert_eq!(kind(ask(&mut sh("read x; exit 0"), "x", LONG)), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(ask(&mut sh("read x; printf '\\377\\n'; sleep 1000"), "x", LONG)), io::ErrorKind::InvalidData);
        assert_eq!(kind(sh("exec sleep 1000").end(Duration::from_millis(50))), io::ErrorKind::TimedOut);
    }
}
