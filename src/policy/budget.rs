//! How long a phase may last without its sign of life.

use std::time::Duration;

use super::keys::Policy;
use super::value::MAX_DURATION;
use crate::layout::phase::{Class, Phase};
use crate::layout::user_phase::UserPhase;

/// The largest batch that lengthens a budget: a job's batch is not trusted.
const MAX_BATCH: u64 = 1024;
/// The longest budget that a worker may give a phase of its own; not trusted either.
const MAX_USER_BUDGET: Duration = Duration::from_secs(24 * 3600);

impl Policy {
    /// The budget of a phase; `None` where none runs: idle, ended, and inference, which has clocks of its own.
    ///
    /// `batch` is the job's, 0 where it says none. `user` is the registered entry of a `Phase::User`.
    pub fn phase_budget(&self, phase: Phase, batch: u64, user: Option<&UserPhase>) -> Option<Duration> {
        match phase {
            Phase::Idle | Phase::Ended | Phase::Inference => None,
            Phase::Starting => Some(self.starting_timeout),
            Phase::Received => Some(self.received_timeout),
            Phase::Downloading => Some(self.downloading_timeout),
            Phase::DownloadingAux => Some(self.downloading_aux_timeout),
            Phase::Loading => Some(self.loading_timeout),
            Phase::Compiling => Some(self.compiling_timeout),
            Phase::PostProcessing => Some(self.post_processing_budget(batch)),
            Phase::Safety => Some(self.safety_timeout),
            Phase::Ending => Some(self.ending_timeout),
            Phase::User(_) => user.map_or(Some(self.other_phase_timeout), |entry| self.user_budget(entry)),
            Phase::Unknown(_) => Some(self.other_phase_timeout),
        }
    }

    /// How long a phase of that budget may last in all, signs of life or not.
    pub fn phase_limit(&self, budget: Duration) -> Duration {
        Duration::try_from_secs_f64(budget.as_secs_f64() * self.max_phase_factor).unwrap_or(MAX_DURATION)
    }

    /// A clock's budget while `done` units of a job are done: the first ones may compile and warm up.
    pub fn warmed(&self, usual: Duration, done: u64) -> Duration {
        if done < self.warmup_steps { usual.max(self.warmup_timeout) } else { usual }
    }

    /// The latest that a hang in inference is seen while polls are on time: the longer clock, warming up, and two polls.
    pub fn worst_case_detection(&self) -> Duration {
        self.warmed(self.heartbeat_timeout.max(self.progress_timeout), 0).saturating_add(self.two_polls())
    }

    /// The least that a budget may be: a sign of life can be a poll old when it is read, and a budget that a healthy worker
    /// can use up by that alone would accuse it.
    pub(super) fn two_polls(&self) -> Duration {
        self.poll_interval.saturating_mul(2)
    }

    fn post_processing_budget(&self, batch: u64) -> Duration {
        let batch = if batch == 0 { self.max_batch } else { batch }.min(MAX_BATCH) as u32;
        let added = self.post_processing_per_batch.saturating_mul(batch);
        self.post_processing_timeout.saturating_add(added).min(MAX_DURATION)
    }

    fn user_budget(&self, entry: &UserPhase) -> Option<Duration> {
        if entry.class == Class::Idle || entry.budget_ns == 0 {
            return None;
        }
        // Not `clamp`: it panics where two polls exceed a day, which only a policy that was never validated has.
        Some(Duration::from_nanos(entry.budget_ns).min(MAX_USER_BUDGET).max(self.two_polls()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::phase::TABLE;

    fn user(class: Class, budget_ns: u64) -> UserPhase {
        UserPhase { index: 0, class, budget_ns, name: "upscale".into() }
    }

    fn budget_of(entry: &UserPhase) -> Option<Duration> {
        Policy::default().phase_budget(Phase::User(0), 0, Some(entry))
    }

    #[test]
    fn by_default_every_phase_but_inference_has_the_budget_of_its_row() {
        for row in TABLE {
            let expected = if row.phase == Phase::Inference { None } else { row.budget(4) };
            assert_eq!(Policy::default().phase_budget(row.phase, 4, None), expected, "{}", row.name);
        }
    }

    #[test]
    fn a_phase_takes_the_budget_of_its_own_key() {
        for row in TABLE.iter().filter(|row| row.phase != Phase::Inference && row.budget_s > 0) {
            let mut policy = Policy { post_processing_per_batch: Duration::ZERO, ..Policy::default() };
            let key = format!("{}_timeout", row.name);
            policy.set(&key, crate::policy::Value::Duration(Duration::from_secs(77))).unwrap();
            assert_eq!(policy.phase_budget(row.phase, 0, None), Some(Duration::from_secs(77)), "{key}");
        }
    }

    #[test]
    fn post_processing_grows_with_the_batch_and_a_job_that_says_none_has_the_largest() {
        let policy = Policy { max_batch: 8, ..Policy::default() };
        let budget = |batch| policy.phase_budget(Phase::PostProcessing, batch, None).unwrap().as_secs();
        assert_eq!(budget(1), 63);
        assert_eq!(budget(0), 60 + 3 * 8);
        assert_eq!(budget(u64::MAX), 60 + 3 * 1024, "a batch is not trusted");
        let policy = Policy { post_processing_per_batch: MAX_DURATION, ..policy };
        assert_eq!(policy.phase_budget(Phase::PostProcessing, u64::MAX, None), Some(MAX_DURATION));
    }

    #[test]
    fn a_user_phase_has_its_own_budget_within_two_polls_and_a_day() {
        assert_eq!(budget_of(&user(Class::Work, 5_000_000_000)), Some(Duration::from_secs(5)));
        assert_eq!(budget_of(&user(Class::Exit, 5_000_000_000)), Some(Duration::from_secs(5)));
        assert_eq!(budget_of(&user(Class::Work, 1)), Some(Duration::from_secs(2)));
        assert_eq!(budget_of(&user(Class::Work, u64::MAX)), Some(Duration::from_secs(86_400)));
    }

    #[test]
    fn a_user_phase_that_is_idle_or_names_no_budget_has_none() {
        assert_eq!(budget_of(&user(Class::Idle, 5_000_000_000)), None);
        assert_eq!(budget_of(&user(Class::Work, 0)), None);
    }

    #[test]
    fn a_phase_that_cannot_be_read_is_still_judged() {
        let policy = Policy { other_phase_timeout: Duration::from_secs(77), ..Policy::default() };
        assert_eq!(policy.phase_budget(Phase::Unknown(99), 0, None), Some(Duration::from_secs(77)));
        assert_eq!(policy.phase_budget(Phase::User(3), 0, None), Some(Duration::from_secs(77)));
    }

    #[test]
    fn a_phase_limit_is_so_many_budgets_and_never_panics() {
        assert_eq!(Policy::default().phase_limit(Duration::from_secs(80)), Duration::from_secs(800));
        for factor in [f64::NAN, f64::INFINITY, f64::MAX, -1.0] {
            let policy = Policy { max_phase_factor: factor, ..Policy::default() };
            assert_eq!(policy.phase_limit(Duration::from_secs(80)), MAX_DURATION);
        }
    }

    #[test]
    fn the_first_units_have_the_budget_of_warming_up_and_never_less_than_the_others() {
        let policy = Policy { warmup_steps: 2, ..Policy::default() };
        let warmed = |policy: &Policy, usual, done| policy.warmed(Duration::from_secs(usual), done).as_secs();
        assert_eq!([0, 1, 2, 3].map(|done| warmed(&policy, 600, done)), [1800, 1800, 600, 600]);
        assert_eq!(warmed(&policy, 7200, 0), 7200);
        assert_eq!(warmed(&Policy::default(), 600, 0), 600, "by default nothing warms up");
        assert_eq!(policy.worst_case_detection().as_secs(), 1802, "a hang may be in the first unit");
    }

    #[test]
    fn the_worst_case_is_the_longer_clock_and_two_polls() {
        let policy =
            Policy { heartbeat_timeout: Duration::from_secs(5), poll_interval: Duration::from_millis(100), ..Policy::default() };
        assert_eq!(policy.worst_case_detection(), Duration::from_millis(600_200));
    }
}
