//! Every event as a log line, through `tracing`: the host chooses where logs go.

use super::event::{Event, EventKind};
use super::teller::Sink;

/// Writes each event's sentence at the level it deserves.
#[derive(Debug, Default)]
pub struct LogSink;

impl Sink for LogSink {
    fn tell(&mut self, event: &Event) {
        let (name, sentence) = (event.event.name(), event.sentence());
        match event.event {
            EventKind::Closed | EventKind::Replaced | EventKind::SegmentFound | EventKind::ConfigReloaded => {
                tracing::info!(event = name, slot = event.slot, episode = event.episode, "{sentence}");
            }
            EventKind::GaveUp | EventKind::SegmentLost | EventKind::AllFrozen | EventKind::Quarantined => {
                tracing::error!(event = name, slot = event.slot, episode = event.episode, "{sentence}");
            }
            _ => tracing::warn!(event = name, slot = event.slot, episode = event.episode, "{sentence}"),
        }
    }
}
