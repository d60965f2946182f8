//! Layers of text, end to end: what is taken, and every sentence that refuses.

use std::path::PathBuf;
use std::time::Duration;

use hangwatch::policy::{KEYS, Kind, PROFILES, Policy, Scope};
use tempfile::TempDir;

use super::*;

mod anything;
mod bridge_data;
mod hooks;
mod sections;

/// A directory with one file, and no default file beside it.
struct Place {
    dir: TempDir,
    path: PathBuf,
}

impl Place {
    fn new(text: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        std::fs::write(&path, text).unwrap();
        Self { dir, path }
    }

    fn load(&self, env: &[(&str, &str)], flags: &[(&'static str, Value, &str)]) -> Result<Loaded> {
        load_or(&self.dir.path().join("absent.yaml"), Some(&self.path), variables(env), flags)
    }
}

fn variables(env: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>().into_iter()
}

fn file(text: &str) -> Result<Loaded> {
    Place::new(text).load(&[], &[])
}

fn env(env: &[(&str, &str)]) -> Result<Loaded> {
    load_or(Path::new("/nonexistent/hangwatch.yaml"), None, variables(env), &[])
}

/// Where the base's value of a field came from.
fn origin(loaded: &Loaded, field: &str) -> Origin {
    origin_for(loaded, "", "", field)
}

/// Where the value of a field came from, for a model on a worker.
fn origin_for(loaded: &Loaded, model: &str, worker: &str, field: &str) -> Origin {
    let explained = loaded.policies.explain(model, worker);
    explained.into_iter().find(|(key, ..)| key.name == field).map(|(.., origin)| origin).expect("a field")
}

/// The error of a file's text, with its path shortened to `FILE`.
fn refusal(text: impl AsRef<[u8]>) -> String {
    let place = Place::new(text);
    let error = place.load(&[], &[]).expect_err("the file is refused");
    assert_eq!(error.kind(), ErrorKind::Usage);
    error.to_string().replace(&place.path.display().to_string(), "FILE")
}

/// The error of a file of version 1 with one more line, without `cannot read policy 'FILE:2': `.
fn line_refusal(line: &str) -> String {
    let error = refusal(format!("hangwatch: 1\n{line}\n"));
    error.strip_prefix("cannot read policy 'FILE:2': ").unwrap_or_else(|| panic!("it names file and line: {error}")).to_string()
}

const fn secs(value: u64) -> Value {
    Value::Duration(Duration::from_secs(value))
}

/// A value that holds beside the defaults and is no key's default.
fn other(key: &hangwatch::policy::Key) -> (Value, &'static str) {
    match (key.name, key.kind) {
        ("backoff" | "max_lease" | "poll_interval", _) => (Value::Duration(Duration::from_millis(1500)), "1500ms"),
        (_, Kind::Duration) => (secs(5400), "1h 30m"),
        (_, Kind::Count) => (Value::Count(77), "77"),
        (_, Kind::Factor) => (Value::Factor(2.5), "2.5"),
        (_, Kind::Flag) => (Value::Flag(true), "true"),
        (_, Kind::Choice(_)) => (Value::Choice("off"), "off"),
    }
}

#[test]
fn every_key_of_the_table_is_read_from_a_file_and_from_the_environment() {
    for key in KEYS {
        let (value, text) = other(key);
        let loaded = file(&format!("hangwatch: 1\n{}: {text}\n", key.name)).unwrap();
        assert_eq!(loaded.policies.base().get(key.name), Some(value), "{} from the file", key.name);
        for field in key.fields {
            assert!(origin(&loaded, field).to_string().ends_with("/policy.yaml:2"), "{field} knows its line");
        }
        let variable = format!("HANGWATCH_{}", key.name.to_uppercase());
        let loaded = env(&[(&variable, text)]).unwrap();
        assert_eq!(loaded.policies.base().get(key.name), Some(value), "{} from the environment", key.name);
        assert_eq!(origin(&loaded, key.fields[0]), Origin::Env(variable));
        assert_eq!(loaded.warnings, [""; 0]);
    }
}

#[test]
fn a_number_is_seconds_and_quotes_make_no_difference() {
    for (text, millis) in [("80", 80_000), ("2.5", 2500), ("'2.5'", 2500), ("\"90s\"", 90_000), ("2500ms", 2500)] {
        let loaded = file(&format!("hangwatch: 1\nloading_timeout: {text} # why\n")).unwrap();
        assert_eq!(loaded.policies.base().loading_timeout, Duration::from_millis(millis), "{text}");
    }
}

#[test]
fn a_later_layer_goes_before_an_earlier_one() {
    let place =
        Place::new("hangwatch: 1\nprofile: mid-range\nprogress_timeout: 70s\ngrace: 3s\nsafety_timeout: 33s\nbackoff: 2s\n");
    let variables = [("HANGWATCH_GRACE", "4s"), ("HANGWATCH_SAFETY_TIMEOUT", "44s")];
    let loaded = place.load(&variables, &[("safety_timeout", secs(55), "--safety-timeout")]).unwrap();
    let line = |line| Origin::File(place.path.clone(), Some(line));
    for (key, value, expected) in [
        ("heartbeat_timeout", secs(900), Origin::Profile("mid-range")),
        ("progress_timeout", secs(70), line(3)),
        ("backoff", secs(2), line(6)),
        ("grace", secs(4), Origin::Env("HANGWATCH_GRACE".into())),
        ("safety_timeout", secs(55), Origin::Flag("--safety-timeout".into())),
        ("d_wait", secs(10), Origin::Default),
    ] {
        assert_eq!((loaded.policies.base().get(key), origin(&loaded, key)), (Some(value), expected), "{key}");
    }
}

#[test]
fn a_profile_of_the_environment_goes_before_the_file_s_and_beneath_its_keys() {
    for profile in PROFILES {
        let place = Place::new("hangwatch: 1\nprofile: mid-range\nheartbeat_timeout: 70s\n");
        let loaded = place.load(&[("HANGWATCH_PROFILE", profile.name)], &[]).unwrap();
        assert_eq!(loaded.policies.base().progress_timeout, profile.inference, "{}", profile.name);
        assert_eq!(loaded.policies.base().heartbeat_timeout.as_secs(), 70);
    }
}

#[test]
fn without_a_file_the_default_one_is_read_if_it_is_there() {
    let place = Place::new("hangwatch: 1\ngrace: 7s\n");
    assert_eq!(load_or(&place.path, None, variables(&[]), &[]).unwrap().policies.base().grace.as_secs(), 7);
    let broken = Place::new("hangwatch: 1\ngrce: 7s\n");
    load_or(&broken.path, None, variables(&[]), &[]).expect_err("a default file that cannot be used is not passed over");
    load_or(&broken.path, Some(&place.path), variables(&[]), &[]).expect("a named file stands in for it");
    assert_eq!(env(&[]).unwrap().policies.base(), &Policy::default());
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name() {
    assert_eq!(line_refusal("loading_timout: 80s"), "unknown key 'loading_timout'\n  did you mean 'loading_timeout'?");
    assert_eq!(line_refusal("proffile: low-end"), "unknown key 'proffile'\n  did you mean 'profile'?");
    assert_eq!(
        line_refusal("preload_timeout: 80"),
        "unknown key 'preload_timeout'\n  AI Horde's preload_timeout is loading_timeout here"
    );
    assert_eq!(
        line_refusal("download_timeout: 80"),
        "unknown key 'download_timeout'\n  AI Horde's download_timeout is downloading_timeout and downloading_aux_timeout here"
    );
    let far = line_refusal("colour: red");
    assert!(far.starts_with("unknown key 'colour'\n  the keys are poll_interval, heartbeat_timeout, "), "{far}");
    assert!(line_refusal("\"a\\nb\": 1").starts_with("unknown key 'a\\nb'\n"), "a key is escaped");
}

#[test]
fn a_value_that_is_none_of_its_kind_is_refused_with_the_forms() {
    let duration = "expected a duration\n  write it like 2s, 100ms, 10m or 1h 30m; a plain number is seconds";
    for (text, met) in [
        ("80 parsecs", "'80 parsecs'"),
        ("-5", "-5"),
        ("-5s", "'-5s'"),
        ("true", "true"),
        ("", "empty"),
        ("''", "''"),
        ("[1, 2]", "a list"),
        ("{a: 1}", "a mapping"),
        (".inf", "'.inf'"),
        (".nan", "'.nan'"),
        ("1e400", "'.inf'"),
    ] {
        assert_eq!(line_refusal(&format!("loading_timeout: {text}")), format!("loading_timeout is {met}, {duration}"), "{text}");
    }
    for (line, expected) in [
        ("max_batch: 2.5", "max_batch is 2.5, expected a count\n  write a whole number, such as 4"),
        ("max_batch: -1", "max_batch is -1, expected a count\n  write a whole number, such as 4"),
        ("max_phase_factor: ten", "max_phase_factor is 'ten', expected a factor\n  write a number, such as 10 or 2.5"),
        ("max_phase_factor: 'nan'", "max_phase_factor is 'nan', expected a factor\n  write a number, such as 10 or 2.5"),
        ("require_attach: 1", "require_attach is 1, expected a flag\n  write true or false"),
        ("adaptive: always", "adaptive is 'always', expected one of off, suspect, act\n  write one of these words"),
        ("adaptive: true", "adaptive is true, expected one of off, suspect, act\n  write one of these words"),
        ("profile: [low-end]", "profile is a list, expected a name\n  write 'profile: mid-range'"),
        ("profile: midrange", "there is no profile 'midrange'\n  did you mean 'mid-range'?"),
        ("profile: fast", "there is no profile 'fast'\n  the profiles are high-end, mid-range, low-end"),
        ("hangwatch: 1", "'hangwatch' stands twice\n  keep one of the two"),
    ] {
        assert_eq!(line_refusal(line), expected);
    }
}

#[test]
fn a_key_that_stands_twice_is_refused_at_its_second_line() {
    assert_eq!(
        refusal("hangwatch: 1\ngrace: 1s\nbackoff: 1s\ngrace: 2s\n"),
        "cannot read policy 'FILE:4': 'grace' stands twice\n  keep one of the two"
    );
}

#[test]
fn a_file_without_its_version_or_of_another_is_refused() {
    let hints =
        "  put 'hangwatch: 1' on its first line\n  an AI Horde bridgeData.yaml is read as it is, without keys of hangwatch's own";
    for text in ["grace: 1s\n", "inference_step_timeout: 2s\npoll_interval: 100ms\n", "max_batch: 2\nprofile: low-end\n"] {
        let expected = format!("cannot read policy 'FILE': it has no 'hangwatch:' version, expected 'hangwatch: 1'\n{hints}");
        assert_eq!(refusal(text), expected, "{text}");
    }
    for (version, met) in [("2", "2"), ("1.0", "1"), ("'1'", "'1'"), ("", "empty")] {
        assert_eq!(
            refusal(format!("grace: 1s\nhangwatch: {version}\n")).lines().next(),
            Some(format!("cannot read policy 'FILE:2': version {met}, this build reads 1").as_str())
        );
    }
}

#[test]
fn what_is_no_mapping_of_keys_is_refused() {
    for text in ["", "\n\n", "# only a comment\n", "---\n", "{}\n", "~\n", "\u{feff}"] {
        assert_eq!(refusal(text), "cannot read policy 'FILE': it is empty\n  put 'hangwatch: 1' on its first line", "{text:?}");
    }
    for (text, met) in
        [("- a\n- b\n", "a list"), ("hangwatch\n", "'hangwatch'"), ("1\n", "1"), ("0.5\n", "0.5"), ("true\n", "true")]
    {
        let first = format!("cannot read policy 'FILE': it is {met}, expected keys with values");
        assert_eq!(refusal(text).lines().next(), Some(first.as_str()), "{text:?}");
    }
}

#[test]
fn what_is_no_yaml_is_refused_with_its_line() {
    for (text, line) in [
        ("hangwatch: 1\ngrace: [1s\n", 2),
        ("hangwatch: 1\n  grace: 1s\n", 2),
        ("hangwatch: 1\ngrace: 'open\n", 2),
        // The line on which the value begins that the tab breaks.
        ("hangwatch: 1\nbackoff: 1s\n\tgrace: 1s\n", 2),
        ("hangwatch: 1\n---\nhangwatch: 1\n", 3),
    ] {
        let error = refusal(text);
        let first = error.lines().next().unwrap();
        assert!(first.starts_with(&format!("cannot read policy 'FILE:{line}': not YAML: ")), "{text:?}: {error}");
        assert!(!first.contains(" at line ") && !first.ends_with('.'), "the place stands once: {error}");
        assert_eq!(error.lines().count(), 2, "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let load = |path: &Path| load(Some(path), variables(&[]), &[]).unwrap_err();
    let absent = dir.path().join("absent.yaml");
    let error = load(&absent);
    assert_eq!(error.kind(), ErrorKind::Usage, "a wrong --config is a usage error, not a missing segment");
    assert_eq!(
        error.to_string(),
        format!("cannot read policy '{}': no such file or directory\n  '--config FILE' names another file", absent.display())
    );
    assert_eq!(load(dir.path()).why(), "is a directory");
    assert_eq!(
        refusal([0xff, 0xfe, 0x00]),
        "cannot read policy 'FILE': it is not UTF-8 text\n  save it as UTF-8; is this the right file?"
    );
    assert_eq!(
        refusal(vec![b'#'; (1 << 20) + 1]),
        "cannot read policy 'FILE': it is larger than 1048576 bytes\n  a policy is a few lines of YAML; is this the right file?"
    );
    assert_eq!(load(Path::new("/dev/zero")).why(), "it is larger than 1048576 bytes", "an endless file ends");
}

#[test]
fn a_threshold_under_twice_the_poll_interval_is_refused_with_both_origins() {
    let place = Place::new("hangwatch: 1\n\nloading_timeout: 3s\n");
    let error = place.load(&[("HANGWATCH_POLL_INTERVAL", "2s")], &[]).unwrap_err();
    assert_eq!(
        error.to_string().replace(&place.path.display().to_string(), "FILE"),
        "cannot use loading_timeout = 3s (FILE:3): a threshold under twice the poll interval of 2s, the least allowed is 4s\n  \
         poll_interval = 2s comes from: HANGWATCH_POLL_INTERVAL\n  \
         raise loading_timeout to 4s or more, or lower poll_interval to 1500ms or less"
    );
    place.load(&[("HANGWATCH_POLL_INTERVAL", "1500ms")], &[]).expect("what the error advises is allowed");
    place.load(&[], &[("inference_step_timeout", secs(1), "--inference-step-timeout")]).expect_err("a flag is checked too");
}

#[test]
fn a_bad_variable_is_refused_by_its_name() {
    for (name, value, expected) in [
        (
            "HANGWATCH_GRACE",
            "soon",
            "cannot use HANGWATCH_GRACE: grace is 'soon', expected a duration\n  \
             write it like 2s, 100ms, 10m or 1h 30m; a plain number is seconds",
        ),
        ("HANGWATCH_GRACE", "0s", "cannot use grace = 0s (HANGWATCH_GRACE): it must be more than zero\n  raise grace"),
        ("HANGWATCH_PROFILE", "low", "cannot use HANGWATCH_PROFILE: there is no profile 'low'\n  did you mean 'low-end'?"),
        (
            "HANGWATCH_REQUIRE_ATTACH",
            "maybe",
            "cannot use HANGWATCH_REQUIRE_ATTACH: require_attach is 'maybe', expected a flag\n  write true or false",
        ),
    ] {
        assert_eq!(env(&[(name, value)]).unwrap_err().to_string(), expected);
    }
}

#[test]
fn an_unknown_variable_is_a_warning_with_the_nearest_name() {
    let warnings =
        env(&[("HANGWATCH_LOADING_TIMOUT", "80s"), ("HANGWATCH_COLOUR", "red"), ("HANGWATCHER", "1")]).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "HANGWATCH_COLOUR is ignored: there is no such variable",
            "HANGWATCH_LOADING_TIMOUT is ignored: there is no such variable; did you mean 'HANGWATCH_LOADING_TIMEOUT'?",
        ]
    );
}

#[test]
fn a_reserved_variable_is_never_policy() {
    for name in env::RESERVED {
        let loaded = env(&[(&format!("HANGWATCH_{name}"), "anything")]).unwrap();
        assert_eq!((loaded.policies.base(), loaded.warnings), (&Policy::default(), vec![]), "{name}");
        assert!(KEYS.iter().all(|key| key.name.to_uppercase() != *name), "{name} is no key");
    }
}

#[test]
fn the_environment_of_this_process_gives_our_variables_only() {
    assert!(std::env::vars_os().count() > 0, "a test runs in an environment");
    assert!(env::of_process().all(|(name, _)| name.starts_with("HANGWATCH_")));
}
