//! All keys of one monitor.

use super::entry::{Entry, Gap};
use super::key::{Key, Part};
use super::scheme::{ENOUGH, Limit, terms};
use crate::observe::Tick;
use std::collections::BTreeMap;

/// The most keys that are kept: about 3 MiB of them. A new one beyond makes room by those that know least, oldest first.
pub const MAX_KEYS: usize = 4096;
/// The most summaries of all models, which are never given up: every part of every phase, and of as many user phases as four
/// segments hold.
pub(super) const MAX_SUMMARIES: usize = 5 * (12 + 4 * 48);
/// How many make room at once, so that making room is rare.
const ROOM: usize = MAX_KEYS / 16;
/// A poll so late, in ns beyond its interval, that what ended meanwhile has no known length.
const TOO_LATE: u64 = 1_000_000_000;

/// What is known of a key, for display.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The key.
    pub key: Key,
    /// How many gaps its threshold rests on.
    pub samples: u64,
    /// How long those were in all, in ns.
    pub watched: u64,
    /// In ns; `None` while there are too few gaps for one.
    pub threshold: Option<u64>,
}

/// The keys of one monitor, a summary for each model, and one of all models for each phase and part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learnt {
    pub(super) keys: BTreeMap<u64, Entry>,
    pub(super) of_any_model: BTreeMap<u64, Entry>,
    uses: u64,
    revision: u64,
    late_at: u64,
    scale: Option<f64>,
}

impl Learnt {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every threshold times a factor: what a replay sweeps, to show what less delay costs. It is not kept with the keys.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        self.scale = Some(factor);
        self
    }

    /// A poll begins. Every poll is told, whether or not a slot is observed at it: a gap in which one was more than a second
    /// late, or before which the machine was suspended, has no known length, and is not learnt.
    pub fn begin(&mut self, tick: &Tick) {
        // The clock grows by twice the interval at most: where it grew by less than passed, half its growth is the interval.
        let late = tick.passed > tick.grew && tick.passed > tick.grew / 2 + TOO_LATE;
        if late || tick.suspended > 0 {
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

    /// All keys, by phase, model, part and size: summaries come first.
    pub fn rows(&self) -> Vec<Row> {
        let mut entries: Vec<&Entry> = self.of_any_model.values().chain(self.keys.values()).collect();
        // `ANY_SIZE` wraps to the front.
        entries.sort_by(|a, b| {
            let place = |key: &Key| (key.part, key.bucket.wrapping_add(1));
            (&a.key.phase, &a.key.model, place(&a.key)).cmp(&(&b.key.phase, &b.key.model, place(&b.key)))
        });
        entries
            .into_iter()
            .map(|entry| Row {
                key: entry.key.clone(),
                samples: entry.samples(),
                watched: entry.watched,
                threshold: entry.limit().map(|limit| limit.at),
            })
            .collect()
    }

    /// All entries, the last used last.
    pub(super) fn by_use(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.of_any_model.values().chain(self.keys.values()).collect();
        entries.sort_by_key(|entry| (entry.used, entry.key.id()));
        entries
    }

    /// From entries in the order of their last use; `None` where a key stands twice, or there are more than are kept.
    pub(super) fn from_entries(entries: Vec<Entry>) -> Option<Self> {
        let mut learnt = Self::default();
        for mut entry in entries {
            learnt.uses += 1;
            entry.used = learnt.uses;
            let is_of_any_model = entry.key.id() == entry.key.id_of_any_model();
            let (kept, most) =
                if is_of_any_model { (&mut learnt.of_any_model, MAX_SUMMARIES) } else { (&mut learnt.keys, MAX_KEYS) };
            if kept.len() >= most || kept.insert(entry.key.id(), entry).is_some() {
                return None;
            }
        }
        Some(learnt)
    }

    /// A gap of that key ended by itself.
    pub(super) fn learn(&mut self, key: &Key, gap: &Gap) {
        self.revision += 1;
        self.uses += 1;
        let uses = self.uses;
        let of_model = self.keys.get(&key.id_of_any_size()).and_then(Entry::limit).map(|limit| limit.at);
        let full = self.of_any_model.len() >= MAX_SUMMARIES;
        if !full || self.of_any_model.contains_key(&key.id_of_any_model()) {
            let entry = self.of_any_model.entry(key.id_of_any_model());
            let entry = entry.or_insert_with(|| Entry::new(key.of_any_model()));
            entry.used = uses;
            entry.learn(gap, of_model);
        }
        if !key.model.is_empty() {
            let entry = self.own(key.id_of_any_size(), || key.of_any_size());
            entry.used = uses;
            entry.learn(gap, of_model);
        }
        let entry = self.own(key.id(), || key.clone());
        entry.used = uses;
        entry.learn(gap, of_model);
    }

    /// hangwatch killed because of that key.
    pub(super) fn acted(&mut self, key: &Key) {
        self.revision += 1;
        self.uses += 1;
        let uses = self.uses;
        let entry = self.own(key.id(), || key.clone());
        entry.used = uses;
        entry.acted();
    }

    fn own(&mut self, id: u64, key: impl FnOnce() -> Key) -> &mut Entry {
        if !self.keys.contains_key(&id) && self.keys.len() >= MAX_KEYS {
            self.make_room();
        }
        self.keys.entry(id).or_insert_with(|| Entry::new(key()))
    }

    fn make_room(&mut self) {
        let mut least: Vec<(bool, u64, u64)> =
            self.keys.iter().map(|(&id, entry)| (entry.threshold > 0, entry.used, id)).collect();
        least.sort_unstable();
        for (_, _, id) in least.into_iter().take(ROOM) {
            self.keys.remove(&id);
        }
    }

    /// How long a gap of that key may last: by its own gaps, else by its model's of any size, else by any model's in that phase,
    /// else the ceiling. While its own are few, it may last as long as the phase allows, up to what few gaps can make of a
    /// threshold: three short gaps say little of the fourth, and what slower models do says little of either. One or two gaps of
    /// its own are no threshold, and stretch that of the others. A cold gap is its model's own: what one compiler took says nothing
    /// of another.
    pub(super) fn limit(&self, key: &Key) -> Limit {
        let of_model = || self.keys.get(&key.id_of_any_size()).and_then(Entry::limit);
        let of_phase = || self.of_any_model.get(&key.id_of_any_model()).and_then(Entry::limit);
        let of_others = || if key.part == Part::Cold { of_model() } else { of_phase() };
        let own = self.keys.get(&key.id());
        let limit = match own.and_then(Entry::limit) {
            Some(own) if own.samples >= ENOUGH => own,
            Some(own) => of_others().map_or(own, |others| own.or_up_to_most(others)),
            None => {
                let limit = of_model().or_else(of_others).unwrap_or_else(|| terms(key).unknown());
                own.map_or(limit, |own| limit.or_longer(own.first_limit()))
            }
        };
        let limit = own.map_or(limit, |own| own.doubled(limit));
        self.scale.map_or(limit, |factor| limit.scaled(factor))
    }
}
