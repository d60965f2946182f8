//! Entries of models and workers in a file, and reading all of it again.

use super::*;

const ENTRIES: &str = "hangwatch: 1
progress_timeout: 60s
models:
  \"sdxl*\":
    progress_timeout: 900s
    loading_timeout: 5m
  sdxl_turbo: {progress_timeout: 30s}
workers:
  gpu-?:
    adaptive: off
";

fn resolved(loaded: &Loaded, model: &str, worker: &str) -> (u64, u64, String) {
    let policy = loaded.policies.for_slot(model, worker);
    let adaptive = policy.get("adaptive").map(|word| word.to_string()).unwrap_or_default();
    (policy.progress_timeout.as_secs(), policy.loading_timeout.as_secs(), adaptive)
}

#[test]
fn entries_are_for_the_models_and_workers_that_they_name() {
    let loaded = file(ENTRIES).unwrap();
    for (model, worker, progress, loading, adaptive) in [
        ("flux", "cpu", 60, 80, "suspect"),
        ("sdxl_base", "cpu", 900, 300, "suspect"),
        ("sdxl_turbo", "cpu", 30, 300, "suspect"),
        ("sdxl_turbo", "gpu-1", 30, 300, "off"),
    ] {
        assert_eq!(resolved(&loaded, model, worker), (progress, loading, adaptive.into()), "{model} on {worker}");
    }
    let of = |model, worker, field| origin_for(&loaded, model, worker, field).to_string();
    assert!(of("sdxl_base", "", "progress_timeout").ends_with("/policy.yaml:5 (models.\"sdxl*\")"));
    assert!(of("sdxl_turbo", "", "progress_timeout").ends_with("/policy.yaml:7 (models.\"sdxl_turbo\")"));
    assert!(of("sdxl_turbo", "", "loading_timeout").ends_with("/policy.yaml:6 (models.\"sdxl*\")"));
    assert!(of("", "gpu-1", "adaptive").ends_with("/policy.yaml:10 (workers.\"gpu-?\")"));
    assert!(of("flux", "", "progress_timeout").ends_with("/policy.yaml:2"));
}

#[test]
fn an_entry_goes_before_the_environment_and_before_flags() {
    let place = Place::new(ENTRIES);
    let flags = [("progress_timeout", secs(50), "--inference-step-timeout")];
    let loaded = place.load(&[("HANGWATCH_LOADING_TIMEOUT", "40s")], &flags).unwrap();
    assert_eq!(resolved(&loaded, "sdxl_base", "cpu"), (900, 300, "suspect".into()));
    assert_eq!(resolved(&loaded, "flux", "cpu"), (50, 40, "suspect".into()));
}

#[test]
fn every_key_of_a_workers_scope_is_read_in_an_entry_and_no_other() {
    for key in KEYS {
        let (value, text) = super::other(key);
        let loaded = file(&format!("hangwatch: 1\nmodels:\n  sdxl:\n    {}: {text}\n", key.name));
        match key.scope {
            Scope::Worker => {
                let policies = loaded.unwrap().policies;
                assert_eq!(policies.for_slot("sdxl", "").get(key.name), Some(value), "{}", key.name);
                assert_ne!(policies.base().get(key.name), Some(value), "{} of the others stays", key.name);
            }
            Scope::Monitor => {
                let error = loaded.unwrap_err().to_string();
                assert!(error.contains("policy.yaml:4, models.\"sdxl\"): it has one value for the whole monitor"), "{error}");
            }
        }
    }
}

#[test]
fn what_is_wrong_in_an_entry_is_refused_with_its_line_and_its_entry() {
    let hint = "write names or patterns under it and keys under each, such as 'sdxl*: {progress_timeout: 15m}'";
    for (text, expected) in [
        (
            "models:\n  sdxl:\n    loading_timout: 2m",
            "FILE:4': models.\"sdxl\": unknown key 'loading_timout'\n  did you mean 'loading_timeout'?",
        ),
        (
            "workers:\n  a:\n    grace: 2s\n    b: 1",
            "FILE:5': workers.\"a\": unknown key 'b'\n  the keys are heartbeat_timeout, ",
        ),
        ("models:\n  a:\n    preload_timeout: 9", "FILE:4': models.\"a\": unknown key 'preload_timeout'\n  AI Horde's"),
        ("models:\n  a:\n    profile: low-end", "FILE:4': models.\"a\": unknown key 'profile'\n"),
        ("models:\n  a:\n    max_passes: soon", "FILE:4': models.\"a\": max_passes is 'soon', expected a count\n"),
        ("models:\n  a:\n    max_passes: {b: 1}", "FILE:4': models.\"a\": max_passes is a mapping, expected a count\n"),
        ("models: 3", &format!("FILE:2': models is 3, expected names with keys\n  {hint}")),
        ("workers:\n- a", &format!("FILE:2': workers is a list, expected names with keys\n  {hint}")),
        ("models:\n  sdxl: 15m", &format!("FILE:3': models.\"sdxl\" is '15m', expected keys with values\n  {hint}")),
        ("models:\n  a: {}\n  a: {}", "FILE:4': 'a' stands twice\n"),
        ("modls: {}", "FILE:2': unknown key 'modls'\n  did you mean 'models'?"),
        ("models:\n  *xl: {}", "FILE:3': not YAML: "),
    ] {
        let error = refusal(format!("hangwatch: 1\n{text}\n"));
        assert!(error.starts_with(&format!("cannot read policy '{expected}")), "{text}: {error}");
    }
}

#[test]
fn an_entry_that_does_not_hold_with_the_base_is_refused_with_both_lines() {
    assert_eq!(
        refusal("hangwatch: 1\npoll_interval: 5s\nmodels:\n  \"sdxl*\":\n    loading_timeout: 9s\n"),
        "cannot use loading_timeout = 9s (FILE:5, models.\"sdxl*\"): \
         a threshold under twice the poll interval of 5s, the least allowed is 10s\n  \
         poll_interval = 5s comes from: FILE:2\n  \
         raise loading_timeout to 10s or more, or lower poll_interval to 4500ms or less"
    );
}

#[test]
fn names_that_look_like_numbers_are_names_and_an_empty_section_is_none() {
    let loaded = file("hangwatch: 1\nmodels:\n  1.0:\n    max_passes: 3\n  2.0:\nworkers:\n").unwrap();
    assert_eq!(loaded.policies.for_slot("1.0", "").max_passes, 3);
    assert_eq!(loaded.policies.for_slot("1", "").max_passes, 16);
}

#[test]
fn sections_make_a_file_ours_and_other_mappings_of_bridge_data_are_passed_over() {
    let error = refusal("max_batch: 2\nmodels:\n  sdxl: {max_batch: 4}\n");
    assert!(error.contains("it has no 'hangwatch:' version"), "its entries are not lost in silence: {error}");
    let others = "api_key: x\nmodels: [sdxl]\ncustom: {? [a, b] : c, ~: d}\npreload_timeout: 90\n";
    assert_eq!(file(others).unwrap().policies.base().loading_timeout.as_secs(), 90);
}

#[test]
fn what_is_read_again_is_what_the_sources_say_now() {
    let place = Place::new("hangwatch: 1\ngrace: 3s\nsafety_timeout: 33s\n");
    let env = [("HANGWATCH_SAFETY_TIMEOUT", "44s")];
    let flags = [("d_wait", secs(5), "--d-wait")];
    let loaded = place.load(&env, &flags).unwrap();
    let later = "hangwatch: 1\ngrace: 4s\nsafety_timeout: 34s\nd_wait: 6s\nmodels: {a: {max_passes: 2}}\n";
    std::fs::write(&place.path, later).unwrap();
    let again = loaded.reload().unwrap();
    let base = again.policies.base();
    assert_eq!((base.grace.as_secs(), base.safety_timeout.as_secs(), base.d_wait.as_secs()), (4, 44, 5));
    assert_eq!(again.policies.for_slot("a", "").max_passes, 2);
    assert_eq!(loaded.policies.base().grace.as_secs(), 3, "what was loaded first is as it was");
}

#[test]
fn a_file_that_became_bad_is_an_error_and_is_read_again_once_it_is_good() {
    let place = Place::new("hangwatch: 1\ngrace: 3s\n");
    let loaded = place.load(&[], &[]).unwrap();
    for bad in ["hangwatch: 1\ngrce: 4s\n", "hangwatch: 1\ngrace: 0s\n", "hangwatch: 1\nmodels: {a: {grace: 4s}}\n", ""] {
        std::fs::write(&place.path, bad).unwrap();
        assert_eq!(loaded.reload().unwrap_err().kind(), ErrorKind::Usage, "{bad:?}");
    }
    std::fs::remove_file(&place.path).unwrap();
    loaded.reload().expect_err("a named file that is gone is no default policy");
    std::fs::write(&place.path, "hangwatch: 1\ngrace: 4s\n").unwrap();
    assert_eq!(loaded.reload().unwrap().policies.base().grace.as_secs(), 4);
}

#[test]
fn a_default_file_may_come_and_go() {
    let place = Place::new("hangwatch: 1\ngrace: 7s\n");
    let loaded = load_or(&place.path, None, variables(&[]), &[]).unwrap();
    std::fs::remove_file(&place.path).unwrap();
    let without = loaded.reload().unwrap();
    assert_eq!(without.policies.base(), &Policy::default());
    std::fs::write(&place.path, "hangwatch: 1\ngrace: 8s\n").unwrap();
    assert_eq!(without.reload().unwrap().policies.base().grace.as_secs(), 8);
}

const DOCUMENTED: &str = include_str!("../../../../docs/policy.md");

/// The cells of a table's line, without their marks.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
}

#[test]
fn the_documented_example_gives_the_documented_values() {
    let section = DOCUMENTED.split("## Models and workers").nth(1).expect("the section of entries");
    let yaml = section.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its example");
    let loaded = file(yaml).unwrap();
    let rows: Vec<_> =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).collect();
    let head = cells(rows[0]);
    assert_eq!(head[..2], ["model", "worker"]);
    assert!(rows.len() > 5 && head.len() > 3, "rows that show every layer: {rows:?}");
    for row in rows[2..].iter().map(|row| cells(row)) {
        let policy = loaded.policies.for_slot(row[0], row[1]);
        for (key, documented) in head[2..].iter().zip(&row[2..]) {
            let value = policy.get(key).map(|value| value.to_string()).unwrap_or_default();
            assert_eq!(value, *documented, "{key} of {} on {}", row[0], row[1]);
        }
    }
}
