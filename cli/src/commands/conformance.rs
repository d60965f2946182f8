//! `hangwatch conformance`: whether a writer of another language writes its slot as it must.

use super::shared::StopSignals;
use crate::config::duration;
use crate::conformance::{Case, Halt, Level, World, cases};
use crate::exit;
use hangwatch::tell::{SCHEMA_VERSION, text};
use hangwatch::{Error, ErrorKind, Result};
use serde::Serialize;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Check a writer of your own, call by call, against the layout: what every word of its slot must be. docs/conformance.md
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Run the cases alone whose name has this in it.
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// List the cases, and run none.
    #[arg(long)]
    list: bool,
    /// How long the writer may take to answer a call.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::argument)]
    deadline: Duration,
    /// The writer's command: it reads calls from its standard input and answers on its standard output.
    #[arg(last = true, value_name = "WRITER", required_unless_present = "list")]
    writer: Vec<OsString>,
}

/// What became of a case.
#[derive(Debug, Serialize)]
struct Ran {
    name: &'static str,
    level: Level,
    /// `passed`, `failed` or `skipped`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// All of it.
#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    passed: usize,
    failed: usize,
    skipped: usize,
    cases: Vec<Ran>,
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let chosen: Vec<&Case> = cases().filter(|case| args.only.as_ref().is_none_or(|only| case.name.contains(only))).collect();
    if chosen.is_empty() {
        let only = args.only.as_deref().unwrap_or_default();
        let what = format!("cannot run the cases named '{}'", only.escape_default());
        return Err(Error::new(ErrorKind::Usage, what, "there is none").hint("'hangwatch conformance --list' has them"));
    }
    if args.list {
        return list(&chosen, args.json);
    }
    let world = World { writer: args.writer.clone(), deadline: args.deadline, stop: Arc::default() };
    // A case that is under way ends its writer and removes its folder.
    let stop = Arc::clone(&world.stop);
    StopSignals::new()?.call(move || stop.store(true, Relaxed))?;
    let mut ran = Vec::new();
    for case in chosen {
        let one = prove(case, &world)?;
        if !args.json {
            exit::print(&line(&one))?;
        }
        ran.push(one);
    }
    let count = |result: &str| ran.iter().filter(|one| one.result == result).count();
    let (passed, failed, skipped) = (count("passed"), count("failed"), count("skipped"));
    let report = Report { schema_version: SCHEMA_VERSION, passed, failed, skipped, cases: ran };
    if args.json {
        exit::print(&format!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default()))?;
    } else {
        exit::print(&format!("{passed} passed, {failed} failed, {skipped} skipped\n"))?;
    }
    Ok(if failed == 0 { exit::WELL } else { exit::ACTING })
}

fn list(chosen: &[&Case], json: bool) -> Result<u8> {
    #[derive(Serialize)]
    struct Row {
        name: &'static str,
        level: Level,
    }
    let rows = chosen.iter().map(|case| Row { name: case.name, level: case.level });
    let text = if json {
        format!("{}\n", serde_json::json!({ "schema_version": SCHEMA_VERSION, "cases": rows.collect::<Vec<_>>() }))
    } else {
        rows.map(|row| format!("{}  {}\n", named(row.level), row.name)).collect()
    };
    exit::print(&text).map(|()| exit::WELL)
}

fn named(level: Level) -> &'static str {
    match level {
        Level::Core => "core",
        Level::Full => "full",
    }
}

fn prove(case: &Case, world: &World) -> Result<Ran> {
    let (result, why) = match (case.prove)(world) {
        Ok(()) => ("passed", None),
        Err(Halt::Failed(why)) => ("failed", Some(why)),
        Err(Halt::Unsupported(why)) if case.level == Level::Core => ("failed", Some(format!("{why}; it is of the core"))),
        Err(Halt::Unsupported(why)) => ("skipped", Some(why)),
        Err(Halt::Broken(e)) => return Err(e),
        Err(Halt::Stopped) => {
            return Err(Error::new(ErrorKind::System, format!("cannot go on with {}", case.name), "a signal asked to stop"));
        }
    };
    Ok(Ran { name: case.name, level: case.level, result, why })
}

/// What a writer said is shown and never sent to the terminal.
fn line(ran: &Ran) -> String {
    let mark = match ran.result {
        "passed" => "ok     ",
        "failed" => "FAILED ",
        _ => "skipped",
    };
    let why = ran.why.as_ref().map_or_else(String::new, |why| format!("\n        {}", text::escaped(why)));
    format!("{mark} {}{why}\n", ran.name)
}
