//! The thread that tells, and its bounded queue.

use super::event::Event;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Events that may wait; a monitor of a thousand workers that all hang at once fits.
const QUEUE: usize = 4096;

/// Takes events, one after the other, on the telling thread.
pub trait Sink: Send {
    /// Tells one event. May be slow; must not call back into the monitor.
    fn tell(&mut self, event: &Event);
}

impl<F: FnMut(&Event) + Send> Sink for F {
    fn tell(&mut self, event: &Event) {
        self(event);
    }
}

/// Hands events over; never waits.
#[derive(Debug, Clone)]
pub struct Told {
    queue: SyncSender<Event>,
    dropped: Arc<AtomicU64>,
}

impl Told {
    /// Queues an event; a full queue drops it and counts.
    pub fn tell(&self, event: Event) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(event) {
            self.dropped.fetch_add(1, Relaxed); // Relaxed: a statistic
        }
    }

    /// Events that did not fit the queue so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// Tells a telling thread from every other one of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TellingThread(u64);

thread_local! {
    /// 0 is none. `std::thread::current` would make something of a host's thread, and leave it behind.
    static MARK: Cell<u64> = const { Cell::new(0) };
}

impl TellingThread {
    fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Relaxed) + 1) // Relaxed: it only has to be another one
    }

    /// Whether the caller is in that thread.
    pub fn is_here(self) -> bool {
        MARK.get() == self.0
    }
}

/// The telling thread; dropping it tells what is queued and ends it.
#[derive(Debug)]
pub struct Teller {
    told: Option<Told>,
    thread: Option<JoinHandle<()>>,
    mark: TellingThread,
}

impl Teller {
    /// Starts the thread. A sink that panics is left out from then on; the others and the monitor go on.
    pub fn spawn(sinks: Vec<Box<dyn Sink>>) -> io::Result<Self> {
        Self::named("hangwatch-tell", sinks)
    }

    /// The same for a thread of that name.
    pub fn named(name: &str, mut sinks: Vec<Box<dyn Sink>>) -> io::Result<Self> {
        let (queue, events) = sync_channel::<Event>(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let mark = TellingThread::new();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            MARK.set(mark.0);
            let mut reported = 0;
            for event in events {
                sinks.retain_mut(|sink| {
                    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sink.tell(&event)));
                    if told.is_err() {
                        tracing::error!("an event sink panicked and is left out from now on");
                    }
                    told.is_ok()
                });
                let lost = counter.load(Relaxed);
                if lost > reported {
                    tracing::error!(lost = lost - reported, "events were lost: the sinks are slower than they come");
                    reported = lost;
                }
            }
        })?;
        Ok(Self { told: Some(Told { queue, dropped }), thread: Some(thread), mark })
    }

    /// A handle for those who tell.
    pub fn told(&self) -> Told {
        match &self.told {
            Some(told) => told.clone(),
            None => unreachable!("taken when it is dropped only"),
        }
    }

    /// Tells its thread from every other.
    pub fn mark(&self) -> TellingThread {
        self.mark
    }

    /// In a forked child, which has no such thread: it is neither waited for nor told to end.
    pub(crate) fn forget(&mut self) {
        std::mem::forget((self.told.take(), self.thread.take()));
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        // The thread ends when the last handle is gone; the monitor's threads have been joined by now.
        self.told = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
