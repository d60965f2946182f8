//! A storm: workers are restarted so often, all together, that it is rather the host, a driver or a file system than they.
//! Then restarts come one by one, so that the first to stay up shows that it is over. Pure.

use crate::policy::{Policy, ns};

/// When restarts of all workers were planned. Instants in ns of a monotonic clock.
#[derive(Debug, Clone, Default)]
pub struct Storm {
    restarts: Vec<u64>,
    /// A storm goes on; when the next restart in it may come.
    next: Option<u64>,
}

/// What a restart is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// When it may come at the earliest.
    pub not_before: u64,
    /// With this one it has become a storm: so many restarts in the window.
    pub breaks_out: Option<usize>,
}

impl Storm {
    /// A restart is planned at `now`.
    pub fn restart(&mut self, now: u64, policy: &Policy) -> Turn {
        let window = ns(policy.storm_window);
        self.restarts.retain(|at| now.saturating_sub(*at) < window);
        self.restarts.push(now);
        let many = self.restarts.len() as u64 >= policy.storm_restarts;
        // It is over once a whole window saw fewer.
        let breaks_out = (many && self.next.is_none()).then_some(self.restarts.len());
        if !many {
            self.next = None;
            return Turn { not_before: now, breaks_out };
        }
        let apart = window / policy.storm_restarts.max(1);
        let not_before = self.next.unwrap_or(now).max(now);
        self.next = Some(not_before.saturating_add(apart));
        Turn { not_before, breaks_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn policy() -> Policy {
        Policy { storm_restarts: 3, ..Policy::default() }
    }

    #[test]
    fn a_few_restarts_are_no_storm() {
        let mut storm = Storm::default();
        for minute in 0..10 {
            for _ in 0..2 {
                let now = minute * 60 * S;
                assert_eq!(storm.restart(now, &policy()), Turn { not_before: now, breaks_out: None });
            }
        }
    }

    #[test]
    fn many_at_once_are_told_once_and_then_come_one_by_one() {
        let mut storm = Storm::default();
        let turns: Vec<Turn> = (0..6).map(|_| storm.restart(0, &policy())).collect();
        assert_eq!(turns.iter().map(|turn| turn.not_before / S).collect::<Vec<_>>(), [0, 0, 0, 20, 40, 60]);
        assert_eq!(turns.iter().filter_map(|turn| turn.breaks_out).collect::<Vec<_>>(), [3], "told once");
    }

    #[test]
    fn it_is_over_once_a_window_saw_fewer_and_a_next_one_is_told_again() {
        let mut storm = Storm::default();
        for _ in 0..5 {
            storm.restart(0, &policy());
        }
        assert_eq!(storm.restart(100 * S, &policy()), Turn { not_before: 100 * S, breaks_out: None });
        storm.restart(100 * S, &policy());
        assert_eq!(storm.restart(101 * S, &policy()).breaks_out, Some(3));
    }
}
