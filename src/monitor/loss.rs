//! What becomes of a segment under a monitor, and where watching goes on.
//!
//! | fate | its workers | this monitor |
//! |---|---|---|
//! | name removed | report into memory that no newcomer finds | watches them |
//! | name leads to another file, or superseded | the same; newcomers are in the other one | watches them; once the last has left, it may go over |
//! | cut short | get a SIGBUS at their next report | can see nobody: may go over at once |
//! | header overwritten | report, and nobody can tell what | the same |
//!
//! Going over waits for the last worker, since a segment is watched under one lock, which is that of its name.

use super::scan::Scanner;
use crate::clock;
use crate::layout::word::Tag;
use crate::segment::{Presence, Segment};
use crate::tell::{Event, EventKind};
use std::sync::Arc;

/// What a fate means and what to do; `None` where nothing is lost.
pub(super) fn meaning(presence: Presence) -> Option<&'static str> {
    match presence {
        Presence::Present => None,
        Presence::Unlinked => Some(
            "its name is gone: new workers cannot find it and make another, those attached are still watched here; start those \
             again that are to be found by its name",
        ),
        Presence::Replaced => Some(
            "another file has its name: new workers are in that one and unseen from here, those attached here are still watched; \
             end them, or start them again, to have all in one",
        ),
        Presence::Superseded => Some(
            "a newer segment has taken its place: those attached here are still watched; start them again to have all in the \
             new one",
        ),
        Presence::Truncated => Some(
            "it was cut short: nobody can be watched in it any more, and its workers get a SIGBUS at their next report; remove \
             it, and the next worker makes a new one",
        ),
        Presence::Erased => Some(
            "its header was overwritten: nobody can be watched in it any more; remove it, start its workers again, and they \
             make a new one",
        ),
    }
}

/// Goes on in another segment when its own is lost.
#[derive(Debug, Default)]
pub(super) struct Follower {
    /// Why it could not the last time: said once until it changes.
    said: Option<String>,
}

impl Follower {
    /// After a poll: if there is nobody left to watch here, and the name leads to a valid segment, the scanner is from now on
    /// one of that; what there is to tell of it. A few calls of the file system; never waits.
    pub(super) fn step(&mut self, scanner: &mut Scanner) -> Option<Event> {
        if !scanner.is_done_here() {
            return None;
        }
        let here = scanner.segment();
        let path = here.path().to_owned();
        // A name that leads nowhere, or to what is no segment, may lead to one at the next poll.
        let next = Segment::open(&path).ok()?;
        let is_the_same = next.file_id() == here.file_id();
        if is_the_same && scanner.can_read() {
            return None;
        }
        match scanner.go_over(Arc::new(next)) {
            Ok(()) => {
                self.said = None;
                let event = Event::new(EventKind::SegmentFound, path.display().to_string(), clock::wall());
                Some(event.with_detail("its name leads to a segment again, and that one is watched from now on"))
            }
            Err(e) => {
                let text = e.to_string().replace('\n', "; ");
                if self.said.as_ref() != Some(&text) {
                    tracing::warn!("{text}; asked again at every poll");
                }
                self.said = Some(text);
                None
            }
        }
    }
}

/// Whether anybody reports here, or is about to.
pub(super) fn has_workers(segment: &Segment) -> bool {
    segment.slots().any(|(_, slot)| matches!(slot.peek_owner().tag(), Tag::Live | Tag::Claiming))
}
