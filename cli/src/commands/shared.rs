//! What commands share: flags of a monitor, finding a segment, signals.

use crate::config::{self, Flag, Loaded};
use crate::hooks::HookArgs;
use hangwatch::policy::Value;
use hangwatch::segment::{Geometry, Segment, path};
use hangwatch::tell::JsonLines;
use hangwatch::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a monitor may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Never signals; says what it would do.
    Observe,
    /// Ends and replaces workers.
    Act,
}

/// Flags of `run` and `watch`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MonitorArgs {
    /// The segment: a name, or a path with a slash. It is made if it is absent.
    #[arg(long, env = "HANGWATCH_SEGMENT", default_value = path::DEFAULT_NAME, value_name = "NAME|PATH")]
    pub(crate) segment: String,
    /// Slots of the segment, if this command makes it; else HANGWATCH_SLOTS, else 64.
    #[arg(long, value_name = "N")]
    pub(crate) slots: Option<u32>,
    /// Bytes from slot to slot, if this command makes the segment: 4096 for workers with GPU lanes; else HANGWATCH_SLOT_SIZE,
    /// else 1024.
    #[arg(long, value_name = "BYTES", value_parser = slot_size)]
    pub(crate) slot_size: Option<u32>,
    #[command(flatten)]
    pub(crate) timing: TimingArgs,
    /// Keep what is learnt in this file, over a restart; '<segment>.learnt' where none is named. A file of something else is refused.
    #[arg(long, value_name = "FILE")]
    pub(crate) learnt: Option<PathBuf>,
    /// Append events to this file as JSON Lines; '-' is standard output.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Where another monitor is alive, wait until it has gone, and take over.
    #[arg(long)]
    pub(crate) standby: bool,
    #[command(flatten)]
    pub(crate) hooks: HookArgs,
}

/// Flags of a monitor that are policy.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct TimingArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Pause between two polls.
    #[arg(long, value_name = "DURATION", value_parser = config::duration::argument)]
    poll: Option<Duration>,
    /// From SIGTERM to SIGKILL.
    #[arg(long, value_name = "DURATION", value_parser = config::duration::argument)]
    grace: Option<Duration>,
}

/// Flags that say where the policy comes from.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PolicyArgs {
    /// Configuration: YAML with 'hangwatch: 1' at the top, or AI Horde's bridgeData.yaml as it is.
    #[arg(long, env = "HANGWATCH_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Inference: how long no sign of life, and how long no progress, may last. Sets both clocks.
    #[arg(long, value_name = "DURATION", value_parser = config::duration::argument)]
    pub(crate) inference_step_timeout: Option<Duration>,
}

impl PolicyArgs {
    /// The policy of all layers; what is odd in them is logged.
    pub(crate) fn load(&self, more: &[Flag<'_>]) -> Result<Loaded> {
        let mut flags: Vec<Flag<'_>> = Vec::new();
        if let Some(timeout) = self.inference_step_timeout {
            flags.push(("inference_step_timeout", Value::Duration(timeout), "--inference-step-timeout"));
        }
        flags.extend_from_slice(more);
        let loaded = config::load(self.config.as_deref(), config::env::of_process(), &flags)?;
        loaded.log();
        Ok(loaded)
    }
}

impl TimingArgs {
    pub(crate) fn load(&self, more: &[Flag<'_>]) -> Result<Loaded> {
        let mut flags = Vec::new();
        if let Some(poll) = self.poll {
            flags.push(("poll_interval", Value::Duration(poll), "--poll"));
        }
        if let Some(grace) = self.grace {
            flags.push(("grace", Value::Duration(grace), "--grace"));
        }
        flags.extend_from_slice(more);
        self.policy.load(&flags)
    }
}

impl MonitorArgs {
    pub(crate) fn load(&self, more: &[Flag<'_>]) -> Result<Loaded> {
        self.timing.load(more)
    }

    /// Where `--events` writes.
    pub(crate) fn events(&self) -> Result<Option<JsonLines>> {
        self.events.as_deref().map(|to| if to == "-" { Ok(JsonLines::stdout()) } else { JsonLines::append(to) }).transpose()
    }

    pub(crate) fn open(&self) -> Result<Arc<Segment>> {
        let path = path::resolve(&self.segment)?;
        let geometry = Geometry::from_env()?;
        let geometry =
            Geometry { slots: self.slots.unwrap_or(geometry.slots), slot_size: self.slot_size.unwrap_or(geometry.slot_size) };
        Segment::open_or_create(&path, geometry).map(Arc::new)
    }
}

fn slot_size(text: &str) -> std::result::Result<u32, String> {
    match text.parse() {
        Ok(size @ (1024 | 4096)) => Ok(size),
        _ => Err("expected 1024, or 4096 for GPU lanes".into()),
    }
}

/// The segment that an observing command means: as named, else the environment's, else `default` if it exists.
pub(crate) fn find(named: Option<&str>) -> Result<Found> {
    let from_env = std::env::var("HANGWATCH_SEGMENT").ok().filter(|v| !v.is_empty());
    if let Some(name) = named.map(str::to_owned).or(from_env) {
        return Segment::open_read_only(&path::resolve(&name)?).map(|s| Found::Segment(Arc::new(s)));
    }
    match Segment::open_read_only(&path::resolve(path::DEFAULT_NAME)?) {
        Ok(segment) => Ok(Found::Segment(Arc::new(segment))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Found::Others(path::list(&path::directory()))),
        Err(e) => Err(e),
    }
}

/// Where a worker of it was asked for.
pub(super) fn no_default() -> Error {
    let what = format!("cannot open segment '{}'", path::directory().join(path::DEFAULT_NAME).display());
    Error::new(ErrorKind::NotFound, what, "there is no such segment")
        .hint("'hangwatch status' lists those that exist; name one with --segment")
}

/// See [`find`].
pub(crate) enum Found {
    Segment(Arc<Segment>),
    /// There is no `default`; these exist.
    Others(Vec<String>),
}

/// SIGTERM and SIGINT, caught from `new` on, so that one that comes while workers are being spawned is not lost on them.
pub(crate) struct StopSignals(signal_hook::iterator::Signals);

impl StopSignals {
    pub(crate) fn new() -> Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT]);
        signals.map(Self).map_err(|e| Error::io("cannot handle signals", &e))
    }

    /// Calls `on_signal` for each, those since `new` included, on a thread of its own.
    pub(crate) fn call(mut self, mut on_signal: impl FnMut() + Send + 'static) -> Result<()> {
        let thread = std::thread::Builder::new().name("hangwatch-signals".into());
        let spawned = thread.spawn(move || self.0.forever().for_each(|_| on_signal()));
        spawned.map(drop).map_err(|e| Error::io("cannot handle signals", &e))
    }
}
