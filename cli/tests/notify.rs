//! What a service manager is told, and when: the test plays it, on a socket of its own.

mod common;

use common::{Monitor, Scratch, c_worker, hangwatch, until, worker};
use hangwatch::clock::monotonic_ns;
use hangwatch::segment::Segment;
use std::collections::VecDeque;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;

/// The service manager.
struct Manager {
    socket: UnixDatagram,
    name: String,
    /// Words that came and were not asked for yet.
    words: VecDeque<String>,
}

impl Manager {
    fn new(scratch: &Scratch) -> Self {
        let path = scratch.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        Self { socket, name: path.display().to_string(), words: VecDeque::new() }
    }

    fn for_command<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("NOTIFY_SOCKET", &self.name)
    }

    fn word(&mut self) -> String {
        while self.words.is_empty() {
            let mut buffer = [0; 4096];
            let n = self.socket.recv(&mut buffer).expect("a datagram");
            let text = str::from_utf8(&buffer[..n]).expect("the protocol is text");
            self.words.extend(text.lines().map(str::to_owned));
        }
        self.words.pop_front().expect("one at least")
    }

    /// Words up to the first that begins so; it is the last of them.
    fn up_to(&mut self, beginning: &str) -> Vec<String> {
        let mut words = vec![self.word()];
        while !words.last().is_some_and(|word| word.starts_with(beginning)) {
            words.push(self.word());
        }
        words
    }
}

fn watch(manager: &Manager, segment: &Segment, flags: &str, watchdog_us: Option<u64>) -> Monitor {
    let mut command = hangwatch();
    manager.for_command(&mut command).args(["watch", "--events", "-", "--segment"]).arg(segment.path());
    if let Some(watchdog_us) = watchdog_us {
        command.env("WATCHDOG_USEC", watchdog_us.to_string());
    }
    Monitor::start(command.args(flags.split_whitespace()))
}

#[test]
fn ready_is_told_after_the_first_scan_and_stopping_at_the_wish_to_stop() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut manager = Manager::new(&scratch);
    let mut watch = watch(&manager, &segment, "--poll 30s", None);
    assert_eq!(manager.word(), "READY=1", "nothing is told before");
    let words = segment.header().peek_monitor();
    assert!(words.owner.pid() == watch.held.pid() && words.beat.count() > 0, "a scan was completed before");
    assert_eq!(manager.word(), "STATUS=0 workers attached");
    watch.held.signal(libc::SIGTERM);
    assert_eq!(manager.word(), "STOPPING=1");
    assert_eq!(watch.end(), Some(0));
}

#[test]
fn an_abstract_socket_is_told_too() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let name = scratch.path().display().to_string();
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let socket = UnixDatagram::bind_addr(&address).expect("a socket");
    let mut manager = Manager { socket, name: format!("@{name}"), words: VecDeque::new() };
    let mut watch = watch(&manager, &segment, "", None);
    assert_eq!(manager.word(), "READY=1");
    assert_eq!(watch.stop(), Some(0));
}

#[test]
fn the_status_says_how_many_workers_there_are_and_how_many_of_them_hang() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut manager = Manager::new(&scratch);
    let mut watch = watch(&manager, &segment, "--poll 100ms --inference-step-timeout 500ms", None);
    manager.up_to("STATUS=0 workers attached");
    let hung = worker(c_worker(), segment.path(), "stuck", "--steps 8 --step-ms 20 --hang-at 50");
    manager.up_to("STATUS=1 worker attached, 1 of them hung");
    drop(hung);
    manager.up_to("STATUS=0 workers attached");
    assert_eq!(watch.stop(), Some(0));
}

#[test]
fn the_status_is_of_the_segment_that_is_watched_now() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut manager = Manager::new(&scratch);
    let mut watch = watch(&manager, &segment, "--poll 50ms", None);
    manager.up_to("STATUS=0 workers attached");
    std::fs::remove_file(segment.path()).expect("it is there");
    let successor = scratch.made();
    let _worker = worker(c_worker(), successor.path(), "new", "--steps 1000000 --step-ms 50");
    manager.up_to("STATUS=1 worker attached");
    assert_eq!(watch.stop(), Some(0));
}

#[test]
fn the_watchdog_is_fed_while_scans_go_on() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut manager = Manager::new(&scratch);
    let mut watch = watch(&manager, &segment, "--poll 20ms", Some(200_000));
    for words in 1..=5 {
        manager.up_to("WATCHDOG=1");
        assert!(segment.header().peek_monitor().beat.count() >= words, "each word stands on a scan of its own");
    }
    assert_eq!(watch.stop(), Some(0));
}

#[test]
fn time_alone_feeds_no_watchdog() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut manager = Manager::new(&scratch);
    // One scan, and the next one in half a minute.
    let mut watch = watch(&manager, &segment, "--poll 30s", Some(100_000));
    manager.up_to("WATCHDOG=1");
    let fed = monotonic_ns();
    until(|| monotonic_ns() > fed + 1_000_000_000);
    // Word that its thread lives, and could have fed it ten times.
    watch.held.signal(libc::SIGTERM);
    let since = manager.up_to("STOPPING=1");
    assert!(!since.contains(&"WATCHDOG=1".to_owned()), "no scan was completed since the one that fed it: {since:?}");
    assert_eq!(watch.end(), Some(0));
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut manager = Manager::new(&scratch);
    let mut command = hangwatch();
    manager.for_command(&mut command).args(["watch", "--poll", "20ms", "--segment"]).arg(segment.path());
    let mut watch = Monitor::start(command.env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1"));
    manager.up_to("STATUS=");
    let from = segment.header().peek_monitor().beat.count();
    until(|| segment.header().peek_monitor().beat.count() > from + 20);
    watch.held.signal(libc::SIGTERM);
    let since = manager.up_to("STOPPING=1");
    assert!(!since.contains(&"WATCHDOG=1".to_owned()), "{since:?}");
    assert_eq!(watch.end(), Some(0));
}

#[test]
fn a_reload_is_told_with_its_time_and_again_when_it_is_over_good_or_bad() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let file = scratch.file("policy.yaml", "hangwatch: 1\n");
    let mut manager = Manager::new(&scratch);
    let mut watch = watch(&manager, &segment, &format!("--poll 100ms --config {}", file.display()), None);
    manager.up_to("STATUS=");
    for (text, told) in [("hangwatch: 1\ngrace: 5s\n", "config_reloaded"), ("no policy: 1\n", "config_rejected")] {
        scratch.file("policy.yaml", text);
        let before = monotonic_ns() / 1000;
        watch.held.signal(libc::SIGHUP);
        manager.up_to("RELOADING=1");
        let time = manager.word();
        let at: u64 = time.strip_prefix("MONOTONIC_USEC=").and_then(|at| at.parse().ok()).expect("the time of the reload");
        assert!((before..=monotonic_ns() / 1000).contains(&at), "by the clock that the service manager compares it with");
        watch.next(told);
        manager.up_to("READY=1");
    }
    assert_eq!(watch.stop(), Some(0));
}

#[test]
fn a_run_that_ends_by_itself_says_so() {
    let scratch = Scratch::new();
    let mut manager = Manager::new(&scratch);
    let mut command = hangwatch();
    manager.for_command(&mut command).args(["run", "--segment"]).arg(scratch.segment()).args(["--", "true"]);
    let mut run = Monitor::start(&mut command);
    assert_eq!(run.end(), Some(0));
    manager.up_to("STOPPING=1");
}

#[test]
fn a_service_manager_that_reads_nothing_holds_nobody_up() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let manager = Manager::new(&scratch);
    let mut watch = watch(&manager, &segment, "--poll 5ms", Some(2000));
    // The queue of a datagram socket holds some dozens.
    let from = segment.header().peek_monitor().beat.count();
    until(|| segment.header().peek_monitor().beat.count() > from + 400);
    assert_eq!(watch.stop(), Some(0));
}
