//! All keys of one monitor.

use super::entry::Entry;
use super::key::{Key, Part};
use super::scheme::{Limit, terms};
use crate::observe::Tick;
use std::collections::BTreeMap;

/// The most keys that are kept: about 3 MiB of them. A new one beyond makes room by those that know least, oldest first.
pub const MAX_KEYS: usize = 4096;
/// The most aggregates, which are never given up: every part of every phase, and of as many user phases as four segments hold.
pub(super) const MAX_AGGREGATES: usize = 5 * (12 + 4 * 48);
/// How many make room at once, so that making room is rare.
const ROOM: usize = MAX_KEYS / 16;
/// A poll so late, in ns beyond its interval, that what ended meanwhile has no known length.
const TOO_LATE: u64 = 1_000_000_000;

/// What is known of a key, for display.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The key; without a model, in an aggregate.
    pub key: Key,
    /// It stands for its phase over all models.
    pub over_all_models: bool,
    /// How many gaps its threshold rests on.
    pub samples: u64,
    /// How long those were in all, in ns.
    pub watched: u64,
    /// In ns; `None` while there are too few gaps for one.
    pub threshold: Option<u64>,
}

/// The keys of one monitor, and an aggregate over all models for each phase and part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learnt {
    pub(super) keys: BTreeMap<u64, Entry>,
    pub(super) aggregates: BTreeMap<u64, Entry>,
    uses: u64,
    revision: u64,
    late_at: u64,
}

impl Learnt {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// A poll begins. Every poll is told, whether or not a slot is observed at it: a gap in which one was more than a second
    /// late has no known length, and is not learnt.
    pub fn begin(&mut self, tick: &Tick) {
        // The clock grows by twice the interval at most: where it grew by less than passed, half its growth is the interval.
        if tick.passed > tick.grew && tick.passed > tick.grew / 2 + TOO_LATE {
            self.late_at = tick.now;
        }
    }

    /// Whether a poll was late since `start`, an instant of the monitor's clock.
    pub(super) fn was_late_since(&self, start: u64) -> bool {
        self.late_at > start
    }

    /// Grows whenever something was learnt: whoever keeps the bytes has to write them anew.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// All keys, those over all models first.
    pub fn rows(&self) -> Vec<Row> {
        let mut entries: Vec<&Entry> = self.aggregates.values().chain(self.keys.values()).collect();
        entries.sort_by(|a, b| (!a.over_all_models, &a.key).cmp(&(!b.over_all_models, &b.key)));
        entries
            .into_iter()
            .map(|entry| Row {
                key: entry.key.clone(),
                over_all_models: entry.over_all_models,
                samples: entry.samples(),
                watched: entry.watched,
                threshold: entry.limit().map(|limit| limit.at),
            })
            .collect()
    }

    /// All entries, the last used last.
    pub(super) fn by_use(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.aggregates.values().chain(self.keys.values()).collect();
        entries.sort_by_key(|entry| (entry.used, entry.key.id()));
        entries
    }

    /// From entries in the order of their last use; `None` where a key stands twice, or there are more than are kept.
    pub(super) fn from_entries(entries: Vec<Entry>) -> Option<Self> {
        let mut learnt = Self::default();
        for mut entry in entries {
            let (entries, most) =
                if entry.over_all_models { (&mut learnt.aggregates, MAX_AGGREGATES) } else { (&mut learnt.keys, MAX_KEYS) };
            if !entry.over_all_models {
                learnt.uses += 1;
                entry.used = learnt.uses;
            }
            if entries.len() >= most || entries.insert(entry.key.id(), entry).is_some() {
                return None;
            }
        }
        Some(learnt)
    }

    /// A gap of that key ended by itself.
    pub(super) fn learn(&mut self, key: &Key, gap: u64) {
        self.revision += 1;
        self.uses += 1;
        let uses = self.uses;
        let over_all = key.over_all_models();
        let full = self.aggregates.len() >= MAX_AGGREGATES;
        let id = over_all.id();
        if !full || self.aggregates.contains_key(&id) {
            self.aggregates.entry(id).or_insert_with(|| Entry::new(over_all, true)).learn(gap);
        }
        let entry = self.own(key);
        entry.used = uses;
        entry.learn(gap);
    }

    /// hangwatch killed because of that key.
    pub(super) fn acted(&mut self, key: &Key) {
        self.revision += 1;
        self.own(key).acted();
    }

    fn own(&mut self, key: &Key) -> &mut Entry {
        let id = key.id();
        if !self.keys.contains_key(&id) && self.keys.len() >= MAX_KEYS {
            self.make_room();
        }
        self.keys.entry(id).or_insert_with(|| Entry::new(key.clone(), false))
    }

    fn make_room(&mut self) {
        let mut least: Vec<(bool, u64, u64)> =
            self.keys.iter().map(|(&id, entry)| (entry.threshold > 0, entry.used, id)).collect();
        least.sort_unstable();
        for (_, _, id) in least.into_iter().take(ROOM) {
            self.keys.remove(&id);
        }
    }

    /// How long a gap of that key may last: by its own gaps, else by those of the phase over all models, else the ceiling.
    pub(super) fn limit(&self, key: &Key) -> Limit {
        let own = self.keys.get(&key.id());
        let limit = own.and_then(Entry::limit).or_else(|| self.over_all_models(key)).unwrap_or_else(|| terms(key).unknown());
        own.map_or(limit, |own| own.doubled(limit))
    }

    /// A cold gap is its model's own: what one compiler took says nothing of another.
    fn over_all_models(&self, key: &Key) -> Option<Limit> {
        let entry = self.aggregates.get(&key.over_all_models().id())?;
        (key.part != Part::Cold).then(|| entry.limit()).flatten()
    }
}
