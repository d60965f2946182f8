//! Whatever the words hold, in whatever order: a judgement, never a panic, and no age older than the clock.

use super::world::*;
use crate::judge::{Hints, Verdict, judge, running_clocks};
use crate::layout::hot::HotWords;
use crate::layout::phase::{Phase, TABLE};
use crate::layout::slot::{NO_PROGRESS, TOTAL_NONE, TOTAL_UNKNOWN};
use crate::layout::word::{Beat, Epoch, Kind, Owner, PhaseWord, Tag};
use crate::observe::{PollClock, Resume, Track};
use crate::policy::Policy;
use crate::snapshot::{HostSnapshot, Probe, Process, SlotSnapshot};
use proptest::prelude::*;

/// Any bits, and often the few that matter.
fn word(often: &'static [u64]) -> impl Strategy<Value = u64> {
    prop_oneof![4 => prop::sample::select(often), 1 => any::<u64>()]
}

fn epoch() -> impl Strategy<Value = u64> {
    prop_oneof![4 => (0..3u32, 0..20u16, 0..3u16).prop_map(|(job, pass, falls)| Epoch::new(job, pass, falls).0), 1 => any::<u64>()]
}

fn phase() -> impl Strategy<Value = u64> {
    let flags = || (any::<bool>(), 0..3u16, 0..4u16).prop_map(|(open, depth, section)| PhaseWord::flags_of(open, depth, section));
    let known = (0..TABLE.len() + 1, flags(), 0..3u32).prop_map(|(id, flags, entry)| PhaseWord::new(id as u16, flags, entry).0);
    let inference = (flags(), 0..3u32).prop_map(|(flags, entry)| PhaseWord::new(Phase::Inference.id(), flags, entry).0);
    prop_oneof![2 => known, 2 => inference, 1 => any::<u64>()]
}

prop_compose! {
    fn words()(
        beat in word(&[0, 1, 2, 7 << 48, 7 << 48 | 1, 7 << 48 | 2]),
        epoch in epoch(),
        phase in phase(),
        progress in word(&[0, 1, 2, 50, NO_PROGRESS]),
        total in word(&[TOTAL_NONE, 50, TOTAL_UNKNOWN]),
        lease in word(&[0, 1 << 48, 1 << 48 | 5000, 2 << 48 | 5000, 3 << 48 | 1 << 40]),
        alive in word(&[7 << 48, 7 << 48 | 1, 7 << 48 | 2]),
    ) -> HotWords {
        let owner = Owner::new(7, Tag::Live, Kind::Worker, 4821);
        HotWords::from_words(owner, [beat, epoch, phase, progress, total, lease, alive, 0, 0])
    }
}

fn process() -> impl Strategy<Value = Process> {
    prop::sample::select(&[Process::Unknown, Process::Running, Process::Stopped, Process::Zombie, Process::Gone][..])
}

fn policy() -> impl Strategy<Value = Policy> {
    let most = u64::try_from(crate::policy::MAX_DURATION.as_nanos()).unwrap();
    (0..=most, 0..=most, 0..20u64, 0.0..1e300f64).prop_map(|(lease, sum, max_passes, max_phase_factor)| Policy {
        max_lease: std::time::Duration::from_nanos(lease),
        max_lease_sum: std::time::Duration::from_nanos(sum),
        max_passes,
        max_phase_factor,
        ..Policy::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_words_is_judged_and_no_age_exceeds_the_clock(
        polls in prop::collection::vec((words(), process(), word(&[0, 1, 1_000_000_000, 2_000_000_000]), any::<[u64; 2]>()), 1..40),
        policy in policy(),
        former in any::<[u64; 6]>(),
        elapsed in word(&[0, 1 << 40]),
        resumes in any::<bool>(),
    ) {
        let mut clock = PollClock::new(POLL, elapsed);
        let mut at = 0u64;
        let begin = clock.tick(&HostSnapshot::default());
        let start = begin.now;
        let first = &polls[0].0;
        let mut track = Track::new(first, &begin);
        if resumes {
            let [beat_at, epoch, mark, progress_at, own, entry] = former;
            let beat = if own & 1 == 0 { first.beat } else { Beat(own) };
            let epoch = Epoch(if own & 2 == 0 { first.epoch.0 } else { epoch });
            let entry = if own & 4 == 0 { first.phase.entry() } else { entry as u32 };
            track.resume(first, Resume { beat, beat_at, epoch, mark, progress_at, entry }, &begin, &policy);
        }
        for (hot, process, passed, [delay, pressure]) in polls {
            at = at.saturating_add(passed);
            let tick = clock.tick(&HostSnapshot { monotonic_ns: at, boottime_ns: 0, cpu_pressure_us: Some(pressure) });
            let probe = Probe { process, thread_gone: delay & 1 == 1, run_delay_ns: (delay & 2 == 2).then_some(delay) };
            let snapshot = SlotSnapshot { index: 0, owner: hot.owner, hot: Some(hot), info: None, user_phase: None, probe };
            let o = track.observe(&snapshot, &hot, &tick, &policy);
            let ages = o.ages;
            let all = [Some(ages.claim), Some(ages.beat), Some(ages.heartbeat), ages.progress, Some(ages.phase), ages.job];
            for age in all.into_iter().flatten() {
                prop_assert!(age.real <= tick.now, "an age exceeds the clock");
                prop_assert!(age.judged <= age.counted && age.counted <= age.real, "more is excused than has passed");
                let stretched = age.judged as f64 * policy.max_stretch;
                prop_assert!(stretched >= age.counted as f64 * 0.999 - 8.0 * policy.max_stretch, "starvation stretches too far");
                prop_assert!(resumes || age.real <= tick.now - start, "an age exceeds what its monitor has seen");
            }
            prop_assert!(ages.heartbeat.real <= ages.beat.real);
            prop_assert!(u128::from(o.lease_left.unwrap_or(0)) <= policy.max_lease.as_nanos(), "a lease exceeds the longest");
            let judged = judge(&o, &policy, &Hints::default());
            prop_assert_eq!(judged, judge(&o, &policy, &Hints::default()), "judgement is pure");
            if let Some(spent) = judged.spent {
                let stretched = judged.verdict == Verdict::Starved;
                prop_assert!(spent.age >= spent.budget, "a clock that is not spent accused somebody");
                prop_assert!(stretched || spent.age <= spent.counted);
            }
            prop_assert!(running_clocks(&o, &policy).all(|clock| clock.age <= tick.now));
            let _ = track.resumable();
        }
    }
}
