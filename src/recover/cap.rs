//! How many recoveries may begin while all workers are frozen together: then it is rather the host than they, and ending them
//! all at once would only lose every job. Pure.

use crate::policy::{Policy, ns};

/// When recoveries began. Instants in ns of a monotonic clock.
#[derive(Debug, Clone, Default)]
pub struct Cap {
    begun: Vec<u64>,
}

impl Cap {
    /// Whether one more may begin now: `max_kills` in any `max_kills_window`, evenly spread over it.
    pub fn allows(&mut self, now: u64, policy: &Policy) -> bool {
        let window = ns(policy.max_kills_window);
        self.begun.retain(|at| now.saturating_sub(*at) < window);
        let apart = window / policy.max_kills.max(1);
        self.begun.last().is_none_or(|last| now.saturating_sub(*last) >= apart)
    }

    /// A recovery has begun, of a frozen host or not.
    pub fn begun(&mut self, now: u64) {
        self.begun.push(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const S: u64 = 1_000_000_000;

    /// The seconds at which recoveries begin where one is wanted at every second.
    fn begun(max_kills: u64, window_s: u64, seconds: u64) -> Vec<u64> {
        let policy = Policy { max_kills, max_kills_window: Duration::from_secs(window_s), ..Policy::default() };
        let mut cap = Cap::default();
        let all = (0..seconds).filter(|second| {
            let allowed = cap.allows(second * S, &policy);
            if allowed {
                cap.begun(second * S);
            }
            allowed
        });
        all.collect()
    }

    #[test]
    fn so_many_in_a_window_and_spread_over_it() {
        assert_eq!(begun(1, 60, 150), [0, 60, 120]);
        assert_eq!(begun(3, 60, 70), [0, 20, 40, 60]);
    }

    #[test]
    fn one_that_began_before_all_froze_counts() {
        let mut cap = Cap::default();
        cap.begun(5 * S);
        assert!(!cap.allows(6 * S, &Policy::default()));
        assert!(cap.allows(65 * S, &Policy::default()));
    }
}
