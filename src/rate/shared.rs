//! What all slots of a monitor share.

use super::history::History;
use super::key::OwnKey;
use super::pace::Pace;
use super::peers::Peers;
use crate::observe::Tick;
use std::collections::BTreeMap;

/// Keys that have a history: ten thousand models in one phase and size each. A key and its history are 128 bytes, so all of
/// them stay under 4 MiB.
pub(super) const MAX_KEYS: usize = 16_384;

/// What is slow. From the policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// A job slower than its history or its peers by this factor is slow.
    pub factor: f64,
    /// Percent of the total a minute under which a job is slow; 0 for none.
    pub floor: f64,
    /// Time between two polls, in ns: a rate over fewer than five of them says little.
    pub poll_ns: u64,
}

/// Past counts by key, who works now, and when the last gap was.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    histories: BTreeMap<OwnKey, History>,
    uses: u64,
    pub(super) peers: Peers,
    last_gap: Option<u64>,
}

impl Rates {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// A poll begins. Every poll must be told: what was counted across a gap is no evidence.
    pub fn begin(&mut self, tick: &Tick) {
        if tick.gap {
            self.last_gap = Some(tick.now);
        }
    }

    /// Histories and seats that are held: at most 16 384 of the ones, and a slot's worth of the others.
    pub fn held(&self) -> (usize, usize) {
        (self.histories.len(), self.peers.len())
    }

    pub(super) fn is_gap(&self, now: u64) -> bool {
        self.last_gap == Some(now)
    }

    pub(super) fn gap_since(&self, at: u64) -> bool {
        self.last_gap.is_some_and(|gap| gap > at)
    }

    pub(super) fn expected(&self, key: &OwnKey) -> Option<f64> {
        self.histories.get(key).and_then(History::expected)
    }

    /// A count of that key has ended.
    pub(super) fn learn(&mut self, key: OwnKey, pace: &Pace) {
        let Some(mean) = pace.mean() else { return };
        if self.histories.len() >= MAX_KEYS && !self.histories.contains_key(&key) {
            self.forget_the_longest_unused();
        }
        self.uses += 1;
        let history = self.histories.entry(key).or_insert(History::new());
        history.used = self.uses;
        history.learn(mean, pace.gaps());
    }

    /// A quarter at once, so that a stream of new models costs a sort every few thousand of them.
    fn forget_the_longest_unused(&mut self) {
        let mut uses: Vec<u64> = self.histories.values().map(|history| history.used).collect();
        let (_, oldest_kept, _) = uses.select_nth_unstable(MAX_KEYS / 4);
        let oldest_kept = *oldest_kept;
        self.histories.retain(|_, history| history.used >= oldest_kept);
    }
}
