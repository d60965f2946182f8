//! Words to a service manager, by its own protocol: ready, what goes on, alive, reloading, stopping. Where none listens, nothing.
//!
//! A thread of its own sends them, so that a service manager that does not read holds up nobody. The watchdog is fed by scans
//! that were completed and saw something, never by time alone: a monitor that is stuck or blind is to be replaced.

mod socket;
mod status;

use hangwatch::Result;
use hangwatch::clock::monotonic_ns;
use hangwatch::monitor::Pulse;
use hangwatch::policy::ns;
use hangwatch::segment::Segment;
use hangwatch::tell::{Event, EventKind, Sink};
use sd_notify::NotifyState;
use socket::Socket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// The longest time that a change goes untold.
const TURN: Duration = Duration::from_millis(250);

/// Words from this process's other threads that may wait; they are rare, and one that finds no room is not worth waiting for.
const QUEUE: usize = 64;

enum Word {
    /// Another monitor is at work; this counts the looks at whether it still is.
    StandingBy(Arc<AtomicU64>),
    Watching(Arc<Segment>, Pulse),
    Reloading,
    Reloaded,
    GaveUp,
    Stopping,
}

/// Tells the service manager. Clones tell the same one.
#[derive(Clone)]
pub(crate) struct Notifier {
    words: Option<SyncSender<Word>>,
    last: Option<Arc<Socket>>,
}

impl Notifier {
    /// To the service manager that the environment names.
    pub(crate) fn start() -> Result<Self> {
        let Some(socket) = Socket::of_environment() else { return Ok(Self { words: None, last: None }) };
        let socket = Arc::new(socket);
        let (words, received) = sync_channel(QUEUE);
        let manager = Manager::new(Arc::clone(&socket), sd_notify::watchdog_enabled());
        let thread = std::thread::Builder::new().name("hangwatch-notify".into());
        let spawned = thread.spawn(move || manager.run(&received));
        spawned.map_err(|e| hangwatch::Error::io("cannot notify the service manager", &e))?;
        Ok(Self { words: Some(words), last: Some(socket) })
    }

    fn say(&self, word: Word) {
        if let Some(words) = &self.words {
            let _ = words.try_send(word);
        }
    }

    /// Another monitor is at work. The count that is returned feeds the watchdog.
    pub(crate) fn standing_by(&self) -> Arc<AtomicU64> {
        let looks = Arc::new(AtomicU64::new(0));
        self.say(Word::StandingBy(Arc::clone(&looks)));
        looks
    }

    /// This monitor is at work.
    pub(crate) fn watching(&self, segment: &Arc<Segment>, pulse: Pulse) {
        self.say(Word::Watching(Arc::clone(segment), pulse));
    }

    /// The configuration is about to be read again.
    pub(crate) fn reloading(&self) {
        self.say(Word::Reloading);
    }

    /// The end has begun, however long it takes.
    pub(crate) fn stopping(&self) {
        self.say(Word::Stopping);
    }

    /// The end has come: said at once, for the thread may not get to it any more.
    pub(crate) fn ended(&self) {
        if let Some(socket) = &self.last {
            socket.send(&[NotifyState::Stopping]);
        }
    }

    /// What of the events is for a service manager.
    pub(crate) fn sink(&self) -> Box<dyn Sink> {
        let notifier = self.clone();
        Box::new(move |event: &Event| match event.event {
            EventKind::ConfigReloaded | EventKind::ConfigRejected => notifier.say(Word::Reloaded),
            EventKind::GaveUp => notifier.say(Word::GaveUp),
            _ => {}
        })
    }
}

enum Source {
    Nothing,
    StandingBy(Arc<AtomicU64>),
    Watching(Arc<Segment>, Pulse),
}

/// What the service manager was told, and what it is to be told.
struct Manager {
    socket: Arc<Socket>,
    /// Half of what the service manager waits for a sign of life.
    period: Option<Duration>,
    source: Source,
    /// Signs of life of the source so far, and how many of them had been counted at the last word to the watchdog.
    fed: u64,
    feed_at: u64,
    is_ready: bool,
    is_reloading: bool,
    is_stopping: bool,
    gave_up: u64,
    told: String,
}

impl Manager {
    fn new(socket: Arc<Socket>, watchdog: Option<Duration>) -> Self {
        Self {
            socket,
            period: watchdog.map(|watchdog| watchdog / 2),
            source: Source::Nothing,
            fed: 0,
            feed_at: 0,
            is_ready: false,
            is_reloading: false,
            is_stopping: false,
            gave_up: 0,
            told: String::new(),
        }
    }

    fn run(mut self, words: &Receiver<Word>) {
        let turn = self.period.map_or(TURN, |period| (period / 4).clamp(Duration::from_millis(1), TURN));
        loop {
            match words.recv_timeout(turn) {
                Ok(word) => self.take(word),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.turn();
        }
    }

    fn take(&mut self, word: Word) {
        match word {
            Word::StandingBy(looks) => (self.source, self.fed) = (Source::StandingBy(looks), 0),
            Word::Watching(segment, pulse) => {
                let interval = Duration::from_nanos(segment.header().peek_monitor().interval_ns);
                if self.period.is_some_and(|period| period < interval) {
                    tracing::warn!(
                        "the service manager's watchdog is shorter than two polls of {interval:?}: it will end this monitor"
                    );
                }
                (self.source, self.fed) = (Source::Watching(segment, pulse), 0);
            }
            Word::Reloading if !self.is_reloading && !self.is_stopping => {
                let now = NotifyState::MonotonicUsec(i128::from(monotonic_ns() / 1000));
                self.is_reloading = self.socket.send(&[NotifyState::Reloading, now]);
            }
            Word::Reloaded if self.is_reloading => {
                self.is_reloading = false;
                self.is_ready &= self.socket.send(&[NotifyState::Ready]);
            }
            Word::Stopping if !self.is_stopping => self.is_stopping = self.socket.send(&[NotifyState::Stopping]),
            Word::GaveUp => self.gave_up += 1,
            Word::Reloading | Word::Reloaded | Word::Stopping => {}
        }
    }

    /// Signs of life so far.
    fn signs(&self) -> u64 {
        match &self.source {
            Source::Nothing => 0,
            Source::StandingBy(looks) => looks.load(Relaxed),
            Source::Watching(_, pulse) => pulse.good_scans(),
        }
    }

    fn turn(&mut self) {
        let signs = self.signs();
        if signs == 0 {
            return;
        }
        if !self.is_ready && !self.is_reloading && !self.is_stopping {
            self.is_ready = self.socket.send(&[NotifyState::Ready]);
        }
        if let Source::Watching(segment, _) = &mut self.source
            && let Some(successor) = status::successor(segment)
        {
            *segment = successor;
        }
        let status = match &self.source {
            Source::Nothing => return,
            Source::StandingBy(_) => "standing by: another monitor is at work".to_owned(),
            Source::Watching(segment, _) => status::line(segment, self.gave_up, self.is_stopping),
        };
        if status != self.told && self.socket.send(&[NotifyState::Status(&status)]) {
            self.told = status;
        }
        let now = monotonic_ns();
        if let Some(period) = self.period
            && now >= self.feed_at
            && signs > self.fed
            && self.socket.send(&[NotifyState::Watchdog])
        {
            self.fed = signs;
            self.feed_at = now.saturating_add(ns(period));
        }
    }
}
