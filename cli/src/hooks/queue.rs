//! The thread of one hook, and its bounded queue.

use super::leaving::Leaving;
use super::message::Message;
use super::spec::Spec;
use super::tally::{BETWEEN_LINES, Tally};
use hangwatch::clock::monotonic_ns;
use hangwatch::policy::ns;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Before the second try; the next pauses double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest: an event of an hour ago is no alarm any more.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why an event did not arrive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may the next time.
    Passing(String),
    /// The same would come of it again.
    Lasting(String),
}

/// Tells one receiver, within the time that is given.
pub(super) trait Deliver: Send {
    fn deliver(&mut self, message: &Message, within: Duration) -> Result<(), Failure>;
}

/// Dropping it lets the thread deliver what is queued, and end.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) spec: Spec,
    sender: SyncSender<Arc<Message>>,
    tally: Arc<Tally>,
    thread: JoinHandle<()>,
}

/// A queue that takes nothing more.
#[derive(Debug)]
pub(super) struct Closed {
    tally: Arc<Tally>,
    thread: JoinHandle<()>,
}

impl Closed {
    /// Says what was not said yet.
    pub(super) fn say_the_last(&self) {
        say(self.tally.last());
        if !self.thread.is_finished() {
            say(Some(self.tally.left_behind()));
        }
    }
}

impl Queue {
    /// Starts the thread, which holds `alive` while it is there.
    pub(super) fn start(
        spec: Spec,
        name: String,
        deliver: Box<dyn Deliver>,
        leaving: Arc<Leaving>,
        alive: Sender<()>,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(spec.queue);
        let tally = Arc::new(Tally::new(name));
        let worker = Courier { deliver, leaving, tally: Arc::clone(&tally), timeout: spec.timeout, retries: spec.retries };
        let thread = std::thread::Builder::new().name("hangwatch-hook".into());
        let thread = thread.spawn(move || {
            worker.work(&receiver);
            drop(alive);
        })?;
        Ok(Self { spec, sender, tally, thread })
    }

    /// Queues it; what does not fit is dropped and counted. Never waits.
    pub(super) fn put(&self, message: &Arc<Message>) {
        if self.sender.try_send(Arc::clone(message)).is_err() {
            say(self.tally.dropped(monotonic_ns()));
        }
    }

    pub(super) fn close(self) -> Closed {
        Closed { tally: self.tally, thread: self.thread }
    }
}

fn say(line: Option<String>) {
    if let Some(line) = line {
        tracing::warn!("{line}");
    }
}

struct Courier {
    deliver: Box<dyn Deliver>,
    leaving: Arc<Leaving>,
    tally: Arc<Tally>,
    timeout: Duration,
    retries: u32,
}

impl Courier {
    fn work(mut self, messages: &Receiver<Arc<Message>>) {
        loop {
            match messages.recv_timeout(BETWEEN_LINES) {
                Ok(message) => self.take(&message),
                Err(RecvTimeoutError::Timeout) => say(self.tally.rest(monotonic_ns())),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Tries until it arrives; the next event waits meanwhile, so that they come in their order.
    fn take(&mut self, message: &Message) {
        for retry in 0..=self.retries {
            let left = self.leaving.left();
            let within = left.map_or(self.timeout, |left| left.min(self.timeout));
            let why = match within.is_zero() {
                true => "hangwatch ended".to_string(),
                false => match self.deliver.deliver(message, within) {
                    Ok(()) => return,
                    Err(Failure::Passing(why)) if left.is_none() && retry < self.retries => {
                        tracing::debug!("event {} is tried again: {why}", message.id);
                        // One that the end cuts short is followed by the last try.
                        self.leaving.pause(pause(retry, jitter()));
                        continue;
                    }
                    Err(Failure::Passing(why) | Failure::Lasting(why)) => why,
                },
            };
            return say(self.tally.failed(why, monotonic_ns()));
        }
    }
}

/// The pause after so many retries. `jitter` in 0..1 spreads it by ± 20 %, so that many machines do not come back together.
pub(super) fn pause(retries: u32, jitter: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1u32.checked_shl(retries).unwrap_or(u32::MAX)).min(LONGEST_PAUSE);
    doubled.mul_f64(0.8 + 0.4 * jitter)
}

/// Chance, of the standard library's own: each state has keys of its own.
fn jitter() -> f64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(ns(FIRST_PAUSE));
    f64::from(hasher.finish() as u32) / f64::from(u32::MAX)
}
