//! What did not arrive, counted and said at most once a minute: a receiver that is gone for a day is a line a minute, not one an
//! event.

use hangwatch::policy::ns;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two lines of one hook.
pub(super) const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// Of one hook. `now` is nanoseconds of one clock.
#[derive(Debug)]
pub(super) struct Tally {
    hook: String,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    dropped: u64,
    failed: u64,
    why: String,
    said_at: Option<u64>,
}

impl Tally {
    pub(super) fn new(hook: String) -> Self {
        Self { hook, counts: Mutex::default() }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event did not fit the queue. Returns what is to be said, if it is time.
    pub(super) fn dropped(&self, now: u64) -> Option<String> {
        let mut counts = self.counts();
        counts.dropped += 1;
        self.due(&mut counts, now)
    }

    /// A delivery was given up.
    pub(super) fn failed(&self, why: String, now: u64) -> Option<String> {
        let mut counts = self.counts();
        counts.failed += 1;
        counts.why = why;
        self.due(&mut counts, now)
    }

    /// What was not said yet, if it is time.
    pub(super) fn rest(&self, now: u64) -> Option<String> {
        self.due(&mut self.counts(), now)
    }

    /// What was not said yet, the last time.
    pub(super) fn last(&self) -> Option<String> {
        self.line(&mut self.counts())
    }

    /// At the end.
    pub(super) fn left_behind(&self) -> String {
        format!("{}: hangwatch ended in the middle of a delivery; it and what was queued behind it may be lost", self.hook)
    }

    fn due(&self, counts: &mut Counts, now: u64) -> Option<String> {
        let between = ns(BETWEEN_LINES);
        if counts.said_at.is_some_and(|said| now.saturating_sub(said) < between) {
            return None;
        }
        let line = self.line(counts)?;
        counts.said_at = Some(now);
        Some(line)
    }

    fn line(&self, counts: &mut Counts) -> Option<String> {
        let mut parts = Vec::new();
        if counts.failed > 0 {
            parts.push(format!("{} not delivered (last: {})", counts.failed, counts.why));
        }
        if counts.dropped > 0 {
            parts.push(format!("{} dropped (its queue was full)", counts.dropped));
        }
        (counts.dropped, counts.failed) = (0, 0);
        (!parts.is_empty()).then(|| format!("{}: events lost: {}", self.hook, parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn losses_are_said_at_once_and_then_once_a_minute_with_their_number() {
        let tally = Tally::new("hook a".into());
        let line = tally.failed("status 500".into(), 0);
        assert_eq!(line.as_deref(), Some("hook a: events lost: 1 not delivered (last: status 500)"));
        assert_eq!(tally.dropped(S), None);
        assert_eq!(tally.dropped(2 * S), None);
        assert_eq!(tally.failed("status 502".into(), 59 * S), None);
        let line = tally.rest(60 * S);
        let both = "hook a: events lost: 1 not delivered (last: status 502), 2 dropped (its queue was full)";
        assert_eq!(line.as_deref(), Some(both), "every one of them is counted once");
        assert_eq!(tally.rest(500 * S), None, "nothing new is nothing to say");
        assert!(tally.dropped(501 * S).is_some() && tally.dropped(502 * S).is_none());
        assert_eq!(tally.last().as_deref(), Some("hook a: events lost: 1 dropped (its queue was full)"));
    }
}
