//! What is told: one line of JSON an event, and one sentence.

use super::text;
use crate::judge::Verdict;
use crate::layout::word::Kind;
use serde::{Serialize, Serializer};
use std::time::SystemTime;

/// Version of the JSON contracts; a field is added under the same number, never removed or given another meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// What happened. Additive: a reader skips what it does not know. C's `hangwatch_event_kind_e` has the same numbers; a number
/// is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[repr(u8)]
pub enum EventKind {
    /// An episode began: a worker is not as it should be.
    Opened = 1,
    /// It goes on; told at doubling distances.
    Reminder = 2,
    /// It ended.
    Closed = 3,
    /// hangwatch acts on it: a signal, a spawn.
    Action = 4,
    /// hangwatch would act if its mode let it.
    WouldAct = 5,
    /// What could be seen of a hung worker was kept, and what it waits for.
    Evidence = 6,
    /// A worker was replaced.
    Replaced = 7,
    /// A job was open in a process that is gone.
    LostJob = 8,
    /// A worker is not restarted any more.
    GaveUp = 9,
    /// Set aside: a slot whose owner could not be killed, or a model that keeps hanging.
    Quarantined = 10,
    /// A worker that a former supervisor spawned is this one's now.
    Adopted = 11,
    /// Workers are restarted so often, all together, that it is rather the host than they.
    Storm = 12,
    /// All workers are frozen: rather the host than they.
    AllFrozen = 13,
    /// The monitor itself was away: this poll judges nobody.
    MonitorGap = 14,
    /// The segment is gone or damaged.
    SegmentLost = 15,
    /// Its name leads to a segment again, and that one is watched from now on.
    SegmentFound = 16,
    /// A new configuration is in force; every age goes on.
    ConfigReloaded = 17,
    /// A new configuration is bad; the old one stays.
    ConfigRejected = 18,
}

impl EventKind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Opened,
        Self::Reminder,
        Self::Closed,
        Self::Action,
        Self::WouldAct,
        Self::Evidence,
        Self::Replaced,
        Self::LostJob,
        Self::GaveUp,
        Self::Quarantined,
        Self::Adopted,
        Self::Storm,
        Self::AllFrozen,
        Self::MonitorGap,
        Self::SegmentLost,
        Self::SegmentFound,
        Self::ConfigReloaded,
        Self::ConfigRejected,
    ];

    /// Its name, everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reminder => "reminder",
            Self::Closed => "closed",
            Self::Action => "action",
            Self::WouldAct => "would_act",
            Self::Evidence => "evidence",
            Self::Replaced => "replaced",
            Self::LostJob => "lost_job",
            Self::GaveUp => "gave_up",
            Self::Quarantined => "quarantined",
            Self::Adopted => "adopted",
            Self::Storm => "storm",
            Self::AllFrozen => "all_frozen",
            Self::MonitorGap => "monitor_gap",
            Self::SegmentLost => "segment_lost",
            Self::SegmentFound => "segment_found",
            Self::ConfigReloaded => "config_reloaded",
            Self::ConfigRejected => "config_rejected",
        }
    }
}

/// An event. Texts from workers are escaped when it is made. Ages are the monitor's, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Wall clock; rendered as RFC 3339 in UTC by whoever writes it down.
    #[serde(skip)]
    pub time: SystemTime,
    /// What happened.
    pub event: EventKind,
    /// Number of the episode, unique in the segment.
    pub episode: Option<u64>,
    /// Path of the segment.
    pub segment: String,
    /// The slot, where it is about one.
    pub slot: Option<u32>,
    /// Its generation.
    pub generation: Option<u16>,
    /// The process, in the worker's own pid namespace.
    pub pid: Option<u32>,
    /// What reports through the slot: `worker`, `lane` or `gpu`.
    pub kind: Option<&'static str>,
    /// The device it said it is on.
    pub device: Option<u64>,
    /// The worker's label; `None` if it has none.
    pub worker: Option<String>,
    /// The lane's name; `None` where it is about a worker's own slot.
    pub lane: Option<String>,
    /// The verdict.
    #[serde(serialize_with = "verdict_name")]
    pub verdict: Option<Verdict>,
    /// The phase's name.
    pub phase: Option<String>,
    /// Since the last beat, step or alive.
    pub heartbeat_age_s: Option<f64>,
    /// Since progress last passed its mark.
    pub progress_age_s: Option<f64>,
    /// The clock that expired: `heartbeat`, `progress`, `start`, `phase`, `max_phase`, `deadline` or `learnt`.
    pub clock: Option<&'static str>,
    /// Its budget.
    pub budget_s: Option<f64>,
    /// What of the time was held against the worker: neither lease nor stop nor starvation is in it.
    pub spent_s: Option<f64>,
    /// Units done.
    pub done: Option<u64>,
    /// Units in all.
    pub total: Option<u64>,
    /// The open job's id; `#n` where it has none.
    pub job: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// What more there is to say.
    pub detail: Option<String>,
}

// serde passes the field by reference.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn verdict_name<S: Serializer>(verdict: &Option<Verdict>, serializer: S) -> Result<S::Ok, S::Error> {
    verdict.map(Verdict::name).serialize(serializer)
}

impl Event {
    /// An event about no slot in particular.
    pub fn new(event: EventKind, segment: impl Into<String>, time: SystemTime) -> Self {
        Self {
            time,
            event,
            episode: None,
            segment: segment.into(),
            slot: None,
            generation: None,
            pid: None,
            kind: None,
            device: None,
            worker: None,
            lane: None,
            verdict: None,
            phase: None,
            heartbeat_age_s: None,
            progress_age_s: None,
            clock: None,
            budget_s: None,
            spent_s: None,
            done: None,
            total: None,
            job: None,
            model: None,
            detail: None,
        }
    }

    /// The same with more to say.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn subject(&self) -> String {
        // A slot that stands beside its worker's has another number.
        let is = |kind: Kind| self.kind == Some(kind.name());
        let gpu = self.device.filter(|_| is(Kind::Gpu)).map(|device| format!("gpu {device}"));
        let lane = self.lane.as_ref().filter(|_| is(Kind::Lane)).map(|lane| format!("lane {lane}"));
        let of: Vec<&str> = [self.model.as_deref(), lane.as_deref(), gpu.as_deref()].into_iter().flatten().collect();
        match (self.slot, &self.model) {
            (Some(slot), _) if !of.is_empty() => format!("worker {slot} ({})", of.join(", ")),
            (Some(slot), _) => format!("worker {slot}"),
            (None, Some(model)) => format!("model {model}"),
            (None, None) => format!("segment '{}'", self.segment),
        }
    }

    /// What proves it: `last heartbeat 2.3s ago, last progress 65.7s ago, at 42% (21/50), job a1b2`.
    fn evidence(&self) -> String {
        let mut parts = Vec::new();
        if let Some(s) = self.heartbeat_age_s {
            parts.push(format!("last heartbeat {} ago", text::age(s)));
        }
        if let Some(s) = self.progress_age_s {
            parts.push(format!("last progress {} ago", text::age(s)));
        }
        parts.extend(text::progress(self.done, self.total));
        parts.extend(self.job.as_ref().map(|job| format!("job {job}")));
        parts.extend(self.detail.clone());
        parts.join(", ")
    }

    /// The event as one sentence: the log line.
    pub fn sentence(&self) -> String {
        let subject = self.subject();
        let detail = self.detail.as_deref().unwrap_or_default();
        let verdict = self.verdict.map_or("unknown", Verdict::name);
        let in_phase = self.phase.as_ref().map_or_else(String::new, |phase| format!(" in {phase}"));
        let evidence = self.evidence();
        let after = |head: String, tail: &str| if tail.is_empty() { head } else { format!("{head}: {tail}") };
        match self.event {
            EventKind::Opened => after(format!("{subject} {verdict}{in_phase}"), &evidence),
            EventKind::Reminder => after(format!("{subject} still {verdict}{in_phase}"), &evidence),
            EventKind::Closed => after(format!("{subject} no longer {verdict}"), detail),
            EventKind::Action => match self.slot {
                Some(_) => after(format!("replacing {subject}"), detail),
                None => detail.to_owned(),
            },
            EventKind::WouldAct => after(format!("would replace {subject}"), detail),
            EventKind::Evidence => after(format!("evidence of {subject}"), detail),
            EventKind::Adopted => after(format!("{subject} adopted"), detail),
            EventKind::Storm => after("a storm of restarts".into(), detail),
            EventKind::Replaced => after(format!("{subject} replaced"), detail),
            EventKind::LostJob => after(format!("{subject} lost job {}", self.job.as_deref().unwrap_or("unknown")), detail),
            EventKind::GaveUp => after(format!("gave up on {subject}"), detail),
            EventKind::Quarantined => after(format!("{subject} quarantined"), detail),
            EventKind::AllFrozen => after("all workers are frozen".into(), detail),
            EventKind::MonitorGap => after("this monitor was away, nobody is judged by this poll".into(), detail),
            EventKind::SegmentLost => after(format!("lost {subject}"), detail),
            EventKind::SegmentFound => after(format!("found {subject}"), detail),
            EventKind::ConfigReloaded => after("new configuration in force".into(), detail),
            EventKind::ConfigRejected => after("new configuration rejected, the old one stays".into(), detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_events_are_listed_and_the_readme_names_each() {
        let readme = include_str!("../../README.md");
        // The names of the source itself: what was added and not listed is found.
        let variants =
            include_str!("event.rs").split("pub const fn name(").nth(1).and_then(|rest| rest.split("/// An event").next());
        let named = variants.unwrap_or_default().matches("Self::").count();
        assert_eq!(named, EventKind::ALL.len(), "each has a name, and each with a name is in the list");
        for kind in EventKind::ALL {
            assert!(readme.contains(&format!("`{}`", kind.name())), "the README's list of events lacks {}", kind.name());
        }
    }

    #[test]
    fn the_line_of_a_stalled_worker_is_the_one_that_is_promised() {
        let event = Event {
            slot: Some(2),
            model: Some("stable_diffusion_xl".into()),
            verdict: Some(Verdict::Stalled),
            phase: Some("inference".into()),
            heartbeat_age_s: Some(2.3),
            progress_age_s: Some(65.7),
            done: Some(21),
            total: Some(50),
            job: Some("a1b2c3d4-e5f6-7890".into()),
            ..Event::new(EventKind::Opened, "/dev/shm/x", SystemTime::UNIX_EPOCH)
        };
        assert_eq!(
            event.sentence(),
            "worker 2 (stable_diffusion_xl) stalled in inference: last heartbeat 2.3s ago, last progress 65.7s ago, \
             at 42% (21/50), job a1b2c3d4-e5f6-7890"
        );
        let on_gpu = Event { kind: Some("gpu"), device: Some(3), ..event.clone() };
        assert!(on_gpu.sentence().starts_with("worker 2 (stable_diffusion_xl, gpu 3) stalled in inference: "));
        let beside_it = Event { kind: Some("worker"), device: Some(3), ..event.clone() };
        assert_eq!(beside_it.sentence(), event.sentence(), "a host's device is no part of its name");
        let lane = Event { kind: Some("lane"), lane: Some("request".into()), ..event.clone() };
        assert!(lane.sentence().starts_with("worker 2 (stable_diffusion_xl, lane request) stalled in inference: "));
        let replaced = Event {
            event: EventKind::Replaced,
            model: None,
            detail: Some("pid 4821 -> 4917, generation 3, job a1b2c3d4-e5f6-7890 lost".into()),
            ..event
        };
        assert_eq!(replaced.sentence(), "worker 2 replaced: pid 4821 -> 4917, generation 3, job a1b2c3d4-e5f6-7890 lost");
    }
}
