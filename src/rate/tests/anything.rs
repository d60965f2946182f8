//! Whatever the words hold: no panic, no number that is none, and nobody slow who is not.

use super::stage::*;
use crate::layout::info::Info;
use crate::layout::phase::Phase;
use crate::layout::word::Owner;
use crate::rate::{Limits, RateFollower, Rates, Why};
use proptest::prelude::*;
use std::sync::Arc;

fn any_word() -> impl Strategy<Value = u64> {
    prop_oneof![prop::sample::select(&[0, 1, 2, 50, u64::MAX - 1, u64::MAX][..]), 0..100u64, any::<u64>()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_words_gives_finite_numbers(
        words in prop::collection::vec(
            (any::<[u64; 4]>(), prop::option::of(any_word()), prop::option::of(any_word()), any_word(), 0..8u8, any::<bool>()), 1..60),
        factor in any::<f64>(),
        floor in any::<f64>(),
        poll_ns in any_word(),
        in_order in any::<bool>(),
    ) {
        let limits = Limits { factor, floor, poll_ns };
        let mut rates = Rates::new();
        let mut followers = vec![RateFollower::new(); 3];
        let mut o = Actor::new(0, 1.0).o;
        for ([now, real, judged, odd], done, total, some, pick, flag) in words {
            o.now = if in_order { o.now.saturating_add(now >> 24) } else { now };
            o.ages.phase.real = if in_order { o.now } else { real };
            o.ages.phase.counted = if in_order { o.now } else { judged };
            o.ages.phase.judged = if in_order { o.now } else { odd };
            (o.done, o.total, o.fell_back) = (done, total, flag);
            match pick {
                0 => o.owner = Owner(odd),
                1 => o.job = (odd & 1 == 0).then_some(odd as u32),
                2 => (o.phase, o.section, o.pass) = (Phase::from_id(odd as u16), (odd >> 16) as u16, (odd >> 32) as u16),
                3 => o.lease_left = Some(some),
                5 => o.info = Some(Arc::new(Info { size: some, batch: odd, model: "m".into(), ..Info::default() })),
                _ => {}
            }
            rates.begin(&crate::observe::Tick { now: o.now, grew: 1, passed: 1, gap: flag && pick == 7, ..crate::observe::Tick::default() });
            o.index = (odd % 3) as u32;
            let follower = &mut followers[(odd % 3) as usize];
            let said = follower.observe(&o, &mut rates, &limits);
            for number in [follower.rate(), follower.eta(&o)].into_iter().flatten() {
                prop_assert!(number.is_finite() && number >= 0.0, "{number}");
            }
            if let Some(slow) = said {
                prop_assert!(slow.rate.is_finite() && slow.expected.is_finite() && slow.rate >= 0.0);
                prop_assert!(slow.why == Why::Floor || slow.rate <= slow.expected, "slow above what is expected: {slow:?}");
            }
        }
    }

    #[test]
    fn nobody_is_slow_at_or_over_what_is_expected(
        rates in prop::collection::vec(0.02..50.0f64, 1..6),
        jobs in 1..5usize,
        factor in 1.5..10.0f64,
        share in 1.0..20.0f64,
    ) {
        // Every worker keeps its own pace, or quickens it, over the floor; nobody works beside it that is quicker by the factor.
        let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let mut stage = Stage::at(&rates);
        stage.limits.factor = factor;
        stage.limits.floor = slowest * 60.0 * 100.0 / 1_000_000.0 / 2.0;
        for (index, actor) in stage.actors.iter_mut().enumerate() {
            // A device each: another's past is no measure.
            *actor = actor.clone().about(|info| info.device = index as u64);
        }
        for _ in 0..jobs {
            let quickest = stage.actors.iter().map(|actor| actor.rate).fold(0.0, f64::max);
            for _ in 0..300 {
                stage.polls(1);
                for actor in &stage.actors {
                    prop_assert!(
                        actor.said.is_none_or(|slow| slow.why == Why::Peers && quickest > slow.rate * factor * 0.9),
                        "a steady worker at {}: {:?}", actor.rate, actor.said,
                    );
                }
            }
            stage.actors.iter_mut().for_each(|actor| {
                actor.rate *= share;
                actor.next_job();
            });
        }
    }
}
