//! Workers that others spawned and that this monitor ends when they hang: the same ladder, and nobody starts them again.

use super::case::{Case, Course};
use super::slots::Of;
use super::world::World;
use crate::evidence::Moment;
use crate::monitor::proof::{Prover, Unproven};
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

    /// A scan found one hung. Returns whether its end begins now, which it does only where it is proven who it is.
    pub(super) fn hung(&mut self, judged: &Judged, history: &[Moment], world: &World<'_>) -> Result<bool, Unproven> {
        let (index, owner) = (judged.observation.index, judged.observation.owner);
        if self.cases.iter().any(|case| case.owns(index, owner, world.slots)) {
            return Ok(false);
        }
        let proven = self.prover.prove(&world.slots.segment, index, owner)?;
        let mut case = Case::new(Tree::of_other(proven.fd, proven.pid), Of::Other(index, owner), None, world);
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
                Course::Swept | Course::Clear => drop(case.bury(world)),
            }
        }
    }
}
