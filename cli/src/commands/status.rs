//! `hangwatch status`: one table, or JSON; needs no monitor.

use super::shared::{Found, PolicyArgs, find};
use crate::exit;
use comfy_table::{Table, presets};
use hangwatch::Result;
use hangwatch::monitor::status::{self, Status, WorkerStatus};
use hangwatch::segment::path;
use hangwatch::tell::text;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// The segment: a name, or a path with a slash. Else HANGWATCH_SEGMENT, else 'default', else those that exist are listed.
    #[arg(long, value_name = "NAME|PATH")]
    segment: Option<String>,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let segment = match find(args.segment.as_deref())? {
        Found::Segment(segment) => segment,
        Found::Others(names) => return list(args, &names),
    };
    let status = status::read(&segment, &args.policy.load(&[])?.policies);
    exit::print(&if args.json { json(&status) } else { table(&status) })?;
    Ok(if status.workers.iter().any(WorkerStatus::is_acting) { exit::ACTING } else { exit::WELL })
}

/// No segment was named and there is no `default`.
fn list(args: &Args, names: &[String]) -> Result<u8> {
    let dir = path::directory();
    let mut lines = format!("no segment '{}' in {}\n", path::DEFAULT_NAME, dir.display());
    for name in names {
        lines += &format!("  hangwatch status --segment {name}\n");
    }
    if names.is_empty() {
        lines += "  nobody has made a segment there; a worker that attaches does, and so does 'hangwatch run -- COMMAND'\n";
    }
    if args.json {
        lines = format!("{}\n", serde_json::json!({ "schema_version": hangwatch::tell::SCHEMA_VERSION, "segments": names }));
    }
    exit::print(&lines)?;
    Ok(exit::NOT_FOUND)
}

fn json(status: &Status) -> String {
    let mut text = serde_json::to_string_pretty(status).unwrap_or_default();
    text.push('\n');
    text
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".into())
}

fn table(status: &Status) -> String {
    let monitor = match (status.monitor.alive, status.monitor.interval_s, status.monitor.worst_case_detection_s) {
        (true, Some(interval), Some(worst)) => {
            format!("monitor alive, polls every {}, sees a hang in inference within {}", text::age(interval), text::age(worst))
        }
        (true, ..) => "monitor alive".into(),
        (false, ..) => "no monitor alive: verdicts are this command's own, by the workers' stamps".into(),
    };
    let mut out = format!("segment {}\n{monitor}\n", status.segment);
    if status.workers.is_empty() {
        return out + "no worker is attached\n";
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header("SLOT NAME KIND PID VERDICT PHASE HEARTBEAT PROGRESS DONE RATE ETA JOB MODEL RESTARTS".split(' '));
    for w in &status.workers {
        let name = match (&w.name, &w.lane) {
            (Some(name), Some(lane)) => Some(format!("{name}/{lane}")),
            (name, lane) => name.clone().or_else(|| lane.clone()),
        };
        let phase = match w.lease_s {
            Some(left) => w.phase.as_ref().map(|phase| format!("{phase} (lease {})", text::age(left))),
            None => w.phase.clone(),
        };
        table.add_row([
            w.slot.to_string(),
            or_dash(name),
            or_dash(w.kind.map(|kind| w.device.map_or_else(|| kind.to_owned(), |device| format!("{kind} {device}")))),
            or_dash(w.pid.map(|pid| pid.to_string())),
            w.verdict.to_owned(),
            or_dash(phase),
            or_dash(w.heartbeat_age_s.map(text::age)),
            or_dash(w.progress_age_s.map(text::age)),
            or_dash(text::progress(w.done, w.total).map(|p| p.trim_start_matches("at ").to_owned())),
            or_dash(w.rate_per_s.map(text::rate)),
            or_dash(w.eta_s.map(text::age)),
            or_dash(w.job.clone()),
            or_dash(w.model.clone()),
            w.restarts.to_string(),
        ]);
    }
    out += &table.to_string();
    out.push('\n');
    out
}
