//! What tells others of a monitor: hooks, and a sign of life.

use crate::config::Loaded;
use crate::hooks::{HookArgs, Hooks};
use crate::ping::{Pinger, Pinging};
use hangwatch::Result;
use hangwatch::monitor::Monitor;
use hangwatch::segment::Segment;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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

    /// Pings while `monitor` sees `segment`, and workers find it: to those that a new one would serve, an old one is blind.
    pub(crate) fn ping(&self, monitor: &Monitor, segment: &Segment) -> Result<Pinging> {
        let (pulse, path) = (monitor.pulse(), segment.path().to_path_buf());
        let identity = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        let (found, mut good, mut seen) = (identity(&path), 0, 0);
        self.pinger.start(move || {
            let scans = pulse.good_scans();
            if scans > seen && found.is_some() && identity(&path) == found {
                good += 1;
            }
            seen = scans;
            good
        })
    }

    /// As the file says now.
    pub(crate) fn replace(&self, again: &Loaded) -> Result<()> {
        let ping = self.pinger.prepare(self.args.ping(again.ping.as_ref())?.as_ref())?;
        self.hooks.replace(&again.hooks)?;
        self.pinger.replace(ping);
        Ok(())
    }
}

