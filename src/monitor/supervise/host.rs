//! Workers that the program around the monitor starts itself, as children of its own: an interpreter's, say, which alone can make them.
//!
//! ```text
//!   supervisor's thread                      any thread of the host
//!   Spawner::start(Start) ── at once ──►     makes the child ──► Start::started(pid), or Start::failed(why)
//!   its exit is seen through a pidfd         (it may be reaped at any time: Spawner::ended says how it ended)
//!   Spawner::gone(pid) ───────────────►      reaps it: nobody asks for it any more
//! ```
//! All else is as for a command: the slot that is reserved, the ladder, the tree, the budget, the events.

use crate::os::pidfd::PidFd;
use crate::os::proc;
use crate::os::spawn::peek_exit;
use crate::os::wake::Bell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Starts workers in the library's place. Called on the supervisor's thread, which must not be held up.
pub trait Spawner: Send + Sync + fmt::Debug {
    /// Starts a worker. Returns at once; the answer may come from any thread.
    fn start(&self, start: Start);

    /// How a child that was reaped already ended; `None` while the host does not know it.
    fn ended(&self, pid: u32) -> Option<ExitStatus>;

    /// All of this child's tree is gone, and it may be reaped.
    fn gone(&self, pid: u32);
}

/// What came of a start.
#[derive(Debug)]
pub(super) enum Started {
    /// A child, by a handle that was opened while it was one.
    Child(u32, PidFd),
    /// It had ended and was reaped before a handle on it could be opened.
    Ended,
    /// It could not be made, and why.
    Failed(String),
}

/// Where the answer is left.
#[derive(Debug, Default)]
pub(super) struct Answer(Mutex<Waits>);

#[derive(Debug, Default)]
enum Waits {
    /// Somebody waits for it.
    #[default]
    Yes,
    Answered(Started),
    /// Nobody does any more.
    No,
}

impl Answer {
    fn locked(&self) -> MutexGuard<'_, Waits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, if it is there.
    pub(super) fn take(&self) -> Option<Started> {
        let mut waits = self.locked();
        match std::mem::take(&mut *waits) {
            Waits::Answered(started) => Some(started),
            still => {
                *waits = still;
                None
            }
        }
    }

    /// It is not waited for any longer; the answer, if it came just now.
    pub(super) fn give_up(&self) -> Option<Started> {
        match std::mem::replace(&mut *self.locked(), Waits::No) {
            Waits::Answered(started) => Some(started),
            Waits::Yes | Waits::No => None,
        }
    }
}

/// One start that is asked for. Where it is dropped without an answer it has failed.
#[derive(Debug)]
pub struct Start {
    replica: u32,
    variables: Vec<(String, String)>,
    log: Option<PathBuf>,
    answer: Arc<Answer>,
    bell: Arc<Bell>,
    is_answered: bool,
}

impl Start {
    /// The start, and where its answer will be; the bell rings then.
    pub(super) fn new(
        replica: u32,
        variables: Vec<(String, String)>,
        log: Option<PathBuf>,
        bell: Arc<Bell>,
    ) -> (Self, Arc<Answer>) {
        let answer = Arc::new(Answer::default());
        (Self { replica, variables, log, answer: Arc::clone(&answer), bell, is_answered: false }, answer)
    }

    /// The replica's number.
    pub fn replica(&self) -> u32 {
        self.replica
    }

    /// What it must find in its environment: a later one over an earlier one of its name.
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Where its output goes, appended to; `None`: where the host's own goes.
    pub fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// It runs, as this child of this process, or as a child of such a child that makes processes (a fork server). `runs` is asked
    /// of the second, once a handle was opened: whether nobody has said that it ended. `false`: it is not taken, and the caller's to
    /// end and to reap. Either it has ended and was reaped already, and is started again; or the supervisor was stopped and has not
    /// waited for it.
    pub fn started(mut self, pid: u32, runs: impl FnOnce() -> bool) -> bool {
        // Whoever else was given its number is not ours to end.
        let child = PidFd::open(pid).ok().filter(|fd| peek_exit(fd).is_ok() || is_grandchild(pid) && runs() && !fd.has_exited());
        let is_there = child.is_some();
        self.say(child.map_or(Started::Ended, |fd| Started::Child(pid, fd))) && is_there
    }

    /// It could not be made.
    pub fn failed(mut self, why: impl Into<String>) {
        self.say(Started::Failed(why.into()));
    }

    /// Whether somebody waits for it.
    fn say(&mut self, started: Started) -> bool {
        self.is_answered = true;
        {
            let mut waits = self.answer.locked();
            if matches!(*waits, Waits::No) {
                return false;
            }
            *waits = Waits::Answered(started);
        }
        self.bell.ring();
        true
    }
}

/// Whether its parent is a child of this process.
fn is_grandchild(pid: u32) -> bool {
    let parent = |pid: u32| proc::stat(pid).ok().map(|stat| stat.parent);
    parent(pid).and_then(parent) == Some(std::process::id())
}

impl Drop for Start {
    fn drop(&mut self) {
        if !self.is_answered {
            self.say(Started::Failed("whoever was asked to start it gave no answer".into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::wake::wait_readable;
    use std::io::{BufRead, BufReader};
    use std::os::fd::AsFd;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    fn start() -> (Start, Arc<Answer>, Arc<Bell>) {
        let bell = Arc::new(Bell::new().expect("a descriptor"));
        let (start, answer) = Start::new(3, Vec::new(), None, Arc::clone(&bell));
        (start, answer, bell)
    }

    #[test]
    fn a_child_is_taken_by_its_handle_and_rings() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep");
        let (start, answer, bell) = start();
        assert!(answer.take().is_none(), "it was not answered");
        assert!(start.started(child.id(), || false));
        let rang = wait_readable(&[bell.as_fd()], Some(Duration::ZERO))[0];
        let started = answer.take();
        child.kill().expect("ours");
        child.wait().expect("reaped");
        assert!(rang && matches!(started, Some(Started::Child(pid, _)) if pid == child.id()), "{started:?}");
        assert!(answer.take().is_none(), "it is given once");
    }

    #[test]
    fn a_number_that_is_no_childs_is_nobody_to_be_ended() {
        let mut child = Command::new("true").spawn().expect("true");
        child.wait().expect("reaped");
        // Reaped; the second is another process's: the one that started this one.
        for number in [child.id(), std::os::unix::process::parent_id()] {
            let (start, answer, _bell) = start();
            assert!(!start.started(number, || true));
            assert!(matches!(answer.take(), Some(Started::Ended)), "{number}");
        }
    }

    #[test]
    fn a_child_of_a_child_is_taken_where_its_host_knows_it_to_run_and_never_else() {
        let mut server =
            Command::new("sh").args(["-c", "sleep 1000 & echo $!; wait"]).stdout(Stdio::piped()).spawn().expect("sh");
        let mut said = String::new();
        let mut output = BufReader::new(server.stdout.take().expect("piped"));
        output.read_line(&mut said).expect("read");
        let grandchild: u32 = said.trim().parse().expect("a number");
        let taken = [true, false].map(|runs| start().0.started(grandchild, || runs));
        let fd = PidFd::open(grandchild).expect("it is there");
        fd.signal(libc::SIGKILL, false).expect("ours");
        server.wait().expect("reaped");
        assert_eq!(taken, [true, false]);
    }

    #[test]
    fn a_child_that_nobody_waits_for_any_more_is_its_hosts_to_end() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep");
        let (start, answer, _bell) = start();
        assert!(answer.give_up().is_none(), "it was not answered");
        let taken = start.started(child.id(), || true);
        child.kill().expect("ours");
        child.wait().expect("reaped");
        assert!(!taken && answer.take().is_none());
    }

    #[test]
    fn a_start_that_nobody_answers_has_failed() {
        let (start, answer, _bell) = start();
        drop(start);
        assert!(matches!(answer.take(), Some(Started::Failed(why)) if why.contains("no answer")));
    }
}
