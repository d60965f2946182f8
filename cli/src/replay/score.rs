//! One detector over sessions: its alarms against the truth, and how long it took to find hangs.

use super::detector::{Alarm, Detector, Look, Turn};
use super::inject::{self, Cut};
use super::session::Session;
use super::truth::{Truth, TruthOf};
use hangwatch::snapshot::SlotSnapshot;
use serde::Serialize;
use std::collections::HashSet;

/// A rule that states what was read of the process and accuses nobody: a worker that somebody stopped is stopped.
pub(crate) const STATEMENT: &str = "stopped";

/// An alarm, at the first poll at which it stood.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AlarmRow {
    pub(crate) session: String,
    pub(crate) worker: String,
    pub(crate) at_ns: u64,
    /// How long the worker had given no sign of progress.
    pub(crate) silence_s: f64,
    pub(crate) rule: &'static str,
    pub(crate) truth: &'static str,
}

/// A labelled hang.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HangRow {
    pub(crate) session: String,
    pub(crate) worker: String,
    pub(crate) on_ns: u64,
    pub(crate) lasted_s: f64,
    pub(crate) kind: String,
    /// `None`: missed.
    pub(crate) delay_s: Option<f64>,
    pub(crate) rule: Option<&'static str>,
}

/// An injected hang.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CutRow {
    pub(crate) session: String,
    pub(crate) worker: String,
    pub(crate) at_ns: u64,
    pub(crate) alive: bool,
    pub(crate) steady: bool,
    /// `None`: missed.
    pub(crate) delay_s: Option<f64>,
    pub(crate) rule: Option<&'static str>,
}

/// What a detector did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Scored {
    pub(crate) detector: String,
    pub(crate) job_hours: f64,
    pub(crate) alarms: Vec<AlarmRow>,
    pub(crate) hangs: Vec<HangRow>,
    pub(crate) injected: Vec<CutRow>,
    #[serde(skip)]
    pub(crate) turns: Vec<(String, Turn)>,
}

/// A session and what is true of it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) session: Session,
    pub(crate) truth: TruthOf,
}

impl Known {
    pub(crate) fn new(session: Session) -> Self {
        let truth = TruthOf::new(&session);
        Self { session, truth }
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Lets a detector learn from sessions without scoring it.
pub(crate) fn train(detector: &mut dyn Detector, sessions: &[Known]) {
    let mut alarms = Vec::new();
    for Known { session, .. } in sessions {
        detector.begin(session);
        for (frame, signs) in session.looks() {
            alarms.clear();
            detector.look(&Look { frame, signs, only: None }, &mut alarms);
        }
    }
}

/// Scores a detector: each session begins with what it knows now, and what it learns in one is not known in another.
/// `cuts` are of these sessions, in order.
pub(crate) fn score(detector: &dyn Detector, sessions: &[Known], cuts: &[Cut]) -> Scored {
    let mut scored = Scored {
        detector: detector.name().to_owned(),
        job_hours: sessions.iter().map(|known| seconds(known.truth.working_ns)).sum::<f64>() / 3600.0,
        alarms: Vec::new(),
        hangs: Vec::new(),
        injected: Vec::new(),
        turns: Vec::new(),
    };
    for (number, known) in sessions.iter().enumerate() {
        let cuts: Vec<&Cut> = cuts.iter().filter(|cut| cut.session == number).collect();
        one(detector.fork(), known, &cuts, &mut scored);
    }
    scored
}

fn one(mut detector: Box<dyn Detector>, Known { session, truth }: &Known, cuts: &[&Cut], scored: &mut Scored) {
    detector.begin(session);
    let mut shown: Vec<Option<SlotSnapshot>> = vec![None; session.workers.len()];
    let mut delays: Vec<Option<(u64, &'static str)>> = vec![None; truth.hangs.len()];
    let mut told = HashSet::new();
    let mut cuts = cuts.iter().peekable();
    let mut alarms: Vec<Alarm> = Vec::new();
    for (poll, (frame, signs)) in session.looks().enumerate() {
        let now = frame.host.monotonic_ns;
        while let Some(cut) = cuts.next_if(|cut| cut.at <= now) {
            let found = inject::run(&*detector, session, poll, cut, shown[cut.slot as usize].as_ref());
            scored.injected.push(CutRow {
                session: session.name.clone(),
                worker: session.worker(cut.slot).to_owned(),
                at_ns: cut.at,
                alive: cut.alive,
                steady: cut.steady,
                delay_s: found.map(|(delay, _)| seconds(delay)),
                rule: found.map(|(_, rule)| rule),
            });
        }
        alarms.clear();
        detector.look(&Look { frame, signs, only: None }, &mut alarms);
        scored.turns.extend(detector.turns().into_iter().map(|turn| (session.name.clone(), turn)));
        for slot in &frame.slots {
            shown[slot.index as usize] = Some(slot.clone());
        }
        for alarm in &alarms {
            for (hang, delay) in truth.hangs.iter().zip(&mut delays) {
                if hang.slot == alarm.slot && delay.is_none() && (hang.on..=hang.off).contains(&now) {
                    *delay = Some((now - hang.on, alarm.rule));
                }
            }
            let silence = truth.silence(alarm.slot, now);
            if told.insert((alarm.slot, silence.map(|silence| silence.from), alarm.rule)) {
                scored.alarms.push(AlarmRow {
                    session: session.name.clone(),
                    worker: session.worker(alarm.slot).to_owned(),
                    at_ns: now,
                    silence_s: silence.map_or(0.0, |silence| seconds(now - silence.from)),
                    rule: alarm.rule,
                    truth: match silence.map_or(Truth::False, |silence| truth.of_alarm(silence, now)) {
                        _ if alarm.rule == STATEMENT => "statement",
                        Truth::True => "true",
                        Truth::False => "false",
                        Truth::Open => "open",
                    },
                });
            }
        }
    }
    for (hang, delay) in truth.hangs.iter().zip(delays) {
        scored.hangs.push(HangRow {
            session: session.name.clone(),
            worker: session.worker(hang.slot).to_owned(),
            on_ns: hang.on,
            lasted_s: seconds(hang.off - hang.on),
            kind: hang.kind.clone(),
            delay_s: delay.map(|(delay, _)| seconds(delay)),
            rule: delay.map(|(_, rule)| rule),
        });
    }
}

impl Scored {
    /// Silences that ended by themselves and raised an alarm.
    pub(crate) fn false_alarms(&self) -> usize {
        let of_silence = |row: &AlarmRow| {
            (row.session.clone(), row.worker.clone(), row.at_ns.saturating_sub((row.silence_s * 1e9).round() as u64) / 1_000_000)
        };
        self.alarms.iter().filter(|row| row.truth == "false").map(of_silence).collect::<HashSet<_>>().len()
    }

    pub(crate) fn per_1000_hours(&self) -> f64 {
        if self.job_hours > 0.0 { self.false_alarms() as f64 / self.job_hours * 1000.0 } else { 0.0 }
    }

    /// Delays in order, missed ones last.
    pub(crate) fn delays<'a>(rows: impl Iterator<Item = &'a Option<f64>>) -> Vec<f64> {
        let mut delays: Vec<f64> = rows.map(|delay| delay.unwrap_or(f64::INFINITY)).collect();
        delays.sort_by(f64::total_cmp);
        delays
    }
}

/// The delay that a share of the hangs was found within: the nearest rank. Infinite where so many were missed; `None` where
/// there were none.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}
