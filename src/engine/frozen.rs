//! Whether all working workers are frozen together: then it is rather the host than they. Counted, not searched for.

/// How many work, and how many of them are frozen.
#[derive(Debug, Clone, Default)]
pub(super) struct Frozen {
    working: usize,
    frozen: usize,
    /// The clock when all of them last were.
    stood_at: Option<u64>,
    /// Those that were frozen then and have not moved since.
    still: usize,
}

/// One slot's part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Part {
    pub(super) working: bool,
    /// Since this instant of the clock, if it is.
    pub(super) frozen: Option<u64>,
}

impl Frozen {
    /// A slot's part changes.
    pub(super) fn exchange(&mut self, before: Part, after: Part) {
        self.working = self.working + usize::from(after.working) - usize::from(before.working);
        self.frozen = self.frozen + usize::from(after.frozen.is_some()) - usize::from(before.frozen.is_some());
        if self.holds(before) && !self.holds(after) {
            self.still -= 1;
            self.stood_at = self.stood_at.filter(|_| self.still > 0);
        }
    }

    /// At least two work, and every one of them is frozen.
    pub(super) fn stands(&self) -> bool {
        self.working >= 2 && self.frozen == self.working
    }

    /// Whether it froze with all the others and has not moved since, though some of them may have, or were replaced: the host
    /// may be to blame for it as before.
    pub(super) fn holds(&self, part: Part) -> bool {
        self.stood_at.zip(part.frozen).is_some_and(|(stood, froze)| froze <= stood)
    }

    /// A poll ends. How many, if all of them froze together since it was last told.
    pub(super) fn edge(&mut self, now: u64) -> Option<usize> {
        if !self.stands() {
            return None;
        }
        let is_new = self.still == 0;
        (self.stood_at, self.still) = (Some(now), self.frozen);
        is_new.then_some(self.working)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Part = Part { working: true, frozen: None };

    fn frozen(since: u64) -> Part {
        Part { working: true, frozen: Some(since) }
    }

    #[test]
    fn it_is_told_once_and_armed_again_when_none_of_them_is_frozen_any_more() {
        let mut all = Frozen::default();
        all.exchange(Part::default(), frozen(1));
        assert_eq!(all.edge(1), None, "one worker is not all workers");
        all.exchange(Part::default(), WELL);
        assert_eq!(all.edge(1), None);
        all.exchange(WELL, frozen(2));
        assert_eq!((all.edge(2), all.edge(3)), (Some(2), None));
        all.exchange(frozen(2), WELL);
        assert_eq!(all.edge(4), None);
        all.exchange(WELL, frozen(5));
        assert_eq!(all.edge(5), None, "the other has not moved since: it is the same freeze");
        all.exchange(frozen(5), WELL);
        all.exchange(frozen(1), WELL);
        all.exchange(WELL, frozen(6));
        all.exchange(WELL, frozen(6));
        assert_eq!(all.edge(6), Some(2), "a new one");
    }

    #[test]
    fn one_that_froze_with_all_is_held_to_that_until_it_moves_whatever_becomes_of_the_others() {
        let mut all = Frozen::default();
        for _ in 0..3 {
            all.exchange(Part::default(), frozen(1));
        }
        assert!(!all.holds(frozen(1)), "not before all of them are");
        all.edge(1);
        all.exchange(frozen(1), Part::default());
        all.exchange(Part::default(), WELL);
        assert!(!all.stands() && all.holds(frozen(1)), "one was replaced and works, the others stand as before");
        assert!(!all.holds(frozen(2)), "one that freezes alone later is on its own");
        all.exchange(frozen(1), WELL);
        all.exchange(frozen(1), WELL);
        assert!(!all.holds(frozen(1)), "all of them have moved");
    }
}
