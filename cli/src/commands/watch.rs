//! `hangwatch watch`: watch workers that others spawn; end those that hang, if asked to.

use super::control::Control;
use super::evidence::EvidenceArgs;
use super::outward::Outward;
use super::shared::{Mode, MonitorArgs};
use super::standby;
use crate::exit;
use crate::notify::Notifier;
use hangwatch::Result;
use hangwatch::monitor::Monitor;
use hangwatch::segment::Segment;
use std::sync::Arc;
use std::sync::mpsc::channel;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    monitor: MonitorArgs,
    /// 'observe' never signals, and says what it would do. 'act' ends a hung worker of the same user, where it is proven who it
    /// is, and leaves it to whoever spawned it to start another one.
    #[arg(long, value_enum, default_value_t = Mode::Observe)]
    mode: Mode,
    #[command(flatten)]
    evidence: EvidenceArgs,
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let loaded = args.monitor.load(&[])?;
    let outward = Outward::new(&args.monitor.hooks, &loaded)?;
    let notifier = Notifier::start()?;
    let control = Control::start(&notifier)?;
    let begin = |segment: &Arc<Segment>| {
        let mut builder = Monitor::builder(Arc::clone(segment)).policies(loaded.policies.clone()).follow().sink(notifier.sink());
        if args.mode == Mode::Act {
            builder = builder.act_on_others();
        }
        if let Some(settings) = args.evidence.settings() {
            builder = builder.evidence(settings);
        }
        if let Some(learnt) = &args.monitor.learnt {
            builder = builder.learnt(learnt);
        }
        if let Some(events) = args.monitor.events()? {
            builder = builder.sink(Box::new(events));
        }
        builder.sink(outward.hooks.sink()).spawn()
    };
    let begun = standby::begin(args.monitor.standby, &control, &notifier, || args.monitor.open(), begin)?;
    let Some(standby::Begun { monitor, .. }) = begun else { return Ok(exit::WELL) };
    let pinging = outward.ping(&monitor)?;
    let (stop, stopped) = channel();
    let on_stop = move || {
        // Nobody receives it any more where the monitor has just ended by itself.
        let _ = stop.send(());
    };
    control.serve(on_stop, loaded, outward, &monitor, &notifier)?;
    // A segment that is lost does not end it: workers may come back under the name.
    let _ = stopped.recv();
    notifier.ended();
    drop((pinging, monitor));
    Ok(exit::WELL)
}
