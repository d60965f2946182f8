//! `hangwatch inject`: plays a worker with a fault in this process.

use std::io::Write;
use std::time::Duration;

use hangwatch::{Attach, Outcome, Result};

use crate::config::duration;
use crate::player::{End, Fault, Pace, Script, play};

/// Plays a worker with a fault: a drill for whoever watches, as in 'hangwatch run -- hangwatch inject stall --at 25'
#[derive(Debug, clap::Args)]
pub(crate) struct InjectArgs {
    /// What goes wrong, and in brackets the verdict that it deserves
    #[arg(value_enum)]
    fault: Fault,
    /// Segment to attach to, by name or path; HANGWATCH_SEGMENT where it is not given
    #[arg(long, value_name = "NAME|PATH")]
    segment: Option<String>,
    /// The worker's label; HANGWATCH_NAME where it is not given
    #[arg(long)]
    name: Option<String>,
    /// Model that the jobs name
    #[arg(long, default_value = "drill")]
    model: String,
    /// Batch that the jobs name
    #[arg(long, default_value_t = 1)]
    batch: u64,
    /// Steps of a job
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Time of a step
    #[arg(long, default_value = "20ms", value_parser = duration::argument)]
    step_time: Duration,
    /// Time between two beats of a worker that stands still; a step's where it is not given
    #[arg(long, value_parser = duration::argument)]
    beat_time: Option<Duration>,
    /// Percentage of the job at which the fault strikes
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=100))]
    at: u64,
    /// Jobs in all; a fault that ends the work strikes in the last one
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    jobs: u64,
    /// The timeout that a slow step under a lease exceeds by three tenths
    #[arg(long, value_name = "TIMEOUT", default_value = "2s", value_parser = duration::argument)]
    slow: Duration,
    /// How long it plays at most
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = duration::argument)]
    lasting: Duration,
    /// Does not end on SIGTERM
    #[arg(long)]
    ignore_term: bool,
}

/// Plays until its time is up, a signal comes or, where it does not hang, a monitor asks it to stop.
pub(crate) fn run(args: &InjectArgs) -> Result<u8> {
    let mut attach = Attach::new();
    if let Some(segment) = &args.segment {
        attach = attach.segment(segment);
    }
    if let Some(name) = &args.name {
        attach = attach.name(name);
    }
    let mut worker = attach.attach()?;
    if !worker.is_attached() {
        // Nobody reads it where stderr is closed; the play goes on.
        let _ = writeln!(
            std::io::stderr(),
            "hangwatch: nobody watches: no --segment, and HANGWATCH_SEGMENT is not set\n  \
             start it as 'hangwatch run -- hangwatch inject {} …'",
            args.fault.name()
        );
    }
    let pace = Pace::new(args.lasting, args.ignore_term)?;
    let (end, hung) = play(&mut worker, &script(args), &pace);
    if let (End::Signal(signal), true) = (end, hung) {
        // What hangs cleans nothing up: the signal kills it, and its slot and job stay behind.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    worker.end_job(Outcome::Cancelled);
    Ok(0)
}

fn script(args: &InjectArgs) -> Script {
    let named = args.name.clone().or_else(|| std::env::var(hangwatch::worker::ENV_NAME).ok()).filter(|name| !name.is_empty());
    Script {
        fault: args.fault,
        name: named.unwrap_or_else(|| "drill".into()),
        model: args.model.clone(),
        batch: args.batch,
        steps: args.steps,
        step_time: args.step_time,
        beat_time: args.beat_time.unwrap_or(args.step_time),
        at: args.at,
        jobs: args.jobs,
        slow: args.slow,
    }
}
