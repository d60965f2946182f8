//! The cast: one row a scenario, with the verdict that it is promised. A new scenario is a new row.

use std::time::Duration;

use hangwatch::judge::Verdict;

use crate::player::Fault;

/// A scenario.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Label of its worker.
    pub(super) name: &'static str,
    pub(super) scenario: &'static str,
    pub(super) fault: Fault,
    /// Percentage at which it strikes.
    at: u64,
    pace: Steps,
    pub(super) promised: Verdict,
}

/// How a row's worker steps through its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Steps {
    /// A hundred, so that each is a percent, in one timeout.
    Fine,
    /// Ten, each in an eighth of a timeout: slower than the polls, which the original test needs to see a gap at all.
    Coarse,
    /// As fine, and so many that its first job lasts to the end: a new job would start the published fix anew.
    Endless,
}

const fn row(name: &'static str, scenario: &'static str, fault: Fault, at: u64, promised: Verdict) -> Row {
    Row { name, scenario, fault, at, pace: Steps::Fine, promised }
}

pub(super) const ROWS: [Row; 15] = [
    row("hang-0", "hangs at 0 %", Fault::Hang, 0, Verdict::Silent),
    row("stall-1", "stands still at 1 %, still beating", Fault::Stall, 1, Verdict::Stalled),
    row("stall-25", "stands still at 25 %, still beating", Fault::Stall, 25, Verdict::Stalled),
    row("stall-50", "stands still at 50 %, still beating", Fault::Stall, 50, Verdict::Stalled),
    row("stall-99", "stands still at 99 %, still beating", Fault::Stall, 99, Verdict::Stalled),
    row("hang-25", "hangs at 25 %, no beats", Fault::Hang, 25, Verdict::Silent),
    row("first-step", "no first step, a helper thread beats", Fault::StallBeforeFirstStep, 0, Verdict::Stalled),
    row("decode", "last step done, hangs in decode", Fault::Decode, 0, Verdict::Overdue),
    row("tail", "last step done, hangs in inference", Fault::Tail, 0, Verdict::Silent),
    row("load", "load stuck at 5 %, a helper thread beats", Fault::LoadDeadlock, 0, Verdict::Overdue),
    row("oom-flat", "out of memory at 75 %, retries flat", Fault::OomFlat, 75, Verdict::Stalled),
    row("oom-loop", "out of memory at 75 %, falls back to 0 %", Fault::OomLoop, 75, Verdict::Looping),
    row("healthy", "normal progress", Fault::None, 0, Verdict::Ok),
    Row { pace: Steps::Coarse, ..row("lease", "one step of 1.3 T, under a lease", Fault::Lease, 20, Verdict::Ok) },
    Row { pace: Steps::Endless, ..row("no-progress", "beats, reports no progress", Fault::NoProgress, 0, Verdict::Ok) },
];

impl Row {
    /// Whether its worker is healthy.
    pub(super) fn is_well(&self) -> bool {
        self.promised == Verdict::Ok
    }

    /// The arguments of `hangwatch inject` that play it, for a timeout.
    pub(super) fn arguments(&self, timeout: Duration) -> Vec<String> {
        let (steps, step_time) = match self.pace {
            Steps::Fine => (100, timeout / 100),
            Steps::Coarse => (10, timeout / 8),
            Steps::Endless => (1_000_000, timeout / 100),
        };
        // A healthy worker has more to do than anybody watches.
        let jobs = if self.is_well() { 1_000_000 } else { 1 };
        let time = |time: Duration| format!("{}us", time.as_micros());
        let mut arguments = vec!["inject".into(), self.fault.name()];
        for (flag, value) in [
            ("--name", self.name.into()),
            ("--at", self.at.to_string()),
            ("--steps", steps.to_string()),
            ("--step-time", time(step_time)),
            ("--beat-time", time(timeout / 40)),
            ("--slow", time(timeout)),
            ("--jobs", jobs.to_string()),
        ] {
            arguments.extend([flag.into(), value]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_told_apart_by_labels_that_a_slot_holds() {
        let mut names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len(), "a label is one row's");
        assert!(names.iter().all(|name| name.len() <= 40), "a label fits the slot");
    }

    #[test]
    fn a_healthy_row_is_one_that_must_never_be_flagged() {
        let well: Vec<_> = ROWS.iter().filter(|row| row.is_well()).map(|row| row.name).collect();
        assert_eq!(well, ["healthy", "lease", "no-progress"]);
    }
}
