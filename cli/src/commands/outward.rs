//! What tells others of a monitor: hooks, and a sign of life.

use crate::config::Loaded;
use crate::hooks::{HookArgs, Hooks};
use crate::ping::{Pinger, Pinging};
use hangwatch::Result;
use hangwatch::monitor::Monitor;

/// What tells others of this monitor: hooks, and a sign of life.
#[derive(Debug, Clone)]
pub(crate) struct Outward {
    args: HookArgs,
    pub(crate) hooks: Hooks,
    pub(crate) pinger: Pinger,
}

impl Outward {
    /// Of flags and file; what is wrong with them is known before anything starts.
    pub(crate) fn new(args: &HookArgs, loaded: &Loaded) -> Result<Self> {
        let pinger = Pinger::new(args.ping(loaded.ping.as_ref())?.as_ref())?;
        Ok(Self { args: args.clone(), hooks: Hooks::start(args, &loaded.hooks)?, pinger })
    }

    /// Pings while `monitor` sees its segment, and workers find it: to those that a new one would serve, an old one is blind.
    pub(crate) fn ping(&self, monitor: &Monitor) -> Result<Pinging> {
        let pulse = monitor.pulse();
        self.pinger.start(move || pulse.good_scans_of_all())
    }

    /// As the file says now.
    pub(crate) fn replace(&self, again: &Loaded) -> Result<()> {
        let ping = self.pinger.prepare(self.args.ping(again.ping.as_ref())?.as_ref())?;
        self.hooks.replace(&again.hooks)?;
        self.pinger.replace(ping);
        Ok(())
    }
}
