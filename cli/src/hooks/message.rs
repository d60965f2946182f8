//! An event as receivers get it: the object of `--events`, a few of its fields for a script, and an id.

use hangwatch::judge::Verdict;
use hangwatch::tell::{Event, text};
use std::time::UNIX_EPOCH;

/// Begins the name of each variable. What a worker is told has other names, such as `HANGWATCH_SLOT`.
const PREFIX: &str = "HANGWATCH_EVENT";
/// The longest value, in characters: all of a sentence, and far from what an environment holds.
const LONGEST: usize = 4096;

/// Made once for all hooks.
#[derive(Debug)]
pub(crate) struct Message {
    /// The same at each try, and of no other event.
    pub(super) id: String,
    /// JSON, without a line's end.
    pub(super) body: Vec<u8>,
    /// Name and value of each variable; `None` where the event says nothing of it.
    pub(super) variables: Vec<(String, Option<String>)>,
}

impl Message {
    /// `number` is the event's among those of this process.
    pub(super) fn new(event: &Event, number: u64) -> Option<Self> {
        let body = event.to_json()?.into_bytes();
        let nanos = event.time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let episode = event.episode.map_or_else(|| "none".into(), |episode| episode.to_string());
        let id = format!("{episode}-{}-{nanos}-{number}", event.event.name());
        let fields = [
            ("", Some(event.event.name().to_string())),
            ("_SLOT", event.slot.map(|slot| slot.to_string())),
            ("_WORKER", event.worker.clone()),
            ("_VERDICT", event.verdict.map(Verdict::name).map(String::from)),
            ("_JOB", event.job.clone()),
            ("_MODEL", event.model.clone()),
            ("_EPISODE", event.episode.map(|episode| episode.to_string())),
            ("_SENTENCE", Some(event.sentence())),
        ];
        let variables = fields.map(|(name, value)| (format!("{PREFIX}{name}"), value.map(|value| plain(&value)))).into();
        Some(Self { id, body, variables })
    }
}

/// Without control characters, which a script might hand on to a terminal, and not longer than an environment holds.
fn plain(value: &str) -> String {
    text::escaped(value).chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env::RESERVED;
    use hangwatch::tell::EventKind;

    fn variable<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
        message.variables.iter().find(|(met, _)| met == name).expect("a variable").1.as_deref()
    }

    #[test]
    fn no_control_character_reaches_an_environment_and_none_of_its_values_is_long() {
        let event = Event {
            worker: Some("a\u{1b}[2J\0\n$(reboot)".into()),
            detail: Some("x".repeat(1 << 20)),
            ..Event::new(EventKind::Opened, "/dev/shm/\u{7}x", UNIX_EPOCH)
        };
        let message = Message::new(&event, 1).expect("an event");
        assert_eq!(variable(&message, "HANGWATCH_EVENT_WORKER"), Some(r"a\u{1b}[2J\u{0}\n$(reboot)"));
        assert_eq!(variable(&message, "HANGWATCH_EVENT_SLOT"), None, "what the event does not say is not set");
        for (name, value) in message.variables.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            assert!(!value.chars().any(char::is_control) && value.len() <= LONGEST, "{name}");
        }
    }

    #[test]
    fn two_events_of_one_episode_and_time_have_ids_of_their_own() {
        let event = Event { episode: Some(7), ..Event::new(EventKind::LostJob, "/x", UNIX_EPOCH) };
        let id = |number| Message::new(&event, number).expect("an event").id;
        assert_eq!(id(3), "7-lost_job-0-3");
        assert_ne!(id(3), id(4));
    }

    #[test]
    fn a_command_of_hangwatchs_in_a_hook_takes_no_variable_of_an_event_for_policy() {
        let message = Message::new(&Event::new(EventKind::Opened, "/x", UNIX_EPOCH), 1).expect("an event");
        for (name, _) in &message.variables {
            let name = name.strip_prefix("HANGWATCH_").expect("one of ours");
            assert!(RESERVED.contains(&name), "{name}");
        }
    }
}
