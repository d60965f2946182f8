//! `hangwatch demo`: plays the origin's scenarios on real worker processes, and shows who is caught when.
//!
//! | file | holds |
//! |---|---|
//! | `rows` | the scenarios, a row each |
//! | `stage` | the segment and the processes |
//! | `watch` | the polls |
//! | `record` | what they show of one worker, and whether it is as promised |
//! | `origin` | the origin's two tests |
//! | `render` | table and JSON |

mod origin;
mod record;
mod render;
mod rows;
mod stage;
mod watch;

use std::io::{ErrorKind as Io, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hangwatch::monitor::Scanner;
use hangwatch::policy::{Adaptive, Policy};
use hangwatch::{Error, ErrorKind, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::config::duration;
use record::Promise;
use render::Outcome;
use rows::ROWS;
use stage::Stage;

/// Plays hung and healthy workers in seconds, and shows which of them are caught, and when
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Timeout T of the demo: both clocks of inference, and the budgets of loading and post-processing
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::argument)]
    inference_step_timeout: Duration,
    /// Poll interval P
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration::argument)]
    poll: Duration,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// 0 where every row is as promised, else 1.
pub(crate) fn run(args: &DemoArgs) -> Result<u8> {
    let promise = Promise { timeout: args.inference_step_timeout, poll: args.poll };
    let policy = policy(&promise)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|e| Error::io(format!("cannot handle signal {signal}"), &e))?;
    }
    let mut stage = Stage::set(ROWS.len())?;
    for row in &ROWS {
        stage.enter(row, promise.timeout)?;
    }
    let mut scanner = Scanner::new(Arc::clone(stage.segment()), policy)?;
    // The origin's tests are asked at every poll.
    scanner.look_at_everything();
    let watched = watch::watch(&mut stage, &mut scanner, &promise, &interrupted)?;
    // The lock goes before the files beside the segment do.
    drop(scanner);
    drop(stage);
    let outcome = Outcome::of(&watched, &promise);
    let text = if args.json { outcome.json() } else { outcome.text() };
    match writeln!(std::io::stdout().lock(), "{text}") {
        // Whoever read it has seen enough.
        Err(e) if e.kind() != Io::BrokenPipe => Err(Error::io("cannot print the demo's outcome", &e)),
        _ => Ok(outcome.exit_code()),
    }
}

/// Each budget that the demo runs into is T.
fn policy(promise: &Promise) -> Result<Policy> {
    let timeout = promise.timeout;
    let policy = Policy {
        poll_interval: promise.poll,
        heartbeat_timeout: timeout,
        progress_timeout: timeout,
        loading_timeout: timeout,
        post_processing_timeout: timeout,
        post_processing_per_batch: Duration::ZERO,
        // It shows what fixed budgets catch: nothing is learnt in seconds.
        adaptive: Adaptive::Off,
        ..Policy::default()
    };
    match policy.validate() {
        Ok(()) => Ok(policy),
        Err(problems) => {
            let why = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            Err(Error::new(ErrorKind::Usage, "cannot play the demo with these times", why))
        }
    }
}
