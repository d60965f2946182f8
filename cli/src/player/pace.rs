//! When a play is over: its time is up, or somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hangwatch::clock::monotonic_ns;
use hangwatch::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// The longest that a signal goes unnoticed; it is noticed between two sleeps, so that a worker needs no second thread.
const SLICE: Duration = Duration::from_millis(20);

/// Why a play ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It has lasted as long as it was to.
    TimeIsUp,
    /// A monitor asked through the slot.
    Asked,
    /// A signal asked.
    Signal(i32),
}

/// Passes a play's time.
#[derive(Debug)]
pub(crate) struct Pace {
    until_ns: u64,
    /// 0, or the signal that came.
    signal: Arc<AtomicUsize>,
}

impl Pace {
    /// A play of that length, which SIGINT ends, and SIGTERM where it is not ignored.
    pub(crate) fn new(lasting: Duration, ignore_term: bool) -> Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        let nobody = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM] {
            let told = if ignore_term && number == SIGTERM { &nobody } else { &signal };
            signal_hook::flag::register_usize(number, Arc::clone(told), number.unsigned_abs() as usize)
                .map_err(|e| Error::io(format!("cannot handle signal {number}"), &e))?;
        }
        Ok(Self { until_ns: after(lasting), signal })
    }

    /// Lets time pass.
    pub(super) fn pause(&self, length: Duration) -> std::result::Result<(), End> {
        let over_ns = after(length);
        loop {
            // Relaxed: the number is all there is to see.
            match self.signal.load(Relaxed) {
                0 => {}
                number => return Err(End::Signal(i32::try_from(number).unwrap_or(SIGTERM))),
            }
            let now = monotonic_ns();
            if now >= self.until_ns {
                return Err(End::TimeIsUp);
            }
            if now >= over_ns {
                return Ok(());
            }
            std::thread::sleep(Duration::from_nanos(over_ns.min(self.until_ns) - now).min(SLICE));
        }
    }
}

/// That long from now; what 64 bits of ns cannot hold is for ever.
fn after(length: Duration) -> u64 {
    monotonic_ns().saturating_add(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(lasting: Duration) -> Pace {
        Pace { until_ns: after(lasting), signal: Arc::default() }
    }

    #[test]
    fn a_pause_ends_with_the_play() {
        assert_eq!(pace(Duration::ZERO).pause(Duration::MAX), Err(End::TimeIsUp));
        assert_eq!(pace(Duration::MAX).pause(Duration::ZERO), Ok(()));
    }

    #[test]
    fn a_signal_ends_a_pause_of_any_length() {
        let pace = pace(Duration::MAX);
        pace.signal.store(15, Relaxed);
        assert_eq!(pace.pause(Duration::MAX), Err(End::Signal(15)));
    }
}
