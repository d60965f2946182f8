//! Which models keep hanging, whoever runs them: such a model is quarantined, so that whoever hands out jobs can leave it out. Pure.

use crate::policy::{Policy, ns};
use std::collections::BTreeMap;

/// Models that are remembered: their names come from workers, so their number is bounded.
const MAX_MODELS: usize = 256;
/// Hangs that are remembered of one.
const MAX_HANGS: usize = 1024;

/// When models hung. Instants in ns of a monotonic clock.
#[derive(Debug, Clone, Default)]
pub struct Models {
    hangs: BTreeMap<String, Vec<u64>>,
}

impl Models {
    /// A job of this model hung. Returns how many hangs put it into quarantine, if this one did.
    pub fn hung(&mut self, model: &str, now: u64, policy: &Policy) -> Option<usize> {
        if model.is_empty() || policy.max_model_hangs == 0 {
            return None;
        }
        self.forget(now, policy);
        if self.hangs.len() >= MAX_MODELS && !self.hangs.contains_key(model) {
            return None;
        }
        let was = self.is_quarantined(model, policy);
        let hangs = self.hangs.entry(model.to_owned()).or_default();
        if hangs.len() >= MAX_HANGS {
            hangs.remove(0);
        }
        hangs.push(now);
        let count = hangs.len();
        (!was && self.is_quarantined(model, policy)).then_some(count)
    }

    fn is_quarantined(&self, model: &str, policy: &Policy) -> bool {
        self.hangs.get(model).is_some_and(|hangs| hangs.len() as u64 >= policy.max_model_hangs)
    }

    /// A model whose last hang is a window ago starts anew; of the others the window's hangs count. One in quarantine stays
    /// there until then.
    fn forget(&mut self, now: u64, policy: &Policy) {
        let window = ns(policy.model_window);
        let max = policy.max_model_hangs;
        self.hangs.retain(|_, hangs| {
            if hangs.last().is_none_or(|last| now.saturating_sub(*last) >= window) {
                return false;
            }
            if (hangs.len() as u64) < max {
                hangs.retain(|at| now.saturating_sub(*at) < window);
            }
            true
        });
    }

    /// Those in quarantine now, by name.
    pub fn quarantined(&mut self, now: u64, policy: &Policy) -> Vec<&str> {
        self.forget(now, policy);
        let max = policy.max_model_hangs;
        self.hangs.iter().filter(|(_, hangs)| max > 0 && hangs.len() as u64 >= max).map(|(model, _)| model.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    #[test]
    fn the_third_hang_in_an_hour_quarantines_a_model_and_no_other() {
        let (policy, mut models) = (Policy::default(), Models::default());
        assert_eq!(models.hung("sdxl", 0, &policy), None);
        assert_eq!(models.hung("flux", 0, &policy), None);
        assert_eq!(models.hung("sdxl", MINUTE, &policy), None);
        assert_eq!(models.hung("sdxl", 2 * MINUTE, &policy), Some(3));
        assert_eq!(models.hung("sdxl", 3 * MINUTE, &policy), None, "told once");
        assert_eq!(models.quarantined(4 * MINUTE, &policy), ["sdxl"]);
    }

    #[test]
    fn hangs_far_apart_quarantine_nobody() {
        let (policy, mut models) = (Policy::default(), Models::default());
        assert!((0..50).all(|n| models.hung("sdxl", n * 31 * MINUTE, &policy).is_none()));
    }

    #[test]
    fn a_window_without_a_hang_lifts_the_quarantine_and_it_can_come_again() {
        let (policy, mut models) = (Policy::default(), Models::default());
        for n in 0..3 {
            models.hung("sdxl", n * MINUTE, &policy);
        }
        assert_eq!(models.quarantined(61 * MINUTE, &policy), ["sdxl"]);
        assert_eq!(models.quarantined(62 * MINUTE, &policy), [""; 0]);
        let again: Vec<_> = (0..3).map(|n| models.hung("sdxl", (70 + n) * MINUTE, &policy)).collect();
        assert_eq!(again, [None, None, Some(3)]);
    }

    #[test]
    fn a_job_without_a_model_and_a_policy_that_wants_none_quarantine_nothing() {
        let mut models = Models::default();
        let off = Policy { max_model_hangs: 0, ..Policy::default() };
        assert!((0..9).all(|n| models.hung("", n, &Policy::default()).is_none() && models.hung("sdxl", n, &off).is_none()));
        assert_eq!(models.quarantined(9, &off), [""; 0]);
    }

    #[test]
    fn made_up_names_take_no_more_than_their_room() {
        let (policy, mut models) = (Policy::default(), Models::default());
        for n in 0..10 * MAX_MODELS {
            models.hung(&format!("model {n}"), 0, &policy);
        }
        for _ in 0..10 * MAX_HANGS {
            models.hung("model 0", 0, &policy);
        }
        assert!(models.hangs.len() <= MAX_MODELS && models.hangs["model 0"].len() <= MAX_HANGS);
    }
}
