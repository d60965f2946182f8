//! Judgement over time: from what was read at each poll to verdicts, episodes and what there is to do. Pure: no memory, no
//! /proc, no clock, so a recorded trace gives the same verdicts as the slots did.
//!
//! ```text
//! begin(host) ──► take(slot) … take(slot) ──► finish() ──► Findings
//!                 those that changed, or are due
//! ```
//!
//! **A slot that neither changed nor is due need not be taken**: its ages are differences of one clock, and the instant at
//! which a rule could next fire is known. A quiet slot therefore costs a look at one cache line, whoever looks.
//!
//! | file | what |
//! |---|---|
//! | `slot` | what is remembered of one slot, and when it is due |
//! | `episode` | one event when a worker is not as it should be, reminders, and its end |
//! | `frozen` | whether all working workers are frozen together |
//! | `findings` | what a poll found |
//! | `takeover` | an episode that a former monitor left open |

mod episode;
mod findings;
mod frozen;
mod slot;
mod takeover;

pub use episode::Episode;
pub use findings::{Change, ChangeKind, Findings, Judged, Unclaimed};
pub(crate) use takeover::is_taken_over;

use crate::judge::Severity;
use crate::layout::monitor::Seen;
use crate::layout::word::{Owner, Tag};
use crate::learn::Learnt;
use crate::observe::{PollClock, Tick};
use crate::policy::{Policy, PolicySet, ns};
use crate::rate::Rates;
use crate::snapshot::{HostSnapshot, SlotSnapshot};
use frozen::Frozen;
use slot::State;

/// Judges slots at polls.
#[derive(Debug, Clone)]
pub struct Engine {
    policies: PolicySet,
    clock: PollClock,
    tick: Tick,
    states: Vec<Option<Box<State>>>,
    shared: Shared,
    findings: Findings,
    /// The next poll is the first of one that takes over from a former monitor.
    succeeds: bool,
}

/// What slots have in common.
#[derive(Debug, Clone)]
struct Shared {
    last_episode: u64,
    rates: Rates,
    learnt: Learnt,
    frozen: Frozen,
}

impl Engine {
    /// An engine for `slots` slots whose clock starts at `elapsed` (0, or where a former monitor's stopped).
    pub fn new(slots: usize, policies: PolicySet, elapsed: u64) -> Self {
        Self {
            clock: PollClock::new(policies.base().poll_interval, elapsed),
            tick: Tick::default(),
            states: (0..slots).map(|_| None).collect(),
            shared: Shared { last_episode: 0, rates: Rates::new(), learnt: Learnt::new(), frozen: Frozen::default() },
            findings: Findings::default(),
            succeeds: false,
            policies,
        }
    }

    /// Numbers episodes from the one after `last`.
    #[must_use]
    pub fn numbered_after(mut self, last: u64) -> Self {
        self.shared.last_episode = last;
        self
    }

    /// It takes over from a former monitor. Its first poll judges and ends nobody, as after a gap: of no process it is known yet
    /// whether it is stopped or starved, and what the former one judged stands until it is.
    #[must_use]
    pub fn succeeding(mut self) -> Self {
        self.succeeds = true;
        self
    }

    /// Goes on from what was learnt before.
    #[must_use]
    pub fn with_learnt(mut self, learnt: Learnt) -> Self {
        self.shared.learnt = learnt;
        self
    }

    /// What was learnt so far.
    pub fn learnt(&self) -> &Learnt {
        &self.shared.learnt
    }

    /// The policy of what concerns the whole monitor.
    pub fn policy(&self) -> &Policy {
        self.policies.base()
    }

    /// The policies in force.
    pub fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// Puts other policies in force. Every age goes on; every slot is due.
    pub fn set_policies(&mut self, policies: PolicySet) {
        if policies.base().poll_interval != self.policy().poll_interval {
            self.clock.set_interval(policies.base().poll_interval);
        }
        self.policies = policies;
        for state in self.states.iter_mut().flatten() {
            state.forget_policy();
        }
    }

    /// A poll begins.
    pub fn begin(&mut self, host: &HostSnapshot) -> Tick {
        self.tick = self.clock.tick(host);
        self.tick.gap |= std::mem::take(&mut self.succeeds);
        self.shared.rates.begin(&self.tick);
        self.shared.learnt.begin(&self.tick);
        self.findings.tick = self.tick;
        self.tick
    }

    /// The monitor's clock from which a slot must be taken though nothing in it changed; `u64::MAX` for never.
    pub fn due(&self, index: u32) -> u64 {
        self.states.get(index as usize).and_then(Option::as_ref).map_or(u64::MAX, |state| state.due)
    }

    /// Whether it must be taken at this poll.
    pub fn is_due(&self, index: u32) -> bool {
        self.due(index) <= self.tick.now
    }

    /// Whether its process is to be looked at: it is past half of a budget.
    pub fn wants_look(&self, index: u32) -> bool {
        self.states.get(index as usize).and_then(Option::as_ref).is_some_and(|state| state.half_spent)
    }

    /// Takes in a slot. An index past the end is nobody's.
    pub fn take(&mut self, snapshot: SlotSnapshot) {
        self.take_over(snapshot, || None);
    }

    /// The same, and where the owner is seen for the first time, goes on from what a former monitor wrote.
    pub fn take_over(&mut self, snapshot: SlotSnapshot, former: impl FnOnce() -> Option<Seen>) {
        let Some(entry) = self.states.get_mut(snapshot.index as usize) else { return };
        let tick = self.tick;
        if let Some(state) = entry.take_if(|state| state.owner != snapshot.owner) {
            self.findings.changes.extend(state.leave(&tick, &mut self.shared));
        }
        if matches!(snapshot.owner.tag(), Tag::Free | Tag::Unknown(_)) {
            return;
        }
        let state = entry.get_or_insert_with(|| Box::new(State::new(snapshot.owner, tick.now)));
        match (snapshot.owner.tag(), snapshot.hot) {
            (Tag::Live, Some(hot)) => {
                state.observe(snapshot, &hot, &tick, &self.policies, &mut self.shared, &mut self.findings, former);
            }
            (Tag::Live, None) => {
                // The writer was too quick for this poll: the last judgement stands.
                state.due = tick.now;
                self.findings.judged.extend(state.last());
            }
            (tag, _) => {
                let waited = tick.now - state.since;
                let budget = ns(self.policies.base().starting_timeout);
                state.due = tick.now;
                if tag == Tag::Reserved {
                    let told = state.is_told_unclaimed || waited < budget || tick.gap;
                    if !told {
                        state.is_told_unclaimed = true;
                        self.findings.unclaimed.push(Unclaimed { index: snapshot.index, owner: snapshot.owner, waited });
                    }
                    if state.is_told_unclaimed {
                        state.due = u64::MAX;
                    }
                } else if waited >= budget / 2 {
                    self.findings.ownerless.push((snapshot.index, snapshot.owner));
                }
            }
        }
    }

    /// The poll ends: what it found.
    pub fn finish(&mut self) -> Findings {
        if !self.tick.gap {
            self.findings.all_frozen = self.shared.frozen.edge(self.tick.now);
        }
        self.findings.is_frozen = self.shared.frozen.stands();
        for judged in self.findings.judged.iter_mut().filter(|judged| judged.judgement.severity == Severity::Acting) {
            let state = self.states.get(judged.observation.index as usize).and_then(Option::as_ref);
            judged.frozen_with_all = state.is_some_and(|state| self.shared.frozen.holds(state.part()));
        }
        let judged = self.findings.judged.len();
        let next = Findings { judged: Vec::with_capacity(judged), ..Findings::default() };
        std::mem::replace(&mut self.findings, next)
    }

    /// Whose slot it was when it was last taken.
    pub fn owner(&self, index: u32) -> Option<Owner> {
        self.states.get(index as usize).and_then(Option::as_ref).map(|state| state.owner)
    }
}

#[cfg(test)]
mod tests;
