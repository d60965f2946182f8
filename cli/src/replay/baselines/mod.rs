//! The detectors of the field. Each learns from the gaps between signs of progress and says how long a silence may be; they
//! differ in that alone, so one driver serves them all.
//!
//! They get the true instants of the signs, not those of the polls that saw them, and a silence is counted in real time: that
//! is how their authors mean them. A gap of an idle worker is neither learnt nor judged, and every other gap is learnt when
//! it has ended, a labelled hang's too: nobody told them.

mod akka;
mod cassandra;
mod chen;
mod fixed;
mod longest;
mod window;

pub(crate) use akka::Akka;
pub(crate) use cassandra::Cassandra;
pub(crate) use chen::Chen;
pub(crate) use fixed::{Fixed, FixedByPhase};
pub(crate) use longest::Longest;

use super::detector::{Alarm, Detector, Look};
use super::session::{Key, Session, Then};
use std::collections::HashMap;
use std::rc::Rc;

/// How long a silence may be, in seconds.
pub(crate) trait Estimate: Clone + 'static {
    /// A gap that has ended.
    fn learn(&mut self, gap: f64);

    /// The longest silence that is no alarm; `None` while nothing is known.
    fn limit(&self, key: Key) -> Option<f64>;
}

/// Whose gaps one estimate is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Per {
    /// One for everything.
    All,
    /// One a slot.
    Slot,
    /// One a slot and phase.
    Section,
    /// One a model, phase, and before or after the phase's first step, over all slots.
    Key,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    All,
    Slot(u32),
    Section(u32, u16),
    Key(Key),
}

impl Per {
    fn whose(self, slot: u32, key: Key) -> Whose {
        match self {
            Self::All => Whose::All,
            Self::Slot => Whose::Slot(slot),
            Self::Section => Whose::Section(slot, key.phase),
            Self::Key => Whose::Key(key),
        }
    }
}

/// A baseline: an estimate and whose gaps it is made from.
#[derive(Debug, Clone)]
pub(crate) struct Baseline<E> {
    name: String,
    fresh: E,
    per: Per,
    estimates: HashMap<Whose, Rc<E>>,
    /// A slot's last sign.
    slots: Vec<Option<(u64, Then)>>,
}

impl<E: Estimate> Baseline<E> {
    pub(crate) fn boxed(name: impl Into<String>, per: Per, fresh: E) -> Box<dyn Detector> {
        Box::new(Self { name: name.into(), fresh, per, estimates: HashMap::new(), slots: Vec::new() })
    }
}

fn seconds(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e9
}

impl<E: Estimate> Detector for Baseline<E> {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin(&mut self, session: &Session) {
        self.slots = vec![None; session.workers.len()];
    }

    fn look(&mut self, look: &Look<'_>, alarms: &mut Vec<Alarm>) {
        for sign in look.signs {
            let Some(last) = self.slots.get_mut(sign.slot as usize) else { continue };
            if let Some((at, then)) = last.replace((sign.at, sign.then)).filter(|(_, then)| then.working && !sign.then.left) {
                let estimate = self.estimates.entry(self.per.whose(sign.slot, then.key));
                // A fork shares what it does not change.
                Rc::make_mut(estimate.or_insert_with(|| Rc::new(self.fresh.clone()))).learn(seconds(at, sign.at));
            }
        }
        for (slot, last) in (0u32..).zip(&self.slots) {
            let Some((at, then)) = last.filter(|(_, then)| then.working && look.only.is_none_or(|only| only == slot)) else {
                continue;
            };
            let estimate = self.estimates.get(&self.per.whose(slot, then.key)).map_or(&self.fresh, |estimate| &**estimate);
            if estimate.limit(then.key).is_some_and(|limit| seconds(at, look.now()) >= limit) {
                alarms.push(Alarm { slot, rule: "silence" });
            }
        }
    }

    fn fork(&self) -> Box<dyn Detector> {
        Box::new(self.clone())
    }
}
