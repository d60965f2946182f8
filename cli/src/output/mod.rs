//! What workers write: each into a log file of its own, which this process follows, shows and rotates.
//!
//! ```text
//! worker i ── fd, O_APPEND ──► worker-<i>.log ◄── follows, rotates ── thread ── queue ── thread ──► standard output
//! ```
//!
//! A worker holds a file and no pipe, so whatever happens to this process, SIGKILL included, no write of a worker fails or
//! waits. The thread that follows never waits for a reader of standard output: it rotates in any case, and reads on when there
//! is room in the queue.
//!
//! | file | holds |
//! |---|---|
//! | `lines` | bytes as lines that are safe to show |
//! | `follow` | one log: reading on, over truncation, removal and rotation |
//! | `rotate` | copying a log aside and emptying it |
//! | `show` | the prefix, and the thread that writes to standard output |

mod follow;
mod lines;
mod rotate;
mod show;

use follow::Log;
use hangwatch::clock::monotonic_ns;
use hangwatch::monitor::Fleet;
use hangwatch::{Error, ErrorKind, Result};
use show::{Prefix, Show};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How late a line may be shown: below what a person notices, and some hundred calls a second for many workers.
const TURN: Duration = Duration::from_millis(100);

/// Between two turns while the reader of standard output is waited for.
const PAUSE: Duration = Duration::from_millis(5);

/// What is still to be shown at the end waits this long for a reader that takes nothing.
const STALLED: Duration = Duration::from_secs(5);

/// When a log is rotated, and what is shown of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Bytes from which on a log is rotated.
    pub(crate) max_size: u64,
    /// Files to keep of each worker, the current one included.
    pub(crate) files: u32,
    /// Nothing is shown.
    pub(crate) quiet: bool,
}

/// Logs that are there and not followed yet: what stands in them is of an earlier run.
pub(crate) struct Ready {
    logs: Vec<Log>,
    settings: Settings,
}

/// Makes the logs of these workers, or says why they cannot be written. `None` where the fleet has none.
pub(crate) fn ready(fleet: &Fleet, replicas: u32, settings: Settings) -> Result<Option<Ready>> {
    let mut logs = Vec::new();
    for number in 0..replicas {
        let Some(path) = fleet.log(number) else { return Ok(None) };
        let failed = |e: std::io::Error| {
            let what = format!("cannot write the log of worker {number}, '{}'", path.display());
            // A refusal of our own, such as of a folder, says itself why.
            if e.raw_os_error().is_some() { Error::io(what, &e) } else { Error::new(ErrorKind::Usage, what, e.to_string()) }
        };
        fleet.open_log(number).map_err(failed)?;
        logs.push(Log::at_its_end(path.clone()).map_err(failed)?);
    }
    Ok(Some(Ready { logs, settings }))
}

/// The threads that follow and show. Dropping it without [`Output::end`] leaves what is not shown yet.
pub(crate) struct Output {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Ready {
    /// Follows them from now on.
    pub(crate) fn follow(self) -> Result<Output> {
        let failed = |e: std::io::Error| Error::io("cannot follow the workers' logs", &e);
        let Self { mut logs, settings } = self;
        let prefixes: Vec<Prefix> = (0..logs.len()).map(|number| Prefix::new(number, logs.len())).collect();
        let mut show = if settings.quiet { None } else { Some(Show::start().map_err(failed)?) };
        let (stop, stopped) = channel();
        let follow = move || {
            while stopped.recv_timeout(TURN) == Err(RecvTimeoutError::Timeout) {
                for (log, prefix) in logs.iter_mut().zip(&prefixes) {
                    log.turn(&settings, prefix, show.as_mut());
                }
            }
            // The workers have ended: what they left is shown, if somebody reads it.
            let Some(mut show) = show else { return };
            let mut last = (show.written(), monotonic_ns());
            loop {
                for (log, prefix) in logs.iter_mut().zip(&prefixes) {
                    log.turn(&settings, prefix, Some(&mut show));
                }
                if show.is_idle() || monotonic_ns() - last.1 > STALLED.as_nanos() as u64 {
                    break;
                }
                if show.written() > last.0 {
                    last = (show.written(), monotonic_ns());
                }
                std::thread::sleep(PAUSE);
            }
            let mut text = String::new();
            for (log, prefix) in logs.iter_mut().zip(&prefixes) {
                log.finish(prefix, &mut text);
            }
            show.put(text);
            show.end(STALLED);
        };
        let thread = std::thread::Builder::new().name("hangwatch-logs".into()).spawn(follow).map_err(failed)?;
        Ok(Output { stop, thread })
    }
}

impl Output {
    /// Shows what is there still, and ends. The workers have ended.
    pub(crate) fn end(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}
