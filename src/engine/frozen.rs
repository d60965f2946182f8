//! Whether all working workers are frozen together: then it is rather the host than they. Counted, not searched for.

/// How many work, and how many of them are frozen.
#[derive(Debug, Clone, Default)]
pub(super) struct Frozen {
    working: usize,
    frozen: usize,
    told: bool,
}

/// One slot's part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Part {
    pub(super) working: bool,
    pub(super) frozen: bool,
}

impl Frozen {
    /// A slot's part changes.
    pub(super) fn exchange(&mut self, before: Part, after: Part) {
        self.working = self.working + usize::from(after.working) - usize::from(before.working);
        self.frozen = self.frozen + usize::from(after.frozen) - usize::from(before.frozen);
    }

    /// At least two work, and every one of them is frozen.
    pub(super) fn stands(&self) -> bool {
        self.working >= 2 && self.frozen == self.working
    }

    /// How many, at the poll at which it comes to stand.
    pub(super) fn edge(&mut self) -> Option<usize> {
        let is_new = self.stands() && !self.told;
        self.told = self.stands();
        is_new.then_some(self.working)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_and_armed_again_when_one_of_them_moves() {
        let mut all = Frozen::default();
        let (well, frozen) = (Part { working: true, frozen: false }, Part { working: true, frozen: true });
        all.exchange(Part::default(), frozen);
        assert_eq!(all.edge(), None, "one worker is not all workers");
        all.exchange(Part::default(), well);
        assert_eq!(all.edge(), None);
        all.exchange(well, frozen);
        assert_eq!((all.edge(), all.edge()), (Some(2), None));
        all.exchange(frozen, well);
        assert_eq!(all.edge(), None);
        all.exchange(well, frozen);
        assert_eq!(all.edge(), Some(2));
        all.exchange(frozen, Part::default());
        assert!(!all.stands());
    }
}
