//! Log lines on standard error.

use hangwatch::{Error, ErrorKind, Result};
use tracing_subscriber::{EnvFilter, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// A line for people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

pub(crate) fn start(format: Format, level: &str) -> Result<()> {
    let filter = EnvFilter::try_new(level).map_err(|e| {
        Error::new(ErrorKind::Usage, format!("cannot log at '{}'", level.escape_default()), e.to_string())
            .hint("expected error, warn, info, debug or trace, or a filter such as 'hangwatch=debug'")
    })?;
    let colour = has_colour(&std::io::stderr());
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).with_ansi(colour);
    // A line that cannot be written is complained of on standard error, which panics if that is gone: a closed terminal would
    // end the thread that tells.
    let builder = builder.log_internal_errors(false);
    match format {
        Format::Text => builder.init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Whether colours are for this stream: a terminal, and nobody has asked for none.
pub(crate) fn has_colour(stream: &impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
