//! What the polls show of one worker, and whether it is what was promised. Pure: polls in, an outcome out.

use std::time::Duration;

use hangwatch::judge::{Judgement, Severity, Verdict};
use hangwatch::monitor::Judged;
use hangwatch::observe::{Observation, Tick};

use super::origin::{OriginalTest, PublishedFix, Seen};

/// The first judged poll with a verdict that a person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) judgement: Judgement,
    /// The monitor's clock.
    pub(super) at: u64,
    /// By how much that clock had grown since the last poll that judged this worker.
    pub(super) since_judged: u64,
    /// Polls lay between that judged nobody.
    pub(super) after_gap: bool,
}

/// One worker's record.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) first_seen: Option<u64>,
    pub(super) last_seen: Option<u64>,
    pub(super) opening: Option<Opening>,
    /// When each of the origin's tests first said "stuck", with the age that said so.
    pub(super) original: Option<Duration>,
    pub(super) fix: Option<Duration>,
    last_judged: Option<u64>,
    skipped: bool,
    last: Option<Observation>,
    original_test: OriginalTest,
    published_fix: PublishedFix,
}

/// What was promised of every row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    pub(super) timeout: Duration,
    pub(super) poll: Duration,
}

impl Promise {
    /// The latest age at which a hang is flagged while polls are on time.
    pub(super) fn latest(&self) -> Duration {
        self.timeout + 2 * self.poll
    }
}

impl Record {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            first_seen: None,
            last_seen: None,
            opening: None,
            original: None,
            fix: None,
            last_judged: None,
            skipped: false,
            last: None,
            original_test: OriginalTest::new(timeout),
            published_fix: PublishedFix::new(timeout),
        }
    }

    /// Takes in one poll.
    pub(super) fn take(&mut self, judged: &Judged, tick: Tick) {
        self.first_seen.get_or_insert(tick.now);
        self.last_seen = Some(tick.now);
        // Ages grow from poll to poll: an observation that did not change is the last one, told again.
        if self.last.as_ref() == Some(&judged.observation) {
            self.skipped = true;
            return;
        }
        self.last = Some(judged.observation.clone());
        let seen = Seen::of(&judged.observation, tick.now);
        self.original = self.original.or(self.original_test.look(seen));
        self.fix = self.fix.or(self.published_fix.look(seen));
        if tick.gap {
            self.skipped = true;
            return;
        }
        // A starved worker is the machine's affair: while its budget is stretched nothing is said of the worker.
        let told = judged.judgement.severity != Severity::Well && judged.judgement.verdict != Verdict::Starved;
        if self.opening.is_none() && told {
            self.opening = Some(Opening {
                judgement: judged.judgement,
                at: tick.now,
                since_judged: tick.now - self.last_judged.unwrap_or(tick.now),
                after_gap: self.skipped,
            });
        }
        self.last_judged = Some(tick.now);
        self.skipped = false;
    }

    /// What hangwatch says of it.
    pub(super) fn verdict(&self) -> Verdict {
        match (self.opening, self.first_seen) {
            (Some(opening), _) => opening.judgement.verdict,
            (None, Some(_)) => Verdict::Ok,
            (None, None) => Verdict::Unknown,
        }
    }

    /// The age at which it was flagged, by the monitor's clock.
    pub(super) fn detected_after(&self) -> Option<Duration> {
        self.opening?.judgement.spent.map(|spent| Duration::from_nanos(spent.age))
    }

    /// Why this is not what was promised; `None` where it is. `end` is the monitor's clock at the last poll.
    pub(super) fn broken(&self, promised: Verdict, promise: &Promise, end: u64) -> Option<String> {
        let (Some(first), Some(last)) = (self.first_seen, self.last_seen) else {
            return Some("its worker was never seen".into());
        };
        match self.opening {
            Some(opening) => opening.broken(promised, promise),
            None if promised != Verdict::Ok => Some(format!("expected {promised}, was never flagged")),
            None if last != end => Some("its worker left before the end".into()),
            None if u128::from(end - first) <= 2 * promise.timeout.as_nanos() => {
                Some("it was observed for less than two timeouts".into())
            }
            None => None,
        }
    }
}

impl Opening {
    fn broken(&self, promised: Verdict, promise: &Promise) -> Option<String> {
        let verdict = self.judgement.verdict;
        if verdict != promised {
            return Some(format!("expected {promised}, got {verdict}"));
        }
        let Some(spent) = self.judgement.spent else { return Some("no clock proves it".into()) };
        let (age, budget) = (spent.age, spent.budget);
        let text = |ns: u64| format!("{:.3}s", Duration::from_nanos(ns).as_secs_f64());
        let latest = budget.saturating_add(2 * promise.poll.as_nanos() as u64);
        if u128::from(budget) != promise.timeout.as_nanos() {
            Some(format!("its budget was {}, expected {}", text(budget), text(promise.timeout.as_nanos() as u64)))
        } else if age < budget {
            Some(format!("flagged early: {} {}, of {}", spent.clock, text(age), text(budget)))
        } else if age.saturating_sub(self.since_judged) >= budget {
            Some(format!("flagged late: {} was past {} at the poll before", spent.clock, text(budget)))
        } else if !self.after_gap && age >= latest {
            Some(format!("flagged late: {} {}, expected less than {}", spent.clock, text(age), text(latest)))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hangwatch::judge::Spent;

    const MS: u64 = 1_000_000;
    const PROMISE: Promise = Promise { timeout: Duration::from_secs(2), poll: Duration::from_millis(100) };

    fn opening(verdict: Verdict, age_ms: u64, since_judged_ms: u64) -> Opening {
        let spent = Some(Spent { clock: "progress", age: age_ms * MS, counted: age_ms * MS, budget: 2000 * MS });
        Opening {
            judgement: Judgement { verdict, spent, severity: verdict.severity() },
            at: 3000 * MS,
            since_judged: since_judged_ms * MS,
            after_gap: false,
        }
    }

    /// Observed from 0 to `last_ms`.
    fn record(opening: Option<Opening>, last_ms: u64) -> Record {
        Record { first_seen: Some(0), last_seen: Some(last_ms * MS), opening, ..Record::new(PROMISE.timeout) }
    }

    fn why(opening: Opening) -> String {
        record(Some(opening), 6000).broken(Verdict::Stalled, &PROMISE, 6000 * MS).unwrap_or_default()
    }

    #[test]
    fn a_row_is_as_promised_at_the_first_judged_poll_past_its_budget() {
        for (age, since) in [(2000, 100), (2099, 100), (2199, 200)] {
            assert_eq!(why(opening(Verdict::Stalled, age, since)), "", "age {age} ms, {since} ms after the last judged poll");
        }
    }

    #[test]
    fn another_verdict_an_early_one_and_a_late_one_break_the_promise() {
        assert_eq!(why(opening(Verdict::Silent, 2050, 100)), "expected stalled, got silent");
        assert!(why(opening(Verdict::Stalled, 1999, 100)).starts_with("flagged early"));
        assert!(why(opening(Verdict::Stalled, 2150, 100)).starts_with("flagged late"), "the poll before had it");
        assert!(why(opening(Verdict::Stalled, 2200, 300)).starts_with("flagged late"), "past the window, and no gap to blame");
        let unproven = Opening {
            judgement: Judgement { spent: None, ..opening(Verdict::Stalled, 0, 0).judgement },
            ..opening(Verdict::Stalled, 0, 0)
        };
        assert_eq!(why(unproven), "no clock proves it");
    }

    #[test]
    fn after_polls_that_judged_nobody_the_first_one_that_judges_is_in_time() {
        let opening = Opening { after_gap: true, ..opening(Verdict::Stalled, 2300, 350) };
        assert_eq!(why(opening), "");
    }

    #[test]
    fn a_hang_that_is_never_flagged_and_a_worker_never_seen_break_the_promise() {
        let broken = |record: &Record| record.broken(Verdict::Silent, &PROMISE, 6000 * MS);
        assert_eq!(broken(&record(None, 6000)).as_deref(), Some("expected silent, was never flagged"));
        assert_eq!(broken(&Record::new(PROMISE.timeout)).as_deref(), Some("its worker was never seen"));
    }

    #[test]
    fn a_healthy_worker_must_be_there_to_the_end_for_two_timeouts_and_never_be_flagged() {
        let broken = |record: &Record, end_ms| record.broken(Verdict::Ok, &PROMISE, end_ms * MS);
        assert_eq!(broken(&record(None, 6000), 6000), None);
        assert!(broken(&record(None, 5000), 6000).is_some(), "it left");
        assert!(broken(&record(None, 4000), 4000).is_some(), "two timeouts are not more than two");
        assert!(broken(&record(Some(opening(Verdict::Silent, 2050, 100)), 6000), 6000).is_some(), "it was flagged");
    }
}
