//! The Rust driver of the conformance suite: does what its stdin says, a line a call, and answers each with a line.
//!
//! ```text
//! hangwatch conformance -- target/release/examples/rust_driver
//! ```
#![allow(unsafe_code, reason = "fork, which std does not have")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to whoever started it")]

use hangwatch::layout::phase::Class;
use hangwatch::{Attach, Error, Job, Outcome, Phase, Total, Worker};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::time::Duration;

/// `-` is an empty text, `%41` a byte by its number.
fn text(word: &str) -> String {
    let mut rest = if word == "-" { &[][..] } else { word.as_bytes() };
    let mut bytes = Vec::new();
    while let [first, after @ ..] = rest {
        let hex = if *first == b'%' { after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()) } else { None };
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|e| panic!("{e}: '{word}'"))
}

fn total(word: &str) -> Total {
    Total::from_word(number(word))
}

fn phase(word: &str) -> Phase {
    Phase::from_id(u16::try_from(number(word)).unwrap_or(u16::MAX))
}

fn outcome(word: &str) -> Outcome {
    match word {
        "ok" => Outcome::Ok,
        "failed" => Outcome::Failed,
        _ => Outcome::Cancelled,
    }
}

fn error(e: &Error) -> String {
    format!("error {} {}", e.kind() as i32, e.to_string().replace('\n', "\t"))
}

fn attach(segment: &str, name: &str) -> Result<Worker, Error> {
    let mut attach = Attach::new();
    if !segment.is_empty() {
        attach = attach.segment(segment);
    }
    if !name.is_empty() {
        attach = attach.name(name);
    }
    attach.attach()
}

struct Driver {
    workers: [Worker; 3],
}

impl Driver {
    fn made(&mut self, held: usize, made: Result<Worker, Error>) -> String {
        match made {
            Ok(worker) => {
                let answer = worker.slot().map_or_else(|| "detached".into(), |slot| format!("slot {slot}"));
                self.workers[held] = worker;
                answer
            }
            Err(e) => error(&e),
        }
    }

    /// A call on one of the workers: what it says.
    fn call(&mut self, held: usize, words: &[&str]) -> String {
        let worker = &mut self.workers[held];
        match *words {
            ["attach", segment, name] => {
                let made = attach(&text(segment), &text(name));
                return self.made(held, made);
            }
            ["lane", name] => {
                let made = self.workers[0].lane(&text(name));
                return self.made(held, made);
            }
            ["gpu_lane", name, device] => {
                let made = self.workers[0].gpu_lane(&text(name), number(device) as u32);
                return self.made(held, made);
            }
            ["is_attached"] => return u8::from(worker.is_attached()).to_string(),
            ["should_stop"] => return u8::from(worker.should_stop()).to_string(),
            ["register_phase", name, class, ms] => {
                let class = match class {
                    "idle" => Class::Idle,
                    "exit" => Class::Exit,
                    _ => Class::Work,
                };
                let made = worker.register_phase(&text(name), class, Duration::from_millis(number(ms)));
                return made.map_or_else(|e| error(&e), |phase| format!("phase {}", phase.id()));
            }
            ["phase", id] => worker.phase(phase(id)),
            ["phase_total", id, n] => worker.phase_total(phase(id), total(n)),
            ["enter", id, n] => worker.enter(phase(id), total(n)),
            ["leave"] => worker.leave(),
            ["begin_job", id, model, n] => worker.begin_job(&text(id), &text(model), total(n)),
            ["begin_job_with", id, model, n, batch, size, deadline, device] => {
                let (id, model) = (text(id), text(model));
                let mut job = Job::new(&id).model(&model).total(total(n)).batch(number(batch)).size(number(size));
                if number(deadline) > 0 {
                    job = job.deadline(Duration::from_millis(number(deadline)));
                }
                if device != "-" {
                    job = job.device(number(device) as u32);
                }
                worker.begin_job_with(&job);
            }
            ["step", done] => worker.step(number(done)),
            ["beat"] => worker.beat(),
            ["alive"] => worker.alive(),
            ["begin_pass"] => worker.begin_pass(),
            ["extend", ms] => worker.extend(Duration::from_millis(number(ms))),
            ["note", note] => worker.note(&text(note)),
            ["end_job", how] => worker.end_job(outcome(how)),
            ["storm", rounds] => {
                for i in 1..=number(rounds) {
                    let id = i.to_string();
                    worker.begin_job(&id, &id, Total::Known(1_000_000 + i));
                    worker.step(i);
                    worker.step(500_000 + i);
                    worker.beat();
                    if i % 2 == 0 {
                        worker.end_job(Outcome::Ok);
                    }
                }
            }
            ["detach"] => *worker = Worker::detached(),
            _ => return "unsupported".into(),
        }
        "ok".into()
    }

    /// The call in a child, which then ends as programs do.
    fn in_fork(&mut self, words: &[&str]) {
        // SAFETY: no other thread of this program exists.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            println!("{}", self.call(0, words));
            std::process::exit(0);
        }
        let mut status = -1;
        // SAFETY: `status` is valid for the call to fill; the child is ours.
        let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
        assert!(pid > 0 && waited == pid && status == 0, "a child ends well: {status:#x}");
    }
}

fn main() -> io::Result<()> {
    let mut driver = Driver { workers: std::array::from_fn(|_| Worker::detached()) };
    for line in io::stdin().lines() {
        let line = line?;
        let mut words: Vec<&str> = line.split_ascii_whitespace().collect();
        let held = match words.first() {
            Some(&"@b") => 1,
            Some(&"@c") => 2,
            _ => 0,
        };
        words.drain(..usize::from(held > 0));
        match words.first() {
            Some(&"fork") => driver.in_fork(&words[1..]),
            Some(&"exec") => {
                println!("ok");
                io::stdout().flush()?;
                let e = std::process::Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).exec();
                return Err(e);
            }
            _ => println!("{}", driver.call(held, &words)),
        }
        io::stdout().flush()?;
    }
    Ok(())
}
