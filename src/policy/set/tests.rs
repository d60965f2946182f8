//! Layers of models and workers: which value is in force, what is refused, and how little hostile names cost.

use super::*;
use crate::policy::KEYS;
use std::time::Duration;

const fn secs(value: u64) -> Value {
    Value::Duration(Duration::from_secs(value))
}

fn line(line: u64) -> Origin {
    Origin::File("/etc/hangwatch/hangwatch.yaml".into(), Some(line))
}

/// An entry whose values stand on lines of their own from `first` on.
fn entry(of: Of, pattern: &str, first: u64, values: &[(&'static str, Value)]) -> Entry {
    let at = values.iter().zip(first..).map(|((name, value), at)| (*name, *value, line(at)));
    Entry { of, pattern: pattern.into(), values: at.collect() }
}

fn set(entries: Vec<Entry>) -> PolicySet {
    PolicySet::new(Layered::new(), entries).unwrap()
}

fn refused(entries: Vec<Entry>) -> String {
    PolicySet::new(Layered::new(), entries).unwrap_err().to_string()
}

fn progress(set: &PolicySet, model: &str, worker: &str) -> u64 {
    set.for_slot(model, worker).progress_timeout.as_secs()
}

fn source(set: &PolicySet, model: &str, worker: &str, name: &str) -> String {
    let explained = set.explain(model, worker);
    explained.iter().find(|(key, ..)| key.name == name).map(|(_, _, origin)| origin.to_string()).unwrap()
}

#[test]
fn the_more_specific_entry_goes_before_the_others_key_by_key() {
    let set = set(vec![
        entry(Of::Worker, "gpu-7", 1, &[("progress_timeout", secs(70))]),
        entry(Of::Worker, "gpu-*", 2, &[("progress_timeout", secs(60)), ("safety_timeout", secs(61))]),
        entry(Of::Model, "sdxl", 4, &[("progress_timeout", secs(40)), ("loading_timeout", secs(41))]),
        entry(
            Of::Model,
            "sd*",
            6,
            &[("progress_timeout", secs(20)), ("loading_timeout", secs(21)), ("max_passes", Value::Count(2))],
        ),
        entry(Of::Model, "*xl", 9, &[("progress_timeout", secs(30))]),
    ]);
    for (model, worker, expected) in [
        ("flux", "cpu-0", 600),
        ("sd15", "cpu-0", 20),
        ("sd_xl", "cpu-0", 30),
        ("sdxl", "cpu-0", 40),
        ("sdxl", "gpu-1", 60),
        ("sdxl", "gpu-7", 70),
        ("", "gpu-7", 70),
        ("", "", 600),
    ] {
        assert_eq!(progress(&set, model, worker), expected, "model '{model}' on worker '{worker}'");
    }
    let policy = set.for_slot("sdxl", "gpu-7");
    assert_eq!((policy.loading_timeout.as_secs(), policy.safety_timeout.as_secs(), policy.max_passes), (41, 61, 2));
    assert_eq!(policy.heartbeat_timeout.as_secs(), 600, "what no entry names is the base's");
    assert_eq!(set.base(), &Policy::default(), "entries leave the base as it is");
}

#[test]
fn an_entry_goes_before_a_flag_and_every_layer_is_explained() {
    let mut base = Layered::new();
    base.layer([("grace", secs(3), line(2)), ("safety_timeout", secs(50), line(3))]).unwrap();
    base.layer([("d_wait", secs(4), Origin::Env("HANGWATCH_D_WAIT".into()))]).unwrap();
    base.layer([("inference_step_timeout", secs(90), Origin::Flag("--inference-step-timeout".into()))]).unwrap();
    let entries = vec![
        entry(Of::Model, "sd*", 6, &[("progress_timeout", secs(900))]),
        entry(Of::Worker, "gpu-0", 9, &[("safety_timeout", secs(70))]),
    ];
    let set = PolicySet::new(base, entries).unwrap();
    assert_eq!(progress(&set, "sdxl", "gpu-0"), 900, "a flag names the base, an entry is the more specific");
    for (name, expected) in [
        ("backoff", "default"),
        ("grace", "/etc/hangwatch/hangwatch.yaml:2"),
        ("d_wait", "HANGWATCH_D_WAIT"),
        ("heartbeat_timeout", "--inference-step-timeout"),
        ("progress_timeout", "/etc/hangwatch/hangwatch.yaml:6 (models.\"sd*\")"),
        ("safety_timeout", "/etc/hangwatch/hangwatch.yaml:9 (workers.\"gpu-0\")"),
    ] {
        assert_eq!(source(&set, "sdxl", "gpu-0", name), expected, "{name}");
    }
    assert_eq!(source(&set, "flux", "gpu-1", "progress_timeout"), "--inference-step-timeout");
    assert_eq!(source(&set, "flux", "gpu-1", "safety_timeout"), "/etc/hangwatch/hangwatch.yaml:3");
    let names: Vec<_> = set.explain("sdxl", "gpu-0").iter().map(|(key, ..)| key.name).collect();
    let fields: Vec<_> = KEYS.iter().filter(|key| !key.is_combined()).map(|key| key.name).collect();
    assert_eq!(names, fields, "every key is explained once");
}

#[test]
fn what_is_explained_is_what_is_in_force() {
    let set = set(vec![
        entry(Of::Model, "*", 1, &[("inference_step_timeout", secs(33)), ("adaptive", Value::Choice("act"))]),
        entry(Of::Worker, "?", 3, &[("heartbeat_timeout", secs(44))]),
    ]);
    for (model, worker) in [("a", "b"), ("a", ""), ("", "b"), ("", ""), ("a", "long")] {
        let policy = set.for_slot(model, worker);
        for (key, value, _) in set.explain(model, worker) {
            assert_eq!(policy.get(key.name), Some(value), "{} of '{model}' on '{worker}'", key.name);
        }
    }
}

#[test]
fn within_an_entry_a_key_of_one_field_goes_before_a_combined_one() {
    let values = [("heartbeat_timeout", secs(5)), ("inference_step_timeout", secs(9))];
    let set = set(vec![entry(Of::Model, "a", 1, &values)]);
    let policy = set.for_slot("a", "");
    assert_eq!((policy.heartbeat_timeout.as_secs(), policy.progress_timeout.as_secs()), (5, 9));
}

#[test]
fn a_worker_that_names_nothing_is_of_no_pattern() {
    let set = set(vec![entry(Of::Model, "*", 1, &[("progress_timeout", secs(20))])]);
    assert_eq!((progress(&set, "", "gpu-0"), progress(&set, "a", "")), (600, 20));
}

#[test]
fn what_is_one_for_the_whole_monitor_is_refused_in_an_entry() {
    for key in KEYS {
        let value = Policy::default().get(key.name).unwrap();
        let one = PolicySet::new(Layered::new(), vec![entry(Of::Model, "sd*", 7, &[(key.name, value)])]);
        assert_eq!(one.is_err(), key.scope == Scope::Monitor, "{}", key.name);
    }
    assert_eq!(
        refused(vec![entry(Of::Worker, "gpu-0", 7, &[("poll_interval", secs(2))])]),
        "cannot use poll_interval = 2s (/etc/hangwatch/hangwatch.yaml:7, workers.\"gpu-0\"): it has one value for the whole monitor\n  \
         move it to the top level, out of workers"
    );
}

#[test]
fn an_entry_is_checked_with_what_it_leaves_to_the_base() {
    let mut base = Layered::new();
    base.layer([("poll_interval", secs(5), line(2))]).unwrap();
    let entries = vec![entry(Of::Model, "sd*", 7, &[("progress_timeout", secs(9))])];
    assert_eq!(
        PolicySet::new(base, entries).unwrap_err().to_string(),
        "cannot use progress_timeout = 9s (/etc/hangwatch/hangwatch.yaml:7, models.\"sd*\"): \
         a threshold under twice the poll interval of 5s, the least allowed is 10s\n  \
         poll_interval = 5s comes from: /etc/hangwatch/hangwatch.yaml:2\n  \
         raise progress_timeout to 10s or more, or lower poll_interval to 4500ms or less"
    );
    let most = refused(vec![entry(Of::Model, "sd*", 7, &[("max_lease", secs(7200))])]);
    assert!(most.contains("it is over max_lease_sum, which is 1h"), "{most}");
    let kind = refused(vec![entry(Of::Model, "sd*", 7, &[("max_passes", secs(1))])]);
    assert!(kind.ends_with("1s is a duration, expected a count"), "{kind}");
}

#[test]
fn two_entries_that_a_worker_could_be_of_are_checked_together() {
    let long = |of, pattern: &str| entry(of, pattern, 3, &[("max_lease", secs(3000))]);
    let little = |of, pattern: &str| entry(of, pattern, 6, &[("max_lease_sum", secs(2400))]);
    for (one, other) in [
        (long(Of::Model, "sd*"), little(Of::Model, "*xl")),
        (little(Of::Model, "sd*"), long(Of::Model, "sdxl")),
        (long(Of::Worker, "*"), little(Of::Model, "flux")),
    ] {
        let why = refused(vec![one, other]);
        assert!(why.contains("max_lease = 50m") && why.contains("it is over max_lease_sum, which is 40m"), "{why}");
    }
    for (one, other) in [
        (long(Of::Model, "sd*"), little(Of::Model, "flux*")),
        (long(Of::Model, "sdxl"), little(Of::Model, "sd15")),
        (long(Of::Worker, "gpu-?"), little(Of::Worker, "cpu-*")),
    ] {
        set(vec![one, other]);
    }
}

#[test]
fn a_pattern_that_no_name_can_be_of_is_refused() {
    let of = |of, pattern: &str| entry(of, pattern, 1, &[]);
    assert_eq!(refused(vec![of(Of::Model, "")]), "cannot use models.\"\": an entry of models is of no name");
    let long = refused(vec![of(Of::Worker, &"w".repeat(41))]);
    assert!(long.ends_with("41 bytes, and a segment keeps 40 of such a name\n  shorten it, with a '*' at its end"), "{long}");
    set(vec![of(Of::Worker, &"w".repeat(40)), of(Of::Model, &"m".repeat(96))]);
    let many = (0..=MAX_ENTRIES).map(|i| of(Of::Model, &format!("m{i}"))).collect();
    assert!(refused(many).contains("257 entries of models and workers, at most 256 are taken"));
}

#[test]
fn without_entries_every_worker_has_the_one_policy() {
    let set = PolicySet::uniform(Policy { max_passes: 3, ..Policy::default() });
    assert!(Arc::ptr_eq(&set.for_slot("a", "b"), &set.for_slot("", "c")), "nothing is made up");
    assert_eq!(set.for_slot("a", "b").max_passes, 3);
}

#[test]
fn ten_thousand_hostile_names_share_what_they_have_in_common() {
    let patterns = ["*a*", "*b*", "*c*", "*d*", "*e*", "*f*", "*g*", "*h*", "*i*", "*j*"];
    let entries = patterns.iter().map(|pattern| entry(Of::Model, pattern, 1, &[("progress_timeout", secs(20))]));
    let set = set(entries.collect());
    for n in 0..10_000_u32 {
        let letters: String = ('a'..='j').enumerate().filter(|(bit, _)| n >> bit & 1 == 1).map(|(_, letter)| letter).collect();
        let expected = if letters.is_empty() { 600 } else { 20 };
        assert_eq!(progress(&set, &format!("{letters}-{n}"), "w"), expected);
        assert!(set.0.kept.lock().unwrap().len() <= MAX_KEPT, "what is kept is bounded, whatever names there are");
    }
    assert!(Arc::ptr_eq(&set.for_slot("a-1", ""), &set.for_slot("a-2", "")), "names of the same entries share one policy");
}

#[test]
fn a_hostile_name_is_no_pattern() {
    let set = set(vec![entry(Of::Model, "sdxl", 1, &[("progress_timeout", secs(20))])]);
    assert_eq!(progress(&set, "*", "*"), 600);
}

#[test]
fn a_set_can_be_shared_between_threads() {
    fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<PolicySet>();
}
