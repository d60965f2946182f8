//! Workers that others spawned: ended when they hang, where it is proven who they are, and never started again.

use super::case::{Case, Course};
use super::mail::Ask;
use super::slots::{Of, Slots};
use super::world::World;
use crate::evidence::Moment;
use crate::layout::word::Owner;
use crate::monitor::proof::{Proven, Prover, Unproven};
use crate::monitor::scan::Judged;
use crate::policy::ns;
use crate::recover::Tree;
use std::time::Duration;

/// What is left of a tree is asked for again this soon.
const RETRY: Duration = Duration::from_millis(50);

/// Those that are being ended; one that is well is none.
#[derive(Debug)]
pub(super) struct Wards {
    prover: Prover,
    cases: Vec<Case>,
}

impl Wards {
    pub(super) fn new() -> Self {
        Self { prover: Prover::new(), cases: Vec::new() }
    }

    /// Every process that is waited for.
    pub(super) fn trees(&self) -> impl Iterator<Item = &Tree> {
        self.cases.iter().filter(|case| case.exit().is_none()).map(Case::tree)
    }

    /// When there is something to do though nothing happened.
    pub(super) fn deadline(&self, now: u64) -> Option<u64> {
        let of = |case: &Case| if case.is_sweeping() { Some(now.saturating_add(ns(RETRY))) } else { case.deadline() };
        self.cases.iter().filter_map(of).min()
    }

    /// Whether the worker is being ended already, or has just been.
    pub(super) fn has(&self, index: u32, owner: Owner, slots: &Slots) -> bool {
        self.cases.iter().any(|case| case.owns(index, owner, slots) || case.owned(index, owner))
    }

    /// A scan found it hung. Returns whether its recovery begins now, or why it is not proven who it is.
    pub(super) fn hung(&mut self, judged: &Judged, history: Vec<Moment>, world: &World<'_>) -> Result<bool, Unproven> {
        let (index, owner) = (judged.observation.index, judged.observation.owner);
        if world.slots.slot(index).is_none() {
            return Err(Unproven::Changed);
        }
        let Proven { fd, pid } = self.prover.prove(&world.slots.segment, index, owner)?;
        // Another slot of one that is on its way out: while that has not exited its number is its own.
        if self.cases.iter().any(|case| case.pid() == pid && case.tree().exit().is_none()) {
            return Ok(false);
        }
        let mut case = Case::new(Tree::of_other(fd, pid), Of::Other(index, owner), None, world);
        let begins = case.hung(judged, history, world);
        self.cases.push(case);
        Ok(begins)
    }

    /// A thread's answer about one of them; given back where it is not about that.
    pub(super) fn answer(&mut self, ask: Ask, world: &World<'_>) -> Option<Ask> {
        let Ask::Gathered(id, gathered) = ask else { return Some(ask) };
        match self.cases.iter_mut().find(|case| case.id() == id) {
            Some(case) => case.gathered(&gathered, world),
            None => return Some(Ask::Gathered(id, gathered)),
        }
        None
    }

    /// Deadlines that have come, and exits that have happened.
    pub(super) fn advance(&mut self, world: &World<'_>) {
        for mut case in std::mem::take(&mut self.cases) {
            match case.advance(world) {
                Course::Going => self.cases.push(case),
                // Nobody takes its place, so what it held is nobody's question.
                Course::Swept | Course::Clear => drop(case.bury(world)),
            }
        }
    }

    /// The monitor ends: who is on his way out goes on by himself, and is not signalled any more.
    pub(super) fn leave(&mut self) {
        self.cases.clear();
    }
}
