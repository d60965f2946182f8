//! `hangwatch record`: an observer that writes down what a monitor would see, beside the workers and with or without one.

use super::shared::{Found, PolicyArgs, StopSignals, find, no_default};
use crate::config::{self, size};
use crate::exit;
use crate::trace_file::TraceFile;
use hangwatch::monitor::Sampler;
use hangwatch::policy::ns;
use hangwatch::record::Header;
use hangwatch::{Error, ErrorKind, Result, clock};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The segment: a name, or a path with a slash. Else HANGWATCH_SEGMENT, else 'default'.
    #[arg(long, value_name = "NAME|PATH")]
    segment: Option<String>,
    /// The trace. One that is there is gone on with; the older half of a full one is FILE.1.
    #[arg(long, default_value = "hangwatch.trace", value_name = "FILE")]
    out: PathBuf,
    /// Bytes of both files together: a number, or with K, M or G.
    #[arg(long, default_value = "64M", value_name = "SIZE", value_parser = size::argument)]
    max_size: u64,
    /// Pause between two polls; else the policy's poll_interval.
    #[arg(long, value_name = "DURATION", value_parser = config::duration::argument)]
    interval: Option<Duration>,
    /// Stop by itself after this long.
    #[arg(long, value_name = "DURATION", value_parser = config::duration::argument)]
    duration: Option<Duration>,
    #[command(flatten)]
    policy: PolicyArgs,
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let Found::Segment(segment) = find(args.segment.as_deref())? else { return Err(no_default()) };
    let interval = ns(args.interval.unwrap_or(args.policy.load(&[])?.policies.base().poll_interval)).max(1_000_000);
    let slot_size = u32::try_from(segment.fixed().slot_size).unwrap_or(0);
    let header = Header { slots: segment.len(), slot_size, poll_interval_ns: interval };
    let mut trace = TraceFile::open(&args.out, header, args.max_size)?;
    if trace.cut > 0 {
        tracing::warn!("{}: a last poll that was not whole is dropped, {} bytes", args.out.display(), trace.cut);
    }
    let (stop, stopped) = channel();
    StopSignals::new()?.call(move || {
        // Nobody receives it any more where the recorder has just ended by itself.
        let _ = stop.send(());
    })?;
    let start = clock::monotonic_ns();
    let end = args.duration.map(|duration| start.saturating_add(ns(duration)));
    let mut sampler = Sampler::new(segment.clone())?;
    let mut due = start;
    let lost = loop {
        if !sampler.is_readable() {
            break true;
        }
        let (host, slots) = sampler.sample(clock::monotonic_ns());
        // Cut short on the way: what was read is no word of a worker's.
        if !sampler.is_readable() {
            break true;
        }
        trace.write(&host, &slots)?;
        let now = clock::monotonic_ns();
        // A late poll moves the ones after it: two at once would see nothing new.
        due = due.saturating_add(interval).max(now);
        let wait = due.min(end.unwrap_or(u64::MAX)).saturating_sub(now);
        if end.is_some_and(|end| now >= end) {
            break false;
        }
        match stopped.recv_timeout(Duration::from_nanos(wait)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    exit::print(&format!("recorded {} polls in {} bytes to {}\n", trace.polls, trace.bytes, args.out.display()))?;
    if lost {
        let what = format!("cannot record segment '{}' any longer", segment.path().display());
        return Err(Error::new(ErrorKind::BadSegment, what, "it was cut short or overwritten"));
    }
    Ok(exit::WELL)
}
