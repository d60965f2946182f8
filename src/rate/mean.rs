//! The rate of a job since it began: all that can be said of one that nobody followed.

/// Units a second of a job that has done `done` units, began `began` ns ago and last advanced `advanced` ns ago. `None` where
/// it has done none, or nothing measurable lies between.
pub fn mean_since(done: u64, began: u64, advanced: u64) -> Option<f64> {
    let until_advance = began.checked_sub(advanced).filter(|ns| *ns > 0 && done > 0)?;
    let per_s = |units: f64, ns: u64| units / (ns as f64 / 1e9);
    // The next unit may come at any moment; a job that stands still gets slower all the same.
    Some(per_s(done as f64, until_advance).min(per_s(done as f64 + 1.0, began)))
}

/// Seconds to `total` at that rate; `None` where that is for ever.
pub fn eta(done: u64, total: u64, rate: f64) -> Option<f64> {
    let left = total.saturating_sub(done) as f64;
    // Nothing is left where nothing is, whatever the rate.
    let eta = if left == 0.0 { 0.0 } else { left / rate };
    eta.is_finite().then_some(eta)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_job_has_the_rate_of_its_units_until_the_next_one_is_late() {
        assert_eq!(mean_since(10, 20 * S, 0), Some(0.5));
        assert_eq!(mean_since(10, 21 * S, S), Some(0.5), "the next unit is on its way");
        assert_eq!(mean_since(10, 110 * S, 90 * S), Some(0.1), "it is late: the job is slower by what it waits");
    }

    #[test]
    fn there_is_no_rate_before_the_first_unit_nor_of_an_instant() {
        assert_eq!(mean_since(0, 20 * S, S), None);
        assert_eq!(mean_since(5, S, S), None);
        assert_eq!(mean_since(5, S, 2 * S), None, "an advance before the job began is another job's");
        assert!(mean_since(u64::MAX, 1, 0).is_some_and(f64::is_finite));
    }

    #[test]
    fn the_eta_is_what_is_left_over_the_rate() {
        assert_eq!(eta(21, 50, 0.5), Some(58.0));
        assert_eq!([eta(50, 50, 0.0), eta(51, 50, 0.5)], [Some(0.0); 2], "nothing is left");
        assert_eq!([eta(1, 50, 0.0), eta(1, 50, f64::NAN)], [None; 2]);
    }
}
