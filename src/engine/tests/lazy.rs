//! A slot that neither changed nor is due need not be taken; silence only ever makes a verdict graver; and no verdict comes
//! without time.

use super::stage::*;
use crate::engine::Findings;
use crate::judge::{Severity, Verdict};
use crate::layout::phase::Phase;
use crate::layout::slot::{TOTAL_NONE, TOTAL_UNKNOWN};
use crate::policy::{Adaptive, Policy};
use crate::snapshot::Process;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Deed {
    Step(u64),
    Beat,
    Alive,
    Job(u64),
    End,
    Phase(Phase),
    Extend(u64),
    Stop(bool),
    Delay(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => (0u64..50).prop_map(Deed::Step),
        2 => Just(Deed::Beat),
        2 => Just(Deed::Alive),
        2 => prop::sample::select(vec![50, TOTAL_NONE, TOTAL_UNKNOWN]).prop_map(Deed::Job),
        1 => Just(Deed::End),
        2 => prop::sample::select(vec![Phase::Loading, Phase::PostProcessing, Phase::Inference]).prop_map(Deed::Phase),
        1 => (0u64..40).prop_map(Deed::Extend),
        1 => any::<bool>().prop_map(Deed::Stop),
        1 => (0u64..3).prop_map(Deed::Delay),
    ]
}

fn act(hand: &mut Hand, deed: &Deed) {
    match deed {
        Deed::Step(done) => hand.step(*done),
        Deed::Beat => hand.beat(),
        Deed::Alive => hand.alive(),
        Deed::Job(total) => hand.begin_job(*total),
        Deed::End => hand.end_job(),
        Deed::Phase(phase) => hand.enter(*phase, TOTAL_UNKNOWN),
        Deed::Extend(seconds) => hand.extend(*seconds),
        Deed::Stop(stopped) => hand.probe.process = if *stopped { Process::Stopped } else { Process::Running },
        Deed::Delay(seconds) => hand.probe.run_delay_ns = Some(hand.probe.run_delay_ns.unwrap_or(0) + seconds * S),
    }
}

/// Polls apart, in ms, and what is done before each.
type Script = Vec<(u64, Vec<(usize, Deed)>)>;

fn script() -> impl Strategy<Value = Script> {
    let poll = (
        prop_oneof![6 => Just(1000u64), 1 => 100u64..1900, 1 => 2000u64..9000],
        prop::collection::vec((0usize..2, deed()), 0..3),
    );
    // Long quiet stretches between, in which clocks come due.
    let quiet = (1usize..30).prop_map(|n| vec![(1000u64, Vec::new()); n]);
    prop::collection::vec(prop_oneof![3 => poll.prop_map(|poll| vec![poll]), 1 => quiet], 1..40).prop_map(|parts| parts.concat())
}

fn stage(adaptive: Adaptive) -> Stage {
    Stage::new(vec![Hand::new("sdxl", "a"), Hand::new("llama", "b")], Policy { adaptive, ..policy() })
}

fn play(script: &Script, everything: bool, adaptive: Adaptive) -> Vec<Findings> {
    let mut stage = stage(adaptive);
    stage.everything = everything;
    let polls = script.iter().map(|(ms, deeds)| {
        stage.host.monotonic_ns += ms * 1_000_000;
        deeds.iter().for_each(|(index, deed)| act(&mut stage.hands[*index], deed));
        stage.poll()
    });
    polls.collect()
}

/// What is told, and when: what a user sees.
fn told(found: &[Findings]) -> Vec<(usize, u32, String)> {
    let changes = found.iter().enumerate().flat_map(|(poll, f)| f.changes.iter().map(move |c| (poll, c)));
    changes
        .map(|(poll, c)| (poll, c.observation.index, format!("{:?} {:?} {:?}", c.kind, c.episode, c.judgement.spent)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn quiet_slots_that_are_left_out_change_nothing_that_is_told(script in script(), learns in any::<bool>()) {
        let adaptive = if learns { Adaptive::Act } else { Adaptive::Off };
        let (lazy, eager) = (play(&script, false, adaptive), play(&script, true, adaptive));
        prop_assert_eq!(told(&lazy), told(&eager));
        let frozen = |found: &[Findings]| found.iter().map(|f| f.is_frozen).collect::<Vec<_>>();
        prop_assert_eq!(frozen(&lazy), frozen(&eager));
        let taken = |found: &[Findings]| found.iter().map(|f| f.judged.len()).sum::<usize>();
        prop_assert!(taken(&lazy) <= taken(&eager));
    }

    #[test]
    fn no_verdict_comes_without_time(script in script()) {
        let mut stage = stage(Adaptive::Act);
        for (_, deeds) in &script {
            deeds.iter().filter(|(_, deed)| !matches!(deed, Deed::Stop(_))).for_each(|(index, deed)| act(&mut stage.hands[*index], deed));
            let found = stage.poll();
            prop_assert!(found.changes.is_empty(), "a clock that stands still accuses nobody: {:#?}", found.changes);
        }
    }

    #[test]
    fn more_silence_never_lowers_severity(script in script(), adaptive in prop::sample::select(vec![Adaptive::Off, Adaptive::Suspect, Adaptive::Act])) {
        let mut stage = stage(adaptive);
        for (ms, deeds) in &script {
            stage.host.monotonic_ns += ms * 1_000_000;
            deeds.iter().for_each(|(index, deed)| act(&mut stage.hands[*index], deed));
            stage.poll();
        }
        stage.hands.iter_mut().for_each(|hand| hand.probe.process = Process::Running);
        // From here on nobody says anything, and every poll is on time. What the machine excused before is used up first.
        stage.live(400, |_, _| {});
        let mut worst = [Severity::Well; 2];
        for _ in 0..2500 {
            stage.live(1, |_, _| {});
            for (index, worst) in worst.iter_mut().enumerate() {
                let verdict = stage.verdict(index);
                let severity = stage.judged[index].as_ref().map_or(Severity::Well, |judged| judged.judgement.severity);
                prop_assert!(severity >= *worst, "{verdict:?} after a graver one, in silence");
                *worst = severity;
            }
        }
    }
}

#[test]
fn a_quiet_slot_is_taken_a_few_times_and_not_at_every_poll() {
    let mut hand = Hand::new("sdxl", "w");
    hand.begin_job(50);
    let policy = Policy { adaptive: Adaptive::Off, ..policy() };
    let mut stage = Stage::new(vec![hand], policy);
    stage.live(1, |hands, _| hands[0].step(1));
    let found = stage.live(9, |_, _| {});
    assert_eq!(found.iter().map(|f| f.judged.len()).sum::<usize>(), 0, "before half a budget nothing can happen");
    stage.live(1, |hands, _| hands[0].end_job());
    let found = stage.live(10_000, |_, _| {});
    assert_eq!(found.iter().map(|f| f.judged.len()).sum::<usize>(), 0, "an idle slot has no clock");
    assert_eq!(stage.verdict(0), Some(Verdict::Idle));
}
