//! The last observations of each slot that reports: what evidence shows of the time before a hang.

use crate::evidence::Moment;
use crate::layout::hot::HotWords;
use crate::layout::phase::Phase;
use std::collections::{BTreeMap, VecDeque};

/// Observations kept of a slot: enough to see a rhythm, 4 KiB at most.
const KEPT: usize = 32;

/// All slots' histories.
#[derive(Debug, Default)]
pub(super) struct Histories {
    slots: BTreeMap<u32, VecDeque<(u64, HotWords)>>,
}

impl Histories {
    /// A slot was read at `now` of the monitor's clock. Where nothing changed there is nothing to add; another owner has a
    /// history of its own.
    pub(super) fn take(&mut self, index: u32, now: u64, hot: &HotWords) {
        let history = self.slots.entry(index).or_default();
        match history.back() {
            Some((_, last)) if last == hot => return,
            Some((_, last)) if last.owner != hot.owner => history.clear(),
            _ => {}
        }
        if history.len() == KEPT {
            history.pop_front();
        }
        history.push_back((now, *hot));
    }

    /// Those of one slot, oldest first.
    pub(super) fn of(&self, index: u32) -> Vec<Moment> {
        self.slots.get(&index).into_iter().flatten().map(moment).collect()
    }
}

fn moment((now, hot): &(u64, HotWords)) -> Moment {
    let phase = Phase::from_id(hot.phase.id());
    Moment {
        at_s: *now as f64 / 1e9,
        beat: hot.beat.count(),
        alive: hot.alive.count(),
        phase: phase.row().map_or_else(|| format!("phase {}", hot.phase.id()), |row| row.name.into()),
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
    use crate::layout::word::{Beat, Kind, Owner, Tag};

    fn hot(generation: u16, beats: u64) -> HotWords {
        let owner = Owner::new(generation, Tag::Live, Kind::Worker, 42);
        let beat = Beat(Beat::start(generation).0 + beats);
        HotWords { beat, ..HotWords::from_words(owner, [0; 9]) }
    }

    #[test]
    fn the_last_changes_of_the_owner_that_is_there_are_kept() {
        let mut histories = Histories::default();
        histories.take(3, 0, &hot(1, 7));
        for second in 0..100 {
            histories.take(3, second * 1_000_000_000, &hot(2, second / 2));
        }
        let beats: Vec<u64> = histories.of(3).iter().map(|moment| moment.beat).collect();
        assert_eq!(beats, (18..50).collect::<Vec<_>>(), "one a change, and the oldest go");
        assert_eq!(histories.of(3).last().map(|moment| moment.at_s), Some(98.0), "when it was first seen so");
        assert!(histories.of(4).is_empty());
    }
}
