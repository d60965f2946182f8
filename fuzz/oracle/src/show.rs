//! Every way in which a segment is shown, and what must hold for a text.

use crate::Tally;
use hangwatch::monitor::status;
use hangwatch::policy::PolicySet;
use hangwatch::reader::Reader;
use hangwatch::segment::Segment;
use hangwatch::tell::Event;
use std::sync::Arc;

/// Longer than any sentence of five labels of a slot, each byte of which is escaped, and the words around them.
const MAX_SENTENCE: usize = 4096;

/// A text that is shown can drive no terminal, forge no line, turn no reading direction, and has an end.
///
/// # Panics
///
/// Where it does not hold.
pub fn check_text(text: &str, most: usize) {
    assert!(text.len() <= most, "I15: a text is bounded: {} bytes, at most {most}: {text:?}", text.len());
    let bad = text.chars().find(|c| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    assert!(bad.is_none(), "I15: a text is escaped: it has {bad:?}: {text:?}");
}

/// Text of several lines: an error with its hints.
pub(crate) fn check_lines(text: &str, tally: &mut Tally) {
    for line in text.split('\n') {
        check_text(line, MAX_SENTENCE);
        tally.texts += 1;
    }
}

/// JSON of one line, and whatever texts are in it.
fn check_json(json: &str, most: usize, tally: &mut Tally) {
    check_text(json, most);
    let value: serde_json::Value = serde_json::from_str(json).expect("what is written as JSON is JSON");
    let mut todo = vec![&value];
    while let Some(value) = todo.pop() {
        match value {
            serde_json::Value::String(text) => {
                check_text(text, MAX_SENTENCE);
                tally.texts += 1;
            }
            serde_json::Value::Array(values) => todo.extend(values),
            serde_json::Value::Object(values) => todo.extend(values.values()),
            _ => {}
        }
    }
}

/// An event as a log line, and as the JSON of the files and hooks.
pub(crate) fn check_event(event: &Event, tally: &mut Tally) {
    check_text(&event.sentence(), MAX_SENTENCE);
    check_json(&serde_json::to_string(event).expect("an event is JSON"), 2 * MAX_SENTENCE, tally);
    tally.texts += 1;
    tally.events += 1;
}

/// All that an observer does with a segment, slot by slot and past their end.
pub(crate) fn check_segment(segment: &Arc<Segment>, policies: &PolicySet, tally: &mut Tally) {
    let mut reader = Reader::new(Arc::clone(segment));
    for index in (0..segment.len()).chain([segment.len(), u32::MAX]) {
        let inside = index < segment.len();
        let (slot, snapshot) = (segment.slot(index), reader.read(index));
        assert_eq!((slot.is_some(), snapshot.is_some()), (inside, inside), "I15: nothing is read outside");
        let (Some(slot), Some(snapshot)) = (slot, snapshot) else { continue };
        let _ = (slot.raw_words(), slot.read_identity(), slot.read_info(), slot.peek_seen());
        tally.read += 1;
        tally.live += u64::from(snapshot.hot.is_some());
    }
    for index in 0..=u8::MAX {
        let phase = segment.user_phase(index);
        assert!(index < 48 || phase.is_none(), "I15: nothing is read outside");
    }
    let status = status::read(segment, policies);
    assert!(status.workers.len() <= segment.len() as usize);
    check_json(&serde_json::to_string(&status).expect("a status is JSON"), MAX_SENTENCE * (1 + segment.len() as usize), tally);
}
