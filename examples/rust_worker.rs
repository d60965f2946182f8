//! A worker in Rust that plays inference, with the flags of `c_worker`: it loads, runs jobs step by step and reports each
//! step. It can be told to hang, so that a monitor can be seen at work:
//!
//! ```text
//! hangwatch run --replicas 2 -- target/release/examples/rust_worker --hang-at 25 --hang-replica 0 --replica {i}
//! ```
#![allow(unsafe_code, reason = "signal dispositions, which std does not set")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to its terminal")]

use hangwatch::{Outcome, Phase, Total, Worker};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const USAGE: &str = "usage: rust_worker [options]
  --steps N           steps of a job (50)
  --step-ms N         milliseconds of a step (100)
  --jobs N            jobs to run, 0 for no end (1)
  --model NAME        the model's name (stable_diffusion_xl)
  --hang-at PCT       hang for ever at this percentage of a job
  --hang-replica N    hang only if this is replica N
  --replica N         which replica this is (0)
  --ignore-term       take no notice of SIGTERM
  --beat-while-hung   go on beating while hung: progress alone stands still
  --busy-hang         hang in a busy loop
  --help              this text";

struct Options {
    steps: u64,
    step: Duration,
    jobs: u64,
    model: String,
    hang_at: Option<u64>,
    ignores_term: bool,
    beats_while_hung: bool,
    busy_hang: bool,
}

fn refuse(why: &str) -> ! {
    eprintln!("rust_worker: {why}\n{USAGE}");
    exit(2)
}

fn parse() -> Options {
    let mut o = Options {
        steps: 50,
        step: Duration::from_millis(100),
        jobs: 1,
        model: "stable_diffusion_xl".into(),
        hang_at: None,
        ignores_term: false,
        beats_while_hung: false,
        busy_hang: false,
    };
    let (mut replica, mut hang_replica) = (0, None);
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| refuse(&format!("{flag} needs a value")));
        let mut number = || {
            let text = value();
            text.parse::<u64>().unwrap_or_else(|_| refuse(&format!("cannot use {flag} {text}: expected a whole number")))
        };
        match flag.as_str() {
            "--steps" => o.steps = number(),
            "--step-ms" => o.step = Duration::from_millis(number()),
            "--jobs" => o.jobs = number(),
            "--model" => o.model = value(),
            "--hang-at" => o.hang_at = Some(number()),
            "--hang-replica" => hang_replica = Some(number()),
            "--replica" => replica = number(),
            "--ignore-term" => o.ignores_term = true,
            "--beat-while-hung" => o.beats_while_hung = true,
            "--busy-hang" => o.busy_hang = true,
            "--help" => {
                println!("{USAGE}");
                exit(0)
            }
            other => refuse(&format!("cannot use argument '{other}'")),
        }
    }
    if hang_replica.is_some_and(|n| n != replica) {
        o.hang_at = None;
    }
    o
}

static TERMINATED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_term(_: libc::c_int) {
    TERMINATED.store(true, Relaxed); // Relaxed: a flag, nothing rides on it
}

fn set_sigterm(to: libc::sighandler_t) {
    // SAFETY: `to` is SIG_IGN, SIG_DFL or `on_term`, which does nothing but store to an atomic.
    unsafe { libc::signal(libc::SIGTERM, to) };
}

fn told_to_stop(worker: &Worker) -> bool {
    TERMINATED.load(Relaxed) || worker.should_stop()
}

fn work(time: Duration) {
    if !time.is_zero() {
        thread::sleep(time);
    }
}

/// What a deadlock or a lost GPU looks like from outside. Nothing asks whether to stop; SIGTERM ends it unless ignored.
fn hang(worker: &mut Worker, o: &Options) {
    if !o.ignores_term {
        set_sigterm(libc::SIG_DFL);
    }
    while !TERMINATED.load(Relaxed) {
        if o.beats_while_hung {
            work(o.step);
            worker.beat();
        } else if o.busy_hang {
            std::hint::spin_loop();
        } else {
            thread::park();
        }
    }
}

fn run_job(worker: &mut Worker, o: &Options) -> Outcome {
    let mut done = 0;
    loop {
        if o.hang_at.is_some_and(|percent| done * 100 >= percent * o.steps) {
            hang(worker, o);
        }
        if told_to_stop(worker) {
            return Outcome::Cancelled;
        }
        if done == o.steps {
            return Outcome::Ok;
        }
        work(o.step);
        done += 1;
        worker.step(done);
    }
}

fn main() {
    let o = parse();
    set_sigterm(if o.ignores_term { libc::SIG_IGN } else { on_term as extern "C" fn(libc::c_int) as usize });
    let pid = std::process::id();
    let mut worker = hangwatch::Attach::new().attach().unwrap_or_else(|e| {
        eprintln!("rust_worker: {e}\n  going on unwatched");
        Worker::detached()
    });
    match worker.slot() {
        Some(slot) => println!("rust_worker: pid {pid}, slot {slot}"),
        None => println!("rust_worker: pid {pid}, detached"),
    }

    worker.phase(Phase::Loading);
    work(o.step);
    worker.phase(Phase::Idle);
    let mut job = 0;
    while (o.jobs == 0 || job < o.jobs) && !told_to_stop(&worker) {
        worker.begin_job(&format!("rust-{pid}-{job}"), &o.model, Total::Known(o.steps));
        let outcome = run_job(&mut worker, &o);
        worker.end_job(outcome);
        job += 1;
    }
    worker.phase(Phase::Ending);
}
