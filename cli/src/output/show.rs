//! Lines with their worker's number before them, on standard output, by a thread that alone may wait for its reader.

use crate::logging::has_colour;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

/// Texts that may wait to be written; each is what one read of a log gave.
const QUEUE: usize = 8;

/// `3 | `, as wide as the widest number; in a colour of its own on a terminal.
#[derive(Debug)]
pub(super) struct Prefix(String);

impl Prefix {
    pub(super) fn new(number: usize, workers: usize) -> Self {
        Self::with(number, workers, has_colour(&io::stdout()))
    }

    fn with(number: usize, workers: usize, colour: bool) -> Self {
        let width = workers.saturating_sub(1).max(1).ilog10() as usize + 1;
        // Cyan, green, yellow, magenta, blue: red is for what went wrong.
        let of_its_own = [36, 32, 33, 35, 34][number % 5];
        let text = format!("{number:>width$} |");
        Self(if colour { format!("\x1b[{of_its_own}m{text}\x1b[0m ") } else { format!("{text} ") })
    }

    pub(super) fn write(&self, line: &str, to: &mut String) {
        to.extend([&self.0, line, "\n"]);
    }
}

/// A bounded queue to standard output; never waits.
#[derive(Debug)]
pub(super) struct Show {
    queue: SyncSender<String>,
    waiting: Option<String>,
    is_over: bool,
    written: Arc<AtomicU64>,
    ended: Receiver<()>,
}

impl Show {
    pub(super) fn start() -> io::Result<Self> {
        let (queue, texts) = sync_channel::<String>(QUEUE);
        let (end, ended) = channel::<()>();
        let written = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&written);
        std::thread::Builder::new().name("hangwatch-show".into()).spawn(move || {
            let _end = end;
            for text in texts {
                // A reader that has gone away, or a terminal that was closed: the logs have it all.
                let mut out = io::stdout().lock();
                if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                    return;
                }
                counter.fetch_add(1, Relaxed); // Relaxed: says that it goes on, and nothing else
            }
        })?;
        Ok(Self { queue, waiting: None, is_over: false, written, ended })
    }

    /// Whether one more text may be put.
    pub(super) fn has_room(&mut self) -> bool {
        match self.waiting.take().map(|text| self.queue.try_send(text)) {
            None | Some(Ok(())) => {}
            Some(Err(TrySendError::Full(text))) => self.waiting = Some(text),
            Some(Err(TrySendError::Disconnected(_))) => self.is_over = true,
        }
        self.waiting.is_none() && !self.is_over
    }

    /// Where there is room.
    pub(super) fn put(&mut self, text: String) {
        if self.has_room() && !text.is_empty() {
            self.waiting = Some(text);
            self.has_room();
        }
    }

    /// Nothing waits for room, or nobody will read any more.
    pub(super) fn is_idle(&mut self) -> bool {
        self.has_room() || self.is_over
    }

    /// Texts that were written so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Waits for what is queued, as long as the reader takes something within `patience`.
    pub(super) fn end(self, patience: Duration) {
        drop(self.queue);
        let mut before = self.written.load(Relaxed);
        while self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            let now = self.written.load(Relaxed);
            if now == before {
                return;
            }
            before = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize, workers: usize, colour: bool) -> String {
        let mut text = String::new();
        Prefix::with(number, workers, colour).write("step 1", &mut text);
        text
    }

    #[test]
    fn a_line_has_its_workers_number_as_wide_as_the_widest_and_a_colour_on_a_terminal_alone() {
        assert_eq!(line(0, 1, false), "0 | step 1\n");
        assert_eq!(line(3, 10, false), "3 | step 1\n");
        assert_eq!(line(3, 11, false), " 3 | step 1\n");
        assert_eq!(line(5, 8, true), "\x1b[36m5 |\x1b[0m step 1\n");
    }
}
