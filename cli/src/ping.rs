//! A sign of life for a service that expects one and raises the alarm when it stays away: the one alarm that still comes when
//! hangwatch itself is gone. It is sent only after a scan that saw since the last one; a monitor that lives and is blind is
//! silent.

use crate::hooks::{Client, Failure, Leaving, Runner, TIMEOUT, Target};
use hangwatch::clock::monotonic_ns;
use hangwatch::policy::Origin;
use hangwatch::policy::ns;
use hangwatch::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where nothing else is said: the finest that services of this kind usually take.
const EVERY: Duration = Duration::from_secs(60);
/// More often is no sign of life but a load.
pub(crate) const LEAST_EVERY: Duration = Duration::from_millis(100);
/// How soon a scan that sees again is noticed.
const LOOK: Duration = Duration::from_secs(1);
/// At the most, how long past its time a ping waits for a scan before it is said that none goes out.
const PATIENCE: Duration = Duration::from_secs(10);

/// A ping as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ping {
    /// Where it stands.
    pub(crate) place: Origin,
    pub(crate) target: Target,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
}

impl Ping {
    pub(crate) fn new(place: Origin, target: Target) -> Self {
        Self { place, target, every: EVERY, timeout: TIMEOUT }
    }
}

#[derive(Debug)]
enum To {
    Command(Runner),
    Address(Client),
}

/// One that can be sent.
#[derive(Debug)]
struct Ready {
    to: To,
    name: String,
    every: u64,
    timeout: Duration,
}

/// A ping that can be sent, or that there is none.
#[derive(Debug)]
pub(crate) struct Prepared(Option<Arc<Ready>>);

/// Before there is a monitor to ask: what is wrong with a ping is known before anything starts.
#[derive(Debug, Clone)]
pub(crate) struct Pinger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    leaving: Arc<Leaving>,
    /// With a number that grows whenever another takes its place.
    ping: Mutex<(u64, Option<Arc<Ready>>)>,
}

impl Pinger {
    pub(crate) fn new(ping: Option<&Ping>) -> Result<Self> {
        let leaving = Leaving::new().map_err(|e| Error::io("cannot start the ping", &e))?;
        let pinger = Self(Arc::new(Shared { leaving: Arc::new(leaving), ping: Mutex::default() }));
        pinger.replace(pinger.prepare(ping)?);
        Ok(pinger)
    }

    /// What is to take the place of the one in force; where it is bad, that goes on.
    pub(crate) fn prepare(&self, ping: Option<&Ping>) -> Result<Prepared> {
        ping.map(|ping| self.ready(ping)).transpose().map(|ready| Prepared(ready.map(Arc::new)))
    }

    /// From now on.
    pub(crate) fn replace(&self, ping: Prepared) {
        let mut now = self.0.ping.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (now.0 + 1, ping.0);
    }

    fn ready(&self, ping: &Ping) -> Result<Ready> {
        let (name, to) = match &ping.target {
            Target::Command(words) => {
                let runner = Runner::new(words.clone(), Arc::clone(&self.0.leaving));
                (format!("ping {}", ping.place), To::Command(runner))
            }
            Target::Webhook { url, headers } => {
                let client = Client::new(url, headers).map_err(|why| why.at(&ping.place))?;
                (format!("ping {} ({})", ping.place, client.host()), To::Address(client))
            }
        };
        Ok(Ready { to, name, every: ns(ping.every), timeout: ping.timeout })
    }

    /// Starts the thread: `good_scans` is asked how many scans saw so far. It ends when what is returned is dropped.
    pub(crate) fn start(&self, mut good_scans: impl FnMut() -> u64 + Send + 'static) -> Result<Pinging> {
        let shared = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("hangwatch-ping".into());
        thread.spawn(move || shared.work(&mut good_scans)).map_err(|e| Error::io("cannot start the ping", &e))?;
        Ok(Pinging(Arc::clone(&self.0.leaving)))
    }
}

/// Dropping it ends the thread, and a command that still runs; it waits for neither.
#[derive(Debug)]
pub(crate) struct Pinging(Arc<Leaving>);

impl Drop for Pinging {
    fn drop(&mut self) {
        self.0.begin(Duration::ZERO);
        self.0.end();
    }
}

impl Shared {
    fn work(&self, good_scans: &mut impl FnMut() -> u64) {
        let mut sight = Sight::new(monotonic_ns());
        let mut failing = false;
        let mut met = 0;
        while self.leaving.left().is_none() {
            let (number, ping) = self.ping.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(ping) = ping else {
                self.leaving.pause(LOOK);
                continue;
            };
            let now = monotonic_ns();
            if number != met {
                (sight, failing, met) = (Sight::new(now), false, number);
            }
            match sight.look(now, good_scans(), ping.every) {
                Step::Wait(pause) => self.leaving.pause(Duration::from_nanos(pause).min(LOOK)),
                Step::SayBlind => {
                    tracing::warn!("{}: none goes out, no scan has seen the segment since the last one", ping.name);
                }
                Step::Send { blind_before } => {
                    if blind_before {
                        tracing::info!("{}: the monitor sees again", ping.name);
                    }
                    self.send(&ping, &mut failing);
                }
            }
        }
    }

    fn send(&self, ping: &Ready, failing: &mut bool) {
        let sent = match &ping.to {
            To::Command(runner) => runner.run(&[], &[], ping.timeout),
            To::Address(client) => client.get(ping.timeout),
        };
        let failed_before = std::mem::replace(failing, sent.is_err());
        match sent {
            Ok(()) if failed_before => tracing::info!("{}: it arrives again", ping.name),
            // One that the end cut short says nothing of the way.
            Err(Failure::Passing(why) | Failure::Lasting(why)) if !failed_before && self.leaving.left().is_none() => {
                tracing::warn!("{}: it does not arrive: {why}", ping.name);
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// When to send, by what the monitor has seen. `now` is nanoseconds of one clock.
#[derive(Debug)]
struct Sight {
    /// Good scans at the last ping.
    seen: u64,
    due: u64,
    said_blind: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// At most so long.
    Wait(u64),
    Send {
        blind_before: bool,
    },
    SayBlind,
}

impl Sight {
    /// The first is due at once: a service learns soon that all is well.
    fn new(now: u64) -> Self {
        Self { seen: 0, due: now, said_blind: false }
    }

    fn look(&mut self, now: u64, good_scans: u64, every: u64) -> Step {
        if now < self.due {
            return Step::Wait(self.due - now);
        }
        if good_scans > self.seen {
            let blind_before = std::mem::take(&mut self.said_blind);
            // A late one does not hurry the next.
            let next = self.due.saturating_add(every);
            (self.seen, self.due) = (good_scans, if next > now { next } else { now.saturating_add(every) });
            return Step::Send { blind_before };
        }
        if !self.said_blind && now >= self.due.saturating_add(every.min(ns(PATIENCE))) {
            self.said_blind = true;
            return Step::SayBlind;
        }
        // Scans come often; this looks as often.
        Step::Wait(every.min(ns(LOOK)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_ping_goes_out_after_a_scan_that_saw_and_at_its_distance() {
        let mut sight = Sight::new(0);
        assert_eq!(sight.look(0, 0, 60 * S), Step::Wait(S), "no scan has been completed yet");
        assert_eq!(sight.look(S, 1, 60 * S), Step::Send { blind_before: false });
        assert_eq!(sight.look(2 * S, 2, 60 * S), Step::Wait(58 * S));
        assert_eq!(sight.look(60 * S, 60, 60 * S), Step::Send { blind_before: false });
        assert_eq!(sight.look(200 * S, 190, 60 * S), Step::Send { blind_before: false });
        assert_eq!(sight.look(201 * S, 191, 60 * S), Step::Wait(59 * S), "one that came late does not hurry the next");
    }

    #[test]
    fn a_blind_monitor_sends_none_and_says_so_once() {
        let mut sight = Sight::new(0);
        sight.look(0, 5, 60 * S);
        assert_eq!(sight.look(60 * S, 5, 60 * S), Step::Wait(S), "a scan may be on its way");
        assert_eq!(sight.look(70 * S, 5, 60 * S), Step::SayBlind);
        assert_eq!(sight.look(71 * S, 5, 60 * S), Step::Wait(S));
        assert_eq!(sight.look(7100 * S, 5, 60 * S), Step::Wait(S), "once");
        assert_eq!(sight.look(7101 * S, 6, 60 * S), Step::Send { blind_before: true });
    }
}
