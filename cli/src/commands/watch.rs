//! `hangwatch watch`: observe workers that others spawn.

use super::shared::{Hangups, Mode, MonitorArgs, Outward, StopSignals};
use crate::events::JsonLines;
use crate::exit;
use hangwatch::monitor::Monitor;
use hangwatch::{Error, ErrorKind, Result};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

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
    let outward = Outward::new(&args.monitor.hooks, &loaded)?;
    let segment = args.monitor.open()?;
    let mut builder = Monitor::builder(segment.clone()).policies(loaded.policies.clone());
    if let Some(learnt) = &args.monitor.learnt {
        builder = builder.learnt(learnt);
    }
    if let Some(events) = &args.monitor.events {
        builder = builder.sink(Box::new(JsonLines::open(events)?));
    }
    builder = builder.sink(outward.hooks.sink());
    let (signals, hangups) = (StopSignals::new()?, Hangups::new()?);
    let monitor = builder.spawn()?;
    let _pinging = outward.ping(&monitor, &segment)?;
    hangups.reload(loaded, &monitor, outward)?;
    let (stop, stopped) = channel();
    signals.call(move || {
        // Nobody receives it any more where the monitor has just ended by itself.
        let _ = stop.send(());
    })?;
    loop {
        match stopped.recv_timeout(Duration::from_millis(200)) {
            Err(RecvTimeoutError::Timeout) if monitor.is_lost() => return Ok(exit::UNUSABLE),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(exit::WELL),
        }
    }
}
