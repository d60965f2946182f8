//! `hangwatch explain`: every value that is in force for a worker, and where it comes from. Reads; needs no monitor.

use super::shared::{Found, TimingArgs, find, no_default};
use crate::exit;
use comfy_table::{Table, presets};
use hangwatch::learn;
use hangwatch::monitor::status::{self, MonitorStatus};
use hangwatch::monitor::{learnt_path, read_learnt};
use hangwatch::policy::{Key, Origin, PolicySet, Value};
use hangwatch::reader::Reader;
use hangwatch::segment::Segment;
use hangwatch::snapshot::SlotSnapshot;
use hangwatch::tell::SCHEMA_VERSION;
use hangwatch::tell::text::{age, escaped};
use hangwatch::{Error, ErrorKind, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Show every value that is in force for a worker, and where it comes from; works with no monitor alive.
///
/// The sources are read here and now, as a monitor that starts here would read them: with its --config, its environment and its
/// flags this shows its values.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A slot's number or a worker's label; with --model a label. None: what holds where no entry does.
    worker: Option<String>,
    /// The segment: a name, or a path with a slash.
    #[arg(long, value_name = "NAME|PATH")]
    segment: Option<String>,
    /// Explain for this model instead of the one that the worker runs; no segment is looked at.
    #[arg(long, conflicts_with = "segment")]
    model: Option<String>,
    /// What a monitor has learnt; '<segment>.learnt' where none is named.
    #[arg(long, value_name = "FILE")]
    learnt: Option<PathBuf>,
    #[command(flatten)]
    timing: TimingArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The JSON contract. Fields are added, never removed.
#[derive(Debug, Serialize)]
struct Explanation {
    schema_version: u32,
    /// `None` where none was looked at.
    segment: Option<String>,
    monitor: Option<MonitorStatus>,
    /// A worker and its lanes have one label.
    workers: Vec<Worker>,
}

#[derive(Debug, Default, Serialize)]
struct Worker {
    slot: Option<u32>,
    name: Option<String>,
    lane: Option<String>,
    model: Option<String>,
    lease: Option<Lease>,
    policy: Vec<Row>,
    /// What was learnt of its model, and of all models for what is not known of it.
    learnt: Vec<LearntRow>,
}

#[derive(Debug, Serialize)]
struct LearntRow {
    phase: String,
    /// `cold`, `first`, `rest`, `tail` or `alive`.
    part: &'static str,
    /// `None` of all models.
    model: Option<String>,
    /// Size × batch as a power of two; `None` of all sizes.
    size_log2: Option<u8>,
    /// `None` while there are too few gaps for one.
    threshold_s: Option<f64>,
    gaps: u64,
    source: String,
}

/// The worker's own word, above every layer while it lasts.
#[derive(Debug, PartialEq, Serialize)]
struct Lease {
    /// As the worker asked for it.
    asked_s: f64,
    /// What a monitor honours of that.
    honoured_s: f64,
    /// At most: progress past the mark ends it earlier. `None` where the worker's stamps do not tell.
    left_s: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Row {
    key: &'static str,
    kind: String,
    /// Durations in seconds.
    value: serde_json::Value,
    /// As a file takes it.
    text: String,
    layer: &'static str,
    source: String,
}

impl Row {
    fn new((key, value, origin): (&Key, Value, Origin)) -> Self {
        let (layer, source) = (origin.layer(), escaped(&origin.to_string()));
        let json = match value {
            Value::Duration(met) => met.as_secs_f64().into(),
            Value::Count(met) => met.into(),
            Value::Factor(met) => met.into(),
            Value::Flag(met) => met.into(),
            Value::Choice(met) => met.into(),
        };
        Self { key: key.name, kind: key.kind.to_string(), value: json, text: value.to_string(), layer, source }
    }
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let policies = args.timing.load(&[])?.policies;
    let (mut explanation, kept) = match (&args.model, &args.worker) {
        (None, Some(worker)) => {
            let (explanation, kept) = of_segment(args, worker, &policies)?;
            (explanation, Some(kept))
        }
        (model, label) => {
            let worker = explained(&policies, model.as_deref().unwrap_or_default(), label.as_deref().unwrap_or_default());
            (Explanation { schema_version: SCHEMA_VERSION, segment: None, monitor: None, workers: vec![worker] }, None)
        }
    };
    if let Some(path) = args.learnt.as_deref().or(kept.as_deref()) {
        explanation = with_learnt(path, explanation)?;
    }
    let json = |explanation| serde_json::to_string_pretty(explanation).unwrap_or_default() + "\n";
    exit::print(&if args.json { json(&explanation) } else { text(&explanation, policies.base().poll_interval) })?;
    Ok(exit::WELL)
}

fn of_segment(args: &Args, worker: &str, policies: &PolicySet) -> Result<(Explanation, PathBuf)> {
    let Found::Segment(segment) = find(args.segment.as_deref())? else { return Err(no_default()) };
    let status = status::read(&segment, policies);
    let left = |index| status.workers.iter().find(|of| of.slot == index).and_then(|of| of.lease_s);
    let snapshots = Reader::new(Arc::clone(&segment)).read_taken();
    let wanted = snapshots.iter().filter(|snapshot| is_meant(worker, snapshot));
    let workers: Vec<Worker> = wanted.map(|snapshot| of_slot(snapshot, policies, left(snapshot.index))).collect();
    if workers.is_empty() {
        return Err(nobody(worker, &segment));
    }
    let path = escaped(&segment.path().display().to_string());
    let explanation = Explanation { schema_version: SCHEMA_VERSION, segment: Some(path), monitor: Some(status.monitor), workers };
    Ok((explanation, learnt_path(&segment)))
}

/// With what was learnt, where there is a file of it.
fn with_learnt(path: &Path, mut explanation: Explanation) -> Result<Explanation> {
    let rows = read_learnt(path)?.map_or_else(Vec::new, |learnt| learnt.rows());
    for worker in &mut explanation.workers {
        let model = worker.model.as_deref().unwrap_or_default();
        let of_it = rows.iter().filter(|row| row.key.model.is_empty() || escaped(&row.key.model) == model);
        worker.learnt = of_it.map(|row| learnt_row(row, path)).collect();
    }
    Ok(explanation)
}

fn learnt_row(row: &learn::Row, path: &Path) -> LearntRow {
    LearntRow {
        phase: escaped(&row.key.phase),
        part: row.key.part.name(),
        model: named(&row.key.model),
        size_log2: (row.key.bucket != learn::Key::ANY_SIZE).then_some(row.key.bucket),
        threshold_s: row.threshold.map(|ns| Duration::from_nanos(ns).as_secs_f64()),
        gaps: row.samples,
        source: escaped(&path.display().to_string()),
    }
}

fn is_meant(worker: &str, snapshot: &SlotSnapshot) -> bool {
    worker.parse() == Ok(snapshot.index) || snapshot.info.as_deref().is_some_and(|info| info.name == worker)
}

fn nobody(worker: &str, segment: &Segment) -> Error {
    let why = format!("there is none among {} slots of '{}'", segment.len(), segment.path().display());
    Error::new(ErrorKind::NotFound, format!("cannot explain worker '{}'", worker.escape_default()), why)
        .hint("'hangwatch status' lists the workers")
        .hint("'hangwatch explain --model MODEL' needs no worker")
}

fn of_slot(snapshot: &SlotSnapshot, policies: &PolicySet, left_s: Option<f64>) -> Worker {
    let (model, name, lane) = snapshot.info.as_deref().map_or(("", "", ""), |info| (&info.model, &info.name, &info.lane));
    let asked = snapshot.hot.as_ref().map_or(Duration::ZERO, |hot| Duration::from_millis(hot.lease.ms()));
    let stamped = snapshot.hot.as_ref().is_some_and(|hot| hot.stamp_ns != 0);
    // One that was asked for and has nothing left is over where stamps tell; that a worker's clock is another container's is not
    // seen here, and its lease counts as over.
    let lease = (!asked.is_zero() && (left_s.is_some() || !stamped)).then(|| {
        let honoured_s = asked.min(policies.for_slot(model, name).max_lease).as_secs_f64();
        Lease { asked_s: asked.as_secs_f64(), honoured_s, left_s: left_s.map(|left| left.min(honoured_s)) }
    });
    Worker { slot: Some(snapshot.index), lane: named(lane), lease, ..explained(policies, model, name) }
}

fn explained(policies: &PolicySet, model: &str, name: &str) -> Worker {
    let policy = policies.explain(model, name).into_iter().map(Row::new).collect();
    Worker { model: named(model), name: named(name), policy, ..Worker::default() }
}

/// Names are other processes' words.
fn named(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| escaped(text))
}

fn text(explanation: &Explanation, poll: Duration) -> String {
    let mut out = String::new();
    if let Some(segment) = &explanation.segment {
        out += &format!("segment {segment}\n");
    }
    if let Some(interval) = explanation.monitor.as_ref().and_then(|monitor| monitor.interval_s)
        // Less is what a fraction of a second loses.
        && (interval - poll.as_secs_f64()).abs() > 0.001
    {
        out += &format!("its monitor polls every {}: it was started with other values than these\n", age(interval));
    }
    for worker in &explanation.workers {
        out += &heading(worker);
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["KEY", "VALUE", "SOURCE"]);
        for row in &worker.policy {
            table.add_row([row.key, &row.text, &row.source]);
        }
        out += &format!("{table}\n");
        if !worker.learnt.is_empty() {
            out += &learnt_table(worker);
        }
    }
    out
}

fn learnt_table(worker: &Worker) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["LEARNT", "THRESHOLD", "SOURCE"]);
    for row in &worker.learnt {
        let of = row.model.as_ref().map_or_else(|| "any model".into(), |model| format!("model {model}"));
        let size = row.size_log2.map_or_else(String::new, |size| format!(", size 2^{size}"));
        let threshold = row.threshold_s.map_or_else(|| "-".into(), age);
        let source = format!("{} gaps of {of}{size}, {}", row.gaps, row.source);
        table.add_row([format!("{} {}", row.phase, row.part), threshold, source]);
    }
    format!("{table}\n")
}

/// Who it is, and the lease that stands above the table.
fn heading(worker: &Worker) -> String {
    let who = match (worker.slot, &worker.name) {
        (Some(slot), Some(name)) => format!("worker {slot} ({name}{})", lane(worker)),
        (Some(slot), None) => format!("worker {slot}"),
        (None, Some(name)) => format!("a worker '{name}'"),
        (None, None) => "a worker without a label".into(),
    };
    let model = worker.model.as_ref().map_or_else(|| "no model".into(), |model| format!("model {model}"));
    let mut out = format!("{who}, {model}\n");
    if let Some(Lease { asked_s, honoured_s, left_s }) = worker.lease {
        let honoured = if honoured_s < asked_s { format!(", honoured for {}", age(honoured_s)) } else { String::new() };
        let left = left_s.map_or_else(|| "how much is left is not known".into(), |left| format!("at most {} left", age(left)));
        let until = "until then, or until it makes progress, the clocks of heartbeat, progress and phase rest";
        out += &format!("its lease of {}{honoured}, {left}: {until}\n", age(asked_s));
    }
    out
}

fn lane(worker: &Worker) -> String {
    worker.lane.as_ref().map_or_else(String::new, |lane| format!("/{lane}"))
}
