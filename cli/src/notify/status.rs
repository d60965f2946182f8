//! The short line that `systemctl status` shows.

use hangwatch::judge::{Severity, Verdict};
use hangwatch::layout::Slot;
use hangwatch::layout::word::{Kind, Tag};
use hangwatch::segment::{Presence, Segment};
use std::sync::Arc;

/// The segment that has the name of this one now, once this very process watches that instead.
pub(super) fn successor(segment: &Segment) -> Option<Arc<Segment>> {
    if segment.presence() == Presence::Present {
        return None;
    }
    let successor = Segment::open_read_only(segment.path()).ok()?;
    (successor.header().peek_monitor().owner.pid() == std::process::id()).then(|| Arc::new(successor))
}

/// `3 workers attached, 1 of them hung; gave up on 1`.
pub(super) fn line(segment: &Segment, gave_up: u64, is_stopping: bool) -> String {
    if matches!(segment.presence(), Presence::Truncated | Presence::Erased) {
        return "the segment is lost: nobody is watched".into();
    }
    let attached = || segment.slots().map(|(_, slot)| slot).filter(|slot| is_attached(slot));
    text(attached().count(), attached().filter(|slot| is_hung(slot)).count(), gave_up, is_stopping)
}

fn is_attached(slot: &Slot) -> bool {
    let owner = slot.peek_owner();
    owner.tag() == Tag::Live && owner.kind() == Kind::Worker
}

/// As the monitor last judged it.
fn is_hung(slot: &Slot) -> bool {
    let verdict = slot.peek_seen().verdict;
    verdict.generation() == slot.peek_owner().generation() && Verdict::from_bits(verdict.verdict()).severity() == Severity::Acting
}

fn text(attached: usize, hung: usize, gave_up: u64, is_stopping: bool) -> String {
    let mut text = format!("{attached} worker{} attached", if attached == 1 { "" } else { "s" });
    if hung > 0 {
        text += &format!(", {hung} of them hung");
    }
    if gave_up > 0 {
        text += &format!("; gave up on {gave_up}");
    }
    if is_stopping {
        text += "; stopping";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn the_line_says_what_there_is_and_no_more() {
        assert_eq!(text(0, 0, 0, false), "0 workers attached");
        assert_eq!(text(1, 1, 0, false), "1 worker attached, 1 of them hung");
        assert_eq!(text(3, 0, 2, true), "3 workers attached; gave up on 2; stopping");
    }
}
