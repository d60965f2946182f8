//! The last observations of each slot that reports: what evidence shows of the time before a hang.

use super::report::named_phase;
use crate::evidence::Moment;
use crate::layout::hot::HotWords;
use crate::layout::phase::Phase;
use crate::layout::user_phase::UserPhase;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Observations kept of a slot: enough to see a rhythm, 4 KiB at most.
const KEPT: usize = 32;

/// All slots' histories.
#[derive(Debug, Default)]
pub(super) struct Histories {
    slots: BTreeMap<u32, VecDeque<Seen>>,
}

/// A slot at one poll.
#[derive(Debug)]
struct Seen {
    /// Of the monitor's clock, in ns.
    now: u64,
    hot: HotWords,
    user_phase: Option<Arc<UserPhase>>,
}

impl Histories {
    /// A slot was read at `now` of the monitor's clock. Where nothing changed there is nothing to add; another owner has a
    /// history of its own.
    pub(super) fn take(&mut self, index: u32, now: u64, hot: &HotWords, user_phase: Option<&Arc<UserPhase>>) {
        let history = self.slots.entry(index).or_default();
        match history.back() {
            Some(last) if last.hot == *hot => return,
            Some(last) if last.hot.owner != hot.owner => history.clear(),
            _ => {}
        }
        if history.len() == KEPT {
            history.pop_front();
        }
        history.push_back(Seen { now, hot: *hot, user_phase: user_phase.cloned() });
    }

    /// Those of one slot, oldest first.
    pub(super) fn of(&self, index: u32) -> Vec<Moment> {
        self.slots.get(&index).into_iter().flatten().map(moment).collect()
    }
}

fn moment(Seen { now, hot, user_phase }: &Seen) -> Moment {
    Moment {
        at_s: *now as f64 / 1e9,
        beat: hot.beat.count(),
        alive: hot.alive.count(),
        phase: named_phase(Phase::from_id(hot.phase.id()), user_phase.as_deref()),
        job: hot.phase.job_open().then(|| hot.epoch.job()),
        pass: hot.epoch.pass(),
        falls: hot.epoch.falls(),
        done: hot.done(),
        total: hot.known_total(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::phase::{Class, FIRST_USER_ID};
    use crate::layout::word::{Beat, Kind, Owner, PhaseWord, Tag};

    fn hot(generation: u16, beats: u64) -> HotWords {
        let owner = Owner::new(generation, Tag::Live, Kind::Worker, 42);
        let beat = Beat(Beat::start(generation).0 + beats);
        HotWords { beat, ..HotWords::from_words(owner, [0; 9]) }
    }

    #[test]
    fn the_last_changes_of_the_owner_that_is_there_are_kept() {
        let mut histories = Histories::default();
        histories.take(3, 0, &hot(1, 7), None);
        for second in 0..100 {
            histories.take(3, second * 1_000_000_000, &hot(2, second / 2), None);
        }
        let beats: Vec<u64> = histories.of(3).iter().map(|moment| moment.beat).collect();
        assert_eq!(beats, (18..50).collect::<Vec<_>>(), "one a change, and the oldest go");
        assert_eq!(histories.of(3).last().map(|moment| moment.at_s), Some(98.0), "when it was first seen so");
        assert!(histories.of(4).is_empty());
    }

    #[test]
    fn a_phase_of_the_workers_own_is_shown_by_its_name() {
        let mut histories = Histories::default();
        let of_its_own = HotWords { phase: PhaseWord(u64::from(FIRST_USER_ID) << 48), ..hot(1, 7) };
        let named = UserPhase { index: 0, class: Class::Work, budget_ns: 0, name: "en\u{1b}coding".into() };
        histories.take(3, 0, &of_its_own, Some(&Arc::new(named)));
        histories.take(4, 0, &of_its_own, None);
        let shown = |index| histories.of(index)[0].phase.clone();
        assert_eq!((shown(3), shown(4)), ("en\\u{1b}coding".into(), "user phase 0".into()));
    }
}
