//! The ping of real monitors: it goes out while they see, and stays away while they do not.

mod common;

use common::logged::Watch;
use common::server::{Answer, Server};
use common::{Scratch, until};

/// Whether the last thing that was said of pings is that none goes out.
fn is_blind(log: &str) -> bool {
    log.rfind(": none goes out, ") > log.rfind(": the monitor sees again")
}

#[test]
fn pings_go_out_while_the_monitor_sees_and_none_once_its_segment_is_gone() {
    let server = Server::start([Answer::Status(500, ""), Answer::Status(503, "")]);
    let scratch = Scratch::new();
    let segment = scratch.made();
    let url = format!("{}/hush", server.url);
    let mut watch = Watch::start(&scratch, &segment, &["--ping", &url, "--ping-every", "200ms"]);
    for _ in 0..5 {
        assert_eq!(server.next().line, "GET /hush HTTP/1.1");
    }
    watch.until_logged("it arrives again");
    let log = watch.log();
    assert_eq!(log.matches("it does not arrive: status 500").count(), 1, "said once until it works again: {log}");
    assert!(!log.contains("status 503") && !log.contains("hush"), "{log}");
    std::fs::remove_file(segment.path()).expect("the segment's name");
    watch.monitor.next("segment_lost");
    until(|| is_blind(&watch.log()));
    // Those before it were sent by the thread that said it.
    while server.requests.try_recv().is_ok() {}
    let beats = segment.header().peek_monitor().beat.count();
    until(|| segment.header().peek_monitor().beat.count() >= beats + 15);
    assert!(server.requests.try_recv().is_err(), "the monitor lives and scans, and new workers cannot find it");
    let log = watch.log();
    // A busy machine may have kept it from a scan for a while before.
    let since = log.rfind(": the monitor sees again").unwrap_or_default();
    assert_eq!(log[since..].matches(": none goes out, ").count(), 1, "said once: {log}");
    assert_eq!(watch.monitor.stop(), Some(0));
}

#[test]
fn no_ping_goes_out_when_the_segment_was_cut_short_though_hangwatch_lives() {
    let server = Server::start([]);
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Watch::start(&scratch, &segment, &["--ping", &server.url, "--ping-every", "1500ms"]);
    server.next();
    // As with any cut: right after a poll, which its count says.
    let count = || segment.header().peek_monitor().beat.count();
    let polls = count();
    until(|| count() > polls);
    let file = std::fs::OpenOptions::new().write(true).open(segment.path()).expect("the segment's file");
    file.set_len(0).expect("cut to nothing");
    watch.monitor.next("segment_lost");
    until(|| is_blind(&watch.log()));
    while server.requests.try_recv().is_ok() {}
    assert!(watch.monitor.held.is_alive(), "it waits for a segment to come");
    watch.monitor.stop();
    assert!(server.requests.try_recv().is_err() && is_blind(&watch.log()), "blind is blind: {}", watch.log());
}

#[test]
fn a_ping_may_be_a_command() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let file = scratch.path().join("alive");
    let ping = format!("echo alive >>{}", file.display());
    let mut watch = Watch::start(&scratch, &segment, &["--ping", &ping, "--ping-every", "100ms"]);
    until(|| std::fs::read_to_string(&file).is_ok_and(|text| text.lines().count() >= 3));
    assert_eq!(watch.monitor.stop(), Some(0));
}
