//! Whatever happens: the same twice, and more silence never clears anybody.

use super::world::*;
use crate::learn::{Learnt, Part, Suspicion};
use crate::observe::Tick;
use proptest::prelude::*;

fn severity(suspicion: &Option<Suspicion>) -> u8 {
    suspicion.as_ref().map_or(0, |suspicion| 1 + u8::from(suspicion.may_act()))
}

/// The age, while the same thing is timed.
fn age(suspicion: &Option<Suspicion>, part: Part) -> u64 {
    suspicion.as_ref().filter(|suspicion| suspicion.key.part == part).map_or(0, |suspicion| suspicion.age)
}

fn worked(steps: &[(u64, u64)]) -> World {
    let mut world = World::denoising();
    for &(polls, count) in steps {
        world.wait(polls);
        world.step(world.words.progress + count);
        world.poll();
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn more_silence_never_lowers_a_suspicion(
        steps in prop::collection::vec((0..20u64, 1..5u64), 0..60),
        delays in prop::collection::vec(prop_oneof![20 => Just(0), 3 => 0..S, 1 => 0..100 * S], 400),
        helper in 0..30,
        late in prop::collection::vec(0..40u64, 0..6),
    ) {
        let mut world = worked(&steps);
        world.run_delay = Some(0);
        for _ in 0..helper {
            world.alive();
            world.advance();
            world.poll();
        }
        let (mut last, mut oldest) = (0, 0);
        for (i, delay) in delays.into_iter().enumerate() {
            world.run_delay = world.run_delay.map(|waited| waited + delay);
            world.poll_after(if late.contains(&(i as u64)) { 5 * POLL } else { POLL });
            let now = severity(&world.suspicion);
            prop_assert!(now >= last, "from {:?} to {:?}", last, now);
            last = now;
            let age = age(&world.suspicion, Part::Rest);
            prop_assert!(age == 0 || age >= oldest, "{} after {}", age, oldest);
            oldest = oldest.max(age);
        }
        prop_assert_eq!(last, 2, "and a silence without an end is acted on");
    }

    #[test]
    fn the_same_happening_twice_teaches_the_same(steps in prop::collection::vec((0..20u64, 1..40u64), 0..60)) {
        let (a, b) = (worked(&steps), worked(&steps));
        prop_assert_eq!(a.learnt.to_bytes(), b.learnt.to_bytes());
        prop_assert_eq!(a.follower.due(), b.follower.due());
    }

    #[test]
    fn no_threshold_is_below_its_floor_and_none_of_a_key_with_three_gaps_is_missing(
        steps in prop::collection::vec((0..200u64, 1..40u64), 0..60),
    ) {
        let world = worked(&steps);
        for row in world.learnt.rows() {
            prop_assert_eq!(row.threshold.is_some(), row.samples >= 3, "{:?}", row);
            let floor = if row.key.part == Part::Alive { 3 * S } else { 2 * S };
            prop_assert!(row.threshold.is_none_or(|threshold| threshold >= floor), "{:?}", row);
        }
    }
}

#[test]
fn a_tick_of_any_numbers_is_taken() {
    let mut learnt = Learnt::new();
    for now in [0, 1, u64::MAX] {
        for passed in [0, 1, u64::MAX] {
            learnt.begin(&Tick { now, grew: passed, passed, ..Tick::default() });
            learnt.begin(&Tick { now, grew: 0, passed, ..Tick::default() });
        }
    }
}
