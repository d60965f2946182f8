//! `hangwatch run` and `watch` as a process of a test, and what they tell.

use super::{Held, hangwatch, until};
use hangwatch::segment::Segment;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// `hangwatch run` or `watch` with its events on standard output, where its workers' lines are too.
pub(crate) struct Monitor {
    pub(crate) held: Held,
    /// Every event so far, but for those of starved workers.
    pub(crate) events: Vec<Value>,
    /// Events of starved workers.
    pub(crate) starved: Vec<Value>,
    /// Every other line so far.
    pub(crate) lines: Vec<String>,
    /// How many events come before the one that `next` looks for.
    past: usize,
}

impl Monitor {
    pub(crate) fn start(command: &mut Command) -> Self {
        // Budgets of its flags alone: what it would learn on the way is no part of what is shown.
        if !command.get_envs().any(|(name, _)| name == "HANGWATCH_ADAPTIVE") {
            command.env("HANGWATCH_ADAPTIVE", "off");
        }
        let mut held = Held::start(command.stderr(Stdio::null()));
        held.leads = true;
        Self { held, events: Vec::new(), starved: Vec::new(), lines: Vec::new(), past: 0 }
    }

    /// `hangwatch run`: `flags` are separated by spaces.
    pub(crate) fn run(segment: &Path, flags: &str, worker: &[&str]) -> Self {
        let mut command = hangwatch();
        command.args(["run", "--events", "-", "--segment"]).arg(segment).args(flags.split_whitespace()).arg("--").args(worker);
        // The pause before a respawn is no part of what is shown.
        Self::start(command.env("HANGWATCH_BACKOFF", "10ms"))
    }

    /// `hangwatch watch`, once it has polled.
    pub(crate) fn watch(segment: &Segment, flags: &str) -> Self {
        let mut command = hangwatch();
        command.args(["watch", "--events", "-", "--segment"]).arg(segment.path()).args(flags.split_whitespace());
        let monitor = Self::start(&mut command);
        until(|| {
            let words = segment.header().peek_monitor();
            words.owner.pid() == monitor.held.pid() && words.beat.count() > 0
        });
        monitor
    }

    /// Takes in one line; `false` at the end.
    fn take_line(&mut self) -> bool {
        let Some(line) = self.held.line() else { return false };
        // A worker may have said something without an end of line just before.
        let (said, event) = line.split_at(line.find("{\"schema_version\":").unwrap_or(line.len()));
        if !event.is_empty() {
            let event: Value = serde_json::from_str(event).unwrap_or_else(|e| panic!("{e}: {line}"));
            // A busy machine may bring these to any worker, and they say so.
            let of_the_machine = event["verdict"] == "starved";
            if of_the_machine { &mut self.starved } else { &mut self.events }.push(event);
        }
        if !said.is_empty() || event.is_empty() {
            self.lines.push(said.to_owned());
        }
        true
    }

    /// The first event of this kind after the one that this returned last. What came while something else was waited for,
    /// as long as that took, is looked at too.
    pub(crate) fn next(&mut self, kind: &str) -> Value {
        loop {
            while self.past == self.events.len() {
                assert!(self.take_line(), "it ended before an event '{kind}', after {:#?}", self.events);
            }
            self.past += 1;
            if self.events[self.past - 1]["event"] == kind {
                return self.events[self.past - 1].clone();
            }
        }
    }

    /// All so far; what comes from now on stands alone.
    pub(crate) fn take_events(&mut self) -> Vec<Value> {
        self.past = 0;
        std::mem::take(&mut self.events)
    }

    /// Waits until `n` workers have said that they are attached; two may have said so in one line.
    pub(crate) fn attached(&mut self, n: usize) {
        while self.lines.iter().map(|line| line.matches(", slot ").count()).sum::<usize>() < n {
            assert!(self.take_line(), "it ended before {n} workers were attached: {:?}", self.lines);
        }
    }

    /// Waits until a worker has said this.
    pub(crate) fn said(&mut self, text: &str) {
        while !self.lines.iter().any(|line| line.contains(text)) {
            assert!(self.take_line(), "it ended before a worker said '{text}': {:?}", self.lines);
        }
    }

    /// Those of this kind so far.
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == kind).collect()
    }

    /// What was done to workers so far, and not just said of them.
    pub(crate) fn acts(&self) -> Vec<&Value> {
        let kinds = ["action", "would_act", "replaced", "lost_job", "gave_up", "quarantined"];
        self.events.iter().filter(|event| kinds.iter().any(|kind| event["event"] == *kind)).collect()
    }

    /// The verdicts of episodes that were opened so far.
    pub(crate) fn verdicts(&self) -> Vec<&str> {
        self.of_kind("opened").into_iter().filter_map(|event| event["verdict"].as_str()).collect()
    }

    /// Episodes that were opened so far, but for those that say that a process has ended: a poll may see that before it is reaped.
    pub(crate) fn opened_alive(&self) -> Vec<&Value> {
        let ended = |event: &Value| event["verdict"] == "zombie" || event["verdict"] == "dead";
        self.of_kind("opened").into_iter().filter(|event| !ended(event)).collect()
    }

    /// Their kinds, but for gaps of the monitor, which a busy machine may bring.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        kinds(&self.events)
    }

    /// Those up to the event that `next` returned last.
    pub(crate) fn kinds_up_to_next(&self) -> Vec<&str> {
        kinds(&self.events[..self.past])
    }

    /// Reads everything until it ends; its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        while self.take_line() {}
        self.held.wait().code()
    }

    /// Ends it as Ctrl-C or a service manager does; its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.held.signal(libc::SIGTERM);
        self.end()
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["event"].as_str()).filter(|kind| *kind != "monitor_gap").collect()
}
