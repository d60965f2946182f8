//! `hangwatch watch`: observe workers that others spawn.

use super::shared::{Hangups, Mode, MonitorArgs, StopSignals};
use crate::events::JsonLines;
use crate::exit;
use hangwatch::monitor::Monitor;
use hangwatch::{Error, ErrorKind, Result};
use std::sync::mpsc::channel;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    monitor: MonitorArgs,
    /// 'observe' never signals, and says what it would do.
    #[arg(long, value_enum, default_value_t = Mode::Observe)]
    mode: Mode,
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    if args.mode == Mode::Act {
        let why = "the identity of workers that others spawned cannot be proven";
        return Err(Error::new(ErrorKind::Usage, "cannot watch with --mode act", why)
            .hint("let hangwatch spawn them with 'hangwatch run -- COMMAND', which replaces what hangs")
            .hint("or watch with --mode observe, which says what it would do"));
    }
    let loaded = args.monitor.load(&[])?;
    let segment = args.monitor.open()?;
    let mut builder = Monitor::builder(segment).policies(loaded.policies.clone()).follow();
    if let Some(learnt) = &args.monitor.learnt {
        builder = builder.learnt(learnt);
    }
    if let Some(events) = &args.monitor.events {
        builder = builder.sink(Box::new(JsonLines::open(events)?));
    }
    let (signals, hangups) = (StopSignals::new()?, Hangups::new()?);
    let monitor = builder.spawn()?;
    hangups.reload(loaded, &monitor)?;
    let (stop, stopped) = channel();
    signals.call(move || {
        // Nobody receives it any more where the monitor has just ended by itself.
        let _ = stop.send(());
    })?;
    // A segment that is lost does not end it: workers may come back under the name.
    let _ = stopped.recv();
    drop(monitor);
    Ok(exit::WELL)
}
