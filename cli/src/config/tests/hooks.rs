//! The sections `hooks:` and `ping:`: what is taken, and every sentence that refuses.

use super::*;
use crate::config::hooks::{HOOK_KEYS, PING_KEYS};
use crate::hooks::{DEFAULT_EVENTS, Events, Secret, Target};
use hangwatch::tell::EventKind;

const WHOLE: &str = r#"hangwatch: 1
hooks:
  - command: ["/usr/local/bin/page", "--severity", "high"]
    events: [opened, gave_up, quarantined]
    timeout: 3s
    retries: 5
    queue: 7
  - webhook: https://example.org/hangwatch
    headers: {Authorization: "Bearer hush", X-Key: "env:KEY"}
    events: [all]
  - command: logger -t hangwatch
ping:
  url: env:PING_URL
  every: 30s
  timeout: 5s
"#;

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).into()).collect()
}

#[test]
fn hooks_and_the_ping_are_read_with_all_that_they_say() {
    let loaded = file(WHOLE).unwrap();
    let [page, webhook, logger] = loaded.hooks.as_slice() else { panic!("three hooks: {:?}", loaded.hooks) };
    assert_eq!(page.target, Target::Command(texts(&["/usr/local/bin/page", "--severity", "high"])));
    assert_eq!(page.events, Events::These(vec![EventKind::Opened, EventKind::GaveUp, EventKind::Quarantined]));
    assert_eq!((page.timeout, page.retries, page.queue), (Duration::from_secs(3), 5, 7));
    assert!(page.place.to_string().ends_with("policy.yaml:3"), "{}", page.place);
    let secret = |text: &str| Secret(text.into());
    let headers = vec![("Authorization".into(), secret("Bearer hush")), ("X-Key".into(), secret("env:KEY"))];
    assert_eq!(webhook.target, Target::Webhook { url: secret("https://example.org/hangwatch"), headers });
    assert_eq!(webhook.events, Events::All);
    assert_eq!((logger.target.clone(), logger.events.clone()), (Target::shell("logger -t hangwatch"), Events::default()));
    assert_eq!((logger.timeout, logger.retries, logger.queue), (Duration::from_secs(10), 3, 64));
    let ping = loaded.ping.as_ref().expect("a ping");
    assert_eq!(ping.target, Target::Webhook { url: secret("env:PING_URL"), headers: Vec::new() });
    assert_eq!((ping.every, ping.timeout), (Duration::from_secs(30), Duration::from_secs(5)));
    assert!(!format!("{loaded:?}").contains("hush"), "what is shown holds no secret");
}

#[test]
fn what_is_wrong_in_a_hook_is_refused_with_its_line() {
    for (text, expected) in [
        ("hooks: 3", "FILE:2': hooks is 3, expected a list of hooks\n  write '- command: "),
        ("hooks: {command: x}", "FILE:2': hooks is a mapping, expected a list of hooks\n"),
        ("hooks:\n  - x", "FILE:2': a hook is 'x', expected keys with values\n"),
        ("hooks:\n  - {}", "FILE:2': a hook is a mapping, expected keys with values\n"),
        ("hooks:\n  - command: x\n    timout: 3s", "FILE:4': hooks: unknown key 'timout'\n  did you mean 'timeout'?"),
        ("hooks:\n  - command: x\n    colour: red", "FILE:4': hooks: unknown key 'colour'\n  the keys are command, "),
        ("hooks:\n  - events: [all]", "FILE:3': hooks: neither command nor webhook\n"),
        ("hooks:\n  - command: x\n    webhook: y", "FILE:4': hooks: both command and webhook\n"),
        ("hooks:\n  - command: x\n    headers: {A: b}", "FILE:4': hooks: a command has no headers\n"),
        ("hooks:\n  - command: [page, 5]", "FILE:3': hooks: command holds 5, expected text\n  put it in quotes"),
        ("hooks:\n  - command: []", "FILE:3': hooks: command names no program\n"),
        ("hooks:\n  - command: \" \"", "FILE:3': hooks: command is a text, expected a list of words or a line\n"),
        ("hooks:\n  - webhook: [hush]", "FILE:3': hooks: webhook is a list, expected an address\n"),
        ("hooks:\n  - webhook: x\n    headers: hush", "FILE:4': hooks: headers is a text, expected names with values\n"),
        ("hooks:\n  - webhook: x\n    headers:\n      A: 5", "FILE:5': hooks: header 'A' is no text\n"),
        ("hooks:\n  - command: x\n    events: [opend]", "FILE:4': hooks: there is no event 'opend'\n  did you mean 'opened'?"),
        ("hooks:\n  - command: x\n    events: [colour]", "FILE:4': hooks: there is no event 'colour'\n  the events are opened, "),
        ("hooks:\n  - command: x\n    events: []", "FILE:4': hooks: events is empty, "),
        ("hooks:\n  - command: x\n    timeout: soon", "FILE:4': hooks: timeout is 'soon', expected a duration\n"),
        ("hooks:\n  - command: x\n    timeout: 0s", "FILE:4': hooks: timeout is '0s', expected 1ms or more\n"),
        ("hooks:\n  - command: x\n    retries: 101", "FILE:4': hooks: retries is 101, expected a count from 0 to 100\n"),
        ("hooks:\n  - command: x\n    queue: 0", "FILE:4': hooks: queue is 0, expected a count from 1 to 65536\n"),
        ("hoks: []", "FILE:2': unknown key 'hoks'\n  did you mean 'hooks'?"),
        ("ping: https://example.org/hush", "FILE:2': ping is a text, expected keys with values\n"),
        ("ping:\n  evry: 3s", "FILE:3': ping: unknown key 'evry'\n  did you mean 'every'?"),
        ("ping:\n  every: 3s", "FILE:2': ping: neither command nor url\n"),
        ("ping:\n  command: x\n  every: 1ms", "FILE:4': ping: every is '1ms', expected 100ms or more\n"),
    ] {
        let error = refusal(format!("hangwatch: 1\n{text}\n"));
        assert!(error.starts_with(&format!("cannot read policy '{expected}")), "{text}: {error}");
    }
}

#[test]
fn a_section_that_is_commented_out_is_none_and_hooks_make_a_file_ours() {
    let loaded = file("hangwatch: 1\nhooks:\nping:\n").unwrap();
    assert!(loaded.hooks.is_empty() && loaded.ping.is_none());
    let error = refusal("preload_timeout: 90\nhooks:\n  - command: x\n");
    assert!(error.contains("it has no 'hangwatch:' version"), "its hooks are not lost in silence: {error}");
}

const DOCUMENTED: &str = include_str!("../../../../docs/hooks.md");

#[test]
fn the_documented_example_is_read_and_the_documented_keys_and_defaults_are_those_that_are() {
    let yaml = DOCUMENTED.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its example");
    let loaded = file(yaml).unwrap();
    assert_eq!((loaded.hooks.len(), loaded.ping.is_some()), (2, true));
    let rows: Vec<&str> = DOCUMENTED.lines().filter(|line| line.starts_with("| `")).collect();
    for key in HOOK_KEYS.iter().chain(PING_KEYS) {
        assert!(rows.iter().any(|row| row.starts_with(&format!("| `{key}` |"))), "the tables lack {key}");
    }
    let told = DOCUMENTED.split("Where it names nothing: ").nth(1).and_then(|rest| rest.split("That is").next()).expect("a list");
    let names: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
    assert_eq!(names, DEFAULT_EVENTS.iter().map(|kind| kind.name()).collect::<Vec<_>>());
}
