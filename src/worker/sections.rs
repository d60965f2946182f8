//! The sections of a worker: which phases are open around the one that its slot shows, and what they had counted.
//!
//! ```text
//! begin_job      enter(loading)     enter(compiling)   leave          leave
//! inference      inference          inference          inference      inference   with its count
//!                 └ loading          └ loading          └ loading
//!                                      └ compiling
//! ```
//! The slot shows the innermost. Each has a number, so that whoever polls the slot tells a return from another entry of the
//! same phase. All of it is the process's own: no reader depends on it.

use super::job::Total;
use super::report::Worker;
use crate::layout::hot::Count;
use crate::layout::phase::Phase;
use crate::layout::word::{Epoch, PhaseWord};
use std::ops::{Deref, DerefMut};

/// How many sections may be open around the one that is shown: the word has three bits for it.
const AROUND: usize = PhaseWord::MAX_DEPTH as usize;

/// A section that is not shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outer {
    pub(super) word: PhaseWord,
    pub(super) count: Count,
}

#[derive(Debug, Clone)]
pub(super) struct Sections {
    around: [Outer; AROUND],
    depth: usize,
    /// Entered beyond what fits, and not left yet: they change nothing.
    beyond: u32,
    last_number: u16,
    /// The open job's inference while another phase has its place; it is the same section when the job comes back to it.
    inference: Option<Outer>,
}

impl Sections {
    pub(super) const fn new() -> Self {
        let none = Outer { word: PhaseWord(0), count: Count::fresh(0) };
        Self { around: [none; AROUND], depth: 0, beyond: 0, last_number: 0, inference: None }
    }

    /// Flags of a section that begins now, with those that are open around it.
    pub(super) fn next_flags(&mut self, job_open: bool) -> u16 {
        // 0 is the section of a fresh claim.
        self.last_number = if self.last_number >= PhaseWord::MAX_SECTION { 1 } else { self.last_number + 1 };
        PhaseWord::flags_of(job_open, self.depth as u16, self.last_number)
    }

    /// A section begins within `shown`. False where no more fits.
    pub(super) fn push(&mut self, shown: Outer) -> bool {
        let Some(place) = self.around.get_mut(self.depth) else {
            self.beyond = self.beyond.saturating_add(1);
            return false;
        };
        *place = shown;
        self.depth += 1;
        true
    }

    /// The section that was entered last ends: what is shown next. `None` where it did not fit, or none is open.
    pub(super) fn pop(&mut self) -> Option<Outer> {
        if self.beyond > 0 {
            self.beyond -= 1;
            return None;
        }
        self.depth = self.depth.checked_sub(1)?;
        Some(self.around[self.depth])
    }

    /// Another phase takes the place of all that are open; the job's inference is kept for its return.
    pub(super) fn replace(&mut self, shown: Outer) {
        let outermost = if self.depth == 0 { shown } else { self.around[0] };
        if outermost.word.job_open() && Phase::from_id(outermost.word.id()) == Phase::Inference {
            self.inference = Some(outermost);
        }
        (self.depth, self.beyond) = (0, 0);
    }

    /// The job comes back to its inference.
    pub(super) fn take_inference(&mut self) -> Option<Outer> {
        self.inference.take()
    }

    /// These again, as they were before a phase took their place; numbers go on.
    fn restore(&mut self, before: Self) {
        *self = Self { last_number: self.last_number, ..before };
    }

    /// A job begins or ends: nothing of before is open.
    pub(super) fn clear(&mut self) {
        (self.depth, self.beyond, self.inference) = (0, 0, None);
    }

    /// A pass begins: what was counted before it is no mark of it.
    pub(super) fn begin_counts_again(&mut self) {
        for outer in self.around[..self.depth].iter_mut().chain(&mut self.inference) {
            outer.count = Count::fresh(outer.count.total);
        }
    }
}

/// An open section: the worker itself, until it goes out of scope. See [`Worker::section`].
#[derive(Debug)]
pub struct Section<'a> {
    worker: &'a mut Worker,
}

/// What a phase took the place of.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) sections: Sections,
    pub(super) shown: Outer,
}

impl Worker {
    /// Makes a section of the phase that was entered last: what it took the place of is around it again, as if it had been
    /// [`enter`](Self::enter)ed, and [`leave`](Self::leave) goes back to that. False, and nothing is done, where anything else
    /// was begun or ended since. For languages in which a call enters a phase and a block made of that call is a section.
    pub fn nest(&mut self) -> bool {
        let Some(Replaced { sections, shown: around }) = self.rest.replaced.take() else { return false };
        let Some(shown) = self.shown() else { return false };
        self.rest.sections.restore(sections);
        if self.rest.sections.push(around) {
            let flags = self.rest.sections.next_flags(shown.word.job_open());
            self.show(Epoch(self.pen.epoch), shown.word.id(), flags, shown.count, false);
        } else {
            self.show(Epoch(self.pen.epoch), around.word.id(), around.word.flags(), around.count, false);
        }
        true
    }

    /// Enters a section and leaves it at the end of the scope, by `?` and by a panic too.
    ///
    /// ```
    /// # use hangwatch::{Phase, Total, Worker};
    /// # let mut worker = Worker::detached();
    /// let mut load = worker.section(Phase::Loading, Total::Known(2));
    /// load.step(1);
    /// load.step(2);
    /// drop(load);
    /// worker.step(7);
    /// ```
    #[must_use = "dropped at once, it is left at once"]
    pub fn section(&mut self, phase: Phase, total: Total) -> Section<'_> {
        self.enter(phase, total);
        Section { worker: self }
    }
}

impl Deref for Section<'_> {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        self.worker
    }
}

impl DerefMut for Section<'_> {
    fn deref_mut(&mut self) -> &mut Worker {
        self.worker
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        self.worker.leave();
    }
}
