//! A slot that is looked at only where something in it changed or it is due is judged and learnt from as at every poll.

use super::world::*;
use crate::layout::phase::Phase;
use crate::layout::slot::TOTAL_NONE;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Act {
    Nothing(u64),
    Steps(u64),
    Alive,
    Enter(Phase),
    BeginJob(u64),
    EndJob,
    Claim,
    Late(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let phases = prop::sample::select(vec![Phase::Loading, Phase::Inference, DENOISE, Phase::Safety, Phase::Idle]);
    prop_oneof![
        4 => (1..12u64).prop_map(Act::Nothing),
        1 => (50..400u64).prop_map(Act::Nothing),
        8 => (1..30u64).prop_map(Act::Steps),
        4 => Just(Act::Alive),
        2 => phases.prop_map(Act::Enter),
        2 => (1..4096u64).prop_map(Act::BeginJob),
        1 => Just(Act::EndJob),
        1 => Just(Act::Claim),
        1 => (1..9_000u64).prop_map(Act::Late),
    ]
}

fn play(world: &mut World, act: Act) -> Vec<bool> {
    let mut polls = 1;
    match act {
        Act::Nothing(count) => polls = count,
        Act::Steps(count) => world.step(if world.words.progress > 1 << 50 { 0 } else { world.words.progress } + count),
        Act::Alive => world.alive(),
        Act::Enter(phase) => world.enter(phase, if phase == Phase::Safety { TOTAL_NONE } else { 1000 }),
        Act::BeginJob(size) => {
            world.info.size = size;
            world.begin_job(DENOISE, 1000);
        }
        Act::EndJob => world.end_job(),
        Act::Claim => world.claim_anew(),
        Act::Late(ms) => return vec![world.poll_after(ms * MS)],
    }
    (0..polls).map(|_| world.poll()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_suspected_at_the_same_polls_and_the_same_is_learnt(acts in prop::collection::vec(act(), 1..80)) {
        let (mut always, mut lazy) = (World::new(), World::new());
        lazy.lazy = true;
        for act in acts {
            prop_assert_eq!(play(&mut always, act), play(&mut lazy, act), "another poll is suspect after {:?}", act);
        }
        prop_assert!(lazy.looks <= always.looks);
        prop_assert_eq!(lazy.learnt.to_bytes(), always.learnt.to_bytes(), "the same gaps");
    }
}

#[test]
fn a_silent_slot_is_looked_at_twice_and_no_more() {
    let mut world = World::denoising();
    world.lazy = true;
    world.steps(40, 3);
    let looks = world.looks;
    world.wait(5000);
    assert!(world.suspicion.is_some());
    assert_eq!(world.looks - looks, 2, "when it becomes suspect, and when it may be acted on");
}
