//! A folder of CSV files: `beats_<session>_<worker>`, `labels_<session>`, `monitor_<session>`, `mlperf_*`, all `.csv.gz`.
//! Its README says what the columns hold.

use super::marks;
use super::names::Names;
use super::session::{Label, Session, Sign};
use super::words::{Event, Hand, Row};
use flate2::read::GzDecoder;
use hangwatch::record::Frame;
use hangwatch::snapshot::{HostSnapshot, Probe, Process, SlotSnapshot};
use hangwatch::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What the monitors of these sessions aimed at.
const INTERVAL_NS: u64 = 200_000_000;

/// One file's rows, by the names of its columns.
pub(super) struct Table {
    path: PathBuf,
    columns: HashMap<String, usize>,
    rows: Vec<csv::StringRecord>,
}

/// One row of it.
pub(super) struct Cells<'a> {
    table: &'a Table,
    number: usize,
}

impl Table {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let what = || format!("cannot read '{}'", path.display());
        let file = File::open(path).map_err(|e| Error::io(what(), &e))?;
        let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
        let wrong = |e: csv::Error| Error::new(ErrorKind::Usage, what(), e.to_string());
        let columns = reader.headers().map_err(wrong)?.iter().enumerate().map(|(i, name)| (name.to_owned(), i)).collect();
        let rows = reader.records().collect::<std::result::Result<_, _>>().map_err(wrong)?;
        Ok(Self { path: path.to_path_buf(), columns, rows })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Cells<'_>> {
        (0..self.rows.len()).map(|number| Cells { table: self, number })
    }
}

impl<'a> Cells<'a> {
    pub(super) fn wrong(&self, why: impl std::fmt::Display) -> Error {
        let what = format!("cannot read '{}'", self.table.path.display());
        Error::new(ErrorKind::Usage, what, format!("line {}: {why}", self.number + 2))
    }

    pub(super) fn text(&self, column: &str) -> Result<&'a str> {
        let cell = self.table.columns.get(column).and_then(|i| self.table.rows[self.number].get(*i));
        cell.ok_or_else(|| self.wrong(format!("it has no column '{column}'")))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, column: &str) -> Result<T> {
        let text = self.text(column)?;
        text.parse().map_err(|_| self.wrong(format!("'{text}' is no number for '{column}'")))
    }
}

/// The sessions of a folder that are wanted, by name.
pub(crate) fn folder(folder: &Path, is_wanted: &dyn Fn(&str) -> bool, names: &mut Names) -> Result<Vec<Session>> {
    let what = || format!("cannot read traces in '{}'", folder.display());
    let mut paths: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(what(), &e))? {
        let entry = entry.map_err(|e| Error::io(what(), &e))?;
        if let Some(name) = entry.file_name().to_str().and_then(|name| name.strip_suffix(".csv.gz")) {
            paths.insert(name.to_owned(), entry.path());
        }
    }
    let mut sessions = Vec::new();
    for (name, monitor) in &paths {
        if let Some(session) = name.strip_prefix("monitor_").filter(|session| is_wanted(session)) {
            let prefix = format!("beats_{session}_");
            let beats: Vec<_> =
                paths.iter().filter_map(|(name, path)| Some((name.strip_prefix(&prefix)?.to_owned(), path))).collect();
            sessions.push(read(session, &beats, monitor, paths.get(&format!("labels_{session}")), names)?);
        } else if name.starts_with("mlperf_") && is_wanted(marks::NAME) {
            sessions.push(marks::session(&Table::read(monitor)?, names)?);
        }
    }
    if sessions.is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            what(),
            "no session that is wanted is there: monitor_*.csv.gz, mlperf_*.csv.gz",
        )
        .hint("name a file that 'hangwatch record' wrote, or a folder of CSV sessions"));
    }
    Ok(sessions)
}

fn attribute(attrs: &str, name: &str) -> Option<u64> {
    attrs.split(';').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

fn beats(path: &Path) -> Result<Vec<Row>> {
    let table = Table::read(path)?;
    table
        .rows()
        .map(|cells| {
            let attrs = cells.text("attrs")?;
            let pixels = attribute(attrs, "px").map(|side| side.saturating_mul(side));
            Ok(Row {
                at: cells.number("t_ns")?,
                life: cells.text("worker")?.to_owned(),
                phase: cells.text("phase")?.to_owned(),
                job: u64::try_from(cells.number::<i64>("job")?).ok(),
                model: cells.text("model")?.to_owned(),
                step: cells.number("step")?,
                total: cells.number("total_steps")?,
                event: match cells.text("event")? {
                    "state" => Event::State,
                    "step" => Event::Step,
                    "alive" => Event::Alive,
                    "end" => Event::End,
                    other => return Err(cells.wrong(format!("unknown event '{other}'"))),
                },
                size: pixels.or(attribute(attrs, "pl")).unwrap_or(0),
                batch: attribute(attrs, "b").unwrap_or(0),
            })
        })
        .collect()
}

/// One wake-up: the host, and what was read of each life's process.
struct Wake {
    host: HostSnapshot,
    probes: HashMap<String, Probe>,
}

fn wakes(path: &Path) -> Result<Vec<Wake>> {
    let table = Table::read(path)?;
    let mut wakes: Vec<Wake> = Vec::new();
    for cells in table.rows() {
        let host = HostSnapshot {
            monotonic_ns: cells.number("t_ns")?,
            boottime_ns: cells.number("boottime_ns")?,
            cpu_pressure_us: Some(cells.number("psi_us")?),
        };
        let process = match cells.text("pstate")? {
            "T" => Process::Stopped,
            "t" => Process::Traced,
            "Z" => Process::Zombie,
            "X" => Process::Gone,
            _ => Process::Running,
        };
        let probe = Probe { process, thread_gone: false, run_delay_ns: Some(cells.number("rundelay_ns")?) };
        if wakes.last().is_none_or(|wake| wake.host.monotonic_ns != host.monotonic_ns) {
            wakes.push(Wake { host, probes: HashMap::new() });
        }
        if let Some(wake) = wakes.last_mut() {
            wake.probes.insert(cells.text("worker")?.to_owned(), probe);
        }
    }
    Ok(wakes)
}

/// The worker of a life: `D3` of `D3#1`.
fn worker(life: &str) -> &str {
    life.split('#').next().unwrap_or(life)
}

fn labels(path: &Path, workers: &[String]) -> Result<(Vec<Label>, HashMap<String, u64>)> {
    let (mut labels, mut exits) = (Vec::new(), HashMap::new());
    for cells in Table::read(path)?.rows() {
        let (life, kind, on) = (cells.text("worker")?, cells.text("kind")?.to_owned(), cells.number("t_on_ns")?);
        if kind.starts_with("exit") {
            exits.insert(life.to_owned(), on);
            continue;
        }
        let slot = workers.iter().position(|name| name == worker(life)).map(|slot| slot as u32);
        if slot.is_some() || life == "*" {
            labels.push(Label { on, off: cells.number("t_off_ns")?, slot, kind });
        }
    }
    labels.sort_by_key(|label| (label.on, label.off));
    Ok((labels, exits))
}

fn read(
    name: &str,
    beats_of: &[(String, &PathBuf)],
    monitor: &Path,
    labels_of: Option<&PathBuf>,
    names: &mut Names,
) -> Result<Session> {
    let workers: Vec<String> = beats_of.iter().map(|(worker, _)| worker.clone()).collect();
    let (labels, exits) = labels_of.map_or_else(|| Ok(Default::default()), |path| labels(path, &workers))?;
    let wakes = wakes(monitor)?;
    let mut session = Session {
        name: name.to_owned(),
        interval_ns: INTERVAL_NS,
        has_our_budgets: true,
        workers,
        polls: Vec::new(),
        signs: Vec::new(),
        labels,
    };
    session.polls = wakes.iter().map(|wake| Frame { host: wake.host, slots: Vec::new() }).collect();
    for (slot, (worker, path)) in (0..).zip(beats_of) {
        let rows = beats(path)?;
        write_slot(&mut session, Hand::new(slot, worker), &rows, &wakes, &exits, names)
            .map_err(|why| Error::new(ErrorKind::Usage, format!("cannot read '{}'", path.display()), why))?;
    }
    session.signs.sort_by_key(|sign| sign.at);
    session.polls.iter_mut().for_each(|frame| frame.slots.sort_by_key(|slot| slot.index));
    Ok(session)
}

/// When a life ended: as labelled, else after its last row and the last look at its process.
fn end(life: &str, last_row: u64, wakes: &[Wake], exits: &HashMap<String, u64>) -> u64 {
    let looked = || wakes.iter().rev().find(|wake| wake.probes.contains_key(life)).map_or(0, |wake| wake.host.monotonic_ns);
    exits.get(life).copied().unwrap_or_else(|| looked().max(last_row) + 1)
}

/// Writes one worker's rows into its slot, and what each poll finds there into the polls.
fn write_slot(
    session: &mut Session,
    mut hand: Hand,
    rows: &[Row],
    wakes: &[Wake],
    exits: &HashMap<String, u64>,
    names: &mut Names,
) -> std::result::Result<(), String> {
    let slot = hand.snapshot(Probe::default()).index;
    let mut shown: Option<SlotSnapshot> = None;
    let mut next_wake = 0;
    let mut show_until = |hand: &Hand, until: u64, polls: &mut [Frame]| {
        while let Some(wake) = wakes.get(next_wake).filter(|wake| wake.host.monotonic_ns < until) {
            let probe = wake.probes.get(hand.life()).copied().unwrap_or_default();
            let now = hand.snapshot(probe);
            if shown.as_ref() != Some(&now) {
                polls[next_wake].slots.push(now.clone());
                shown = Some(now);
            }
            next_wake += 1;
        }
    };
    for (i, row) in rows.iter().enumerate() {
        show_until(&hand, row.at, &mut session.polls);
        if let Some(then) = hand.take(row, names)? {
            let words = Some(Box::new(hand.snapshot(Probe::default())));
            session.signs.push(Sign { at: row.at, slot, then, words });
        }
        if rows.get(i + 1).is_none_or(|next| next.life != row.life) {
            let at = end(&row.life, row.at, wakes, exits).max(row.at + 1);
            let at = rows.get(i + 1).map_or(at, |next| at.min(next.at));
            show_until(&hand, at, &mut session.polls);
            session.signs.push(Sign { at, slot, then: hand.leave(), words: None });
        }
    }
    show_until(&hand, u64::MAX, &mut session.polls);
    Ok(())
}
