//! In a part: plays its script.

use super::common::diary::start_of;
use super::common::part::{attached, pass};
use super::journal::{Journal, went_on};
use super::script::{Act, DEADLINE, End, Hang, Script};
use hangwatch::clock::monotonic_ns;
use hangwatch::layout::phase::Class;
use hangwatch::{Job, Outcome, Phase, Total, Worker};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// Between two healthy steps.
const STEP_MS: u64 = 20;
/// A healthy worker that finds itself so late says so.
const LATE_MS: u64 = 1000;

/// `part` is `FOLDER|SEED|CHILDREN|REPLICA`.
pub(crate) fn play(part: &str) -> ! {
    let [folder, seed, children, replica] = part.split('|').collect::<Vec<_>>()[..] else { panic!("'{part}'") };
    let replica = replica.parse().expect("a number");
    let (mut journal, life) = Journal::begin(Path::new(folder), replica);
    let pid = std::process::id();
    journal.write(format_args!("is {pid} {}", start_of(pid).expect("it lives")));
    let script = Script::of(seed.parse().expect("a number"), replica, life, children == "true");
    let hangs_at_once = matches!(script.end, End::Hang { hang: Hang::Start, .. });
    if hangs_at_once {
        journal.write("hang Start");
    }
    let worker = attached();
    let went_on = went_on(Path::new(folder), replica, life);
    let mut player = Player { worker, journal, went_on, jobs: 0, last: monotonic_ns() };
    for act in &script.acts {
        player.act(act);
    }
    player.end(&script.end)
}

struct Player {
    worker: Worker,
    journal: Journal,
    went_on: PathBuf,
    jobs: u64,
    /// Its last healthy step.
    last: u64,
}

impl Player {
    fn begin_job(&mut self, total: Total) {
        self.jobs += 1;
        self.worker.begin_job(&format!("job-{}", self.jobs), "model", total);
    }

    /// A pause between two healthy steps, which is to be no longer.
    fn pause(&mut self) {
        pass(STEP_MS);
        let late = (monotonic_ns() - self.last) / 1_000_000;
        if late > LATE_MS {
            self.journal.write(format_args!("late {late}"));
        }
        self.last = monotonic_ns();
    }

    fn steps(&mut self, from: u64, to: u64) {
        self.last = monotonic_ns();
        for done in from..to {
            self.worker.step(done);
            self.pause();
        }
    }

    /// Waits until a poll has begun and ended: it saw what the slot shows.
    fn is_seen(&self) {
        let polls = || self.worker.segment().expect("attached").header().peek_monitor().beat.count();
        let from = polls();
        super::common::until(|| polls() >= from + 2);
    }

    /// Healthy until `is_over`, or for ever.
    fn works_until(&mut self, is_over: impl Fn() -> bool) {
        self.begin_job(Total::Unknown);
        for done in 0u64.. {
            if is_over() {
                break;
            }
            self.worker.step(done);
            pass(STEP_MS);
        }
        self.worker.end_job(Outcome::Ok);
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Stopped { ms } => {
                let went_on = self.went_on.clone();
                // Of several, the test sees to the first.
                if !went_on.exists() {
                    self.journal.write(format_args!("stop-me {ms}"));
                    self.works_until(|| went_on.exists());
                }
                return;
            }
            Act::Child { setsid } => {
                let program = if *setsid { "setsid" } else { "env" };
                let mut command = std::process::Command::new(program);
                command.args(["sleep", "1000"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                let pid = command.spawn().expect("a child").id();
                let start = start_of(pid).expect("not reaped");
                self.journal.write(format_args!("child {pid} {start} {}", if *setsid { "setsid" } else { "group" }));
                return;
            }
            _ => {}
        }
        self.journal.write(format_args!("act {act:?}"));
        match *act {
            Act::Healthy { steps } => {
                self.begin_job(Total::Known(steps));
                self.steps(0, steps + 1);
            }
            Act::Slow { steps, ms } => {
                self.begin_job(Total::Known(steps));
                for done in 0..=steps {
                    self.worker.step(done);
                    pass(ms);
                }
            }
            Act::Lease { ms, silent } => {
                self.begin_job(Total::Known(10));
                self.worker.step(1);
                self.worker.extend(Duration::from_millis(ms));
                pass(silent);
                self.worker.step(2);
            }
            Act::Load { units, ms } => {
                self.worker.phase_total(Phase::Loading, Total::Known(units));
                for unit in 0..=units {
                    self.worker.step(unit);
                    pass(ms);
                }
                self.worker.phase(Phase::Idle);
            }
            Act::Idle { ms } => {
                self.worker.phase(Phase::Idle);
                pass(ms);
            }
            Act::BeatsAlone { ms } => {
                self.begin_job(Total::None);
                self.last = monotonic_ns();
                for _ in 0..ms / STEP_MS {
                    self.worker.beat();
                    self.pause();
                }
            }
            Act::Passes => {
                self.begin_job(Total::Known(20));
                for _ in 0..4 {
                    self.steps(0, 21);
                    self.worker.begin_pass();
                }
            }
            Act::Lies => self.lies(),
            Act::Stopped { .. } | Act::Child { .. } => unreachable!("done above"),
        }
        self.worker.end_job(Outcome::Ok);
    }

    fn lies(&mut self) {
        let hostile = "\u{1b}[2J\n\r\u{0}\"},{\u{202e}".repeat(40);
        for (total, steps) in [
            (Total::Known(0), [0, 5, 1 << 60]),
            (Total::Known(3), [1, 1000, u64::MAX - 1]),
            (Total::Known(u64::MAX - 1), [u64::MAX - 2, 0, 1]),
        ] {
            self.worker.begin_job(&hostile, &hostile, total);
            for done in steps {
                self.worker.step(done);
                self.worker.extend(Duration::MAX);
                pass(STEP_MS);
            }
            for _ in 0..300 {
                self.worker.note(&hostile);
            }
            for depth in 0..20 {
                self.worker.enter(if depth % 2 == 0 { Phase::Loading } else { Phase::Inference }, total);
            }
            self.worker.leave();
            self.worker.alive();
            self.worker.end_job(Outcome::Failed);
        }
        // Too long a name is refused, and nothing comes of it.
        if let Ok(phase) = self.worker.register_phase(&hostile, Class::Work, Duration::MAX) {
            self.worker.phase(phase);
        }
    }

    fn end(mut self, end: &End) -> ! {
        match end {
            End::Killed => {
                self.journal.write("kill-me");
                self.works_until(|| false);
            }
            End::Exit { code, in_job } => {
                if *in_job {
                    self.begin_job(Total::Known(10));
                    self.steps(0, 5);
                }
                self.journal.write(format_args!("exit {code}"));
                std::process::exit(*code);
            }
            End::Hang { hang, deaf } => {
                if *deaf {
                    super::common::part::ignore_sigterm();
                }
                self.hang(*hang);
            }
        }
        unreachable!("it is ended by others")
    }

    /// Announces it, gives its last sign of life, and says that it has.
    fn hang(&mut self, hang: Hang) -> ! {
        let for_ever = || loop {
            pass(60_000);
        };
        let announce = |player: &mut Self| player.journal.write(format_args!("hang {hang:?}"));
        match hang {
            Hang::Start => {
                self.journal.write("hung");
                for_ever()
            }
            Hang::Deadline => {
                announce(self);
                let deadline = Duration::from_millis(DEADLINE);
                self.worker.begin_job_with(&Job::new("late").model("model").total(Total::Unknown).deadline(deadline));
                self.journal.write("hung");
                for done in 0.. {
                    self.worker.step(done);
                    pass(STEP_MS);
                }
                unreachable!("64 bits of steps")
            }
            Hang::Load => {
                self.worker.phase_total(Phase::Loading, Total::Known(10));
                self.steps(0, 3);
                announce(self);
                self.worker.step(3);
                self.journal.write("hung");
                for_ever()
            }
            Hang::Lane => {
                let mut lane = self.worker.lane("second").expect("a slot");
                lane.begin_job("second", "model", Total::Known(10));
                lane.step(1);
                announce(self);
                lane.step(2);
                self.journal.write("hung");
                self.works_until(|| false);
                unreachable!("for ever")
            }
            Hang::Silent | Hang::Beats | Hang::Alive | Hang::Loop | Hang::Lease => {
                self.begin_job(Total::Known(50));
                self.steps(0, 20);
                announce(self);
                self.worker.step(20);
                match hang {
                    Hang::Lease => self.worker.extend(Duration::MAX),
                    // A peak between two polls is none: progress that nobody saw starts no clock.
                    Hang::Loop => self.is_seen(),
                    _ => {}
                }
                self.journal.write("hung");
                for turn in 0u64.. {
                    match hang {
                        Hang::Beats => self.worker.beat(),
                        Hang::Alive => self.worker.alive(),
                        Hang::Loop => self.worker.step(turn % 2),
                        _ => for_ever(),
                    }
                    pass(STEP_MS);
                }
                unreachable!("64 bits of turns")
            }
        }
    }
}
