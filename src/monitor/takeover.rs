//! Taking over from a former monitor. The engine goes on with the episodes of workers that are still there; those of workers
//! that left their slot while nobody watched end here.

use crate::clock;
use crate::engine::is_taken_over;
use crate::judge::{Severity, Verdict};
use crate::layout::monitor::Seen;
use crate::segment::Segment;
use crate::tell::{Event, EventKind};

/// Closes each episode whose worker has given its slot back, or was followed by another, and wipes its number from the slot.
pub(super) fn close_what_nobody_took_over(segment: &Segment, path: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for (index, slot) in segment.slots() {
        let seen = slot.peek_seen();
        if seen.episode == 0 || is_taken_over(&seen, slot.peek_owner()) {
            continue;
        }
        slot.publish_seen(&Seen { episode: 0, ..seen });
        let verdict = Verdict::from_bits(seen.verdict.verdict());
        // Garbage is wiped, and not told of.
        if verdict.severity() != Severity::Well {
            let event = Event {
                slot: Some(index),
                generation: Some(seen.verdict.generation()),
                episode: Some(seen.episode),
                verdict: Some(verdict),
                ..Event::new(EventKind::Closed, path, clock::wall())
            };
            events.push(event.with_detail("its worker left the slot while there was no monitor"));
        }
    }
    events
}
