//! `hangwatch run`: spawn workers, watch them, replace those that hang or fail.

use super::control::Control;
use super::evidence::EvidenceArgs;
use super::outward::Outward;
use super::shared::{Mode, MonitorArgs};
use super::workers::WorkerArgs;
use super::{ending, standby};
use crate::config::{Flag, Loaded};
use crate::exit;
use crate::notify::Notifier;
use crate::output::{self, Output};
use hangwatch::monitor::{self, Fleet, Monitor, ReplicaEnd, Restart};
use hangwatch::policy::Value;
use hangwatch::segment::{Presence, Segment};
use hangwatch::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::sync::Arc;

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
    /// End all workers when one is given up on or cannot be started.
    #[arg(long)]
    exit_on_unhandled_faults: bool,
    /// Replace a worker that outlived SIGKILL, though it may still hold its device.
    #[arg(long)]
    respawn_unkillable: bool,
    #[command(flatten)]
    workers: WorkerArgs,
    #[command(flatten)]
    evidence: EvidenceArgs,
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

impl Args {
    fn policy_flags(&self) -> Vec<Flag<'static>> {
        let mut flags = Vec::new();
        if let Some(max_restarts) = self.max_restarts {
            flags.push(("max_restarts", Value::Count(max_restarts), "--max-restarts"));
        }
        for (is_set, key, flag) in [
            (self.require_attach, "require_attach", "--require-attach"),
            (self.exit_on_unhandled_faults, "exit_on_unhandled_faults", "--exit-on-unhandled-faults"),
            (self.respawn_unkillable, "respawn_unkillable", "--respawn-unkillable"),
        ] {
            if is_set {
                flags.push((key, Value::Flag(true), flag));
            }
        }
        flags
    }

    fn fleet(&self) -> Fleet {
        let fleet = Fleet::new(self.command.clone()).replicas(self.replicas).restart(self.restart.into());
        let fleet = if self.mode == Mode::Observe { fleet.observe() } else { fleet };
        self.workers.apply(fleet)
    }

    fn begin(
        &self,
        segment: &Arc<Segment>,
        loaded: &Loaded,
        notifier: &Notifier,
        outward: &Outward,
    ) -> Result<(Monitor, Option<Output>)> {
        let fleet = self.fleet();
        // What stands in the logs before the workers start is of an earlier run.
        let logs = output::ready(&fleet, self.replicas, self.workers.output())?;
        let builder = Monitor::builder(Arc::clone(segment)).policies(loaded.policies.clone()).fleet(fleet).sink(notifier.sink());
        let mut builder = if self.keep { builder } else { builder.unlink_at_end() };
        if let Some(settings) = self.evidence.settings() {
            builder = builder.evidence(settings);
        }
        if let Some(learnt) = &self.monitor.learnt {
            builder = builder.learnt(learnt);
        }
        if let Some(events) = self.monitor.events()? {
            builder = builder.sink(Box::new(events));
        }
        let monitor = builder.sink(outward.hooks.sink()).spawn().map_err(|e| match self.replicas > segment.len() {
            true => e.hint(format!(
                "or remove '{}', if nobody uses it, and have it made with --slots {}",
                segment.path().display(),
                self.replicas
            )),
            false => e,
        })?;
        Ok((monitor, logs.map(output::Ready::follow).transpose()?))
    }
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let loaded = args.monitor.load(&args.policy_flags())?;
    let outward = Outward::new(&args.monitor.hooks, &loaded)?;
    args.workers.make_log_dir()?;
    let notifier = Notifier::start()?;
    let control = Control::start(&notifier)?;
    // Nothing of a worker escapes its end: what its parent leaves alone comes to us. The same reaps where this is pid 1.
    monitor::become_subreaper()?;
    let mut output = None;
    let begin = |segment: &Arc<Segment>| {
        let (monitor, of_workers) = args.begin(segment, &loaded, &notifier, &outward)?;
        output = of_workers;
        Ok(monitor)
    };
    let begun = standby::begin(args.monitor.standby, &control, &notifier, || args.monitor.open(), begin)?;
    let Some(standby::Begun { segment, mut monitor }) = begun else { return Ok(exit::WELL) };
    let _pinging = outward.ping(&monitor)?;
    if let Some(stopper) = monitor.fleet_stopper() {
        control.serve(move || stopper.stop(), loaded, outward, &monitor, &notifier)?;
    }
    let end = monitor.wait();
    notifier.ended();
    // The worker's own SIGBUS may come before the poll that sees why.
    let presence = segment.presence();
    let lost = monitor.is_lost() || matches!(presence, Presence::Truncated | Presence::Erased);
    drop(monitor);
    output.into_iter().for_each(Output::end);
    ending::log(&end);
    if lost {
        let what = format!("cannot watch segment '{}' any longer", segment.path().display());
        return Err(Error::new(ErrorKind::BadSegment, what, "it was cut short or overwritten").hint(
            "nobody could see them any more: its workers were ended and not replaced; something else writes to that file",
        ));
    }
    if !presence.is_found() && end.replicas.contains(&ReplicaEnd::GaveUp) {
        let what = format!("cannot start workers in segment '{}'", segment.path().display());
        return Err(Error::new(ErrorKind::BadSegment, what, "its name is gone, or leads to another file")
            .hint("a worker that was started now would report where nobody looks; start this command again"));
    }
    ending::code(&end)
}
