//! The two tests of AI Horde's worker for a job that is stuck in inference, replayed over what hangwatch saw at each poll.
//!
//! Both look in inference only. Pure: no clock, no slot.

use std::time::Duration;

use hangwatch::Phase;
use hangwatch::observe::Observation;

/// Below this percentage, where one was reported, the original test says "not stuck".
const THRESHOLD: u8 = 1;

/// What a worker's states are to these tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Inference,
    /// Waiting for a job, or done with one.
    WaitingOrComplete,
    Other,
}

/// One poll of one worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: Duration,
    pub(super) state: State,
    pub(super) job: Option<u32>,
    /// A beat of any kind has come since the last poll.
    pub(super) beat: bool,
    pub(super) percent: Option<u8>,
}

impl Seen {
    /// What the origin would have known of an observation made at `now`.
    pub(super) fn of(observation: &Observation, now: u64) -> Self {
        Self {
            at: Duration::from_nanos(now),
            state: match observation.phase {
                Phase::Inference => State::Inference,
                Phase::Idle => State::WaitingOrComplete,
                _ => State::Other,
            },
            job: observation.job,
            beat: observation.ages.heartbeat.real == 0,
            // 0 to 100, so the cast only drops the fraction.
            percent: observation.percent().map(|percent| percent as u8),
        }
    }
}

/// The original test: the gap between the last two beats, computed when a beat arrives, against the timeout.
#[derive(Debug, Clone)]
pub(super) struct OriginalTest {
    timeout: Duration,
    job: Option<u32>,
    last_beat: Option<Duration>,
    gap: Duration,
}

impl OriginalTest {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, job: None, last_beat: None, gap: Duration::ZERO }
    }

    /// Stuck, with the gap that says so?
    pub(super) fn look(&mut self, seen: Seen) -> Option<Duration> {
        if seen.job != self.job {
            (self.job, self.last_beat, self.gap) = (seen.job, None, Duration::ZERO);
        }
        if seen.beat {
            self.gap = self.last_beat.map_or(Duration::ZERO, |last| seen.at.saturating_sub(last));
            self.last_beat = Some(seen.at);
        }
        if seen.state != State::Inference || seen.percent.is_some_and(|percent| percent < THRESHOLD) {
            return None;
        }
        (self.gap > self.timeout).then_some(self.gap)
    }
}

/// The published fix: the time since the percentage last changed, up or down, against the timeout.
#[derive(Debug, Clone)]
pub(super) struct PublishedFix {
    timeout: Duration,
    job: Option<u32>,
    percent: Option<u8>,
    changed_at: Option<Duration>,
}

impl PublishedFix {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, job: None, percent: None, changed_at: None }
    }

    /// Stuck, with the time since the last change?
    pub(super) fn look(&mut self, seen: Seen) -> Option<Duration> {
        let anew = seen.job != self.job || seen.percent != self.percent || seen.state == State::WaitingOrComplete;
        (self.job, self.percent) = (seen.job, seen.percent);
        let changed_at = match self.changed_at {
            Some(at) if !anew => at,
            _ => *self.changed_at.insert(seen.at),
        };
        let since = seen.at.saturating_sub(changed_at);
        (seen.state == State::Inference && since > self.timeout).then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(15);
    const POLL_MS: u64 = 200;

    /// A trace of one job from 0 s on: each step's second and percentage, and when it leaves inference for decoding.
    struct Trace<'a> {
        steps: &'a [(u64, u8)],
        decodes_at_s: Option<u64>,
        lasts_s: u64,
    }

    /// The polls of a trace; a beat is seen at the poll after it.
    fn polls(trace: &Trace<'_>) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut known = 0;
        for at_ms in (0..=trace.lasts_s * 1000).step_by(POLL_MS as usize) {
            let arrived = trace.steps.iter().filter(|(s, _)| s * 1000 < at_ms).count();
            let decodes = trace.decodes_at_s.is_some_and(|s| s * 1000 < at_ms);
            seen.push(Seen {
                at: Duration::from_millis(at_ms),
                state: if decodes { State::Other } else { State::Inference },
                job: Some(1),
                beat: arrived > known || at_ms == 0,
                percent: arrived.checked_sub(1).map(|last| trace.steps[last].1),
            });
            known = arrived;
        }
        seen
    }

    fn original(trace: &Trace<'_>) -> Option<Duration> {
        let mut test = OriginalTest::new(TIMEOUT);
        polls(trace).into_iter().find_map(|seen| test.look(seen).map(|_| seen.at))
    }

    fn fix(trace: &Trace<'_>) -> Option<Duration> {
        let mut test = PublishedFix::new(TIMEOUT);
        polls(trace).into_iter().find_map(|seen| test.look(seen).map(|_| seen.at))
    }

    fn one_a_second(last: u8) -> Vec<(u64, u8)> {
        (1..=last).map(|i| (u64::from(i), i)).collect()
    }

    #[test]
    fn silence_at_25_percent_is_never_stuck_to_the_original_and_is_to_its_fix() {
        let trace = Trace { steps: &one_a_second(25), decodes_at_s: None, lasts_s: 3600 };
        assert_eq!(original(&trace), None, "its gap freezes when beats stop");
        let at = fix(&trace).expect("the percentage no longer changes");
        assert_eq!(at, Duration::from_millis(40_400), "the first poll more than the timeout after the change was seen");
    }

    #[test]
    fn a_hang_before_the_first_step_is_never_stuck_to_the_original_and_is_to_its_fix() {
        let trace = Trace { steps: &[], decodes_at_s: None, lasts_s: 3600 };
        assert_eq!(original(&trace), None);
        assert_eq!(fix(&trace), Some(Duration::from_millis(15_200)));
    }

    #[test]
    fn a_hang_in_the_decode_is_never_stuck_to_either() {
        let trace = Trace { steps: &one_a_second(100), decodes_at_s: Some(100), lasts_s: 3600 };
        assert_eq!((original(&trace), fix(&trace)), (None, None));
    }

    #[test]
    fn a_slow_step_that_completes_is_stuck_to_the_original_at_25_2_seconds() {
        let mut steps = one_a_second(5);
        steps.extend((25..=40).map(|s| (s, s as u8 - 19)));
        let trace = Trace { steps: &steps, decodes_at_s: None, lasts_s: 40 };
        assert_eq!(original(&trace), Some(Duration::from_millis(25_200)), "flagged when it is over");
        assert_eq!(fix(&trace), Some(Duration::from_millis(20_400)), "flagged while it lasts");
    }

    #[test]
    fn a_percentage_below_the_threshold_is_not_stuck_to_the_original_whatever_the_gap() {
        let stuck_at = |percent| original(&Trace { steps: &[(1, percent), (30, percent)], decodes_at_s: None, lasts_s: 40 });
        assert_eq!((stuck_at(0), stuck_at(1)), (None, Some(Duration::from_millis(30_200))));
    }

    #[test]
    fn a_job_that_falls_back_for_ever_is_never_stuck_to_the_fix() {
        let steps: Vec<_> = (1..=3600).map(|s| (s, (s % 76) as u8)).collect();
        assert_eq!(fix(&Trace { steps: &steps, decodes_at_s: None, lasts_s: 3600 }), None, "any change is progress to it");
    }

    #[test]
    fn a_new_job_and_waiting_start_the_fix_anew() {
        let mut test = PublishedFix::new(TIMEOUT);
        let mut look = |s, job, state| {
            test.look(Seen { at: Duration::from_secs(s), state, job: Some(job), beat: true, percent: Some(50) }).is_some()
        };
        assert!(!look(0, 1, State::Inference));
        assert!(!look(14, 2, State::Inference));
        assert!(!look(28, 2, State::WaitingOrComplete));
        assert!(!look(42, 2, State::Inference));
        assert!(look(44, 2, State::Inference));
    }
}
