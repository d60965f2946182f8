//! The end of a run: what each replica and each model went through, and the exit code.

use crate::exit;
use hangwatch::monitor::{FleetEnd, ModelReport, ReplicaEnd, ReplicaReport};
use hangwatch::tell::text::escaped;
use hangwatch::{Error, ErrorKind, Result};

/// A line a replica and a line a model into the log.
pub(super) fn log(end: &FleetEnd) {
    for (number, report) in end.reports.iter().enumerate() {
        tracing::info!("replica {number} {}", replica(report));
    }
    for report in &end.models {
        tracing::info!("{}", model(report));
    }
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn replica(report: &ReplicaReport) -> String {
    let ReplicaReport { end, starts, hangs, lost_jobs } = report;
    let restarts = count(starts.saturating_sub(1), "restart");
    let numbers = [count(*starts, "start"), restarts, count(*hangs, "hang"), count(*lost_jobs, "lost job")].join(", ");
    let how = match end {
        ReplicaEnd::Code(code) => format!("ended with exit code {code}"),
        ReplicaEnd::Signal(signal) => format!("ended by signal {signal}"),
        ReplicaEnd::GaveUp => "was given up".into(),
        ReplicaEnd::Killed => "was ended because it hung".into(),
        ReplicaEnd::Stopped => "was stopped".into(),
        ReplicaEnd::Unkillable => "outlived SIGKILL".into(),
        ReplicaEnd::Unknown => "ended, and nobody tells how".into(),
        ReplicaEnd::NotStarted(why) => format!("could not be started: {}", escaped(why)),
    };
    format!("{how}: {numbers}")
}

fn model(report: &ModelReport) -> String {
    let ModelReport { model, hangs, lost_jobs } = report;
    format!("model '{}': {}, {}", escaped(model), count(*hangs, "hang"), count(*lost_jobs, "lost job"))
}

/// The command's exit code.
pub(super) fn code(end: &FleetEnd) -> Result<u8> {
    if let Some(why) = end.replicas.iter().find_map(|end| if let ReplicaEnd::NotStarted(why) = end { Some(why) } else { None }) {
        let (what, why) = why.split_once(": ").unwrap_or(("cannot start the worker", why));
        return Err(Error::new(ErrorKind::Usage, what, why).hint("the worker's command follows '--'"));
    }
    if end.replicas.contains(&ReplicaEnd::GaveUp) {
        return Ok(exit::GAVE_UP);
    }
    Ok(match end.replicas.as_slice() {
        [ReplicaEnd::Code(code)] => u8::try_from(*code).unwrap_or(u8::MAX),
        [ReplicaEnd::Signal(signal)] => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        ends if ends.iter().all(|end| matches!(end, ReplicaEnd::Code(0) | ReplicaEnd::Stopped)) => exit::WELL,
        _ => exit::ACTING,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(replicas: &[ReplicaEnd]) -> FleetEnd {
        FleetEnd { replicas: replicas.to_vec(), ..FleetEnd::default() }
    }

    #[test]
    fn a_single_workers_own_end_is_the_commands_and_giving_up_has_a_code_of_its_own() {
        let code = |replicas: &[ReplicaEnd]| code(&end(replicas)).expect("a code");
        assert_eq!(code(&[ReplicaEnd::Code(0)]), 0);
        assert_eq!(code(&[ReplicaEnd::Code(42)]), 42);
        assert_eq!(code(&[ReplicaEnd::Signal(11)]), 139);
        assert_eq!(code(&[ReplicaEnd::GaveUp]), 5);
        assert_eq!(code(&[ReplicaEnd::Code(0), ReplicaEnd::GaveUp]), 5);
        assert_eq!(code(&[ReplicaEnd::Code(0), ReplicaEnd::Stopped]), 0);
        assert_eq!(code(&[ReplicaEnd::Code(0), ReplicaEnd::Code(42)]), 1);
        assert_eq!(code(&[ReplicaEnd::Killed]), 1);
    }

    #[test]
    fn a_command_that_cannot_be_started_is_an_error() {
        let end = end(&[ReplicaEnd::NotStarted("cannot start './w': no such file or directory".into())]);
        assert!(code(&end).is_err_and(|e| e.kind() == ErrorKind::Usage && e.what() == "cannot start './w'"));
    }

    #[test]
    fn a_replica_and_a_model_are_told_with_what_they_cost() {
        let report = |end, starts, hangs, lost_jobs| replica(&ReplicaReport { end, starts, hangs, lost_jobs });
        assert_eq!(report(ReplicaEnd::GaveUp, 4, 4, 1), "was given up: 4 starts, 3 restarts, 4 hangs, 1 lost job");
        assert_eq!(report(ReplicaEnd::Code(0), 1, 0, 0), "ended with exit code 0: 1 start, 0 restarts, 0 hangs, 0 lost jobs");
        let report = ModelReport { model: "sd\u{1b}xl".into(), hangs: 1, lost_jobs: 2 };
        assert_eq!(model(&report), "model 'sd\\u{1b}xl': 1 hang, 2 lost jobs");
    }
}
