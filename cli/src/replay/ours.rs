//! The engine that a monitor runs, as one detector among others.

use super::detector::{Alarm, Detector, Look, Turn};
use super::score::STATEMENT;
use super::session::Session;
use hangwatch::engine::{Engine, Judged};
use hangwatch::judge::{Judgement, Severity, Verdict};
use hangwatch::learn::Learnt;
use hangwatch::policy::{Policy, PolicySet, ns};
use hangwatch::snapshot::SlotSnapshot;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Which verdicts are alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lens {
    /// Those that act.
    Acting,
    /// Those, and a learnt threshold that is passed, as if it acted.
    Suspect,
}

/// The same policy at each interval that a session has.
pub(crate) type ByInterval = Rc<BTreeMap<u64, PolicySet>>;

#[derive(Clone)]
pub(crate) struct Ours {
    name: String,
    lens: Lens,
    policies: ByInterval,
    engine: Engine,
    /// In place of the budgets that the session's phases were registered with.
    user_budget_ns: Option<u64>,
    slots: Vec<Slot>,
    turns: Vec<Turn>,
}

#[derive(Clone, Default)]
struct Slot {
    worker: String,
    shown: Option<SlotSnapshot>,
    stands: Option<Judgement>,
}

impl Ours {
    pub(crate) fn boxed(name: impl Into<String>, lens: Lens, policies: &ByInterval) -> Box<dyn Detector> {
        Box::new(Self::new(name, lens, policies, Learnt::new()))
    }

    /// The same with every learnt threshold times a factor.
    pub(crate) fn scaled(factor: f64, policies: &ByInterval) -> Box<dyn Detector> {
        Box::new(Self::new("scaled", Lens::Suspect, policies, Learnt::new().scaled(factor)))
    }

    fn new(name: impl Into<String>, lens: Lens, policies: &ByInterval, learnt: Learnt) -> Self {
        // Of no slots: each session gets its own.
        let engine = Engine::new(0, PolicySet::uniform(Policy::default()), 0).with_learnt(learnt);
        Self {
            name: name.into(),
            lens,
            policies: Rc::clone(policies),
            engine,
            user_budget_ns: None,
            slots: Vec::new(),
            turns: Vec::new(),
        }
    }

    /// Shows the engine a slot as it stands.
    fn take(&mut self, index: u32) {
        if let Some(shown) = self.slots.get(index as usize).and_then(|slot| slot.shown.clone()) {
            self.engine.take(shown);
        }
    }

    fn show(&mut self, snapshot: &SlotSnapshot) {
        let Some(slot) = self.slots.get_mut(snapshot.index as usize) else { return };
        let mut snapshot = snapshot.clone();
        if let (Some(budget_ns), Some(phase)) = (self.user_budget_ns, &mut snapshot.user_phase) {
            Arc::make_mut(phase).budget_ns = budget_ns;
        }
        if snapshot.hot.is_none() {
            slot.stands = None;
        }
        slot.shown = Some(snapshot);
    }

    fn judged(&mut self, judged: &Judged, at: u64) {
        let observation = &judged.observation;
        let Some(slot) = self.slots.get_mut(observation.index as usize) else { return };
        let before = slot.stands.replace(judged.judgement).map_or(Verdict::Unknown, |stood| stood.verdict);
        let now = judged.judgement;
        if before != now.verdict {
            let spent = now.spent.map_or_else(String::new, |spent| {
                format!(", {} {:.1}s of {:.1}s", spent.clock, spent.age as f64 / 1e9, spent.budget as f64 / 1e9)
            });
            let done = match (observation.done, observation.total) {
                (Some(done), Some(total)) => format!(" at {done}/{total}"),
                (Some(done), None) => format!(" at {done}"),
                _ => String::new(),
            };
            let text = format!("{} ({}){done}: {before} -> {}{spent}", slot.worker, observation.index, now.verdict);
            self.turns.push(Turn { at, slot: observation.index, text });
        }
    }
}

impl Detector for Ours {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin(&mut self, session: &Session) {
        if let Some(policies) = self.policies.get(&session.interval_ns) {
            self.user_budget_ns = session.has_our_budgets.then(|| ns(policies.base().progress_timeout));
            let learnt = self.engine.learnt().clone();
            self.engine = Engine::new(session.workers.len(), policies.clone(), 0).with_learnt(learnt);
        }
        self.slots = session.workers.iter().map(|worker| Slot { worker: worker.clone(), ..Slot::default() }).collect();
    }

    fn look(&mut self, look: &Look<'_>, alarms: &mut Vec<Alarm>) {
        self.turns.clear();
        self.engine.begin(&look.frame.host);
        for snapshot in &look.frame.slots {
            self.show(snapshot);
            self.take(snapshot.index);
        }
        let indices = look.only.map_or(0..self.slots.len() as u32, |only| only..only + 1);
        for index in indices.clone() {
            if self.engine.is_due(index) && look.frame.slots.iter().all(|slot| slot.index != index) {
                self.take(index);
            }
        }
        for judged in self.engine.finish().judged {
            self.judged(&judged, look.now());
        }
        for index in indices {
            let Some(Judgement { verdict, severity, .. }) = self.slots.get(index as usize).and_then(|slot| slot.stands) else {
                continue;
            };
            let suspect = self.lens == Lens::Suspect && verdict == Verdict::Suspect;
            if severity == Severity::Acting || suspect {
                alarms.push(Alarm { slot: index, rule: verdict.name() });
            } else if verdict == Verdict::Stopped {
                alarms.push(Alarm { slot: index, rule: STATEMENT });
            }
        }
    }

    fn fork(&self) -> Box<dyn Detector> {
        Box::new(self.clone())
    }

    fn turns(&mut self) -> Vec<Turn> {
        // The verdicts are the same through either lens.
        if self.lens == Lens::Acting { std::mem::take(&mut self.turns) } else { Vec::new() }
    }
}
