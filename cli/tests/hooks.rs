//! Hooks of real monitors, against a server of the test's own on the loopback: what arrives, what is tried again, and who waits
//! for whom.

mod common;

use common::logged::Watch;
use common::server::{Answer, Request, Server};
use common::{Scratch, c_worker, clock, hangwatch, said, until};
use hangwatch::{Attach, Total};
use serde_json::Value;
use std::path::Path;
use std::sync::mpsc::channel;

/// A line for the shell that keeps each event in `path`, whole.
fn keeps(path: &Path) -> String {
    format!("{{ cat; echo; }} >>{}", path.display())
}

fn kept(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last one may still be on its way.
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect()
}

fn is_there(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}

#[test]
fn an_event_arrives_as_the_object_of_its_line_by_command_and_by_webhook() {
    let (scratch, server) = (Scratch::new(), Server::start([]));
    let segment = scratch.made();
    let file = scratch.path().join("kept");
    let url = format!("{}/hangwatch", server.url);
    let mut watch =
        Watch::start(&scratch, &segment, &["--hook", &keeps(&file), "--webhook", &url, "--hook-events", "config_reloaded"]);
    let event = watch.event();
    let request = server.next();
    assert_eq!(request.line, "POST /hangwatch HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.json(), event, "what a receiver gets is what '--events' says");
    assert_eq!(request.json()["schema_version"], 1);
    until(|| kept(&file) == [event.clone()]);
    let second = watch.event();
    let again = server.next();
    assert_eq!(again.json(), second);
    assert_ne!(again.id(), request.id(), "each event has an id of its own");
    assert_eq!(watch.monitor.stop(), Some(0));
}

#[test]
fn a_status_that_may_pass_is_tried_again_and_the_events_stay_in_their_order() {
    let server = Server::start([Answer::Status(500, ""), Answer::Status(429, "")]);
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Watch::start(&scratch, &segment, &["--webhook", &server.url, "--hook-events", "config_reloaded"]);
    let (first, second) = (watch.event(), watch.event());
    let requests = [server.next(), server.next(), server.next(), server.next()];
    let events: Vec<_> = requests.iter().map(Request::json).collect();
    assert_eq!(events, [first.clone(), first.clone(), first, second], "the second waits until the first has arrived");
    let ids: Vec<_> = requests.iter().map(Request::id).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "a try again has the id of the first: {ids:?}");
    assert_eq!(watch.monitor.stop(), Some(0));
    assert!(server.requests.try_recv().is_err(), "what has arrived is sent once");
}

#[test]
fn what_would_come_again_is_not_tried_again_and_no_secret_is_logged() {
    let elsewhere = "location: http://elsewhere.example/hush-target\r\n";
    let server = Server::start([Answer::Status(404, ""), Answer::Status(302, elsewhere)]);
    let scratch = Scratch::new();
    let segment = scratch.made();
    let config = format!(
        "hangwatch: 1\nhooks:\n  - webhook: {}/hush-path?key=hush-query\n    headers: {{Authorization: \"Bearer hush-token\"}}\n    \
         events: [config_reloaded]\n",
        server.url
    );
    let config = scratch.file("hangwatch.yaml", &config);
    let mut watch = Watch::start(&scratch, &segment, &["--config", &config.display().to_string()]);
    let events = [watch.event(), watch.event(), watch.event()];
    let requests = [server.next(), server.next(), server.next()];
    assert_eq!(requests.each_ref().map(Request::json), events, "one request an event");
    assert!(requests.iter().all(|request| request.header("authorization") == Some("Bearer hush-token")));
    assert_eq!(watch.monitor.stop(), Some(0));
    let log = watch.log();
    assert!(log.contains("status 404"), "a loss is said: {log}");
    assert!(log.contains("a redirect to elsewhere.example, which is not followed"), "{log}");
    assert!(log.contains(server.url.trim_start_matches("http://")), "the host is named: {log}");
    assert!(!log.contains("hush"), "at any level, of the address its host alone: {log}");
}

#[test]
fn a_receiver_that_never_answers_costs_its_timeout_and_no_other_hook_waits() {
    let never = || Server::start((0..100).map(|_| Answer::Never));
    let (patient, hasty) = (never(), never());
    let scratch = Scratch::new();
    let segment = scratch.made();
    let file = scratch.path().join("kept");
    let config = format!(
        "hangwatch: 1\nhooks:\n  - webhook: {}\n    timeout: 10m\n    events: [config_reloaded]\n  - webhook: {}\n    timeout: 1s\n    retries: 0\n    \
         events: [config_reloaded]\n  - command: \"{}\"\n    events: [config_reloaded]\n",
        patient.url,
        hasty.url,
        keeps(&file)
    );
    let config = scratch.file("hangwatch.yaml", &config);
    let mut watch = Watch::start(&scratch, &segment, &["--config", &config.display().to_string()]);
    let first = watch.event();
    assert_eq!(patient.next().json(), first);
    let second = watch.event();
    assert_eq!([hasty.next().json(), hasty.next().json()], [first.clone(), second.clone()], "its timeout and no more");
    until(|| kept(&file) == [first.clone(), second.clone()]);
    assert!(patient.requests.try_recv().is_err(), "the first is still on its way there, and the others did not wait");
    assert_eq!(watch.monitor.stop(), Some(0), "nor does the end");
    let log = watch.log();
    assert!(log.contains("no answer within its timeout") && log.contains("ended in the middle of a delivery"), "{log}");
}

#[test]
fn a_handshake_that_nobody_answers_costs_the_timeout_too() {
    // The kernel connects; nobody ever reads.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let scratch = Scratch::new();
    let segment = scratch.made();
    let config = format!(
        "hangwatch: 1\nhooks:\n  - webhook: https://{}/\n    timeout: 1s\n    retries: 0\n    events: [config_reloaded]\n",
        listener.local_addr().expect("its address")
    );
    let config = scratch.file("hangwatch.yaml", &config);
    let mut watch = Watch::start(&scratch, &segment, &["--config", &config.display().to_string()]);
    watch.event();
    watch.until_logged("1 not delivered (last: no answer within its timeout)");
    assert_eq!(watch.monitor.stop(), Some(0));
}

#[test]
fn a_command_that_sleeps_holds_up_neither_a_scan_nor_for_longer_than_its_timeout_the_next_event() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let (patient, hasty) = (scratch.path().join("patient"), scratch.path().join("hasty"));
    let config = format!(
        "hangwatch: 1\nhooks:\n  - command: \"echo $$ >{}; exec sleep 1000\"\n    timeout: 10m\n    events: [config_reloaded]\n  \
         - command: \"{}; exec sleep 1000\"\n    timeout: 3s\n    retries: 0\n    events: [config_reloaded]\n",
        patient.display(),
        keeps(&hasty)
    );
    let config = scratch.file("hangwatch.yaml", &config);
    let mut watch = Watch::start(&scratch, &segment, &["--config", &config.display().to_string()]);
    let first = watch.event();
    let pid = || std::fs::read_to_string(&patient).unwrap_or_default().trim().to_string();
    until(|| !pid().is_empty() && kept(&hasty) == [first.clone()]);
    let pid = pid();
    let (beats, time) = (segment.header().peek_monitor().beat.count(), clock(&segment));
    until(|| segment.header().peek_monitor().beat.count() >= beats + 10);
    assert!(clock(&segment) > time, "its clock goes on with its polls");
    assert!(is_there(&pid), "scans came and went while the hook slept");
    let second = watch.event();
    until(|| kept(&hasty) == [first.clone(), second.clone()]);
    assert!(is_there(&pid), "another hook's event was delivered meanwhile");
    assert_eq!(watch.monitor.stop(), Some(0), "the end does not wait for its timeout");
    until(|| !is_there(&pid));
}

#[test]
fn a_full_queue_drops_the_newest_and_says_so() {
    let (release, released) = channel();
    let server = Server::start([Answer::Held(released)]);
    let scratch = Scratch::new();
    let segment = scratch.made();
    let config = format!(
        "hangwatch: 1\nhooks:\n  - webhook: {}\n    timeout: 10m\n    queue: 1\n    events: [config_reloaded]\n",
        server.url
    );
    let config = scratch.file("hangwatch.yaml", &config);
    let mut watch = Watch::start(&scratch, &segment, &["--config", &config.display().to_string()]);
    let first = watch.event();
    assert_eq!(server.next().json(), first);
    let second = watch.event();
    watch.event();
    watch.until_logged("1 dropped (its queue was full)");
    release.send(()).expect("the server waits for it");
    assert_eq!(server.next().json(), second, "what was queued stays");
    let fourth = watch.event();
    assert_eq!(server.next().json(), fourth, "the third was dropped, and what comes after it fits again");
    assert_eq!(watch.monitor.stop(), Some(0));
}

#[test]
fn a_hostile_name_reaches_no_shell_no_terminal_and_no_other_header() {
    let (scratch, server) = (Scratch::new(), Server::start([]));
    let segment = scratch.made();
    let (named, done) = (scratch.path().join("named"), scratch.path().join("done"));
    let line = format!("printenv HANGWATCH_EVENT_WORKER >{0}; env >{1}.new; mv {1}.new {1}", named.display(), done.display());
    let flags = ["--inference-step-timeout", "1s", "--hook-events", "opened", "--hook", &line, "--webhook", &server.url];
    let mut watch = Watch::start(&scratch, &segment, &flags);
    let name = "$(reboot)\u{1b}[2J\r\nX: y";
    let mut worker = Attach::new().segment(segment.path().to_string_lossy()).name(name).attach().expect("a slot");
    worker.begin_job("id\n\"quoted\"", "model\u{7}", Total::Known(4));
    let opened = watch.monitor.next("opened");
    let request = server.next();
    assert_eq!(request.json(), opened);
    assert!(!request.body.iter().any(u8::is_ascii_control), "nothing in the body drives a terminal");
    assert_eq!(request.json()["worker"], "$(reboot)\\u{1b}[2J\\r\\nX: y");
    assert!(request.header("x").is_none());
    until(|| std::fs::read_to_string(&done).is_ok_and(|text| text.contains("HANGWATCH_EVENT=opened")));
    assert_eq!(std::fs::read_to_string(&named).expect("written before"), "$(reboot)\\u{1b}[2J\\r\\nX: y\n");
    let environment = std::fs::read_to_string(&done).expect("written");
    for expected in ["_SLOT=0", "_VERDICT=silent", "_JOB=id\\n\"quoted\"", "_MODEL=model\\u{7}", "_EPISODE="] {
        assert!(environment.contains(&format!("HANGWATCH_EVENT{expected}")), "{expected}: {environment}");
    }
    drop(worker);
    assert_eq!(watch.monitor.stop(), Some(0));
}

#[test]
fn a_hook_that_could_never_tell_anything_is_refused_before_anything_starts() {
    let scratch = Scratch::new();
    for (text, line, why) in [
        ("hooks:\n  - webhook: ftp://example.org/hush", 3, "the address has scheme 'ftp', expected http or https"),
        ("hooks:\n  - command: \"true\"\n  - webhook: env:HUSH_URL", 4, "the variable HUSH_URL is not set"),
        ("hooks:\n  - webhook: http://x\n    headers: {\"a b\": hush}", 3, "'a b' is no header's name"),
        ("hooks:\n  - webhok: http://x/hush", 3, "hooks: unknown key 'webhok'"),
        ("ping:\n  url: example.org", 2, "the address has no scheme, expected http or https"),
    ] {
        let config = scratch.file("hangwatch.yaml", &format!("hangwatch: 1\n{text}\n"));
        for command in ["watch", "run"] {
            let mut hangwatch = hangwatch();
            hangwatch.args([command, "--segment"]).arg(scratch.segment()).arg("--config").arg(&config);
            let said = said(if command == "run" { hangwatch.args(["--", "true"]) } else { &mut hangwatch });
            let expected = format!("hangwatch: cannot read policy '{}:{line}': {why}\n  ", config.display());
            assert_eq!(said.code, Some(2), "{text}: {}", said.err);
            assert!(said.err.starts_with(&expected) && !said.err.contains("hush"), "{text}: {}", said.err);
        }
    }
    for (flag, value) in [("--webhook", "ftp://example.org/hush"), ("--ping", "htp://example.org/hush"), ("--ping-every", "1m")] {
        let said = said(hangwatch().args(["watch", flag, value, "--segment"]).arg(scratch.segment()));
        assert_eq!(said.code, Some(2), "{flag}: {}", said.err);
        assert!(said.err.starts_with(&format!("hangwatch: cannot use {flag}: ")) && !said.err.contains("hush"), "{}", said.err);
    }
    let said = said(hangwatch().args(["watch", "--hook-events", "opend", "--segment"]).arg(scratch.segment()));
    assert!(said.code == Some(2) && said.err.contains("expected one of opened, "), "{}", said.err);
    assert!(!scratch.segment().exists(), "what is refused makes no segment");
}

#[test]
fn a_signal_replaces_hooks_and_a_bad_one_changes_none() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let (old, new) = (scratch.path().join("old"), scratch.path().join("new"));
    let hook = |path: &Path| {
        format!("hangwatch: 1\nhooks:\n  - command: \"{}\"\n    events: [config_reloaded, config_rejected]\n", keeps(path))
    };
    let config = scratch.file("hangwatch.yaml", &hook(&old));
    let mut watch = Watch::start(&scratch, &segment, &["--config", &config.display().to_string()]);
    let first = watch.event();
    until(|| kept(&old) == [first.clone()]);
    scratch.file("hangwatch.yaml", &hook(&new));
    let second = watch.event();
    until(|| kept(&new) == [second.clone()]);
    scratch.file("hangwatch.yaml", "hangwatch: 1\nhooks:\n  - webhook: gopher://example.org\n");
    watch.monitor.held.signal(libc::SIGHUP);
    let rejected = watch.monitor.next("config_rejected");
    assert!(rejected["detail"].as_str().is_some_and(|why| why.contains("hangwatch.yaml:3': the address has scheme 'gopher'")));
    until(|| kept(&new) == [second.clone(), rejected.clone()]);
    assert_eq!(watch.monitor.stop(), Some(0));
    assert_eq!(kept(&old), [first], "one that is gone is told of nothing more");
}

#[test]
fn beside_workers_of_its_own_a_hook_is_told_what_became_of_them() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let file = scratch.path().join("kept");
    let hook = keeps(&file);
    let flags = ["run", "--poll", "100ms", "--inference-step-timeout", "1s", "--hook", &hook];
    let program = c_worker().display().to_string();
    let worker = ["--", &program, "--steps", "8", "--step-ms", "50", "--hang-at", "50"];
    let mut run = Watch::of(&scratch, &segment, &flags, &worker);
    let replaced = run.monitor.next("replaced");
    until(|| kept(&file).contains(&replaced));
    let told = kept(&file);
    let at = |kind: &str| told.iter().position(|event| event["event"] == kind);
    assert!(at("opened") < at("lost_job") && at("lost_job") < at("replaced") && at("opened").is_some(), "in order: {told:?}");
    let log = run.log();
    assert!(!log.contains("not delivered"), "its end is told to the hook, and to nobody else: {log}");
    run.monitor.stop();
}
