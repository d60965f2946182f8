//! From an observation to an event.

use crate::engine::{Change, ChangeKind};
use crate::judge::{Judgement, Verdict};
use crate::layout::info::NO_DEVICE;
use crate::layout::phase::Phase;
use crate::layout::user_phase::UserPhase;
use crate::observe::Observation;
use crate::rate::{Slow, Why};
use crate::snapshot::SlotSnapshot;
use crate::tell::text::{age, escaped};
use crate::tell::{Event, EventKind};
use std::time::SystemTime;

pub(super) fn seconds(ns: u64) -> f64 {
    // Milliseconds are what a poll can tell.
    (ns as f64 / 1e6).round() / 1e3
}

/// The phase's name; a user phase's as it was registered, escaped.
pub(super) fn phase_name(o: &Observation) -> String {
    named_phase(o.phase, o.user_phase.as_deref())
}

/// The same, where there is no observation.
pub(super) fn named_phase(phase: Phase, user: Option<&UserPhase>) -> String {
    match (phase.row(), user) {
        (Some(row), _) => row.name.into(),
        (None, Some(user)) => escaped(&user.name),
        (None, None) => match phase {
            Phase::User(index) => format!("user phase {index}"),
            other => format!("phase {}", other.id()),
        },
    }
}

/// The open job's id; `#n` where it has none or none was read yet.
pub(super) fn job_name(o: &Observation) -> Option<String> {
    let number = o.job?;
    let id = o.info.as_ref().map(|info| info.job_id.as_str()).unwrap_or_default();
    Some(if id.is_empty() { format!("#{number}") } else { escaped(id) })
}

fn named(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| escaped(text))
}

/// An event about a slot, with what proves it.
pub(super) fn event(kind: EventKind, segment: &str, time: SystemTime, o: &Observation, verdict: Verdict) -> Event {
    let info = o.info.as_deref();
    Event {
        slot: Some(o.index),
        generation: Some(o.owner.generation()),
        pid: Some(o.owner.pid()),
        kind: Some(o.owner.kind().name()),
        device: info.map(|info| info.device).filter(|device| *device != NO_DEVICE),
        worker: info.and_then(|info| named(&info.name)),
        lane: info.and_then(|info| named(&info.lane)),
        verdict: Some(verdict),
        phase: Some(phase_name(o)),
        heartbeat_age_s: Some(seconds(o.ages.heartbeat.real)),
        progress_age_s: o.ages.progress.map(|age| seconds(age.real)),
        done: o.done,
        total: o.total,
        job: job_name(o),
        model: info.and_then(|info| named(&info.model)),
        detail: info.and_then(|info| named(&info.detail)),
        ..Event::new(kind, segment, time)
    }
}

/// A change of an episode, as an event.
pub(super) fn change(change: &Change, segment: &str, time: SystemTime) -> Event {
    let (kind, detail) = match change.kind {
        ChangeKind::Opened => (EventKind::Opened, spent(&change.judgement)),
        ChangeKind::Reminder => (EventKind::Reminder, Some(lasted(change.lasted, ""))),
        ChangeKind::Closed => (EventKind::Closed, Some(lasted(change.lasted, ""))),
        ChangeKind::Left => (EventKind::Closed, Some(lasted(change.lasted, "its slot was given back"))),
    };
    let mut event = event(kind, segment, time, &change.observation, change.episode.verdict);
    event.episode = Some(change.episode.id);
    if let Some(spent) = change.judgement.spent.filter(|_| change.kind != ChangeKind::Left) {
        event.clock = Some(spent.clock);
        (event.budget_s, event.spent_s) = (Some(seconds(spent.budget)), Some(seconds(spent.age)));
    }
    if let Some(detail) = detail {
        add_detail(&mut event, detail);
    }
    if let Some(s) = change.suspicion.as_ref().filter(|_| change.episode.verdict == Verdict::Suspect) {
        let (part, phase, samples) = (s.key.part.name(), escaped(&s.key.phase), s.samples);
        add_detail(&mut event, format!("learnt from {samples} gaps of '{part}' in {phase}"));
    }
    if let Some(slow) = change.slow.filter(|_| change.episode.verdict == Verdict::Slow && change.kind != ChangeKind::Left) {
        add_detail(&mut event, pace(&slow));
    }
    event
}

/// `0.12 units/s, expected 1.3 by its own history, 4m to go`.
fn pace(slow: &Slow) -> String {
    let by = match slow.why {
        Why::Own => "by its own history",
        Why::Peers => "by its peers",
        Why::Floor => "by the configured floor",
    };
    let left = slow.eta_s.map_or_else(String::new, |eta| format!(", {} to go", age(eta)));
    format!("{:.3} units/s, expected {:.3} {by}{left}", slow.rate, slow.expected)
}

fn lasted(lasted: u64, more: &str) -> String {
    let age = age(seconds(lasted));
    if more.is_empty() { format!("for {age}") } else { format!("after {age}: {more}") }
}

/// What expired, for the detail of an event: `phase budget 80.0s spent, 81.2s`.
pub(super) fn spent(judgement: &Judgement) -> Option<String> {
    let spent = judgement.spent?;
    let (clock, budget, age) = (spent.clock, age(seconds(spent.budget)), age(seconds(spent.age)));
    let why = if judgement.verdict == Verdict::Starved {
        "; it is stretched, for the machine held the worker up meanwhile"
    } else {
        ""
    };
    Some(format!("{clock} budget of {budget} spent after {age}{why}"))
}

/// Adds to what an event already says.
pub(super) fn add_detail(event: &mut Event, more: String) {
    event.detail = Some(match event.detail.take() {
        Some(detail) => format!("{detail}; {more}"),
        None => more,
    });
}

/// An event about the open job of a slot that nobody observes any more; `None` where no job is open.
pub(super) fn open_job(kind: EventKind, segment: &str, time: SystemTime, s: &SlotSnapshot) -> Option<Event> {
    let hot = s.hot.as_ref().filter(|hot| hot.phase.job_open())?;
    let info = s.info.as_deref();
    let id = info.map(|info| info.job_id.as_str()).unwrap_or_default();
    Some(Event {
        slot: Some(s.index),
        generation: Some(s.owner.generation()),
        pid: Some(s.owner.pid()),
        kind: Some(s.owner.kind().name()),
        device: info.map(|info| info.device).filter(|device| *device != NO_DEVICE),
        worker: info.and_then(|info| named(&info.name)),
        lane: info.and_then(|info| named(&info.lane)),
        phase: s.phase().and_then(|phase| phase.row()).map(|row| row.name.into()),
        done: hot.done(),
        total: hot.known_total(),
        job: Some(if id.is_empty() { format!("#{}", hot.epoch.job()) } else { escaped(id) }),
        model: info.and_then(|info| named(&info.model)),
        ..Event::new(kind, segment, time)
    })
}
