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

/// Median delay of all injected hangs, then of those in steady steps.
fn medians(scored: &Scored) -> [Option<f64>; 2] {
    let all = Scored::delays(scored.injected.iter().map(|row| &row.delay_s));
    let steady = Scored::delays(scored.injected.iter().filter(|row| row.steady).map(|row| &row.delay_s));
    [percentile(&all, 0.5), percentile(&steady, 0.5)]
}

/// The table. `carry`: what was learnt from the sessions for tuning is known at the start of each scored one.
pub(crate) fn table(families: &[Family], tune: &Part<'_>, scored_on: &Part<'_>, carry: bool) -> String {
    let mut rows = Vec::new();
    for family in families {
        let run = |value: f64, part: &Part<'_>, trained: bool| {
            let mut detector = (family.make)(value);
            if trained {
                train(&mut *detector, tune.sessions);
            }
            score(&*detector, part.sessions, part.cuts)
        };
        let tuned: Vec<Scored> = family.values.iter().map(|value| run(*value, tune, false)).collect();
        // Fewest false alarms, then the least delay.
        let worth = |scored: &Scored| (scored.false_alarms(), medians(scored)[0].unwrap_or(f64::INFINITY));
        let best = (0..tuned.len()).min_by(|a, b| {
            let (a, b) = (worth(&tuned[*a]), worth(&tuned[*b]));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        for (i, (value, tuned)) in family.values.iter().zip(&tuned).enumerate() {
            let scored = run(*value, scored_on, carry);
            let found = |scored: &Scored| scored.hangs.iter().filter(|row| row.delay_s.is_some()).count();
            let all = Scored::delays(scored.injected.iter().map(|row| &row.delay_s));
            let [p50, steady] = medians(&scored);
            rows.push(vec![
                family.name.to_owned(),
                format!("{} {value}", family.parameter),
                if tune.sessions.is_empty() { "-".into() } else { format!("{:.0}", tuned.per_1000_hours()) },
                if tune.sessions.is_empty() { "-".into() } else { table::delay(medians(tuned)[0]) },
                if Some(i) == best && !tune.sessions.is_empty() { "chosen".into() } else { String::new() },
                format!("{:.0}", scored.per_1000_hours()),
                table::delay(p50),
                table::delay(percentile(&all, 0.99)),
                table::delay(steady),
                format!("{} of {}", found(&scored), scored.hangs.len()),
            ]);
        }
    }
    table::markdown(
        &[
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
        ],
        &rows,
    )
}
