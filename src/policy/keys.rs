//! The policy table: one row a key. A new key is a new row: the struct's field, the configuration file, the environment,
//! `--help`, the documentation and the checks are taken from here.

use std::fmt;
use std::time::Duration;

use super::choice::Adaptive;
use super::value::{Field, Kind, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::phase::Phase;

/// What a value must keep to, whatever the other keys say. Durations, counts and factors have an upper bound besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The poll interval: from 1 ms to 60 s.
    Poll,
    /// A threshold that a poll must meet: two polls at least.
    Budget,
    /// More than zero.
    Positive,
    /// One at least.
    FromOne,
    /// Zero is a value.
    Free,
}

/// Whom a value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One value for the whole monitor: an entry of a model or a worker cannot name it.
    Monitor,
    /// Each worker may have its own.
    Worker,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Monitor => "monitor",
            Self::Worker => "worker",
        })
    }
}

/// A row of the table.
#[derive(Debug)]
pub struct Key {
    /// Its name: in the file, in `Policy::set`, and in upper case after `HANGWATCH_` in the environment.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it must keep to.
    pub bound: Bound,
    /// Whom it is for.
    pub scope: Scope,
    /// The fields that it sets: itself, or several that go together.
    pub fields: &'static [&'static str],
    doc: &'static str,
    get: fn(&Policy) -> Option<Value>,
    set: fn(&mut Policy, Value) -> bool,
}

impl Key {
    /// What it means, in a sentence.
    pub fn doc(&self) -> &'static str {
        self.doc.trim()
    }

    /// It sets several fields, which have keys of their own.
    pub fn is_combined(&self) -> bool {
        self.fields.len() > 1
    }

    /// The key of that name.
    pub fn from_name(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }
}

macro_rules! policy {
    (
        $( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $bound:ident, $scope:ident; )*
        combined { $( $(#[doc = $cdoc:literal])+
            $cname:ident: $ctype:ty = $first:ident + $second:ident, $cbound:ident, $cscope:ident;
        )* }
    ) => {
        /// The policy in force. Durations are of the monitor's accumulated clock.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Policy {
            $( $(#[doc = $doc])+ pub $name: $type, )*
        }

        impl Default for Policy {
            fn default() -> Self {
                Self { $( $name: $default, )* }
            }
        }

        /// Every key: the fields in their order, then the combined ones.
        pub const KEYS: &[Key] = &[
            $( Key {
                name: stringify!($name),
                kind: <$type as Field>::KIND,
                bound: Bound::$bound,
                scope: Scope::$scope,
                fields: &[stringify!($name)],
                doc: concat!($($doc),+),
                get: |policy| Some(policy.$name.to_value()),
                set: |policy, value| <$type>::from_value(value).map(|value| policy.$name = value).is_some(),
            }, )*
            $( Key {
                name: stringify!($cname),
                kind: <$ctype as Field>::KIND,
                bound: Bound::$cbound,
                scope: Scope::$cscope,
                fields: &[stringify!($first), stringify!($second)],
                doc: concat!($($cdoc),+),
                get: |policy| (policy.$first == policy.$second).then(|| policy.$first.to_value()),
                set: |policy, value| <$ctype>::from_value(value)
                    .map(|value| (policy.$first, policy.$second) = (value, value)).is_some(),
            }, )*
        ];
    };
}

policy! {
    /// Time between two polls.
    poll_interval: Duration = secs(1), Poll, Monitor;
    /// Inference: how long neither beat, step nor alive may be seen.
    heartbeat_timeout: Duration = budget(Phase::Inference), Budget, Worker;
    /// Inference: how long progress may stay at its mark.
    progress_timeout: Duration = budget(Phase::Inference), Budget, Worker;
    /// All working processes this long silent together: one event about the host.
    process_timeout: Duration = secs(300), Budget, Monitor;
    /// From the claim to the first beat, and the budget of `starting`.
    starting_timeout: Duration = budget(Phase::Starting), Budget, Worker;
    /// The budget of `received`.
    received_timeout: Duration = budget(Phase::Received), Budget, Worker;
    /// The budget of `downloading`.
    downloading_timeout: Duration = budget(Phase::Downloading), Budget, Worker;
    /// The budget of `downloading_aux`.
    downloading_aux_timeout: Duration = budget(Phase::DownloadingAux), Budget, Worker;
    /// The budget of `loading`.
    loading_timeout: Duration = budget(Phase::Loading), Budget, Worker;
    /// The budget of `compiling`.
    compiling_timeout: Duration = budget(Phase::Compiling), Budget, Worker;
    /// The budget of `post_processing`, for a batch of none.
    post_processing_timeout: Duration = budget(Phase::PostProcessing), Budget, Worker;
    /// What each item of the batch adds to it.
    post_processing_per_batch: Duration = secs(Phase::PostProcessing.row().map_or(0, |row| row.per_batch_s)), Free, Worker;
    /// The batch, in items, that is assumed where a job says none.
    max_batch: u64 = 1, Free, Worker;
    /// The budget of `safety`.
    safety_timeout: Duration = budget(Phase::Safety), Budget, Worker;
    /// The budget of `ending`.
    ending_timeout: Duration = budget(Phase::Ending), Budget, Worker;
    /// The budget of a phase that this version does not know, or whose registration cannot be read.
    other_phase_timeout: Duration = budget(Phase::Inference), Budget, Worker;
    /// First units of a job that have `warmup_timeout` for both clocks of inference.
    warmup_steps: u64 = 0, Free, Worker;
    /// The budget of each of these units, where it is longer than the clock's own.
    warmup_timeout: Duration = secs(1800), Budget, Worker;
    /// A learnt threshold that is passed does nothing (`off`), warns (`suspect`), or counts like a budget (`act`).
    adaptive: Adaptive = Adaptive::Suspect, Free, Worker;
    /// A job slower than its own history or its peers by this factor is slow.
    slow_factor: f64 = 3.0, FromOne, Worker;
    /// Percent a minute under which a job is slow; 0 for none.
    slow_floor: f64 = 0.0, Free, Worker;
    /// A starved worker's budget is stretched by this much at most.
    max_stretch: f64 = 8.0, FromOne, Worker;
    /// A phase other than inference may last this many budgets in all, signs of life or not; a load or download towards a known total, as long as it advances.
    max_phase_factor: f64 = 10.0, FromOne, Worker;
    /// The longest lease that is honoured; 0s honours none.
    max_lease: Duration = secs(30 * 60), Free, Worker;
    /// Leases in sum between two advances.
    max_lease_sum: Duration = secs(60 * 60), Free, Worker;
    /// Passes of one job that restart the progress clock.
    max_passes: u64 = 16, Free, Worker;
    /// Recoveries begun in one `max_kills_window` while all workers are frozen.
    max_kills: u64 = 1, FromOne, Monitor;
    /// The window of `max_kills`.
    max_kills_window: Duration = secs(60), Positive, Monitor;
    /// From SIGTERM to SIGKILL.
    grace: Duration = secs(10), Positive, Monitor;
    /// From SIGKILL to `unkillable`.
    d_wait: Duration = secs(10), Positive, Monitor;
    /// How long evidence of a hung worker may be gathered before it is ended all the same.
    evidence_wait: Duration = secs(10), Positive, Monitor;
    /// How long a respawn waits for its reclaim probe to succeed; then it is respawned all the same.
    reclaim_wait: Duration = secs(60), Positive, Monitor;
    /// Replace a worker that outlived SIGKILL, though it may still hold its device.
    respawn_unkillable: bool = false, Free, Monitor;
    /// The first pause before a respawn; pauses double.
    backoff: Duration = secs(1), Free, Monitor;
    /// The longest pause before a respawn.
    backoff_max: Duration = secs(300), Free, Monitor;
    /// Restarts of one worker without sustained progress before hangwatch gives up.
    max_restarts: u64 = 5, Free, Monitor;
    /// Advancing this long, with no pause as long as `progress_timeout`, is sustained progress.
    restart_window: Duration = secs(600), Positive, Monitor;
    /// Restarts in one `storm_window`, of all workers together, that are a storm: then they come one by one.
    storm_restarts: u64 = 10, FromOne, Monitor;
    /// The window of `storm_restarts`.
    storm_window: Duration = secs(60), Positive, Monitor;
    /// Hangs of one model in one `model_window`, on any worker, after which the model is quarantined; 0 for never.
    max_model_hangs: u64 = 3, Free, Monitor;
    /// The window of `max_model_hangs`, and how long a model stays quarantined after its last hang.
    model_window: Duration = secs(3600), Positive, Monitor;
    /// From the opening of an episode to its first reminder; the next come at doubling distances.
    reminder: Duration = secs(60), Positive, Worker;
    /// Polls that a freed slot rests before its worker is respawned.
    cooldown_polls: u64 = 2, Free, Monitor;
    /// A slot that is reserved and never claimed counts as a worker that never started.
    require_attach: bool = false, Free, Monitor;
    /// End all workers when one is given up on or cannot be started.
    exit_on_unhandled_faults: bool = false, Free, Monitor;

    combined {
        /// Sets `heartbeat_timeout` and `progress_timeout`; a value of their own in the same layer overrides it.
        inference_step_timeout: Duration = heartbeat_timeout + progress_timeout, Budget, Worker;
    }
}

const fn secs(value: u64) -> Duration {
    Duration::from_secs(value)
}

fn budget(phase: Phase) -> Duration {
    secs(phase.row().map_or(0, |row| row.budget_s))
}

impl Policy {
    /// Sets a key. An error where there is no such key, or where it holds another kind; bounds are `validate`'s.
    pub fn set(&mut self, name: &str, value: Value) -> Result<()> {
        let what = || format!("cannot set policy key '{}'", name.escape_default());
        let key = Key::from_name(name).ok_or_else(|| Error::new(ErrorKind::Usage, what(), "there is no such key"))?;
        if !(key.set)(self, value) {
            return Err(Error::new(
                ErrorKind::Usage,
                what(),
                format!("{value} is {}, expected {}", value.met(), key.kind.expected()),
            ));
        }
        Ok(())
    }

    /// The value of a key. `None` where there is no such key, and where the fields of a combined key differ.
    pub fn get(&self, name: &str) -> Option<Value> {
        Key::from_name(name).and_then(|key| (key.get)(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value of the kind that no key has by default.
    fn other(kind: Kind) -> Value {
        match kind {
            Kind::Duration => Value::Duration(secs(777)),
            Kind::Count => Value::Count(77),
            Kind::Factor => Value::Factor(7.7),
            Kind::Flag => Value::Flag(true),
            Kind::Choice(_) => Value::Choice("act"),
        }
    }

    #[test]
    fn every_key_sets_its_fields_and_no_other() {
        for key in KEYS {
            let mut policy = Policy::default();
            policy.set(key.name, other(key.kind)).unwrap();
            assert_eq!(policy.get(key.name), Some(other(key.kind)), "{} reads as it was set", key.name);
            let changed: Vec<_> = KEYS
                .iter()
                .filter(|k| !k.is_combined() && policy.get(k.name) != Policy::default().get(k.name))
                .map(|k| k.name)
                .collect();
            assert_eq!(changed, key.fields, "{} sets what its row says", key.name);
        }
    }

    #[test]
    fn a_value_of_another_kind_is_refused_and_changes_nothing() {
        for key in KEYS {
            let kinds = [Kind::Duration, Kind::Count, Kind::Factor, Kind::Flag, Kind::Choice(Adaptive::WORDS)];
            for kind in kinds.into_iter().filter(|kind| *kind != key.kind) {
                let mut policy = Policy::default();
                let error = policy.set(key.name, other(kind)).unwrap_err();
                assert!(error.why().ends_with(&key.kind.expected()), "{error}");
                assert_eq!(policy, Policy::default(), "a refused value changes nothing");
            }
        }
    }

    #[test]
    fn a_word_that_is_none_of_the_choice_is_refused_with_the_words() {
        let error = Policy::default().set("adaptive", Value::Choice("always")).unwrap_err();
        assert_eq!(error.why(), "always is another word, expected one of off, suspect, act");
    }

    #[test]
    fn a_key_that_is_not_there_is_refused_by_name() {
        let error = Policy::default().set("loading\ntimeout", Value::Flag(true)).unwrap_err();
        assert_eq!(error.to_string(), "cannot set policy key 'loading\\ntimeout': there is no such key");
        assert_eq!(Policy::default().get("nothing"), None);
    }

    #[test]
    fn names_are_unique_and_each_has_a_sentence() {
        for (i, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..i].iter().all(|earlier| earlier.name != key.name), "{} stands in one row", key.name);
            assert!(key.doc().ends_with('.') && !key.doc().contains("  "), "{}: '{}'", key.name, key.doc());
        }
    }

    #[test]
    fn a_combined_key_has_no_value_where_its_fields_differ() {
        let policy = Policy { heartbeat_timeout: secs(5), ..Policy::default() };
        assert_eq!(policy.get("inference_step_timeout"), None);
        assert_eq!(Policy::default().get("inference_step_timeout"), Some(Value::Duration(secs(600))));
    }

    #[test]
    fn the_documented_table_is_the_table() {
        let rows: String = KEYS
            .iter()
            .map(|key| {
                let default = Policy::default().get(key.name).expect("every key has a default");
                format!("| `{}` | {} | {default} | {} | {} |\n", key.name, key.kind, key.scope, key.doc())
            })
            .collect();
        let documented = include_str!("../../docs/policy.md");
        assert!(documented.contains(&rows), "docs/policy.md must hold this table, row for row:\n{rows}");
        let count = documented
            .lines()
            .filter(|line| KEYS.iter().any(|key| line.starts_with(&format!("| `{}` | {} |", key.name, key.kind))));
        assert_eq!(count.count(), KEYS.len(), "docs/policy.md holds no row twice");
    }
}
