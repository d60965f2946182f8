//! The trial's own part: it follows journals and events, stops, lets go on and kills, and keeps what the oracle is to judge.

use super::common::process::{Process, children, goes_on};
use super::common::tail::Tail;
use super::common::trial::Random;
use super::journal::{self, Life};
use super::oracle::{Told, Trial};
use hangwatch::clock::{monotonic_ns, wall};
use hangwatch::segment::Segment;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MS: u64 = 1_000_000;

/// Something to be done to a worker, at an instant.
#[derive(Debug)]
enum Due {
    Stop { ms: u64 },
    GoOn,
    Kill,
}

pub(crate) struct World {
    folder: PathBuf,
    replicas: u64,
    seed: u64,
    random: Random,
    next_kill: u64,
    journals: BTreeMap<(u64, u64), Tail>,
    events: Tail,
    due: Vec<(u64, u64, u64, Due)>,
    pub(crate) trial: Trial,
    /// Events as they came.
    pub(crate) told: Vec<Value>,
}

impl World {
    pub(crate) fn new(folder: &Path, replicas: u64, seed: u64, poll: Duration, acts_by: &'static str) -> Self {
        let trial = Trial { poll: poll.as_nanos() as u64, acts_by, ended: u64::MAX, ..Trial::default() };
        Self {
            folder: folder.into(),
            replicas,
            seed,
            random: Random::of(seed, u64::MAX),
            next_kill: monotonic_ns() + 3000 * MS,
            journals: BTreeMap::new(),
            events: Tail::of(&folder.join("events")),
            due: Vec::new(),
            trial,
            told: Vec::new(),
        }
    }

    /// One look at everything, and what is due.
    pub(crate) fn turn(&mut self, segment: &Segment) {
        let clock = segment.header().peek_monitor().clock_ns;
        if self.trial.clock.last().is_none_or(|(_, last)| *last != clock) {
            self.trial.clock.push((monotonic_ns(), clock));
        }
        self.read_journals();
        self.read_events();
        self.do_what_is_due();
        std::thread::sleep(Duration::from_millis(3));
    }

    fn read_events(&mut self) {
        let now = (monotonic_ns(), wall());
        for line in self.events.lines() {
            let event: Value = serde_json::from_str(&line).expect("a line of JSON");
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_string();
            let time = humantime::parse_rfc3339(&text("time")).expect("an instant");
            let ago = now.1.duration_since(time).unwrap_or_default().as_nanos() as u64;
            self.trial.told.push(Told {
                at: now.0.saturating_sub(ago),
                kind: text("event"),
                verdict: text("verdict"),
                pid: event["pid"].as_u64().unwrap_or(0) as u32,
            });
            self.told.push(event);
        }
    }

    fn read_journals(&mut self) {
        for replica in 0..self.replicas {
            let next = self.trial.lives.iter().filter(|life| life.replica == replica).count() as u64;
            let path = journal::path(&self.folder, replica, next);
            if path.exists() {
                self.journals.insert((replica, next), Tail::of(&path));
                self.trial.lives.push(Life { replica, number: next, ..Life::default() });
            }
        }
        for ((replica, number), journal) in &mut self.journals {
            let lines = journal.lines();
            let of = |life: &&mut Life| (life.replica, life.number) == (*replica, *number);
            let life = self.trial.lives.iter_mut().find(of).expect("known");
            for line in lines {
                life.take(&line);
                let mut random = Random::of(self.seed ^ 1, replica << 32 | number);
                let soon = monotonic_ns() + random.below(1500) * MS;
                match line.split_whitespace().collect::<Vec<_>>()[1..] {
                    ["stop-me", ms] => {
                        let ms = ms.parse().expect("a number");
                        self.due.push((soon, *replica, *number, Due::Stop { ms }));
                    }
                    ["kill-me"] => self.due.push((soon, *replica, *number, Due::Kill)),
                    _ => {}
                }
            }
        }
    }

    fn do_what_is_due(&mut self) {
        let now = monotonic_ns();
        if now >= self.next_kill {
            self.next_kill = now + (2000 + self.random.below(6000)) * MS;
            let replica = self.random.below(self.replicas);
            let last =
                self.trial.lives.iter().filter(|life| life.replica == replica && life.pid != 0).max_by_key(|life| life.number);
            if let Some(life) = last {
                self.due.push((now, life.replica, life.number, Due::Kill));
            }
        }
        let due: Vec<_> = self.due.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, replica, number, due) in due {
            let of = |life: &&mut Life| (life.replica, life.number) == (replica, number);
            let life = self.trial.lives.iter_mut().find(of).expect("known");
            // One that is gone by now needs no more.
            let Some(process) = Process::of(life.pid, life.start) else { continue };
            match due {
                Due::Stop { ms } => {
                    life.stopped = Some(now);
                    process.signal(libc::SIGSTOP);
                    self.due.push((now + ms * MS, replica, number, Due::GoOn));
                }
                Due::GoOn => {
                    process.signal(libc::SIGCONT);
                    std::fs::write(journal::went_on(&self.folder, replica, number), "").expect("told");
                }
                Due::Kill if life.killed.is_none() => {
                    life.killed = Some(now);
                    process.signal(libc::SIGKILL);
                }
                Due::Kill => {}
            }
        }
    }

    /// The last look, once all is over.
    pub(crate) fn close(&mut self) {
        self.read_journals();
        self.read_events();
    }

    /// What of the trial goes on though it is over: workers, and processes of theirs. Those end with this.
    pub(crate) fn orphans(&self) -> Vec<String> {
        let mut orphans = Vec::new();
        for life in &self.trial.lives {
            let own = life.children.iter().map(|(pid, start, setsid)| (*pid, *start, if *setsid { "setsid" } else { "group" }));
            for (pid, start, what) in own.chain([(life.pid, life.start, "worker")]) {
                if pid != 0 && goes_on(pid, start) {
                    orphans.push(format!("{what} {pid} of life {}.{}", life.replica, life.number));
                    Process::of(pid, start).map(|process| process.signal(libc::SIGKILL));
                }
            }
        }
        orphans
    }

    /// Children of the monitor that are dead and not reaped.
    pub(crate) fn zombies(&self, monitor: u32) -> Vec<u32> {
        let state = |pid: u32| super::common::process::state(pid, super::common::diary::start_of(pid)?);
        children(monitor).into_iter().filter(|pid| state(*pid) == Some('Z')).collect()
    }
}
