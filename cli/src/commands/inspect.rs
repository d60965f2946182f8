//! `hangwatch inspect`: the words themselves, for those who look for the fault in hangwatch or in a writer.

use super::shared::{Found, find, no_default};
use crate::exit;
use hangwatch::layout::Slot;
use hangwatch::layout::phase::Phase;
use hangwatch::layout::slot::FIELDS;
use hangwatch::layout::word::{Beat, Cmd, Epoch, Lease, Owner, PhaseWord};
use hangwatch::segment::{Segment, path};
use hangwatch::tell::text::escaped;
use hangwatch::{Error, ErrorKind, Result};
use std::fmt::Write;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A slot's number or a worker's name; with --header, the segment. None: every slot that is anybody's.
    #[arg(value_name = "WORKER|SEGMENT")]
    target: Option<String>,
    /// The segment: a name, or a path with a slash.
    #[arg(long, value_name = "NAME|PATH")]
    segment: Option<String>,
    /// Show the header. A segment that this build cannot open is shown as far as it can be read.
    #[arg(long)]
    header: bool,
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let named = if args.header { args.segment.as_ref().or(args.target.as_ref()) } else { args.segment.as_ref() };
    if args.header {
        exit::print(&header(named.map(String::as_str))?)?;
        return Ok(exit::WELL);
    }
    let segment = match find(named.map(String::as_str))? {
        Found::Segment(segment) => segment,
        Found::Others(_) => return Err(no_default()),
    };
    let mut out = String::new();
    let mut shown = 0;
    for (index, slot) in segment.slots() {
        if wanted(args.target.as_deref(), index, slot) {
            show(&mut out, index, slot);
            shown += 1;
        }
    }
    match (&args.target, shown) {
        (Some(target), 0) => {
            let why = format!("there is none among {} slots of '{}'", segment.len(), segment.path().display());
            let error = Error::new(ErrorKind::NotFound, format!("cannot inspect worker '{}'", target.escape_default()), why);
            Err(error.hint("'hangwatch status' lists the workers"))
        }
        (None, 0) => exit::print("no worker is attached\n").map(|()| exit::WELL),
        _ => exit::print(&out).map(|()| exit::WELL),
    }
}

fn wanted(target: Option<&str>, index: u32, slot: &Slot) -> bool {
    match target {
        None => slot.peek_owner().tag() != hangwatch::layout::word::Tag::Free,
        Some(target) if target.parse() == Ok(index) => true,
        Some(target) => {
            slot.read_info().is_some_and(|info| info.name == target && info.generation == slot.peek_owner().generation())
        }
    }
}

/// What a word says, where it says more than a number.
fn meaning(name: &str, word: u64) -> String {
    match name {
        "beat" | "alive" | "seen_beat" => format!("generation {}, count {}", Beat(word).generation(), Beat(word).count()),
        "phase" => {
            let phase = PhaseWord(word);
            let named = Phase::from_id(phase.id()).row().map_or_else(|| format!("phase {}", phase.id()), |row| row.name.into());
            let around = if phase.depth() > 0 { format!(", {} around it", phase.depth()) } else { String::new() };
            let job = if phase.job_open() { ", a job is open" } else { "" };
            format!("{named}, entry {}, section {}{around}{job}", phase.entry(), phase.section())
        }
        "lease" => format!("seq {}, {} ms", Lease(word).seq(), Lease(word).ms()),
        "epoch" | "epoch_seen" => {
            format!("job {}, pass {}, falls {}", Epoch(word).job(), Epoch(word).pass(), Epoch(word).falls())
        }
        "owner" => {
            let owner = Owner(word);
            format!("generation {}, {:?}, {:?}, pid {}", owner.generation(), owner.tag(), owner.kind(), owner.pid())
        }
        "cmd" => format!("generation {}, {:?}, argument {}", Cmd(word).generation(), Cmd(word).command(), Cmd(word).arg()),
        "progress" | "high_mark" if word == u64::MAX => "none yet".into(),
        "total" if word == u64::MAX => "not known".into(),
        "total" if word == 0 => "reports no progress".into(),
        "namespaces" => format!("pid {}, time {}", word >> 32, word as u32),
        "tid" => format!("tid {}, sub {}", word >> 32, word as u32),
        "jobs_bad" => format!("failed {}, cancelled {}", word >> 32, word as u32),
        "verdict" => {
            let word = hangwatch::layout::monitor::VerdictWord(word);
            let verdict = hangwatch::judge::Verdict::from_bits(word.verdict());
            format!("{verdict}, clock {}, of generation {}", hangwatch::judge::clock_name(word.reason()), word.generation())
        }
        _ => word.to_string(),
    }
}

fn show(out: &mut String, index: u32, slot: &Slot) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "slot {index}");
    for ((name, offset), word) in FIELDS.iter().zip(slot.raw_words()) {
        if !name.starts_with("reserved") || word != 0 {
            let _ = writeln!(out, "  {offset:03x}  {name:20} {word:016x}  {}", meaning(name, word));
        }
    }
    match slot.read_info() {
        None => {
            let _ = writeln!(out, "  info is being rewritten");
        }
        Some(info) => {
            let _ = writeln!(out, "  info of generation {}, job {}", info.generation, info.job);
            for (name, text) in [
                ("job_id", &info.job_id),
                ("model", &info.model),
                ("name", &info.name),
                ("lane", &info.lane),
                ("detail", &info.detail),
            ] {
                if !text.is_empty() {
                    let _ = writeln!(out, "       {name:20} {}", escaped(text));
                }
            }
        }
    }
}

/// The header of a segment, by its words alone: what cannot be opened can still be looked at.
fn header(named: Option<&str>) -> Result<String> {
    use hangwatch::layout::header::{FIXED_WORDS, Fixed};
    let from_env = std::env::var("HANGWATCH_SEGMENT").ok().filter(|v| !v.is_empty());
    let name = named.map(str::to_owned).or(from_env).unwrap_or_else(|| path::DEFAULT_NAME.into());
    let path = path::resolve(&name)?;
    let (words, refused) = Segment::read_header(&path)?;
    let fixed = Fixed::from_words(&words);
    let mut out = format!("segment {}\n", path.display());
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "  {name:20} {text}");
    };
    line("magic", words[0].to_le_bytes().escape_ascii().to_string());
    line("layout", format!("{}.{}", fixed.major(), fixed.minor()));
    line("header_len", fixed.header_len.to_string());
    line("slot_size", fixed.slot_size.to_string());
    line("slot_count", fixed.slot_count.to_string());
    line("slots_off", fixed.slots_off.to_string());
    line("total_len", fixed.total_len.to_string());
    line("feat_incompat", format!("{:#x}", fixed.feat_incompat));
    line("feat_compat", format!("{:#x}", fixed.feat_compat));
    line("segment_id", format!("{:016x}{:016x}", fixed.segment_id[0], fixed.segment_id[1]));
    line("boot_id", format!("{:016x}{:016x}", fixed.boot_id[0], fixed.boot_id[1]));
    line("created", created(fixed.created_realtime_ns));
    line("creator_pid", fixed.creator_pid.to_string());
    line("stamp_clock", if fixed.stamp_clock == 1 { "CLOCK_MONOTONIC".into() } else { "none".into() });
    line("hdr_check", format!("{:016x}", words[FIXED_WORDS - 1]));
    match refused {
        Some(refusal) => line("refused", refusal.to_string()),
        None => {
            let monitor = Segment::open_read_only(&path)?.header().peek_monitor();
            line("monitor pid", monitor.owner.pid().to_string());
            line("monitor polls", monitor.beat.count().to_string());
            line("monitor clock", format!("{:.3}s", monitor.clock_ns as f64 / 1e9));
        }
    }
    Ok(out)
}

fn created(realtime_ns: u64) -> String {
    let since = std::time::Duration::from_nanos(realtime_ns);
    std::time::UNIX_EPOCH
        .checked_add(since)
        .map_or_else(|| "unknown".into(), |t| humantime::format_rfc3339_seconds(t).to_string())
}
