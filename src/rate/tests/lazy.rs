//! Who is shown a slot only where something changed or is due comes to the same as who is shown it at every poll; and a
//! second run over the same observations to the same bits.

use super::stage::*;
use crate::rate::{Limits, RateFollower, Rates};
use crate::snapshot::Process;
use proptest::prelude::*;

/// What a worker or its world does before a poll.
#[derive(Debug, Clone, Copy)]
enum Act {
    Pace(f64),
    Lease(u64),
    Hold(bool),
    Fall,
    Pass,
    NextJob,
    Starve,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => prop::sample::select(&[0.0, 0.05, 0.3, 1.0, 3.0, 10.0, 1e6][..]).prop_map(Act::Pace),
        1 => (1..40u64).prop_map(Act::Lease),
        1 => any::<bool>().prop_map(Act::Hold),
        1 => Just(Act::Fall),
        1 => Just(Act::Pass),
        2 => Just(Act::NextJob),
        1 => Just(Act::Starve),
    ]
}

/// At which poll, in which slot, what.
fn acts() -> impl Strategy<Value = Vec<(usize, usize, Act)>> {
    prop::collection::vec((0..400usize, 0..5usize, act()), 0..60)
}

/// A slot as a monitor that looks for change sees it.
struct Watched {
    shown: RateFollower,
    last: Option<crate::observe::Observation>,
    said: Option<crate::rate::Slow>,
}

/// The observation without what time alone changes.
fn words(o: &crate::observe::Observation) -> crate::observe::Observation {
    let mut words = o.clone();
    (words.now, words.ages) = (0, crate::observe::Ages::default());
    words.lease_left = o.lease_left.map(|_| 1);
    words
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_follower_that_is_shown_changes_only_comes_to_the_same(
        mut acts in acts(),
        gaps in prop::collection::btree_set(0..400usize, 0..6),
        floor in prop::sample::select(&[0.0, 0.01, 1.0][..]),
    ) {
        acts.sort_by_key(|(poll, ..)| *poll);
        let limits = Limits { floor, ..LIMITS };
        let mut stage = Stage::at(&[10.0, 3.0, 0.3, 10.0, 0.05]);
        stage.limits = limits;
        let mut again = Rates::new();
        let mut watched: Vec<Watched> = stage.actors.iter()
            .map(|actor| Watched { shown: actor.follower.clone(), last: None, said: None }).collect();
        let mut leases = [0u64; 5];
        let (mut shows, mut polls) = (0, 0);
        for poll in 0..400 {
            stage.tick(gaps.contains(&poll));
            again.begin(&crate::observe::Tick { now: stage.now, grew: S, passed: S, gap: gaps.contains(&poll), ..crate::observe::Tick::default() });
            for (slot, watch) in watched.iter_mut().enumerate() {
                let actor = &mut stage.actors[slot];
                let held = actor.o.probe.process.is_held();
                let leased = leases[slot].min(S);
                leases[slot] -= leased;
                actor.work(S, if held { S } else { leased });
                for (_, _, act) in acts.iter().filter(|(at, who, _)| (*at, *who) == (poll, slot)) {
                    match *act {
                        Act::Pace(rate) => actor.rate = rate,
                        Act::Lease(seconds) => leases[slot] = seconds * S,
                        Act::Hold(held) => actor.o.probe.process = if held { Process::Stopped } else { Process::Running },
                        Act::Fall => (actor.o.done, actor.o.fell_back) = (Some(0), true),
                        Act::Pass => actor.next_pass(),
                        Act::NextJob => {
                            actor.o.fell_back = false;
                            actor.next_job();
                        }
                        Act::Starve => actor.starved += 20 * S,
                    }
                }
                actor.o.lease_left = (leases[slot] > 0).then_some(leases[slot]);
                actor.show(stage.now, &mut stage.rates, &limits);
                let seen = words(&actor.o);
                let due = watch.shown.due().is_some_and(|due| stage.now >= due);
                polls += 1;
                if due || watch.last.as_ref() != Some(&seen) {
                    watch.said = watch.shown.observe(&actor.o, &mut again, &limits);
                    watch.last = Some(seen);
                    shows += 1;
                    prop_assert_eq!(watch.shown.rate(), actor.follower.rate(), "slot {} at poll {}", slot, poll);
                }
                prop_assert_eq!(watch.said, actor.said, "slot {} at poll {}", slot, poll);
                prop_assert_eq!(watch.shown.due(), actor.follower.due(), "slot {} at poll {}", slot, poll);
            }
        }
        prop_assert!(shows < polls, "a worker of a unit in twenty seconds is not shown at every poll");
        prop_assert_eq!(stage.rates.held(), again.held());
    }
}

#[test]
fn a_slot_in_which_nothing_changes_is_not_asked_for_at_every_poll() {
    let mut stage = Stage::solo(10.0);
    stage.jobs(5);
    stage.polls(30);
    stage.first().rate = 0.0;
    let mut dues = std::collections::BTreeSet::new();
    for _ in 0..600 {
        stage.polls(1);
        dues.extend(stage.first().follower.due());
    }
    assert!(dues.len() <= 70, "ten minutes of silence are looked at {} times", dues.len());
}
