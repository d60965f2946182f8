//! Marks of long training runs: blocks, evaluations, epochs. Hours of coarse progress, no jobs, and no labelled hang.
//!
//! All runs are one session, one after another by when they began, each system and benchmark in a slot of its own, looked at
//! once a second.
//!
//! A phase is what is open: an evaluation, else a block or an epoch. What lies between is another phase, for what a run does
//! there (saving, loading, nothing for a millisecond) says nothing of a block, nor a block of it.

use super::csv::Table;
use super::names::Names;
use super::session::{Session, Sign};
use super::words::{Event, Hand, Row};
use hangwatch::Result;
use hangwatch::record::Frame;
use hangwatch::snapshot::{HostSnapshot, Probe};
use std::collections::BTreeMap;

pub(super) const NAME: &str = "mlperf";
const INTERVAL_NS: u64 = 1_000_000_000;
/// Between two runs, in seconds.
const PAUSE_S: u64 = 10;

/// A run of a system and benchmark.
struct Run {
    group: String,
    marks: Vec<(u64, String)>,
}

impl Run {
    fn first(&self) -> u64 {
        self.marks.first().map_or(0, |(at, _)| *at)
    }

    fn last(&self) -> u64 {
        self.marks.last().map_or(0, |(at, _)| *at)
    }
}

/// The session that a file of marks is.
pub(super) fn session(table: &Table, names: &mut Names) -> Result<Session> {
    let mut runs: BTreeMap<(String, String), Run> = BTreeMap::new();
    for cells in table.rows() {
        let group = format!("{}/{}/{}", cells.text("org")?, cells.text("system")?, cells.text("benchmark")?);
        let run = runs.entry((group.clone(), cells.text("run")?.to_owned()));
        run.or_insert(Run { group, marks: Vec::new() }).marks.push((cells.number("t_ms")?, cells.text("key")?.to_owned()));
    }
    let mut runs: Vec<Run> = runs.into_values().collect();
    runs.iter_mut().for_each(|run| run.marks.sort_by_key(|(at, _)| *at));
    runs.sort_by(|a, b| (a.first(), &a.group).cmp(&(b.first(), &b.group)));
    let mut session = Session {
        name: NAME.into(),
        interval_ns: INTERVAL_NS,
        has_our_budgets: true,
        workers: Vec::new(),
        polls: Vec::new(),
        signs: Vec::new(),
        labels: Vec::new(),
    };
    let mut hands: Vec<Hand> = Vec::new();
    let mut start_s = PAUSE_S;
    for (number, run) in runs.iter().enumerate() {
        let slot = session.workers.iter().position(|worker| *worker == run.group).unwrap_or_else(|| {
            session.workers.push(run.group.clone());
            hands.push(Hand::new(hands.len() as u32, &run.group));
            hands.len() - 1
        });
        start_s = add(&mut session, &mut hands[slot], run, &format!("#{number}"), start_s, names) + PAUSE_S;
    }
    Ok(session)
}

/// Adds a run that starts at `start_s`. Returns when it ended.
fn add(session: &mut Session, hand: &mut Hand, run: &Run, life: &str, start_s: u64, names: &mut Names) -> u64 {
    let slot = hand.snapshot(Probe::default()).index;
    let last_s = start_s + (run.last() - run.first()).div_ceil(1000);
    let rows = rows(run, start_s, life);
    let mut rows = rows.iter().peekable();
    for second in start_s - 1..=last_s + 1 {
        let now = second * INTERVAL_NS;
        let mut changed = false;
        while let Some(row) = rows.next_if(|row| row.at <= now) {
            // Every key that a row can get here is a known phase.
            if let Ok(Some(then)) = hand.take(row, names) {
                let words = Some(Box::new(hand.snapshot(Probe::default())));
                session.signs.push(Sign { at: row.at, slot, then, words });
            }
            changed = true;
        }
        if second == last_s + 1 {
            session.signs.push(Sign { at: now, slot, then: hand.leave(), words: None });
            changed = true;
        }
        let host = HostSnapshot { monotonic_ns: now, boottime_ns: now, cpu_pressure_us: None };
        let slots = if changed { vec![hand.snapshot(Probe::default())] } else { Vec::new() };
        session.polls.push(Frame { host, slots });
    }
    last_s + 1
}

/// What of a run is open. Marks overlap: an evaluation can run within an epoch, and an epoch begin before it ends.
#[derive(Default)]
struct Open {
    runs: bool,
    trains: bool,
    evaluates: bool,
}

impl Open {
    /// Takes in a mark. A run begins to train at its start, and reports a loss of nothing else.
    fn mark(&mut self, key: &str) {
        match key {
            "run_start" | "epoch_start" | "block_start" | "train_loss" => (self.runs, self.trains) = (true, true),
            "epoch_stop" | "block_stop" => self.trains = false,
            "eval_start" => (self.runs, self.evaluates) = (true, true),
            "eval_stop" => self.evaluates = false,
            "run_stop" => *self = Self::default(),
            _ => {}
        }
    }

    /// The phase, where `former` came before: saving and loading between two blocks is not training, and takes as long as it likes.
    fn phase(&self, former: &'static str, key: &str) -> &'static str {
        match self {
            _ if key == "run_stop" => "idle",
            Self { evaluates: true, .. } => "eval",
            Self { trains: true, .. } => "train",
            Self { runs: true, .. } => "between",
            _ => former,
        }
    }
}

/// Marks as rows: the phase is what is open; every mark that changes nothing of it is a step.
fn rows(run: &Run, start_s: u64, life: &str) -> Vec<Row> {
    let (mut phase, mut step, mut open) = ("starting", 0, Open::default());
    run.marks
        .iter()
        .enumerate()
        .map(|(i, (at, key))| {
            open.mark(key);
            let next = open.phase(phase, key);
            let enters = next != phase || i == 0;
            step = if enters { 0 } else { step + 1 };
            phase = next;
            Row {
                at: start_s * INTERVAL_NS + (at - run.first()) * 1_000_000,
                life: life.to_owned(),
                phase: phase.to_owned(),
                job: None,
                model: run.group.clone(),
                step,
                total: 0,
                event: if enters { Event::State } else { Event::Step },
                size: 0,
                batch: 0,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(marks: &str) -> String {
        let marks = (0..).zip(marks.split(' ')).map(|(at, key)| (at, key.to_owned())).collect();
        let rows = rows(&Run { group: "of/some/kind".into(), marks }, 1, "#0");
        let name = |row: &Row| if row.event == Event::State { row.phase.clone() } else { "+".into() };
        rows.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_phase_is_what_is_open_and_every_other_mark_a_step() {
        for (marks, expected, why) in [
            ("init_stop run_start block_start block_stop", "starting train + between", "a block that stopped is no training"),
            ("run_start train_loss train_loss run_stop", "train + + idle", "a loss needs no block"),
            ("run_start epoch_stop eval_start eval_stop eval_accuracy", "train between eval between +", "one after another"),
            ("eval_start epoch_start eval_accuracy eval_stop epoch_stop", "eval + + train between", "an epoch in an evaluation"),
            ("epoch_start eval_start eval_accuracy eval_stop", "train eval + train", "an evaluation in an epoch"),
            ("run_start run_stop eval_start eval_stop", "train idle eval between", "an evaluation after the end"),
        ] {
            assert_eq!(phases(marks), expected, "{why}");
        }
    }
}
