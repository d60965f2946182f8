//! The same calls on the writer and on the reference writer, this library's: the same words.

use super::seen::Seen;
use super::stage::{DEVICE, NAME, broken, read};
use super::{Halt, Proof, World, table};
use hangwatch::layout::slot::FIELDS;
use hangwatch::{Attach, Job, Outcome, Phase, Total, Worker};
use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

table! { twin:
    Full any_calls_in_any_order_leave_the_words_of_the_reference_writer;
}

const CALLS: usize = 2000;

/// Drawn alike at every run: what fails fails again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn total(&mut self) -> u64 {
        [0, 50, u64::MAX][self.below(3) as usize]
    }

    fn call(&mut self, i: usize) -> String {
        match self.below(30) {
            0 => format!("phase {}", self.below(14)),
            1 => format!("phase_total {} {}", self.below(12), self.total()),
            2 => format!("begin_job j{i} model {}", self.total()),
            3 => format!(
                "begin_job_with j{i} model {} {} {} {} {}",
                self.total(),
                self.below(9),
                self.below(9),
                self.below(99),
                self.below(3)
            ),
            4 => format!("end_job {}", ["ok", "failed", "cancelled"][self.below(3) as usize]),
            5 => "begin_pass".into(),
            6 => format!("extend {}", self.below(2000)),
            7 => format!("note n{i}"),
            8 => "alive".into(),
            9 | 10 => "beat".into(),
            11 => "phase 7".into(),
            12..=14 => format!("enter {} {}", self.below(14), self.total()),
            15 | 16 => "leave".into(),
            _ => format!("step {}", self.below(50)),
        }
    }
}

/// The same call on the reference writer.
fn on_reference(worker: &mut Worker, call: &str) {
    let words: Vec<&str> = call.split(' ').collect();
    let number = |i: usize| words.get(i).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let text = |i: usize| words.get(i).copied().unwrap_or("");
    let phase = Phase::from_id(number(1) as u16);
    match words[0] {
        "phase" => worker.phase(phase),
        "phase_total" => worker.phase_total(phase, Total::from_word(number(2))),
        "enter" => worker.enter(phase, Total::from_word(number(2))),
        "leave" => worker.leave(),
        "begin_job" => worker.begin_job(text(1), text(2), Total::from_word(number(3))),
        "begin_job_with" => {
            let job = Job::new(text(1)).model(text(2)).total(Total::from_word(number(3))).batch(number(4)).size(number(5));
            let job = if number(6) > 0 { job.deadline(Duration::from_millis(number(6))) } else { job };
            worker.begin_job_with(&job.device(number(7) as u32));
        }
        "step" => worker.step(number(1)),
        "beat" => worker.beat(),
        "alive" => worker.alive(),
        "begin_pass" => worker.begin_pass(),
        "extend" => worker.extend(Duration::from_millis(number(1))),
        "note" => worker.note(text(1)),
        _ => worker.end_job(match text(1) {
            "ok" => Outcome::Ok,
            "failed" => Outcome::Failed,
            _ => Outcome::Cancelled,
        }),
    }
}

/// Sections by number: any numbers will do, as long as the same section has the same and another one another.
#[derive(Default)]
struct Sections {
    of_reference: BTreeMap<u16, u16>,
    of_writer: BTreeMap<u16, u16>,
}

impl Sections {
    fn are_alike(&mut self, of_reference: u16, of_writer: u16) -> bool {
        *self.of_reference.entry(of_reference).or_insert(of_writer) == of_writer
            && *self.of_writer.entry(of_writer).or_insert(of_reference) == of_reference
    }
}

/// Who, when, how often before: what differs between two claims.
const OF_THE_CLAIM: &[&str] = &["owner", "starttime", "pidfd_ino", "namespaces", "tid", "claimed_boottime_ns"];

/// A word without what may differ: stamps are the clock's, generations the slot's, a lease's and a section's number anybody's.
fn common(name: &str, word: u64) -> Option<u64> {
    match name {
        _ if OF_THE_CLAIM.contains(&name) => None,
        "stamp_ns" | "progress_stamp_ns" | "info_seq" | "cmd" => None,
        "seen_beat" | "beat_at" | "verdict" | "restarts" | "high_mark" | "progress_at" | "epoch_seen" | "episode" => None,
        "beat" | "alive" | "lease" => Some(word & ((1 << 48) - 1)),
        "phase" => Some(word & !(0xfff << 36)),
        _ => Some(word),
    }
}

fn compare(writer: &Seen, reference: &Seen, sections: &mut Sections) -> Proof {
    for (name, _) in FIELDS {
        writer.is(name, common(name, writer.word(name)), common(name, reference.word(name)))?;
    }
    let alike = sections.are_alike(reference.phase().section(), writer.phase().section());
    writer.holds("the section has a number of its own, and the one it had before where it is come back to", alike)?;
    let record = |seen: &Seen| {
        let mut info = seen.info();
        (info.generation, info.job_start_boottime_ns) = (0, info.job_start_boottime_ns.min(1));
        info
    };
    writer.is("the record", record(writer), record(reference))
}

fn any_calls_in_any_order_leave_the_words_of_the_reference_writer(world: &World) -> Proof {
    let mut stage = world.attached()?;
    let path = stage.folder().join("reference");
    let attach = Attach::new().segment(path.to_string_lossy()).name(NAME).device(DEVICE as u32);
    let mut reference = attach.attach().map_err(Halt::Broken)?;
    let file = File::open(&path).map_err(|e| broken("cannot read the reference writer's segment", &e))?;
    let at = 4096 + 1024 * u64::from(reference.slot().unwrap_or(0));
    let mut sections = Sections::default();
    let mut dice = Dice(20);
    let mut lacking = Vec::new();
    for i in 0..CALLS {
        let call = dice.call(i);
        let what = call.split(' ').next().unwrap_or("").to_owned();
        if lacking.contains(&what) {
            continue;
        }
        match stage.tell(&call) {
            Err(Halt::Unsupported(_)) => {
                lacking.push(what);
                continue;
            }
            other => other?,
        }
        on_reference(&mut reference, &call);
        compare(&stage.seen()?, &read(&file, at, &call)?, &mut sections)?;
    }
    Ok(())
}
