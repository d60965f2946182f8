//! Hooks: a command that is run or an address that is posted to, at events.
//!
//! ```text
//!                        ┌ try_send ─► queue ─► thread of hook 1 ─► command, at most its timeout ┐ tries again in order,
//! telling thread ─► Fan ─┼ try_send ─► queue ─► thread of hook 2 ─► webhook, at most its timeout ┤ pauses double
//!                        └ full: dropped and counted                                             ┘
//! ```
//!
//! Neither the scan nor another hook waits for one. When the process ends there are `DRAIN` for what is queued, then commands
//! that still run are ended, and hangwatch leaves.

mod args;
mod command;
mod leaving;
mod message;
mod queue;
mod spec;
mod tally;
#[cfg(test)]
mod tests;
mod webhook;

pub(crate) use args::HookArgs;
pub(crate) use command::Runner;
pub(crate) use leaving::Leaving;
pub(crate) use queue::Failure;
#[cfg(test)]
pub(crate) use spec::DEFAULT_EVENTS;
pub(crate) use spec::{Events, Secret, Spec, TIMEOUT, Target};
pub(crate) use webhook::Client;

use hangwatch::tell::{Event, Sink};
use hangwatch::{Error, Result};
use message::Message;
use queue::{Deliver, Queue};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// For what is queued when the process ends.
const DRAIN: Duration = Duration::from_secs(4);
/// For commands that are ended then, to go: helpers have a second.
const GOING: Duration = Duration::from_millis(1500);

/// All hooks. Those of flags stay; those of the file may be replaced.
#[derive(Debug, Clone)]
pub(crate) struct Hooks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    flags: Vec<Spec>,
    queues: Mutex<Vec<Queue>>,
    leaving: Arc<Leaving>,
    /// Each thread holds a copy; `None` once the process ends.
    alive: Mutex<Option<Sender<()>>>,
    /// Ends when no thread is there any more.
    all_ended: Mutex<Receiver<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hooks {
    /// Those of flags and those of the file; one that could never tell anything is an error.
    pub(crate) fn start(args: &HookArgs, file: &[Spec]) -> Result<Self> {
        let leaving = Leaving::new().map_err(|e| Error::io("cannot start hooks", &e))?;
        let (alive, all_ended) = channel();
        let hooks = Self(Arc::new(Shared {
            flags: args.hooks(),
            queues: Mutex::default(),
            leaving: Arc::new(leaving),
            alive: Mutex::new(Some(alive)),
            all_ended: Mutex::new(all_ended),
        }));
        hooks.replace(file)?;
        Ok(hooks)
    }

    /// These of the file from now on, or, where one of them is bad, the same as before. One that is as it was goes on; one that
    /// is gone delivers what it has.
    pub(crate) fn replace(&self, file: &[Spec]) -> Result<()> {
        let Some(alive) = lock(&self.0.alive).clone() else { return Ok(()) };
        let mut wanted: Vec<&Spec> = Vec::new();
        for spec in self.0.flags.iter().chain(file) {
            if !wanted.contains(&spec) {
                wanted.push(spec);
            }
        }
        let ready = wanted.iter().map(|spec| self.ready(spec)).collect::<Result<Vec<_>>>()?;
        let stays = |spec: &Spec| lock(&self.0.queues).iter().any(|queue| queue.spec == *spec);
        let mut new = Vec::new();
        for (spec, (name, deliver)) in wanted.iter().zip(ready).filter(|(spec, _)| !stays(spec)) {
            let queue = Queue::start((*spec).clone(), name, deliver, Arc::clone(&self.0.leaving), alive.clone());
            new.push(queue.map_err(|e| Error::io("cannot start hooks", &e))?);
        }
        let mut queues = lock(&self.0.queues);
        queues.retain(|queue| wanted.contains(&&queue.spec));
        queues.extend(new);
        Ok(())
    }

    fn ready(&self, spec: &Spec) -> Result<(String, Box<dyn Deliver>)> {
        let place = &spec.place;
        match &spec.target {
            Target::Command(words) => {
                let program = hangwatch::tell::text::escaped(words.first().map_or("", String::as_str));
                let runner = Runner::new(words.clone(), Arc::clone(&self.0.leaving));
                Ok((format!("hook {place} ({program})"), Box::new(runner)))
            }
            Target::Webhook { url, headers } => {
                let client = Client::new(url, headers).map_err(|why| why.at(place))?;
                Ok((format!("hook {place} ({})", client.host()), Box::new(client)))
            }
        }
    }

    /// What tells them; dropping it ends them.
    pub(crate) fn sink(&self) -> Box<dyn Sink> {
        Box::new(Fan { hooks: self.clone(), told: 0 })
    }

    fn end(&self) {
        let Some(alive) = lock(&self.0.alive).take() else { return };
        drop(alive);
        self.0.leaving.begin(DRAIN);
        let closed: Vec<_> = lock(&self.0.queues).drain(..).map(Queue::close).collect();
        let all_ended = lock(&self.0.all_ended);
        // Nobody sends: it is told that all are gone, or the time is over.
        if all_ended.recv_timeout(DRAIN) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            self.0.leaving.end();
            let _ = all_ended.recv_timeout(GOING);
        }
        closed.iter().for_each(queue::Closed::say_the_last);
    }
}

/// Hands each event to every hook that tells of it.
struct Fan {
    hooks: Hooks,
    told: u64,
}

impl Sink for Fan {
    fn tell(&mut self, event: &Event) {
        let queues = lock(&self.hooks.0.queues);
        let wanted = || queues.iter().filter(|queue| queue.spec.events.has(event.event));
        if wanted().next().is_none() {
            return;
        }
        self.told += 1;
        if let Some(message) = Message::new(event, self.told).map(Arc::new) {
            wanted().for_each(|queue| queue.put(&message));
        }
    }
}

impl Drop for Fan {
    fn drop(&mut self) {
        self.hooks.end();
    }
}
