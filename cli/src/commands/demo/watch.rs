//! Polls the cast until each hang is flagged and the healthy were seen long enough.

use hangwatch::policy::ns;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hangwatch::monitor::{Poll, Scanner};
use hangwatch::{Error, ErrorKind, Result, clock};
use indicatif::{ProgressBar, ProgressStyle};

use super::record::{Promise, Record};
use super::rows::ROWS;
use super::stage::Stage;

/// Healthy workers are watched for so many timeouts at least: more than two, and a slow step and the ones after it fit.
const LEAST: u32 = 3;
/// What is not flagged after so many is reported as it is: a machine that is this busy shows nothing else either.
const MOST: u32 = 30;

/// The records in the order of the rows, and the monitor's clock at the last poll.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) records: Vec<Record>,
    pub(super) end: u64,
}

pub(super) fn watch(stage: &mut Stage, scanner: &mut Scanner, promise: &Promise, interrupted: &AtomicBool) -> Result<Watched> {
    let mut watched = Watched { records: ROWS.iter().map(|_| Record::new(promise.timeout)).collect(), end: 0 };
    let least = ns(promise.timeout * LEAST);
    // Off a terminal it draws nothing.
    let bar = ProgressBar::new(least / 1_000_000).with_style(style());
    let mut due = clock::monotonic_ns();
    // Relaxed: a flag, nothing rides on it.
    while !interrupted.load(Relaxed) {
        let now = clock::monotonic_ns();
        if now < due {
            std::thread::sleep(Duration::from_nanos(due - now));
            continue;
        }
        // A late poll does not hurry the next one.
        due = now + ns(promise.poll);
        let poll = scanner.poll(now);
        if poll.lost {
            let what = "cannot go on with the demo".to_owned();
            return Err(Error::new(ErrorKind::BadSegment, what, "its segment was damaged while it ran"));
        }
        watched.take(&poll);
        if let Err(e) = stage.check() {
            // ctrl-c on a terminal reaches the workers too; then it is no fault of theirs.
            return Err(if interrupted.load(Relaxed) { was_interrupted() } else { e });
        }
        bar.set_position((watched.end / 1_000_000).min(least / 1_000_000));
        bar.set_message(format!("{} of {} hangs flagged", watched.flagged(), ROWS.iter().filter(|row| !row.is_well()).count()));
        if watched.is_done(promise, least) || watched.end >= ns(promise.timeout * MOST) {
            bar.finish_and_clear();
            return Ok(watched);
        }
    }
    bar.finish_and_clear();
    Err(was_interrupted())
}

fn was_interrupted() -> Error {
    Error::new(ErrorKind::System, "cannot finish the demo", "interrupted by a signal")
}

impl Watched {
    fn take(&mut self, poll: &Poll) {
        self.end = poll.tick.now;
        for judged in &poll.judged {
            let named = judged.observation.info.as_ref().map(|info| info.name.as_str());
            let row = ROWS.iter().position(|row| Some(row.name) == named);
            if let Some(record) = row.and_then(|row| self.records.get_mut(row)) {
                record.take(judged, poll.tick);
            }
        }
    }

    fn flagged(&self) -> usize {
        ROWS.iter().zip(&self.records).filter(|(row, record)| !row.is_well() && record.opening.is_some()).count()
    }

    /// Half a timeout after the last hang was flagged, so that the origin's tests have had their time too.
    fn is_done(&self, promise: &Promise, least: u64) -> bool {
        let half = ns(promise.timeout) / 2;
        ROWS.iter().zip(&self.records).all(|(row, record)| match (row.is_well(), record.first_seen, record.opening) {
            (true, Some(first), _) => self.end - first > least,
            (false, _, Some(opening)) => self.end - opening.at >= half,
            _ => false,
        })
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {elapsed} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}
