//! Workers that others spawned and that this monitor ends when they hang: the same ladder, and nobody starts them again.

use super::case::{Case, Course};
use super::slots::{Of, Slots};
use super::world::World;
use crate::evidence::Moment;
use crate::layout::word::Owner;
use crate::monitor::proof::{Proven, Prover, Unproven};
use crate::monitor::scan::Judged;
use crate::recover::Tree;

/// Those whose end has begun.
#[derive(Debug)]
pub(super) struct Wards {
    prover: Prover,
    cases: Vec<Case>,
}

impl Wards {
    pub(super) fn new() -> Self {
        Self { prover: Prover::new(), cases: Vec::new() }
    }

    pub(super) fn cases(&self) -> &[Case] {
        &self.cases
    }

    pub(super) fn cases_mut(&mut self) -> &mut [Case] {
        &mut self.cases
    }

    /// Whether the worker is on its way out already, or has just gone.
    pub(super) fn has(&self, index: u32, owner: Owner, slots: &Slots) -> bool {
        self.cases.iter().any(|case| case.owns(index, owner, slots))
    }

    /// A scan found one hung. Returns whether its end begins now, which it does only where it is proven who it is.
    pub(super) fn hung(&mut self, judged: &Judged, history: &[Moment], world: &World<'_>) -> Result<bool, Unproven> {
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
        if begins {
            world.hung(judged);
        }
        Ok(begins)
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

    /// The monitor ends: who is on the way out goes on alone, and is not signalled any more.
    pub(super) fn leave(&mut self) {
        self.cases.clear();
    }
}
