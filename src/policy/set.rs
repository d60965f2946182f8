//! A policy for each worker: a base, and entries of models and of workers that go before it, key by key.
//!
//! From the lowest layer to the highest:
//! 1. the base: defaults < profile < file < environment < flags
//! 2. patterns of the model, in their order; then the model's exact name
//! 3. patterns of the worker's label, in their order; then the exact label
//!
//! A flag names the base, an entry one model or one worker: the entry is the more specific, and wins. A worker that names no
//! model yet, or has no label, is of no pattern, not even of `*`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::check::ORDERINGS;
use super::glob;
use super::keys::{Key, Policy, Scope};
use super::origin::{Layered, Origin, Origins};
use super::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::info::{MODEL_BYTES, NAME_BYTES};

/// More are no configuration that a person wrote, and every pair that could meet in one worker is checked.
const MAX_ENTRIES: usize = 256;
/// Combinations of entries that are kept made up. Names are other processes' words, so however many they are, this is all
/// the memory that they can take: some 600 bytes each.
const MAX_KEPT: usize = 256;

/// What an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// The model that a worker's job names.
    Model,
    /// The worker's label.
    Worker,
}

impl Of {
    /// The section that holds such entries.
    pub fn section(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Worker => "workers",
        }
    }

    /// `models."sdxl*"`.
    pub fn entry(self, pattern: &str) -> String {
        format!("{}.\"{}\"", self.section(), pattern.escape_debug())
    }

    /// What a segment keeps of such a name.
    fn most_bytes(self) -> usize {
        match self {
            Self::Model => MODEL_BYTES,
            Self::Worker => NAME_BYTES,
        }
    }
}

/// Values for the models or workers of a pattern.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What the pattern is of.
    pub of: Of,
    /// A name, or a pattern with `*` for any characters and `?` for one.
    pub pattern: String,
    /// Key, value, and where it stands.
    pub values: Vec<(&'static str, Value, Origin)>,
}

impl Entry {
    fn is_for(&self, model: &str, worker: &str) -> bool {
        let name = match self.of {
            Of::Model => model,
            Of::Worker => worker,
        };
        !name.is_empty() && glob::matches(&self.pattern, name)
    }

    fn may_meet(&self, other: &Self) -> bool {
        self.of != other.of || glob::overlap(&self.pattern, &other.pattern)
    }

    fn sets(&self, field: &str) -> bool {
        self.values.iter().any(|(name, ..)| Key::from_name(name).is_some_and(|key| key.fields.contains(&field)))
    }

    fn check(&self) -> Result<()> {
        let (section, most) = (self.of.section(), self.of.most_bytes());
        let what = || format!("cannot use {}", self.of.entry(&self.pattern));
        if self.pattern.is_empty() {
            return Err(Error::new(ErrorKind::Usage, what(), format!("an entry of {section} is of no name")));
        }
        if self.pattern.len() > most {
            let why = format!("{} bytes, and a segment keeps {most} of such a name", self.pattern.len());
            return Err(Error::new(ErrorKind::Usage, what(), why).hint("shorten it, with a '*' at its end"));
        }
        for (name, value, origin) in &self.values {
            if Key::from_name(name).is_some_and(|key| key.scope == Scope::Monitor) {
                let at = Origin::Entry(self.of, self.pattern.clone(), Box::new(origin.clone()));
                let what = format!("cannot use {name} = {value} ({at:#})");
                return Err(Error::new(ErrorKind::Usage, what, "it has one value for the whole monitor")
                    .hint(format!("move it to the top level, out of {section}")));
            }
        }
        Ok(())
    }
}

/// The policies in force: cheap to clone, and to share between threads.
#[derive(Debug, Clone)]
pub struct PolicySet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Arc<Policy>,
    origins: Origins,
    /// The later goes before the earlier.
    entries: Vec<Entry>,
    /// By the entries that are combined.
    kept: Mutex<HashMap<Vec<usize>, Arc<Policy>>>,
}

impl From<Policy> for PolicySet {
    fn from(policy: Policy) -> Self {
        Self::uniform(policy)
    }
}

impl Default for PolicySet {
    fn default() -> Self {
        Self::uniform(Policy::default())
    }
}

impl PolicySet {
    /// The same policy for everybody; it should be validated.
    pub fn uniform(policy: Policy) -> Self {
        Self::of(Layered { policy, origins: Origins::default() }, Vec::new())
    }

    /// A base and its entries, in their order. Refused where anything does not hold together for a worker that could be.
    pub fn new(base: Layered, mut entries: Vec<Entry>) -> Result<Self> {
        base.check()?;
        if entries.len() > MAX_ENTRIES {
            let why = format!("{} entries of models and workers, at most {MAX_ENTRIES} are taken", entries.len());
            return Err(Error::new(ErrorKind::Usage, "cannot use this policy", why).hint("join entries by patterns"));
        }
        entries.sort_by_key(|entry| (entry.of, glob::is_exact(&entry.pattern)));
        for entry in &entries {
            entry.check()?;
            layered(&base, [entry])?.check()?;
        }
        // A bound of one value holds in every combination if it holds in each entry, and so does an ordering of two if it holds
        // in each pair.
        for (i, one) in entries.iter().enumerate() {
            for other in &entries[i + 1..] {
                let orders = |(low, high): &(&str, &str)| one.sets(low) && other.sets(high) || one.sets(high) && other.sets(low);
                if ORDERINGS.iter().any(orders)
                    && let Err(refused) = layered(&base, [one, other])?.check()
                    && one.may_meet(other)
                {
                    return Err(refused);
                }
            }
        }
        Ok(Self::of(base, entries))
    }

    fn of(base: Layered, entries: Vec<Entry>) -> Self {
        let Layered { policy, origins } = base;
        Self(Arc::new(Inner { base: Arc::new(policy), origins, entries, kept: Mutex::default() }))
    }

    /// The policy of a worker that no entry is for, and of what is one for the whole monitor.
    pub fn base(&self) -> &Policy {
        &self.0.base
    }

    /// The policy of a worker by its model and its label; empty where it names none. Keep it until they change: with entries
    /// this compares each pattern with the names.
    pub fn for_slot(&self, model: &str, worker: &str) -> Arc<Policy> {
        let Inner { base, entries, kept, .. } = &*self.0;
        let matching: Vec<usize> = (0..entries.len()).filter(|i| entries[*i].is_for(model, worker)).collect();
        if matching.is_empty() {
            return Arc::clone(base);
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = kept.get(&matching) {
            return Arc::clone(policy);
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        let policy = Arc::new(self.layered(&matching).policy);
        kept.insert(matching, Arc::clone(&policy));
        policy
    }

    /// Every key in the order of the table, with its value for such a worker and where that came from.
    pub fn explain(&self, model: &str, worker: &str) -> Vec<(&'static Key, Value, Origin)> {
        let entries = &self.0.entries;
        let matching: Vec<usize> = (0..entries.len()).filter(|i| entries[*i].is_for(model, worker)).collect();
        let Layered { policy, origins } = self.layered(&matching);
        origins.explain(&policy).map(|(key, value, origin)| (key, value, origin.clone())).collect()
    }

    fn layered(&self, matching: &[usize]) -> Layered {
        let Inner { base, origins, entries, .. } = &*self.0;
        let base = Layered { policy: Policy::clone(base), origins: origins.clone() };
        // Each entry was layered when the set was made: its keys are there and of their kinds.
        layered(&base, matching.iter().map(|i| &entries[*i])).unwrap_or(base)
    }
}

/// The base with these entries on top.
fn layered<'a>(base: &Layered, entries: impl IntoIterator<Item = &'a Entry>) -> Result<Layered> {
    let mut layered = base.clone();
    for Entry { of, pattern, values } in entries {
        let origin = |at: &Origin| Origin::Entry(*of, pattern.clone(), Box::new(at.clone()));
        layered.layer(values.iter().map(|(name, value, at)| (*name, *value, origin(at))))?;
    }
    Ok(layered)
}

#[cfg(test)]
mod tests;
