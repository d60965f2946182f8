//! What a hook is: whom it tells, of what, and how patiently.

use hangwatch::policy::Origin;
use hangwatch::tell::EventKind;
use hangwatch::{Error, ErrorKind};
use std::time::Duration;

/// Of what a hook tells where it names nothing: what has happened to somebody's work, and what stands until somebody comes. The
/// end of an episode and of a loss is among them, so that an alert can be taken back; an episode's reminders and the steps on its way are not, since
/// what they lead to is told.
pub(crate) const DEFAULT_EVENTS: &[EventKind] = &[
    EventKind::Opened,
    EventKind::Closed,
    EventKind::Replaced,
    EventKind::LostJob,
    EventKind::GaveUp,
    EventKind::Quarantined,
    EventKind::Storm,
    EventKind::AllFrozen,
    EventKind::SegmentLost,
    EventKind::SegmentFound,
    EventKind::ConfigRejected,
];

/// More than a receiver needs that is well; a worker's fate waits for nobody, but the next event of the same hook does.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// Tries after the first; with pauses of 1, 2 and 4 s they outlast a receiver's restart.
pub(crate) const RETRIES: u32 = 3;
/// Events of one hook that may wait: those of a machine's workers that all hang together.
pub(crate) const QUEUE: usize = 64;

/// The word that stands for every event, those of later versions included.
pub(crate) const ALL: &str = "all";

/// The events of which a hook tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Events {
    All,
    These(Vec<EventKind>),
}

impl Default for Events {
    fn default() -> Self {
        Self::These(DEFAULT_EVENTS.to_vec())
    }
}

impl Events {
    /// By their names; the first that is none is the error.
    pub(crate) fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut these = Vec::new();
        let mut all = false;
        for name in names {
            match EventKind::ALL.iter().find(|kind| kind.name() == name) {
                Some(kind) => these.push(*kind),
                None if name == ALL => all = true,
                None => return Err(name),
            }
        }
        Ok(if all { Self::All } else { Self::These(these) })
    }

    /// Every name that is one.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        EventKind::ALL.iter().map(|kind| kind.name()).chain([ALL])
    }

    pub(super) fn has(&self, kind: EventKind) -> bool {
        match self {
            Self::All => true,
            Self::These(these) => these.contains(&kind),
        }
    }
}

/// A text that may be a secret, or `env:NAME` for one that stands in the environment. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The text itself; else why there is none, and what to do.
    pub(super) fn reveal(&self) -> Result<String, Why> {
        let Some(name) = self.0.strip_prefix("env:") else { return Ok(self.0.clone()) };
        let shown = hangwatch::tell::text::escaped(name);
        match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(value),
            Ok(_) | Err(std::env::VarError::NotPresent) => {
                Err(Why::new(format!("the variable {shown} is not set"), format!("export {shown} before hangwatch starts")))
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Why::new(format!("the variable {shown} is not UTF-8"), format!("set {shown} to plain text")))
            }
        }
    }
}

/// Why a hook cannot be, and the way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) why: String,
    pub(crate) hint: String,
}

impl Why {
    pub(super) fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }

    /// The same with the place that is to be changed.
    pub(crate) fn at(self, place: &Origin) -> Error {
        let what = match place {
            Origin::File(..) => format!("cannot read policy '{place}'"),
            _ => format!("cannot use {place}"),
        };
        Error::new(ErrorKind::Usage, what, self.why).hint(self.hint)
    }
}

/// Whom it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A program and its arguments.
    Command(Vec<String>),
    Webhook {
        url: Secret,
        headers: Vec<(String, Secret)>,
    },
}

impl Target {
    /// A line for the shell.
    pub(crate) fn shell(line: &str) -> Self {
        Self::Command(["/bin/sh", "-c", line].map(String::from).to_vec())
    }
}

/// A hook as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spec {
    /// Where it stands.
    pub(crate) place: Origin,
    pub(crate) target: Target,
    pub(crate) events: Events,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) queue: usize,
}

impl Spec {
    pub(crate) fn new(place: Origin, target: Target) -> Self {
        Self { place, target, events: Events::default(), timeout: TIMEOUT, retries: RETRIES, queue: QUEUE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_names_no_event_is_told_of_what_stands_and_not_of_the_steps_on_the_way() {
        let events = Events::default();
        for (kind, is_told) in [
            (EventKind::Opened, true),
            (EventKind::Closed, true),
            (EventKind::GaveUp, true),
            (EventKind::Reminder, false),
            (EventKind::Action, false),
            (EventKind::MonitorGap, false),
        ] {
            assert_eq!(events.has(kind), is_told, "{}", kind.name());
        }
    }

    #[test]
    fn events_are_chosen_by_name_and_all_is_every_one() {
        let some = Events::from_names(["opened", "gave_up"]).expect("both are events");
        assert!(some.has(EventKind::GaveUp) && !some.has(EventKind::Closed));
        assert_eq!(Events::from_names(["opened", "all"]), Ok(Events::All));
        assert!(EventKind::ALL.iter().all(|kind| Events::All.has(*kind)));
        assert_eq!(Events::from_names(["opened", "open"]), Err("open"));
    }

    #[test]
    fn a_secret_is_never_shown_and_may_stand_in_the_environment() {
        assert_eq!(format!("{:?}", Secret("hush".into())), "Secret(…)");
        assert_eq!(Secret("hush".into()).reveal(), Ok("hush".into()));
        assert_eq!(Secret("env:CARGO_PKG_NAME".into()).reveal(), Ok(env!("CARGO_PKG_NAME").into()));
        let why = Secret("env:HANGWATCH_TEST_NO_SUCH".into()).reveal().expect_err("it is not set").why;
        assert_eq!(why, "the variable HANGWATCH_TEST_NO_SUCH is not set");
    }
}
