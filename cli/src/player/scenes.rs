//! The worker's work, and what each fault makes of it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hangwatch::{Job, Outcome, Phase, Total, Worker};
use signal_hook::consts::SIGSTOP;

use super::{End, Fault, Pace, Script};

/// A load's units, and how many of them are done when it stands still.
const LOAD: (u64, u64) = (100, 5);
/// A slow step takes this share of the timeout in percent; its lease is long enough for a busy machine.
const SLOW_PERCENT: u32 = 130;
const LEASE_FACTOR: u32 = 3;

type Played<T = ()> = Result<T, End>;

/// Plays until it is over; says why, and whether the worker hung by then.
pub(crate) fn play(worker: &mut Worker, script: &Script, pace: &Pace) -> (End, bool) {
    let mut player = Player { worker, script, pace, hung: false };
    match player.work() {
        Err(end) => (end, player.hung),
        Ok(never) => match never {},
    }
}

struct Player<'a> {
    worker: &'a mut Worker,
    script: &'a Script,
    pace: &'a Pace,
    /// From here on it hears nobody.
    hung: bool,
}

impl Player<'_> {
    fn work(&mut self) -> Played<Infallible> {
        if self.script.fault == Fault::LoadDeadlock {
            return self.load();
        }
        for number in 1..=self.script.jobs {
            let strikes = number == self.script.jobs || self.script.fault.recurs();
            self.job(number, if strikes { self.script.fault } else { Fault::None })?;
        }
        self.worker.phase(Phase::Idle);
        loop {
            self.step_time()?;
        }
    }

    fn load(&mut self) -> Played<Infallible> {
        let (total, stuck) = LOAD;
        self.worker.phase_total(Phase::Loading, Total::Known(total));
        for done in 1..=stuck {
            self.step_time()?;
            self.worker.step(done);
        }
        self.only_a_helper_lives()
    }

    fn job(&mut self, number: u64, fault: Fault) -> Played {
        let script = self.script;
        let total = if fault == Fault::NoProgress { Total::None } else { Total::Known(script.steps) };
        let id = format!("{}-{number}", script.name);
        self.worker.begin_job_with(&Job::new(&id).model(&script.model).total(total).batch(script.batch));
        if fault == Fault::StallBeforeFirstStep {
            self.only_a_helper_lives()?;
        }
        for done in 0..=script.steps {
            if done > 0 {
                self.step_time()?;
            }
            match fault {
                Fault::NoProgress => self.worker.beat(),
                _ => self.worker.step(done),
            }
            if done == script.trouble() {
                self.strike(fault, done)?;
            }
        }
        match fault {
            Fault::Decode => {
                self.worker.phase(Phase::PostProcessing);
                self.hang()?;
            }
            Fault::Tail => {
                self.hang()?;
            }
            _ => {}
        }
        self.worker.end_job(Outcome::Ok);
        Ok(())
    }

    /// `done` steps are done, and here it goes wrong.
    fn strike(&mut self, fault: Fault, done: u64) -> Played {
        match fault {
            Fault::Hang => {
                self.hang()?;
            }
            Fault::Stall => {
                self.hung = true;
                loop {
                    self.pace.pause(self.script.beat_time)?;
                    self.worker.beat();
                }
            }
            Fault::OomFlat => loop {
                self.step_time()?;
                self.worker.step(done);
            },
            Fault::OomLoop => loop {
                for again in 0..=done {
                    self.step_time()?;
                    self.worker.step(again);
                }
            },
            Fault::Lease => {
                let slow = self.script.slow.saturating_mul(SLOW_PERCENT) / 100;
                self.worker.extend(self.script.slow.saturating_mul(LEASE_FACTOR));
                self.pace.pause(slow)?;
            }
            Fault::Crash => std::process::abort(),
            Fault::Exit => std::process::exit(0),
            Fault::Stop => {
                // It cannot fail: SIGSTOP needs no permission of a process over itself.
                let _ = signal_hook::low_level::raise(SIGSTOP);
            }
            Fault::None | Fault::NoProgress | Fault::StallBeforeFirstStep | Fault::LoadDeadlock | Fault::Decode | Fault::Tail => {
            }
        }
        Ok(())
    }

    /// A step's time passes, for a worker that still listens.
    fn step_time(&self) -> Played {
        if self.worker.should_stop() {
            return Err(End::Asked);
        }
        self.pace.pause(self.script.step_time)
    }

    fn hang(&mut self) -> Played<Infallible> {
        self.hung = true;
        loop {
            self.pace.pause(self.script.beat_time)?;
        }
    }

    fn only_a_helper_lives(&mut self) -> Played<Infallible> {
        let (helper, over, beat_time) = (self.worker.helper(), AtomicBool::new(false), self.script.beat_time);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Relaxed: a wish to end, nothing rides on it.
                while !over.load(Relaxed) {
                    helper.alive();
                    std::thread::sleep(beat_time);
                }
            });
            let end = self.hang();
            over.store(true, Relaxed);
            end
        })
    }
}
