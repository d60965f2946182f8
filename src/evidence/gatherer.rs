//! Whose evidence is gathered when: a thread a gathering, few at work at once, each answered by its deadline.

use super::cause::Cause;
use super::gather::gather;
use super::settings::Settings;
use crate::clock;
use crate::judge::Verdict;
use crate::os::pidfd::PidFd;
use crate::policy::ns;
use crate::tell::Event;
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Gatherings at work at once: enough for one sick device, too few to burden a host whose workers all hang together.
const AT_WORK: usize = 4;
/// Of the threads that only wait, of which there may be one a worker.
const WAITING_STACK: usize = 256 * 1024;

/// One observation of a slot. Times are the monitor's clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// When, in seconds.
    pub at_s: f64,
    /// The beat counter.
    pub beat: u64,
    /// The counter of signs of life that are no beats.
    pub alive: u64,
    /// The phase's name.
    pub phase: String,
    /// The number of the open job.
    pub job: Option<u32>,
    /// The pass over the job's units.
    pub pass: u16,
    /// How often progress fell back.
    pub falls: u16,
    /// Units done.
    pub done: Option<u64>,
    /// Units in all.
    pub total: Option<u64>,
}

/// Whom evidence is gathered of.
#[derive(Debug)]
pub(crate) struct Subject {
    /// What opened the episode, as it was told.
    pub(crate) event: Event,
    /// The process, in our own pid namespace.
    pub(crate) pid: u32,
    /// The thread that claimed the slot, by the number it has in its own pid namespace; 0 where it is not known.
    pub(crate) tid: u32,
    /// The process's handle, verified by whoever opened it. Without one, nothing is read of the process.
    pub(crate) fd: Option<PidFd>,
    /// The slot's last observations, oldest first.
    pub(crate) history: Vec<Moment>,
    /// Where the worker's output goes.
    pub(crate) log: Option<PathBuf>,
    /// What it was judged to be.
    pub(crate) verdict: Verdict,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The bundle's folder.
    pub(crate) bundle: io::Result<PathBuf>,
    /// What the worker waits for; known even where the bundle could not be written. `None`: nothing could be read of it.
    pub(crate) cause: Option<Cause>,
}

/// What a gathering tells while it is at work.
pub(super) enum Told {
    /// What the worker waits for.
    Cause(Cause),
    /// It is done.
    Done(io::Result<PathBuf>),
}

/// How many are at work, and who waits for that to change.
#[derive(Debug, Default)]
struct Turns {
    at_work: Mutex<usize>,
    freed: Condvar,
}

/// The right to be at work; given back when it goes.
#[derive(Debug)]
struct Turn(Arc<Turns>);

impl Turns {
    fn at_work(&self) -> MutexGuard<'_, usize> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn until `deadline_ns`.
    fn take(self: &Arc<Self>, deadline_ns: u64) -> Option<Turn> {
        let mut at_work = self.at_work();
        while *at_work >= AT_WORK {
            let left = left_until(deadline_ns)?;
            at_work = self.freed.wait_timeout(at_work, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *at_work += 1;
        Some(Turn(Arc::clone(self)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.at_work() -= 1;
        self.0.freed.notify_one();
    }
}

/// `None` where it has passed.
pub(super) fn left_until(deadline_ns: u64) -> Option<Duration> {
    let left = deadline_ns.saturating_sub(clock::monotonic_ns());
    (left > 0).then(|| Duration::from_nanos(left))
}

/// Gathers evidence on threads of its own.
#[derive(Debug)]
pub(crate) struct Gatherer {
    settings: Arc<Settings>,
    turns: Arc<Turns>,
}

impl Gatherer {
    /// Touches nothing yet.
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), turns: Arc::default() }
    }

    /// Returns at once. `done` is called once, at the deadline at the latest, on a thread of its own, or on this one if none
    /// can be started. A gathering that the kernel holds up beyond that is left to itself and keeps its turn.
    pub(crate) fn gather(&self, subject: Subject, deadline: Duration, done: impl FnOnce(Outcome) + Send + 'static) {
        let deadline_ns = clock::monotonic_ns().saturating_add(ns(deadline));
        let (settings, turns) = (Arc::clone(&self.settings), Arc::clone(&self.turns));
        // The closure goes with a thread that cannot be started, so that it is held here too until it is called.
        let done = Arc::new(Mutex::new(Some(done)));
        let call = |done: &Mutex<Option<_>>, outcome| {
            let done = done.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(done) = done {
                let done: Box<dyn FnOnce(Outcome)> = Box::new(done);
                done(outcome);
            }
        };
        let its = Arc::clone(&done);
        let waiter = thread::Builder::new().name("hangwatch-wait".into()).stack_size(WAITING_STACK);
        let waits = move || call(&its, outcome(settings, &turns, subject, deadline_ns));
        if let Err(e) = waiter.spawn(waits) {
            call(&done, Outcome { bundle: Err(e), cause: None });
        }
    }
}

fn outcome(settings: Arc<Settings>, turns: &Arc<Turns>, subject: Subject, deadline_ns: u64) -> Outcome {
    let Some(turn) = turns.take(deadline_ns) else {
        let why = format!("skipped: {AT_WORK} others were gathered until its time was over");
        return Outcome { bundle: Err(io::Error::new(io::ErrorKind::TimedOut, why)), cause: None };
    };
    let (told, tells) = channel();
    let work = move || {
        let _turn = turn;
        work(&settings, subject, deadline_ns, &told);
    };
    match thread::Builder::new().name("hangwatch-evid".into()).spawn(work) {
        Ok(_) => collect(&tells, deadline_ns),
        Err(e) => Outcome { bundle: Err(e), cause: None },
    }
}

fn work(settings: &Settings, subject: Subject, deadline_ns: u64, told: &Sender<Told>) {
    let bundle = gather(settings, subject, deadline_ns, &mut |cause| {
        // Nobody listens after the deadline.
        let _ = told.send(Told::Cause(cause));
    });
    let _ = told.send(Told::Done(bundle));
}

fn collect(tells: &Receiver<Told>, deadline_ns: u64) -> Outcome {
    let mut cause = None;
    loop {
        let left = left_until(deadline_ns).unwrap_or_default();
        match tells.recv_timeout(left) {
            Ok(Told::Cause(it)) => cause = Some(it),
            Ok(Told::Done(bundle)) => return Outcome { bundle, cause },
            Err(RecvTimeoutError::Timeout) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, "it was not whole when its time was over");
                return Outcome { bundle: Err(late), cause };
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Outcome { bundle: Err(io::Error::other("the gathering thread panicked")), cause };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tell::EventKind;
    use std::sync::mpsc;
    use std::time::SystemTime;

    #[test]
    fn a_gathering_that_gets_no_turn_in_its_time_is_skipped_and_says_so() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let gatherer = Gatherer::new(Settings { directory: dir.path().join("evidence"), ..Settings::default() });
        let gathered = |deadline| {
            let event = Event::new(EventKind::Opened, "segment", SystemTime::UNIX_EPOCH);
            let subject = Subject { event, pid: 0, tid: 0, fd: None, history: Vec::new(), log: None, verdict: Verdict::Stalled };
            let (tells, told) = mpsc::channel();
            gatherer.gather(subject, deadline, move |outcome| tells.send(outcome).expect("the test waits"));
            told.recv().expect("every gathering is answered").bundle
        };
        let mut turns: Vec<_> = (0..AT_WORK).map(|_| gatherer.turns.take(u64::MAX).expect("free")).collect();
        let skipped = gathered(Duration::from_millis(10)).expect_err("there is no turn");
        assert!(skipped.to_string().starts_with("skipped: 4 others"), "{skipped}");
        assert!(!dir.path().join("evidence").exists(), "nothing was done");
        turns.pop();
        assert!(gathered(Duration::from_secs(600)).is_ok(), "a turn that is given back is the next one's");
    }
}
