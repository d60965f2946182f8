//! Becoming the monitor of a segment: at once, or when the one that is at work has gone.

use super::control::Control;
use crate::notify::Notifier;
use hangwatch::monitor::{Monitor, status};
use hangwatch::segment::{Presence, Segment};
use hangwatch::{ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Between two looks at whether the other monitor still lives: the longest that nobody watches after it has died, beside one poll.
const LOOK: Duration = Duration::from_secs(1);

/// A monitor at work and its segment.
pub(crate) struct Begun {
    pub(crate) segment: Arc<Segment>,
    pub(crate) monitor: Monitor,
}

/// Starts a monitor by `begin`, of a segment that `open` gives. Where another one is alive, `stands_by` waits until it has
/// gone; without that it is an error. `None` where it was asked to stop while it waited.
pub(crate) fn begin(
    stands_by: bool,
    control: &Control,
    notifier: &Notifier,
    open: impl Fn() -> Result<Arc<Segment>>,
    mut begin: impl FnMut(&Arc<Segment>) -> Result<Monitor>,
) -> Result<Option<Begun>> {
    let mut segment = open()?;
    let mut looks = None;
    loop {
        let holder = if stands_by { status::monitor_of(&segment) } else { None };
        if holder.is_none() {
            // The one that has gone may have removed its segment, or somebody else did.
            if stands_by && segment.presence() != Presence::Present {
                segment = open()?;
            }
            match begin(&segment) {
                // Removed between our look at it and our lock: its workers would be looked for elsewhere.
                Ok(monitor) if stands_by && segment.presence() != Presence::Present => drop(monitor),
                Ok(monitor) => {
                    if looks.is_some() {
                        tracing::info!("taking over segment '{}': the other monitor has gone", segment.path().display());
                    }
                    notifier.watching(&segment, monitor.pulse());
                    return Ok(Some(Begun { segment, monitor }));
                }
                Err(e) if e.kind() == ErrorKind::Held && !stands_by => {
                    return Err(e.hint("or wait until it has gone, with --standby"));
                }
                // Another one that stood by was faster.
                Err(e) if e.kind() == ErrorKind::Held => {}
                Err(e) => return Err(e),
            }
        }
        let looks = looks.get_or_insert_with(|| {
            let who = holder.filter(|pid| *pid != 0).map_or_else(String::new, |pid| format!(" (pid {pid})"));
            tracing::info!("standing by: another monitor{who} is alive on segment '{}'", segment.path().display());
            notifier.standing_by()
        });
        looks.fetch_add(1, Relaxed); // Relaxed: a sign of life
        if control.stopped_within(LOOK) {
            notifier.ended();
            return Ok(None);
        }
    }
}
