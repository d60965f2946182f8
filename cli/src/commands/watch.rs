//! `hangwatch watch`: observe workers that others spawn, or end those that hang.

use super::shared::{Hangups, Mode, MonitorArgs, StopSignals};
use crate::events::JsonLines;
use crate::exit;
use hangwatch::Result;
use hangwatch::monitor::Monitor;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    monitor: MonitorArgs,
    /// 'observe' never signals, and says what it would do; 'act' ends those that hang, where it is proven who they are, and
    /// starts none again.
    #[arg(long, value_enum, default_value_t = Mode::Observe)]
    mode: Mode,
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let loaded = args.monitor.load(&[])?;
    let segment = args.monitor.open()?;
    let mut builder = Monitor::builder(segment).policies(loaded.policies.clone());
    if args.mode == Mode::Act {
        builder = builder.act_on_others();
    }
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
    loop {
        match stopped.recv_timeout(Duration::from_millis(200)) {
            Err(RecvTimeoutError::Timeout) if monitor.is_lost() => return Ok(exit::UNUSABLE),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(exit::WELL),
        }
    }
}
