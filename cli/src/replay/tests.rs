//! Small sessions made by hand, and a recorded one cut anywhere.

use super::baselines::{Baseline, Fixed, Longest, Per};
use super::detector::Detector;
use super::inject;
use super::names::Names;
use super::ours::{Lens, Ours};
use super::score::{Known, percentile, score};
use super::session::{Key, Label, Session, Sign, Then};
use super::{csv, trace};
use hangwatch::policy::{Policy, PolicySet};
use hangwatch::record::{Frame, Header, Reader, Writer};
use hangwatch::snapshot::HostSnapshot;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

const S: u64 = 1_000_000_000;

const WORKS: Then = Then { working: true, left: false, key: Key { model: 0, phase: 0, rest: true }, steady: true };
const IDLES: Then = Then { working: false, ..WORKS };
const LEAVES: Then = Then { working: false, left: true, ..WORKS };

/// One worker, polled every second for 100 s.
fn session(signs: &[(u64, Then)], labels: &[(u64, u64, &str)]) -> Known {
    let host = |second| HostSnapshot { monotonic_ns: second * S, ..HostSnapshot::default() };
    Known::new(Session {
        name: "hand".into(),
        interval_ns: S,
        has_our_budgets: false,
        workers: vec!["w".into()],
        polls: (0..=100).map(|second| Frame { host: host(second), slots: Vec::new() }).collect(),
        signs: signs.iter().map(|(second, then)| Sign { at: second * S, slot: 0, then: *then, words: None }).collect(),
        labels: labels
            .iter()
            .map(|(on, off, kind)| Label { on: on * S, off: off * S, slot: Some(0), kind: (*kind).into() })
            .collect(),
    })
}

fn fixed(seconds: f64) -> Box<dyn Detector> {
    Baseline::boxed("fixed", Per::All, Fixed(seconds))
}

fn truths(known: &Known, detector: &dyn Detector) -> Vec<(u64, &'static str)> {
    score(detector, std::slice::from_ref(known), &[]).alarms.iter().map(|row| (row.at_ns / S, row.truth)).collect()
}

#[test]
fn an_alarm_is_false_where_the_silence_ended_by_itself_and_no_hang_was_in_force() {
    let steps = [(0, WORKS), (20, WORKS), (50, WORKS), (60, LEAVES)];
    assert_eq!(truths(&session(&steps, &[]), &*fixed(8.0)), [(8, "false"), (28, "false"), (58, "open")]);
    let hung = session(&steps, &[(22, 40, "stall_sleep")]);
    assert_eq!(truths(&hung, &*fixed(8.0)), [(8, "false"), (28, "true"), (58, "open")]);
    let aftermath = truths(&hung, &*fixed(25.0));
    assert_eq!(aftermath, [(45, "true")], "what a hang leaves behind is not the detector's fault");
    let early = truths(&session(&steps, &[(35, 49, "stall_sleep")]), &*fixed(8.0));
    assert_eq!(early[1], (28, "false"), "a hang that comes later excuses no alarm");
    let others_fault = session(&steps, &[(22, 40, "monitor_stop")]);
    assert_eq!(truths(&others_fault, &*fixed(8.0))[1], (28, "false"), "nobody's fault is no hang");
}

#[test]
fn an_idle_worker_raises_no_alarm_and_its_pauses_are_not_learnt() {
    let known = session(&[(0, WORKS), (2, IDLES), (90, WORKS), (92, WORKS)], &[]);
    assert_eq!(truths(&known, &*fixed(8.0)), [(100, "open")]);
    let longest = Baseline::boxed("max", Per::Slot, Longest::new(3.0));
    assert_eq!(truths(&known, &*longest), [(98, "open")], "three times the 2 s between two signs at work");
}

#[test]
fn a_hang_counts_from_15_s_of_silence_at_work_and_is_found_before_its_end_or_missed() {
    let delays = |labels: &[(u64, u64, &str)], steps: &[(u64, Then)], limit: f64| {
        let scored = score(&*fixed(limit), &[session(steps, labels)], &[]);
        scored.hangs.iter().map(|row| row.delay_s).collect::<Vec<_>>()
    };
    let steps = [(0, WORKS), (10, WORKS), (60, WORKS)];
    assert_eq!(delays(&[(12, 50, "sigstop")], &steps, 6.0), [Some(4.0)], "from the hang's start, not the silence's");
    assert_eq!(delays(&[(12, 50, "sigstop")], &steps, 45.0), [None], "it was over by then");
    assert_eq!(delays(&[(12, 20, "sigstop")], &steps, 6.0), [], "8 s are nobody's task");
    assert_eq!(delays(&[(12, 30, "sigstop"), (25, 50, "stall_spin")], &steps, 6.0), [Some(4.0)], "two at once are one");
    assert_eq!(delays(&[(12, 50, "sigstop")], &[(0, WORKS), (10, IDLES), (60, WORKS)], 6.0), [], "nobody can see an idle one");
}

#[test]
fn injected_hangs_are_the_same_for_a_seed_and_lie_in_healthy_working_time() {
    let known = session(&[(0, WORKS), (10, IDLES), (40, WORKS), (50, WORKS), (70, WORKS), (80, LEAVES)], &[(52, 60, "sigstop")]);
    let cuts = inject::cuts(&[&known.truth], 400, 7);
    assert_eq!(cuts, inject::cuts(&[&known.truth], 400, 7));
    assert_ne!(cuts, inject::cuts(&[&known.truth], 400, 8));
    assert!(cuts.iter().all(|cut| cut.at < 10 * S || (40 * S..50 * S).contains(&cut.at)), "idle, hung or at its end: {cuts:?}");
    assert_eq!(cuts.iter().filter(|cut| cut.alive).count(), 200, "half of them with a helper that still beats");
    let scored = score(&*fixed(6.0), &[known], &cuts);
    assert_eq!(scored.injected.len(), 400);
    for row in &scored.injected {
        let delay = row.delay_s.expect("a fixed limit misses nothing");
        assert!((0.0..=7.0).contains(&delay), "6 s after the last sign and a poll: {row:?}");
    }
}

#[test]
fn a_hang_at_the_end_of_a_session_is_found_though_nobody_recorded_so_long() {
    let known = session(&[(0, WORKS), (90, WORKS), (99, WORKS)], &[]);
    let cuts = inject::cuts(&[&known.truth], 20, 1);
    let scored = score(&*fixed(300.0), &[known], &cuts);
    assert!(scored.injected.iter().all(|row| row.delay_s.is_some_and(|delay| delay > 200.0)), "{:?}", scored.injected);
}

#[test]
fn a_percentile_is_the_nearest_rank_and_what_was_missed_comes_last() {
    let delays = [1.0, 2.0, 3.0, f64::INFINITY];
    assert_eq!(percentile(&delays, 0.5), Some(2.0));
    assert_eq!(percentile(&delays, 0.75), Some(3.0));
    assert_eq!(percentile(&delays, 0.99), Some(f64::INFINITY));
    assert_eq!(percentile(&[], 0.5), None);
}

fn folder(wanted: &str, names: &mut Names) -> Vec<Session> {
    let traces = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/traces"));
    csv::folder(traces, &|session| session == wanted, names).expect("the recorded sessions")
}

#[test]
fn rows_become_the_words_that_the_worker_would_have_written() {
    let session = folder("pause", &mut Names::default()).remove(0);
    let words = session.signs.iter().filter_map(|sign| sign.words.as_deref());
    let live: Vec<_> = words.filter(|slot| session.worker(slot.index) == "D4").collect();
    let denoising =
        |slot: &&&hangwatch::snapshot::SlotSnapshot| slot.user_phase.as_ref().is_some_and(|phase| phase.name == "denoise");
    let last = live.iter().filter(denoising).filter_map(|slot| slot.hot).find(|hot| hot.done() == hot.known_total());
    let last = last.expect("a job is denoised to its end");
    assert!(last.phase.job_open() && last.own_beat().is_some(), "it is its owner's and within a job: {last:?}");
    let generations: std::collections::BTreeSet<_> = live.iter().map(|slot| slot.owner.generation()).collect();
    assert_eq!(generations.len(), 2, "each life is a generation of its own");
    assert!(live.iter().all(|slot| slot.info.as_ref().is_some_and(|info| info.job == slot.hot.map_or(0, |hot| hot.epoch.job()))));
}

/// A recorded session's polls as a trace's bytes, and what is judged of them.
fn recorded() -> &'static (Vec<u8>, Vec<String>) {
    static RECORDED: OnceLock<(Vec<u8>, Vec<String>)> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let session = folder("pause", &mut Names::default()).remove(0);
        let header = Header { slots: 64, slot_size: 1024, poll_interval_ns: session.interval_ns };
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, header, u64::MAX).expect("memory");
        for frame in &session.polls {
            writer.frame(&frame.host, &frame.slots).expect("memory");
        }
        let turns = turns(&bytes);
        (bytes, turns)
    })
}

/// Every change of a verdict, under budgets so short that there are many.
fn turns(bytes: &[u8]) -> Vec<String> {
    let Ok(reader) = Reader::new(bytes) else { return Vec::new() };
    let frames: Vec<Frame> = reader.map(|frame| frame.expect("a cut is no damage")).collect();
    let session = trace::of_frames("cut".into(), 200_000_000, frames, &mut Names::default());
    let (poll_interval, budget) = (Duration::from_millis(200), Duration::from_millis(600));
    let policy = Policy { poll_interval, starting_timeout: budget, loading_timeout: budget, ..Policy::default() };
    let policies = Rc::new(BTreeMap::from([(session.interval_ns, PolicySet::uniform(policy))]));
    let detector = Ours::boxed("ours", Lens::Acting, &policies);
    let scored = score(&*detector, &[Known::new(session)], &[]);
    scored.turns.into_iter().map(|(_, turn)| format!("{} {}", turn.at, turn.text)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_replay_of_a_prefix_is_a_prefix_of_the_replay(share in 0.0..1.0f64) {
        let (bytes, whole) = recorded();
        prop_assert!(whole.iter().any(|turn| turn.contains("-> overdue")), "budgets this short are spent");
        let part = turns(&bytes[..(bytes.len() as f64 * share) as usize]);
        prop_assert_eq!(&part[..], &whole[..part.len()]);
    }
}

#[test]
fn a_trace_in_two_files_is_one_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t");
    let header = Header { slots: 4, slot_size: 1024, poll_interval_ns: S };
    let mut trace = crate::trace_file::TraceFile::open(&path, header, 400).expect("a trace");
    for second in 0..20 {
        let host = HostSnapshot { monotonic_ns: second * S, ..HostSnapshot::default() };
        trace.write(&host, &[]).expect("room");
    }
    assert!(crate::trace_file::older(&path).exists(), "it is past its bound");
    let (session, cut) = trace::file(&path, &mut Names::default()).expect("a trace");
    let seconds: Vec<u64> = session.polls.iter().map(|frame| frame.host.monotonic_ns / S).collect();
    assert_eq!((seconds.last(), cut), (Some(&19), None));
    assert!(seconds.windows(2).all(|pair| pair[1] == pair[0] + 1), "the older half comes first: {seconds:?}");
}
