//! `hangwatch run`: spawn workers, watch them, replace those that hang or fail.

use super::shared::{Hangups, Mode, MonitorArgs, StopSignals};
use crate::events::JsonLines;
use crate::exit;
use hangwatch::monitor::{Fleet, FleetEnd, Monitor, ReplicaEnd, Restart};
use hangwatch::policy::Value;
use hangwatch::segment::Presence;
use hangwatch::{Error, ErrorKind, Result};
use std::ffi::OsString;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    monitor: MonitorArgs,
    /// 'observe' spawns and respawns, and never signals a worker because it hangs.
    #[arg(long, value_enum, default_value_t = Mode::Act)]
    mode: Mode,
    /// How many workers to spawn.
    #[arg(long, default_value_t = 1, value_name = "N")]
    replicas: u32,
    /// Whether a worker that ends by itself is started again.
    #[arg(long, value_enum, default_value_t = RestartArg::OnFailure)]
    restart: RestartArg,
    /// Restarts of one worker without sustained progress, then hangwatch gives up on it.
    #[arg(long, value_name = "N")]
    max_restarts: Option<u64>,
    /// A worker that never attaches counts as hung.
    #[arg(long)]
    require_attach: bool,
    /// Leave the segment's file when all is done.
    #[arg(long)]
    keep: bool,
    /// The worker's command; '{i}' stands for the replica's number.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RestartArg {
    /// If it failed; exit code 0 is done.
    OnFailure,
    /// However it ended.
    Always,
    /// Never, not even one that hung.
    Never,
}

impl From<RestartArg> for Restart {
    fn from(arg: RestartArg) -> Self {
        match arg {
            RestartArg::OnFailure => Self::OnFailure,
            RestartArg::Always => Self::Always,
            RestartArg::Never => Self::Never,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let mut flags = Vec::new();
    if let Some(max_restarts) = args.max_restarts {
        flags.push(("max_restarts", Value::Count(max_restarts), "--max-restarts"));
    }
    if args.require_attach {
        flags.push(("require_attach", Value::Flag(true), "--require-attach"));
    }
    let loaded = args.monitor.load(&flags)?;
    let segment = args.monitor.open()?;
    let fleet = Fleet::new(args.command.clone()).replicas(args.replicas).restart(args.restart.into());
    let fleet = if args.mode == Mode::Observe { fleet.observe() } else { fleet };
    let mut builder = Monitor::builder(segment.clone()).policies(loaded.policies.clone()).fleet(fleet);
    if let Some(learnt) = &args.monitor.learnt {
        builder = builder.learnt(learnt);
    }
    if let Some(events) = &args.monitor.events {
        builder = builder.sink(Box::new(JsonLines::open(events)?));
    }
    let (signals, hangups) = (StopSignals::new()?, Hangups::new()?);
    let mut monitor = builder.spawn()?;
    hangups.reload(loaded, &monitor)?;
    if let Some(stopper) = monitor.fleet_stopper() {
        signals.call(move || stopper.stop())?;
    }
    let end = monitor.wait();
    // The worker's own SIGBUS may come before the poll that sees why.
    let lost = monitor.is_lost() || matches!(segment.presence(), Presence::Truncated | Presence::Erased);
    drop(monitor);
    if !args.keep {
        segment.unlink()?;
    }
    if lost {
        let what = format!("cannot watch segment '{}' any longer", segment.path().display());
        return Err(Error::new(ErrorKind::BadSegment, what, "it was cut short or overwritten").hint(
            "nobody could see them any more: its workers were ended and not replaced; something else writes to that file",
        ));
    }
    code_of(&end)
}

fn code_of(end: &FleetEnd) -> Result<u8> {
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

    #[test]
    fn a_single_workers_own_end_is_the_commands_and_giving_up_has_a_code_of_its_own() {
        let code = |replicas: &[ReplicaEnd]| code_of(&FleetEnd { replicas: replicas.to_vec() }).expect("a code");
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
        let end = FleetEnd { replicas: vec![ReplicaEnd::NotStarted("cannot start './w': no such file or directory".into())] };
        assert!(code_of(&end).is_err_and(|e| e.kind() == ErrorKind::Usage && e.what() == "cannot start './w'"));
    }
}
