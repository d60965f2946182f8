//! A monitor whose log is kept too.

use super::{Monitor, Scratch, command, until};
use hangwatch::segment::Segment;
use serde_json::Value;
use std::path::PathBuf;

/// `hangwatch watch` of a segment, and its log.
pub(crate) struct Watch {
    pub(crate) monitor: Monitor,
    pub(crate) log: PathBuf,
}

impl Watch {
    pub(crate) fn start(scratch: &Scratch, segment: &Segment, arguments: &[&str]) -> Self {
        Self::of(scratch, segment, &[&["watch", "--poll", "100ms"], arguments].concat(), &[])
    }

    /// Any command that watches, once it has polled.
    pub(crate) fn of(scratch: &Scratch, segment: &Segment, arguments: &[&str], last: &[&str]) -> Self {
        let log = scratch.path().join("log");
        let mut shell = command("sh");
        shell.args(["-c", "exec \"$@\" 2>\"$0\""]).arg(&log).arg(env!("CARGO_BIN_EXE_hangwatch"));
        // A proxy that is not there: whoever asks one reaches nobody.
        shell.env("HANGWATCH_EVIDENCE", "none");
        shell.env("HTTP_PROXY", "http://127.0.0.1:1").env("ALL_PROXY", "http://127.0.0.1:1");
        shell.args(["--log", "trace"]).args(arguments).args(["--events", "-", "--segment"]).arg(segment.path()).args(last);
        let monitor = Monitor::start(&mut shell);
        until(|| {
            let words = segment.header().peek_monitor();
            words.owner.pid() == monitor.held.pid() && words.beat.count() > 0
        });
        Self { monitor, log }
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8(std::fs::read(&self.log).expect("its log")).expect("text")
    }

    pub(crate) fn until_logged(&self, text: &str) {
        until(|| self.log().contains(text));
    }

    /// One more event, as `--events` says it.
    pub(crate) fn event(&mut self) -> Value {
        self.monitor.held.signal(libc::SIGHUP);
        self.monitor.next("config_reloaded")
    }
}
