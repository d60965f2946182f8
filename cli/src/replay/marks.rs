//! Marks of long training runs: blocks, evaluations, epochs. Hours of coarse progress, no jobs, and no labelled hang.
//!
//! All runs are one session, one after another by when they began, each system and benchmark in a slot of its own, looked at
//! once a second.

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

/// Marks as rows: a block or an epoch is training, an evaluation another phase; every other mark is a step of the phase.
fn rows(run: &Run, start_s: u64, life: &str) -> Vec<Row> {
    let (mut phase, mut step) = ("starting", 0);
    run.marks
        .iter()
        .enumerate()
        .map(|(i, (at, key))| {
            let next = match key.as_str() {
                "epoch_start" | "block_start" | "eval_stop" => "train",
                "eval_start" => "eval",
                "run_stop" => "idle",
                _ => phase,
            };
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
