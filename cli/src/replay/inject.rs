//! Hangs made of healthy sessions: a worker's stream is cut at a random working instant, half of them with its helper's beats
//! going on. The polls go on as recorded, and after them as the monitor aimed at.

use super::detector::{Alarm, Detector, Look};
use super::session::Session;
use super::truth::TruthOf;
use hangwatch::layout::word::Beat;
use hangwatch::record::Frame;
use hangwatch::snapshot::{HostSnapshot, SlotSnapshot};

/// A cut that raised no alarm after so many polls of the monitor's interval is missed: 15 min at 0.2 s.
const HORIZON_POLLS: u64 = 4500;
/// How often a helper beats.
const ALIVE_NS: u64 = 500_000_000;
/// A longer pause between two polls means that nobody was there to be watched; a worker that hangs is.
const ABSENT_NS: u64 = 30_000_000_000;

/// SplitMix64: small, and the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

/// Where a stream is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cut {
    pub(crate) session: usize,
    pub(crate) at: u64,
    pub(crate) slot: u32,
    /// The helper's beats go on.
    pub(crate) alive: bool,
    /// Between two steps of one phase.
    pub(crate) steady: bool,
    /// The last sign before it.
    from: u64,
}

/// `n` cuts, spread evenly over the working time in which no labelled hang was, in the order in which they are met.
pub(crate) fn cuts(truths: &[&TruthOf], n: usize, seed: u64) -> Vec<Cut> {
    let mut random = Random::new(seed);
    let silences: Vec<_> = (0..)
        .zip(truths.iter().copied())
        .flat_map(|(session, truth): (usize, &TruthOf)| truth.silences.iter().map(move |s| (session, truth, s)))
        .filter(|(_, truth, silence)| silence.ended && silence.to <= truth.end && !truth.is_hang(silence))
        .collect();
    let mut ends = Vec::with_capacity(silences.len());
    let mut total = 0;
    for (.., silence) in &silences {
        total += silence.to - silence.from;
        ends.push(total);
    }
    if total == 0 {
        return Vec::new();
    }
    let mut cuts: Vec<Cut> = (0..n)
        .map(|number| {
            let drawn = random.next() % total;
            let which = ends.partition_point(|end| *end <= drawn);
            let (session, _, silence) = silences[which];
            let at = silence.to - (ends[which] - drawn);
            Cut { session, at, slot: silence.slot, alive: number % 2 == 0, steady: silence.then.steady, from: silence.from }
        })
        .collect();
    cuts.sort_unstable();
    cuts
}

/// From the poll `next` on, the first at or after the cut: how long until the detector's first alarm, and by which rule.
/// `shown` is the slot as the poll before found it.
pub(crate) fn run(
    detector: &dyn Detector,
    session: &Session,
    next: usize,
    cut: &Cut,
    shown: Option<&SlotSnapshot>,
) -> Option<(u64, &'static str)> {
    let mut detector = detector.fork();
    let mut frozen = frozen(session, cut, shown);
    let base = frozen.as_ref().and_then(|slot| slot.hot).map(|hot| hot.alive);
    let mut alarms = Vec::new();
    let signs: Vec<_> = {
        let before = next.checked_sub(1).map_or(0, |poll| session.polls[poll].host.monotonic_ns);
        let from = session.signs.partition_point(|sign| sign.at <= before);
        let to = session.signs.partition_point(|sign| sign.at <= cut.from);
        session.signs.get(from..to).unwrap_or_default().iter().filter(|sign| sign.slot == cut.slot).cloned().collect()
    };
    let mut last: Option<SlotSnapshot> = shown.cloned();
    let mut hosts = Hosts { polls: &session.polls[next..], interval_ns: session.interval_ns, last: None };
    for (i, host) in (0..).zip(&mut hosts) {
        let passed = host.monotonic_ns.saturating_sub(cut.at);
        if passed > HORIZON_POLLS * session.interval_ns {
            return None;
        }
        if let (Some(slot), Some(Beat(base)), true) = (&mut frozen, base, cut.alive)
            && let Some(hot) = &mut slot.hot
        {
            hot.alive = Beat(base + passed / ALIVE_NS);
        }
        let slots: Vec<SlotSnapshot> = frozen.iter().filter(|slot| last.as_ref() != Some(slot)).cloned().collect();
        last.clone_from(&frozen);
        let frame = Frame { host, slots };
        alarms.clear();
        let signs = if i == 0 { &signs[..] } else { &[] };
        detector.look(&Look { frame: &frame, signs, only: Some(cut.slot) }, &mut alarms);
        if let Some(Alarm { rule, .. }) = alarms.iter().find(|alarm| alarm.slot == cut.slot) {
            return Some((passed, rule));
        }
    }
    None
}

/// The slot as the worker left it at the cut.
fn frozen(session: &Session, cut: &Cut, shown: Option<&SlotSnapshot>) -> Option<SlotSnapshot> {
    let to = session.signs.partition_point(|sign| sign.at <= cut.from);
    let sign = session.signs[..to].iter().rev().find(|sign| sign.slot == cut.slot && sign.at == cut.from);
    let Some(words) = sign.and_then(|sign| sign.words.as_deref()) else { return shown.cloned() };
    let mut frozen = words.clone();
    // The helper may have beaten since that sign, and the last look at the process stands.
    if let Some(shown) = shown.filter(|shown| shown.owner == frozen.owner) {
        frozen.probe = shown.probe;
        if let (Some(hot), Some(shown)) = (&mut frozen.hot, &shown.hot) {
            hot.alive = Beat(hot.alive.0.max(shown.alive.0));
        }
    }
    Some(frozen)
}

/// What a monitor reads of the host: as recorded, then at its interval.
struct Hosts<'a> {
    polls: &'a [Frame],
    interval_ns: u64,
    last: Option<HostSnapshot>,
}

impl Iterator for Hosts<'_> {
    type Item = HostSnapshot;

    fn next(&mut self) -> Option<HostSnapshot> {
        let near =
            |frame: &&Frame| self.last.is_none_or(|last| frame.host.monotonic_ns.saturating_sub(last.monotonic_ns) < ABSENT_NS);
        let host = match (self.polls.first().filter(near), self.last) {
            (Some(frame), _) => {
                self.polls = &self.polls[1..];
                frame.host
            }
            (None, last) => {
                self.polls = &[];
                let last = last?;
                HostSnapshot {
                    monotonic_ns: last.monotonic_ns + self.interval_ns,
                    boottime_ns: last.boottime_ns + self.interval_ns,
                    ..last
                }
            }
        };
        self.last = Some(host);
        Some(host)
    }
}
