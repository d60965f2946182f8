//! The reader of another process, and what it makes of what workers, monitors and strangers wrote.

use crate::build::{C99, Link, Scratch, command, monitor_program, succeed};
use hangwatch::layout::phase::Class;
use hangwatch::monitor::Scanner;
use hangwatch::policy::Policy;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Job, Outcome, Phase, Total, clock};
use proptest::test_runner::TestRng;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

fn reader(scratch: &Scratch) -> PathBuf {
    monitor_program(scratch, "ffi/monitor/tests/reader.c", C99, Link::Shared, &[])
}

/// What the reader says of a segment: each line's members.
fn said(reader: &Path, segment: &Path) -> Vec<BTreeMap<String, String>> {
    members(&succeed(command(reader).arg(segment)))
}

fn members(said: &str) -> Vec<BTreeMap<String, String>> {
    let line = |line: &str| {
        // A text may have blanks: a member begins at its name.
        let pieces = line.split(' ').fold(Vec::<String>::new(), |mut pieces, piece| {
            let is_open = pieces.last().is_some_and(|last| last.matches('\'').count() == 1);
            match pieces.last_mut().filter(|_| is_open) {
                Some(last) => *last += &format!(" {piece}"),
                None => pieces.push(piece.to_string()),
            }
            pieces
        });
        pieces.iter().filter_map(|piece| piece.split_once('=')).map(|(k, v)| (k.to_string(), v.to_string())).collect()
    };
    said.lines().map(line).collect()
}

fn is(line: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(line.get(*name).map(String::as_str), Some(*value), "{name} of {line:?}");
    }
}

fn ns(line: &BTreeMap<String, String>, name: &str) -> u64 {
    line[name].parse().unwrap_or_else(|e| panic!("{name} of {line:?}: {e}"))
}

#[test]
fn a_reader_in_another_process_shows_all_that_workers_say_with_no_monitor_alive() {
    let (scratch, pid) = (Scratch::new(), std::process::id().to_string());
    let (reader, path) = (reader(&scratch), scratch.path("segment"));
    let segment = Arc::new(Segment::open_or_create(&path, Geometry { slots: 5, ..Geometry::default() }).unwrap());
    let lines = said(&reader, &path);
    assert_eq!(lines.len(), 1, "a free slot is not listed");
    is(&lines[0], &[("presence", "present"), ("monitor", "0:0"), ("slots", "5"), ("slot_size", "1024"), ("interval", "-")]);
    assert_eq!(lines[0]["path"], path.to_str().unwrap());

    let mut worker = Attach::new().name("Größe \u{1b}[2J").device(3).attach_to(&segment).unwrap();
    worker.begin_job("first", "m", Total::Known(1));
    worker.end_job(Outcome::Failed);
    worker.begin_job_with(
        &Job::new("a1b2").model("sdxl").total(Total::Known(50)).batch(4).size(1024).deadline(Duration::from_secs(9)),
    );
    worker.step(20);
    worker.step(13);
    worker.begin_pass();
    worker.step(5);
    worker.note("VAE\ntiled");
    worker.extend(Duration::from_secs(3600));
    let mut lane = worker.lane("second").unwrap();
    let own = lane.register_phase("my phase", Class::Work, Duration::from_secs(7)).unwrap();
    lane.phase_total(own, Total::Unknown);
    let lines = said(&reader, &path);
    assert_eq!(lines.len(), 3);
    let first = &lines[1];
    is(first, &[("slot", "0"), ("state", "2"), ("kind", "0"), ("generation", "1"), ("pid", &pid), ("is_read", "1")]);
    is(first, &[("source", "1"), ("verdict", "ok"), ("job_open", "1"), ("phase", "7:'inference'"), ("job_number", "2")]);
    is(first, &[("pass", "1"), ("falls", "0"), ("jobs", "0/1/0"), ("device", "3"), ("done", "5"), ("total", "50")]);
    is(first, &[("percent", "10.0"), ("batch", "4"), ("size", "1024"), ("deadline", "9000000000"), ("episode", "0")]);
    is(first, &[("worker", "'Größe \\u{1b}[2J'"), ("lane", "''"), ("job", "'a1b2'"), ("model", "'sdxl'")]);
    is(first, &[("detail", "'VAE\\ntiled'"), ("clock", "''"), ("restarts", "0"), ("heartbeat_budget", "-")]);
    assert!(ns(first, "heartbeat_age") <= ns(first, "job_age") + 1_000_000_000, "ages by the worker's stamps: {first:?}");
    assert!((1..=3_600_000_000_000).contains(&ns(first, "lease")), "{first:?}");
    let second = &lines[2];
    is(second, &[("slot", "1"), ("kind", "1"), ("lane", "'second'"), ("phase", "256:'my phase'"), ("job_open", "0")]);
    is(second, &[("done", "-"), ("total", "-"), ("percent", "-1.0"), ("job", "''"), ("job_age", "-")]);
    drop(lane);
    worker.phase(Phase::Idle);
    let alone = succeed(command(&reader).arg(&path).arg("1"));
    is(&members(&alone)[1], &[("slot", "1"), ("state", "0"), ("is_read", "0"), ("verdict", "unknown"), ("source", "0")]);
    let past = succeed(command(&reader).arg(&path).arg("5"));
    assert!(
        past.contains("error 2: cannot read slot 5 of segment") && past.contains("it has 5 slots, numbered from 0"),
        "{past}"
    );
}

#[test]
fn a_reader_in_another_process_shows_a_live_monitors_verdict_and_ages_by_its_clock() {
    let scratch = Scratch::new();
    let (reader, path) = (reader(&scratch), scratch.path("segment"));
    let segment = Arc::new(Segment::open_or_create(&path, Geometry::default()).unwrap());
    let mut worker = Attach::new().name("sd-0").attach_to(&segment).unwrap();
    worker.begin_job("a1b2", "sdxl", Total::Known(4));
    worker.step(1);
    let second = Duration::from_secs(1);
    let policy = Policy { poll_interval: second, progress_timeout: 5 * second, ..Policy::default() };
    let mut scanner = Scanner::new(Arc::clone(&segment), policy).unwrap();
    // Polls of a second each, which pass in no time: what the reader shows is this clock's.
    let begin = clock::monotonic_ns();
    for poll in 0..8 {
        scanner.poll(begin.saturating_sub((8 - poll) * 1_000_000_000));
    }
    let lines = said(&reader, &path);
    let monitor = format!("1:{}", std::process::id());
    is(&lines[0], &[("monitor", &monitor), ("interval", "1000000000")]);
    is(&lines[1], &[("source", "2"), ("verdict", "stalled"), ("clock", "'progress'"), ("done", "1"), ("job", "'a1b2'")]);
    assert_ne!(lines[1]["episode"], "0", "the episode is open");
    assert!(ns(&lines[1], "progress_age") >= 7_000_000_000, "{:?}", lines[1]);
    drop(scanner);
    let lines = said(&reader, &path);
    is(&lines[0], &[("monitor", "0:0"), ("interval", "-")]);
    is(&lines[1], &[("source", "1"), ("verdict", "ok"), ("episode", "0"), ("clock", "''")]);
}

#[test]
fn a_reader_finds_its_segment_as_a_worker_does_or_says_that_there_is_none() {
    let scratch = Scratch::new();
    let reader = reader(&scratch);
    let dir = scratch.path("");
    let open = |env: &[(&str, &str)], named: &str| {
        let out = crate::build::output(command(&reader).arg(named).env("HANGWATCH_DIR", &dir).envs(env.iter().copied()));
        (out.status.code(), String::from_utf8(out.stdout).unwrap())
    };
    let (code, text) = open(&[], "");
    assert_eq!(code, Some(3), "{text}");
    assert!(text.starts_with("error 2: cannot open segment '") && text.contains("default': there is no such segment"), "{text}");
    for (env, named, file) in
        [(&[][..], "", "default"), (&[("HANGWATCH_SEGMENT", "train")][..], "", "train"), (&[][..], "other", "other")]
    {
        drop(Segment::open_or_create(&scratch.path(file), Geometry::default()).unwrap());
        let (code, text) = open(env, named);
        assert_eq!((code, text.contains(&format!("/{file} presence=present"))), (Some(0), true), "{text}");
    }
    std::fs::write(scratch.path("junk"), "no segment").unwrap();
    std::fs::set_permissions(scratch.path("junk"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (code, text) = open(&[], "junk");
    assert!(code == Some(3) && text.starts_with("error 3: "), "{text}");
}

/// The segment's slots and user phases, whatever they were, and words that make most of it be read.
fn hostile(rng: &mut TestRng, bytes: &mut [u8]) {
    use proptest::prelude::RngCore;
    rng.fill_bytes(&mut bytes[0x400..]);
    // The user phases are registered, and so are shown.
    for entry in bytes[0x400..0x1000].chunks_mut(64) {
        entry[0] = 2;
        entry[16..24].copy_from_slice(b"\x1b[2J\n\x07\xff\xc3");
    }
    for (index, slot) in bytes[0x1000..].chunks_mut(1024).enumerate() {
        let mut word = |at: usize, value: u64| slot[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let generation = 7u64 << 48;
        let tag = if index % 8 == 7 { index as u64 / 8 } else { 2 };
        word(0x80, generation | tag << 40 | (index as u64 % 5) << 32 | (1 + index as u64));
        if index % 2 == 0 {
            // A record that is this owner's and this job's, with lengths past its fields, and text of no good will.
            let (job, seq) = (9u64, 2u64);
            word(0x28, job << 32);
            word(0x10, (if index % 4 == 0 { 256 + index as u64 } else { 7 }) << 48 | 1 << 32);
            word(0xb8, seq);
            word(0x100, 7 << 32 | job);
            word(0x110, u64::MAX);
            for at in (0x140..0x280).step_by(8) {
                word(at, u64::from_le_bytes(*b"\x1b[31m\n\xf0\x9f") ^ (at as u64) << 32);
            }
        }
    }
}

#[test]
fn a_hostile_segment_is_shown_as_escaped_text_and_never_a_crash() {
    let scratch = Scratch::new();
    let (reader, path) = (reader(&scratch), scratch.path("segment"));
    drop(Segment::open_or_create(&path, Geometry::default()).unwrap());
    let good = std::fs::read(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut shown = 0;
    for _ in 0..20 {
        let mut bytes = good.clone();
        hostile(&mut rng, &mut bytes);
        file.write_all_at(&bytes, 0).unwrap();
        shown += checked(&reader, &path);
    }
    assert!(shown > 20 * 30, "slots with a record are shown with it: {shown}");

    // And while somebody writes it.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::XorShift);
            while !done.load(Relaxed) {
                let mut bytes = good.clone();
                hostile(&mut rng, &mut bytes);
                file.write_all_at(&bytes[0x400..], 0x400).unwrap();
            }
        });
        for _ in 0..20 {
            checked(&reader, &path);
        }
        done.store(true, Relaxed);
    });
}

/// Runs the reader, which must end well, and looks at each character of what it says; how many slots had an info record.
fn checked(reader: &Path, path: &Path) -> usize {
    let text = succeed(command(reader).arg(path));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "no control character gets out: {text:?}");
    assert!(text.starts_with("path="), "{text}");
    text.lines().filter(|line| line.contains("[31")).count()
}
