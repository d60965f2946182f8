//! Each adaptive detector over a range of its parameter: what delay costs in false alarms. The parameter is chosen on the
//! sessions for tuning and scored on the others.

use super::baselines::{Akka, Baseline, Cassandra, Chen, Fixed, Longest, Per};
use super::detector::Detector;
use super::inject::Cut;
use super::ours::{ByInterval, Ours};
use super::score::{Known, Scored, percentile, score, train};
use super::table;

/// A detector family.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) parameter: &'static str,
    pub(crate) values: Vec<f64>,
    pub(crate) make: Box<dyn Fn(f64) -> Box<dyn Detector>>,
}

fn family(
    name: &'static str,
    parameter: &'static str,
    values: &[f64],
    make: impl Fn(f64) -> Box<dyn Detector> + 'static,
) -> Family {
    Family { name, parameter, values: values.to_vec(), make: Box::new(make) }
}

/// The families of the field.
pub(crate) fn baselines() -> Vec<Family> {
    const PHI: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
    vec![
        family("fixed", "seconds", &[2.0, 4.0, 6.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0], |t| {
            Baseline::boxed("fixed", Per::All, Fixed(t))
        }),
        family("phi, Akka", "phi", &PHI, |phi| Baseline::boxed("akka", Per::Slot, Akka::new(phi, 3.0))),
        family("phi, Akka, per key", "phi", &PHI, |phi| Baseline::boxed("akka", Per::Key, Akka::new(phi, 3.0))),
        family("phi, Cassandra", "phi", &PHI, |phi| Baseline::boxed("cassandra", Per::Slot, Cassandra::new(phi))),
        family("phi, Cassandra, per key", "phi", &PHI, |phi| Baseline::boxed("cassandra", Per::Key, Cassandra::new(phi))),
        family("Chen", "alpha, s", &[1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0], |alpha| {
            Baseline::boxed("chen", Per::Slot, Chen::new(alpha))
        }),
        family("k × max", "k", &[1.2, 1.5, 2.0, 3.0, 5.0, 8.0], |k| Baseline::boxed("max", Per::Slot, Longest::new(k))),
        family("k × max, per section", "k", &[1.2, 1.5, 2.0, 3.0, 5.0, 8.0], |k| {
            Baseline::boxed("max", Per::Section, Longest::new(k))
        }),
        family("k × max, per key", "k", &[1.2, 1.5, 2.0, 3.0, 5.0, 8.0], |k| Baseline::boxed("max", Per::Key, Longest::new(k))),
    ]
}

/// Our learnt thresholds, each times a factor.
pub(crate) fn ours(policies: ByInterval) -> Family {
    family("hangwatch, suspect", "T ×", &[0.25, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0, 4.0], move |factor| {
        Ours::scaled(factor, &policies)
    })
}

/// Sessions and the hangs that are injected into them.
pub(crate) struct Part<'a> {
    pub(crate) sessions: &'a [Known],
    pub(crate) cuts: &'a [Cut],
}

/// Median delay of all injected hangs.
fn median(scored: &Scored) -> Option<f64> {
    percentile(&Scored::delays(scored.injected.iter().map(|row| &row.delay_s)), 0.5)
}

/// What a detector at one parameter costs.
struct Point {
    family: &'static str,
    parameter: String,
    false_alarms: usize,
    p50: f64,
    p99: f64,
}

impl Point {
    fn new(family: &Family, value: f64, scored: &Scored) -> Self {
        let all = Scored::delays(scored.injected.iter().map(|row| &row.delay_s));
        let delay = |share| percentile(&all, share).unwrap_or(f64::INFINITY);
        let parameter = format!("{} {value}", family.parameter);
        Self { family: family.name, parameter, false_alarms: scored.false_alarms(), p50: delay(0.5), p99: delay(0.99) }
    }
}

/// The points of other families that no point of the last one equals or beats in both, false alarms and delay.
fn undominated(points: &[Point], delay: fn(&Point) -> f64) -> String {
    let Some(last) = points.last().map(|point| point.family) else { return "none".into() };
    let (ours, others): (Vec<&Point>, Vec<&Point>) = points.iter().partition(|point| point.family == last);
    let beaten = |other: &Point| ours.iter().any(|own| own.false_alarms <= other.false_alarms && delay(own) <= delay(other));
    let left = others.iter().filter(|other| !beaten(other));
    let left: Vec<String> = left.map(|point| format!("{} at {}", point.family, point.parameter)).collect();
    if left.is_empty() { "none".into() } else { left.join("; ") }
}

/// The table, and what of the others the last family does not dominate. `carry`: what was learnt from the sessions for tuning
/// is known at the start of each scored one.
pub(crate) fn table(families: &[Family], tune: &Part<'_>, scored_on: &Part<'_>, carry: bool) -> String {
    let (mut rows, mut points) = (Vec::new(), Vec::new());
    for family in families {
        let run = |value: f64, part: &Part<'_>, trained: bool| {
            let mut detector = (family.make)(value);
            if trained {
                train(&mut *detector, tune.sessions);
            }
            score(&*detector, part.sessions, part.cuts)
        };
        let tuned: Vec<Scored> = family.values.iter().map(|value| run(*value, tune, false)).collect();
        let best = chosen(&tuned).filter(|_| !tune.sessions.is_empty());
        for (i, (value, tuned)) in family.values.iter().zip(&tuned).enumerate() {
            let scored = run(*value, scored_on, carry);
            let point = Point::new(family, *value, &scored);
            let found = scored.hangs.iter().filter(|row| row.delay_s.is_some()).count();
            let steady = Scored::delays(scored.injected.iter().filter(|row| row.steady).map(|row| &row.delay_s));
            let of_tuning = |text: String| if tune.sessions.is_empty() { "-".into() } else { text };
            rows.push(vec![
                family.name.to_owned(),
                point.parameter.clone(),
                of_tuning(format!("{:.0}", tuned.per_1000_hours())),
                of_tuning(table::delay(median(tuned))),
                if Some(i) == best { "chosen".into() } else { String::new() },
                format!("{:.0}", scored.per_1000_hours()),
                table::delay(Some(point.p50)),
                table::delay(Some(point.p99)),
                table::delay(percentile(&steady, 0.5)),
                format!("{found} of {}", scored.hangs.len()),
            ]);
            points.push(point);
        }
    }
    let ours = families.last().map_or("", |family| family.name);
    let table = table::markdown(&HEAD, &rows);
    format!(
        "{table}\nOf the others, what no factor of '{ours}' equals or beats in both:\n\n\
         - false alarms and median delay of injected hangs: {}\n- false alarms and p99: {}\n",
        undominated(&points, |point| point.p50),
        undominated(&points, |point| point.p99),
    )
}

const HEAD: [&str; 10] = [
    "detector",
    "parameter",
    "tuning: per 1000 h",
    "p50",
    "",
    "scored: per 1000 h",
    "p50",
    "p99",
    "p50 in steady steps",
    "hangs found",
];

/// Fewest false alarms, then the least delay.
fn chosen(tuned: &[Scored]) -> Option<usize> {
    let worth = |scored: &Scored| (scored.false_alarms(), median(scored).unwrap_or(f64::INFINITY));
    let worths: Vec<_> = tuned.iter().map(worth).collect();
    (0..worths.len()).min_by(|a, b| worths[*a].0.cmp(&worths[*b].0).then(worths[*a].1.total_cmp(&worths[*b].1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(family: &'static str, false_alarms: usize, p50: f64) -> Point {
        Point { family, parameter: format!("{false_alarms}"), false_alarms, p50, p99: f64::INFINITY }
    }

    #[test]
    fn a_point_is_dominated_by_one_that_is_no_worse_in_both() {
        let points = [point("other", 3, 2.0), point("other", 1, 9.0), point("other", 0, 1.0), point("ours", 1, 2.0)];
        assert_eq!(
            undominated(&points, |point| point.p50),
            "other at 0",
            "3 alarms at 2 s and 1 at 9 s are no better than 1 at 2 s"
        );
        assert_eq!(undominated(&points, |point| point.p99), "other at 0", "never is no better than never");
        assert_eq!(undominated(&points[2..], |_| 0.0), "other at 0");
        assert_eq!(undominated(&[point("other", 1, 2.0), point("ours", 1, 2.0)], |point| point.p50), "none");
    }
}
