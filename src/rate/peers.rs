//! Who works now, and how fast: one seat a slot.

use super::key::Key;
use super::pace::Pace;
use std::collections::BTreeMap;

/// Others that make a median.
const ENOUGH: usize = 3;
/// Seats of one key: a median of 16 is as good as one of ten thousand, and is taken at every advance.
const MOST: usize = 16;
/// A peer that has not advanced for this many of its usual gaps, and this many seconds, does not work.
const IDLE_GAPS: f64 = 10.0;
const IDLE_SECONDS: f64 = 30.0;

/// One that works.
#[derive(Debug, Clone, Copy)]
struct Peer {
    pace: Pace,
    /// The monitor's clock at its last advance.
    at: u64,
}

impl Peer {
    fn rate(&self, now: u64) -> Option<f64> {
        let silent = now.saturating_sub(self.at) as f64 / 1e9;
        (silent <= IDLE_SECONDS.max(IDLE_GAPS * self.pace.gap())).then(|| self.pace.rate_after(silent))
    }
}

/// All that work.
#[derive(Debug, Clone, Default)]
pub(super) struct Peers {
    by_key: BTreeMap<Key, BTreeMap<u32, Peer>>,
    /// Which key a slot sits with: a slot whose worker died is not told so, and its next worker takes the seat away.
    seats: BTreeMap<u32, Key>,
}

impl Peers {
    /// A slot advances.
    pub(super) fn sit(&mut self, slot: u32, key: Key, pace: Pace, now: u64) {
        if self.seats.get(&slot) != Some(&key) {
            self.leave(slot);
        }
        let group = self.by_key.entry(key).or_default();
        if group.len() >= MOST && !group.contains_key(&slot) {
            let Some(idle) = group.iter().find(|(_, peer)| peer.rate(now).is_none()).map(|(slot, _)| *slot) else { return };
            group.remove(&idle);
            self.seats.remove(&idle);
        }
        group.insert(slot, Peer { pace, at: now });
        self.seats.insert(slot, key);
    }

    /// A slot's count has ended, or what it does now is no measure of anything.
    pub(super) fn leave(&mut self, slot: u32) {
        let Some(key) = self.seats.remove(&slot) else { return };
        if let Some(group) = self.by_key.get_mut(&key) {
            group.remove(&slot);
            if group.is_empty() {
                self.by_key.remove(&key);
            }
        }
    }

    /// The median of the others that work.
    pub(super) fn expected(&self, slot: u32, key: Key, now: u64) -> Option<f64> {
        let group = self.by_key.get(&key)?;
        let mut rates = [0.0; MOST];
        let working = group.iter().filter(|(other, _)| **other != slot).filter_map(|(_, peer)| peer.rate(now));
        let len = rates.iter_mut().zip(working).map(|(place, rate)| *place = rate).count();
        rates[..len].sort_unstable_by(f64::total_cmp);
        (len >= ENOUGH).then(|| rates[len / 2])
    }

    /// Seats taken.
    pub(super) fn len(&self) -> usize {
        self.seats.len()
    }
}
