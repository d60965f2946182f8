//! `hangwatch replay`: judge recorded sessions again, beside the detectors of the field, and score them all.

use crate::config;
use crate::exit;
use crate::replay::baselines::{Akka, Baseline, Cassandra, Chen, Fixed, FixedByPhase, Longest, Per};
use crate::replay::detector::Detector;
use crate::replay::frontier::{self, Part};
use crate::replay::inject::{self, Cut};
use crate::replay::names::Names;
use crate::replay::ours::{ByInterval, Lens, Ours};
use crate::replay::score::{Known, Scored, score, train};
use crate::replay::session::Session;
use crate::replay::{csv, raw, table, trace};
use hangwatch::policy::{Adaptive, Policy, PolicySet, Value};
use hangwatch::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// What a policy may poll at.
const LEAST_POLL: Duration = Duration::from_millis(100);
const MOST_POLL: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files that 'hangwatch record' wrote, or folders of CSV sessions.
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// A policy by a name of your choice: replayed beside the default one.
    #[arg(long = "policy", value_name = "NAME=FILE", value_parser = policy_argument)]
    policies: Vec<(String, PathBuf)>,
    /// Hangs that are injected into the scored sessions, half of them with a helper that still beats.
    #[arg(long, default_value_t = 0, value_name = "N")]
    inject: usize,
    /// What the injected hangs are drawn from.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    seed: u64,
    /// Sessions to tune on.
    #[arg(long, value_delimiter = ',', value_name = "SESSIONS")]
    tune: Vec<String>,
    /// Sessions to score on; else all that are not tuned on.
    #[arg(long, value_delimiter = ',', value_name = "SESSIONS")]
    score: Vec<String>,
    /// What was learnt from the sessions to tune on is known when a scored one begins.
    #[arg(long)]
    carry: bool,
    /// Print each adaptive detector over a range of its parameter.
    #[arg(long)]
    frontier: bool,
    /// Leave the detectors of the field out.
    #[arg(long)]
    no_baselines: bool,
    /// Print every change of a verdict.
    #[arg(long)]
    verdicts: bool,
    /// Write every alarm and hang as CSV files into this folder.
    #[arg(long, value_name = "FOLDER")]
    raw: Option<PathBuf>,
    /// Print JSON: every alarm, hang and injected hang of every detector.
    #[arg(long)]
    json: bool,
}

fn policy_argument(text: &str) -> std::result::Result<(String, PathBuf), String> {
    let (name, file) =
        text.split_once('=').filter(|(name, file)| !name.is_empty() && !file.is_empty()).ok_or("expected NAME=FILE")?;
    Ok((name.into(), file.into()))
}

/// The policy of a file, or the default one, at each interval that a session has.
fn policies(file: Option<&Path>, acts: bool, sessions: &[&Known]) -> Result<ByInterval> {
    let mut sets = BTreeMap::new();
    for interval_ns in sessions.iter().map(|known| known.session.interval_ns).collect::<BTreeSet<_>>() {
        let poll_interval = Duration::from_nanos(interval_ns).clamp(LEAST_POLL, MOST_POLL);
        let set = match file {
            Some(file) => {
                let mut flags = vec![("poll_interval", Value::Duration(poll_interval), "the trace")];
                if acts {
                    flags.push(("adaptive", Value::Choice("act"), "the replay"));
                }
                config::load(Some(file), std::iter::empty(), &flags)?.policies
            }
            None => {
                let policy = Policy { poll_interval, ..Policy::default() };
                PolicySet::uniform(if acts { Policy { adaptive: Adaptive::Act, ..policy } } else { policy })
            }
        };
        sets.insert(interval_ns, set);
    }
    Ok(Rc::new(sets))
}

/// Our engine under each policy: what acts, what would if learnt thresholds may, and the same without their second thought.
fn ours(args: &Args, sessions: &[&Known]) -> Result<Vec<Box<dyn Detector>>> {
    let mut detectors = Vec::new();
    let files = args.policies.iter().map(|(name, file)| (&**name, Some(&**file)));
    for (name, file) in std::iter::once(("default", None)).chain(files) {
        let act = policies(file, true, sessions)?;
        let policies = policies(file, false, sessions)?;
        detectors.push(Ours::boxed(format!("hangwatch {name}"), Lens::Acting, &policies));
        detectors.push(Ours::boxed(format!("hangwatch {name}, suspect as if it acted"), Lens::Suspect, &policies));
        detectors.push(Ours::boxed(format!("hangwatch {name}, adaptive: act"), Lens::Acting, &act));
    }
    Ok(detectors)
}

fn baselines(names: &mut Names) -> Vec<Box<dyn Detector>> {
    vec![
        Baseline::boxed("fixed 15 s", Per::All, Fixed(15.0)),
        Baseline::boxed("fixed 6 s", Per::All, Fixed(6.0)),
        Baseline::boxed("fixed per phase", Per::All, FixedByPhase::new(names)),
        Baseline::boxed("phi 8 + 3 s, Akka", Per::Slot, Akka::new(8.0, 3.0)),
        Baseline::boxed("phi 8 + 3 s, Akka, per key", Per::Key, Akka::new(8.0, 3.0)),
        Baseline::boxed("phi 8, Cassandra", Per::Slot, Cassandra::new(8.0)),
        Baseline::boxed("phi 8, Cassandra, per key", Per::Key, Cassandra::new(8.0)),
        Baseline::boxed("Chen, alpha 5 s", Per::Slot, Chen::new(5.0)),
        Baseline::boxed("5 × max", Per::Slot, Longest::new(5.0)),
        Baseline::boxed("5 × max, per section", Per::Section, Longest::new(5.0)),
    ]
}

fn load(args: &Args, names: &mut Names) -> Result<Vec<Session>> {
    let wanted = |session: &str| args.score.is_empty() || args.score.iter().chain(&args.tune).any(|named| named == session);
    let mut sessions = Vec::new();
    for path in &args.traces {
        if path.is_dir() {
            sessions.extend(csv::folder(path, &wanted, names)?);
        } else {
            let (session, cut) = trace::file(path, names)?;
            if let Some(cut) = cut {
                tracing::warn!("{}: {} bytes of a last poll that is not whole are left out", path.display(), cut.bytes);
            }
            sessions.push(session);
        }
    }
    for named in args.tune.iter().chain(&args.score) {
        if sessions.iter().all(|session| session.name != *named) {
            return Err(Error::new(ErrorKind::NotFound, format!("cannot replay session '{named}'"), "no trace has it"));
        }
    }
    Ok(sessions)
}

fn named(known: &[Known]) -> String {
    let names: Vec<&str> = known.iter().map(|known| &*known.session.name).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let mut names = Names::default();
    let (tune, scored): (Vec<Session>, Vec<Session>) =
        load(args, &mut names)?.into_iter().partition(|session| args.tune.contains(&session.name));
    let known = |sessions: Vec<Session>| sessions.into_iter().map(Known::new).collect::<Vec<_>>();
    let (tune, scored) = (known(tune), known(scored));
    let cuts = |known: &[Known]| -> Vec<Cut> {
        let truths: Vec<_> = known.iter().map(|known| &known.truth).collect();
        inject::cuts(&truths, args.inject, args.seed)
    };
    let (tune_cuts, score_cuts) = (cuts(&tune), cuts(&scored));
    let mut detectors = ours(args, &tune.iter().chain(&scored).collect::<Vec<_>>())?;
    if !args.no_baselines {
        detectors.extend(baselines(&mut names));
    }
    let all: Vec<Scored> = detectors
        .iter_mut()
        .map(|detector| {
            if args.carry {
                train(&mut **detector, &tune);
            }
            score(&**detector, &scored, &score_cuts)
        })
        .collect();
    if let Some(folder) = &args.raw {
        raw::write_all(folder, &all)?;
    }
    if args.json {
        let text = serde_json::json!({
            "schema_version": hangwatch::tell::SCHEMA_VERSION,
            "tuned_on": named(&tune),
            "scored_on": named(&scored),
            "detectors": all,
        });
        return exit::print(&format!("{text:#}\n")).map(|()| exit::WELL);
    }
    let mut out = String::new();
    if args.verdicts {
        for scored in &all {
            for (session, turn) in &scored.turns {
                out += &format!("{}: {session} {:.3} {}\n", scored.detector, turn.at as f64 / 1e9, turn.text);
            }
        }
    }
    let hours = all.first().map_or(0.0, |scored| scored.job_hours);
    let begin = if args.carry { "with what was learnt from the tuning" } else { "knowing nothing" };
    out +=
        &format!("Tuned on: {}. Scored on: {}, {hours:.2} working hours, each begun {begin}.\n\n", named(&tune), named(&scored));
    out += &format!("{}\n{}", table::quality(&all), table::rules(&all));
    if args.frontier {
        let default = policies(None, false, &tune.iter().chain(&scored).collect::<Vec<_>>())?;
        let tune = Part { sessions: &tune, cuts: &tune_cuts };
        let scored = Part { sessions: &scored, cuts: &score_cuts };
        let mut families = frontier::baselines();
        families.push(frontier::ours(default));
        out += &format!("\n{}", frontier::table(&families, &tune, &scored, args.carry));
    }
    exit::print(&out)?;
    Ok(exit::WELL)
}
