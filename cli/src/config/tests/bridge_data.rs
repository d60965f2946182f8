//! AI Horde's file, as its worker writes it.

use super::*;

const HORDE: &str = include_str!("../../../tests/data/bridgeData.yaml");

#[test]
fn bridge_data_is_read_as_it_is() {
    let loaded = file(HORDE).unwrap();
    let expected = Policy {
        heartbeat_timeout: Duration::from_secs(600),
        progress_timeout: Duration::from_secs(600),
        loading_timeout: Duration::from_secs(120),
        downloading_timeout: Duration::from_secs(211),
        downloading_aux_timeout: Duration::from_secs(211),
        post_processing_timeout: Duration::from_secs(90),
        process_timeout: Duration::from_secs(900),
        max_batch: 4,
        exit_on_unhandled_faults: true,
        ..Policy::default()
    };
    assert_eq!(loaded.policies.base(), &expected);
    let line = HORDE.lines().position(|line| line.starts_with("preload_timeout")).unwrap() + 1;
    assert!(origin(&loaded, "loading_timeout").to_string().ends_with(&format!("policy.yaml:{line}")));
}

#[test]
fn bridge_data_without_a_key_of_ours_is_the_default_policy() {
    let loaded = file("api_key: \"0000000000\"\nmax_threads: 1\nhigh_performance_mode: true\n").unwrap();
    assert_eq!((loaded.policies.base(), loaded.warnings), (&Policy::default(), vec![]));
}

#[test]
fn a_value_outside_the_origin_s_range_is_taken_with_a_warning_and_one_within_without() {
    for (line, warning) in [
        ("inference_step_timeout: 60", None),
        ("inference_step_timeout: 15", None),
        (
            "inference_step_timeout: 61",
            Some("inference_step_timeout is 61, outside AI Horde's own range of 15 to 60; taken as it is"),
        ),
        (
            "inference_step_timeout: 14",
            Some("inference_step_timeout is 14, outside AI Horde's own range of 15 to 60; taken as it is"),
        ),
        ("preload_timeout: 15", None),
        ("preload_timeout: 14", Some("preload_timeout is 14, outside AI Horde's own range of 15 and more; taken as it is")),
        (
            "post_process_timeout: '14'",
            Some("post_process_timeout is 14, outside AI Horde's own range of 15 and more; taken as it is"),
        ),
        ("max_batch: 20", None),
        ("max_batch: 21", Some("max_batch is 21, outside AI Horde's own range of 1 to 20; taken as it is")),
        ("max_batch: 0", Some("max_batch is 0, outside AI Horde's own range of 1 to 20; taken as it is")),
        ("download_timeout: 2", None),
        ("process_timeout: 86400.0", None),
        ("exit_on_unhandled_faults: 1", None),
    ] {
        let place = Place::new(format!("api_key: x\n{line}\n"));
        let loaded = place.load(&[], &[]).unwrap();
        let expected: Vec<_> = warning.iter().map(|warning| format!("{}:2: {warning}", place.path.display())).collect();
        assert_eq!(loaded.warnings, expected, "{line}");
        assert_ne!(loaded.policies.base(), &Policy::default(), "{line} is taken");
    }
}

#[test]
fn bridge_data_counts_in_whole_seconds() {
    for (line, expected) in [
        ("preload_timeout: 80s", "preload_timeout is '80s', expected whole seconds"),
        ("download_timeout: 2.5", "download_timeout is 2.5, expected whole seconds"),
        ("process_timeout: -1", "process_timeout is -1, expected whole seconds"),
        ("inference_step_timeout:", "inference_step_timeout is empty, expected whole seconds"),
        ("max_batch: many", "max_batch is 'many', expected a whole number"),
        ("exit_on_unhandled_faults: 2", "exit_on_unhandled_faults is 2, expected true or false"),
    ] {
        let error = refusal(format!("api_key: x\n{line}\n"));
        assert_eq!(error.lines().next(), Some(format!("cannot read policy 'FILE:2': {expected}").as_str()));
        assert_eq!(error.lines().count(), 2, "it says what to do: {error}");
    }
    assert!(
        refusal("api_key: x\npreload_timeout: 1\n").starts_with("cannot use loading_timeout = 1s (FILE:2): a threshold under")
    );
}
