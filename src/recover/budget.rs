//! How soon and how often a worker is started again. Pure.
//!
//! The count is reset by sustained progress only: a worker that starts well and hangs every time would otherwise be
//! restarted for ever, since each respawn "succeeds", and a hang may take longer to see than any window.

use crate::policy::{Policy, ns};
use std::time::Duration;

/// One worker's restarts. Instants in ns of a monotonic clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budget {
    used: u64,
    /// When the advances that still go on began, and the last of them.
    advancing: Option<(u64, u64)>,
}

impl Budget {
    /// One of which so much is used already.
    pub fn with_used(used: u64) -> Self {
        Self { used, advancing: None }
    }

    /// Restarts since the last sustained progress.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// The worker advanced. Once it has advanced for `restart_window` without a pause as long as the progress budget, the
    /// budget is whole again.
    pub fn advanced(&mut self, now: u64, policy: &Policy) {
        let began = match self.advancing {
            Some((began, last)) if now.saturating_sub(last) < ns(policy.progress_timeout) => began,
            _ => now,
        };
        self.advancing = Some((began, now));
        if now.saturating_sub(began) >= ns(policy.restart_window) {
            self.used = 0;
        }
    }

    /// The pause before the next start, or `None`: the budget is spent. `jitter` in 0..1 spreads the pause by ± 20 %.
    pub fn restart(&mut self, policy: &Policy, jitter: f64) -> Option<Duration> {
        if self.used >= policy.max_restarts {
            return None;
        }
        let doublings = u32::try_from(self.used).unwrap_or(u32::MAX);
        let pause = policy.backoff.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(policy.backoff_max);
        self.used += 1;
        self.advancing = None;
        Some(pause.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn pauses_double_up_to_the_longest_and_the_budget_ends() {
        let policy = Policy { max_restarts: 12, ..Policy::default() };
        let mut budget = Budget::default();
        let pauses: Vec<u64> = std::iter::from_fn(|| budget.restart(&policy, 0.5)).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn the_jitter_stays_within_a_fifth() {
        let policy = Policy::default();
        assert_eq!(Budget::default().restart(&policy, 0.0), Some(Duration::from_millis(800)));
        assert_eq!(Budget::default().restart(&policy, 1.0), Some(Duration::from_millis(1200)));
    }

    #[test]
    fn sustained_progress_and_nothing_else_makes_the_budget_whole() {
        let policy = Policy::default();
        let mut budget = Budget::default();
        budget.restart(&policy, 0.5);
        for second in 0..599 {
            budget.advanced(second * S, &policy);
        }
        assert_eq!(budget.used(), 1, "less than the window is not sustained");
        budget.advanced(2000 * S, &policy);
        assert_eq!(budget.used(), 1, "advances with a pause of a hang's length between them are not sustained");
        for second in 2000..=2600 {
            budget.advanced(second * S, &policy);
        }
        assert_eq!(budget.used(), 0);
    }
}
