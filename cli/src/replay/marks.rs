//! Marks of long training runs: blocks, evaluations, epochs. Hours of coarse progress, and no labelled hang.
//!
//! The runs of one system and benchmark are one session, one after another in one slot, looked at once a second.

use super::csv::Table;
use super::names::Names;
use super::session::{Session, Sign};
use super::words::{Event, Hand, Row};
use hangwatch::Result;
use hangwatch::record::Frame;
use hangwatch::snapshot::{HostSnapshot, Probe};
use std::collections::BTreeMap;

const INTERVAL_NS: u64 = 1_000_000_000;
/// Between two runs, in seconds.
const PAUSE_S: u64 = 10;

/// A run's rows: milliseconds, key.
type Run = Vec<(u64, String)>;

pub(super) fn sessions(table: &Table, names: &mut Names) -> Result<Vec<Session>> {
    let mut groups: BTreeMap<String, BTreeMap<String, Run>> = BTreeMap::new();
    for cells in table.rows() {
        let group = format!("mlperf/{}/{}/{}", cells.text("org")?, cells.text("system")?, cells.text("benchmark")?);
        let run = groups.entry(group).or_default().entry(cells.text("run")?.to_owned()).or_default();
        run.push((cells.number("t_ms")?, cells.text("key")?.to_owned()));
    }
    Ok(groups.into_iter().map(|(name, runs)| session(name, runs.into_values(), names)).collect())
}

fn session(name: String, runs: impl Iterator<Item = Run>, names: &mut Names) -> Session {
    let mut session = Session {
        workers: vec![name.rsplit('/').next().unwrap_or_default().to_owned()],
        name,
        interval_ns: INTERVAL_NS,
        has_our_budgets: true,
        polls: Vec::new(),
        signs: Vec::new(),
        labels: Vec::new(),
    };
    let mut hand = Hand::new(0, &session.workers[0].clone());
    let mut start_s = PAUSE_S;
    for (number, mut run) in runs.enumerate() {
        run.sort_by_key(|(at, _)| *at);
        let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) else { continue };
        let (first, last_s) = (*first, start_s + (*last - *first).div_ceil(1000));
        let rows = rows(&run, first, start_s, &format!("#{number}"), &session.name);
        let mut rows = rows.iter().peekable();
        for second in start_s - 1..=last_s + 1 {
            let now = second * INTERVAL_NS;
            let mut changed = false;
            while let Some(row) = rows.next_if(|row| row.at <= now) {
                // Every key that a row can get here is a known phase.
                if let Ok(Some(then)) = hand.take(row, names) {
                    let words = Some(Box::new(hand.snapshot(Probe::default())));
                    session.signs.push(Sign { at: row.at, slot: 0, then, words });
                }
                changed = true;
            }
            if second == last_s + 1 {
                session.signs.push(Sign { at: now, slot: 0, then: hand.leave(), words: None });
                changed = true;
            }
            let host = HostSnapshot { monotonic_ns: now, boottime_ns: now, cpu_pressure_us: None };
            let slots = if changed { vec![hand.snapshot(Probe::default())] } else { Vec::new() };
            session.polls.push(Frame { host, slots });
        }
        start_s = last_s + PAUSE_S;
    }
    session
}

/// Marks as rows: a block or an epoch is training, an evaluation another phase; every other mark is a step of the phase.
fn rows(run: &Run, first_ms: u64, start_s: u64, life: &str, model: &str) -> Vec<Row> {
    let (mut phase, mut step) = ("starting", 0);
    run.iter()
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
                at: start_s * INTERVAL_NS + (at - first_ms) * 1_000_000,
                life: life.to_owned(),
                phase: phase.to_owned(),
                job: (phase != "starting").then_some(0),
                model: model.to_owned(),
                step,
                total: 0,
                event: if enters { Event::State } else { Event::Step },
                size: 0,
                batch: 0,
            }
        })
        .collect()
}
