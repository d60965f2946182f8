//! That the fleet has ended, for whoever waits for it beside others.

use super::fleet::FleetEnd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tells any thread how the fleet ended, once it has.
#[derive(Debug, Clone, Default)]
pub struct Ending(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    end: Mutex<Option<FleetEnd>>,
    more: Condvar,
}

impl Ending {
    /// How all replicas ended; `None` where `timeout` was over before that.
    pub fn wait(&self, timeout: Duration) -> Option<FleetEnd> {
        let waited = self.0.more.wait_timeout_while(self.locked(), timeout, |end| end.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn locked(&self) -> MutexGuard<'_, Option<FleetEnd>> {
        self.0.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The supervisor's side. However its thread ends, those who wait are told.
#[derive(Debug)]
pub(super) struct Tells(pub(super) Ending);

impl Tells {
    pub(super) fn tell(&self, end: FleetEnd) {
        *self.0.locked() = Some(end);
        self.0.0.more.notify_all();
    }
}

impl Drop for Tells {
    fn drop(&mut self) {
        let mut end = self.0.locked();
        if end.is_none() {
            *end = Some(FleetEnd::default());
            self.0.0.more.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn whoever_waits_is_told_once_and_for_ever_and_a_thread_that_panics_tells_too() {
        let ending = Ending::default();
        assert_eq!(ending.wait(Duration::ZERO), None, "it has not ended");
        let tells = Tells(ending.clone());
        let waits = [ending.clone(), ending.clone()].map(|ending| thread::spawn(move || ending.wait(Duration::MAX)));
        assert!(thread::spawn(move || drop((tells, vec![0][1]))).join().is_err());
        for waits in waits {
            assert_eq!(waits.join().unwrap(), Some(FleetEnd::default()));
        }
        assert!(ending.wait(Duration::ZERO).is_some());
    }
}
