//! Memory is bounded, whatever the models and the slots.

use super::stage::*;
use crate::rate::history::History;
use crate::rate::key::OwnKey;
use crate::rate::shared::MAX_KEYS;

/// A short job of that model.
fn job(stage: &mut Stage, model: usize) {
    let named = stage.first().clone().about(|info| info.model = format!("model-{model}"));
    *stage.first() = named;
    stage.jobs(0);
    stage.polls(4);
    stage.first().next_job();
}

#[test]
fn ten_thousand_models_have_a_history_each_and_more_have_no_more_memory() {
    let mut stage = Stage::solo(10.0);
    for model in 0..10_000 {
        job(&mut stage, model);
    }
    stage.polls(1);
    assert_eq!(stage.rates.held().0, 10_000);
    for model in 10_000..3 * MAX_KEYS {
        job(&mut stage, model);
        assert!(stage.rates.held().0 <= MAX_KEYS);
    }
    let bytes = MAX_KEYS * (size_of::<OwnKey>() + size_of::<History>());
    assert!(bytes <= 2 << 20, "a tree whose nodes are half full is twice that, 4 MiB: {bytes}");
}

#[test]
fn a_model_that_is_used_is_not_forgotten_for_those_that_were_used_once() {
    let mut stage = Stage::solo(10.0);
    for model in 1..2 * MAX_KEYS {
        // Every thousandth job is of the same one.
        job(&mut stage, if model % 1000 == 0 { 0 } else { model });
    }
    (0..4).for_each(|_| job(&mut stage, 0));
    let known = stage.first().clone().about(|info| info.model = "model-0".into());
    *stage.first() = known;
    stage.first().rate = 1.0;
    assert!(stage.polls(15), "it has a past");
}

#[test]
fn a_slot_has_one_seat_and_a_key_has_sixteen() {
    let mut stage = Stage::at(&[10.0; 100]);
    stage.polls(10);
    assert_eq!(stage.rates.held().1, 16);
    let mut stage = Stage::at(&[10.0; 10]);
    for _ in 0..50 {
        stage.polls(5);
        stage.actors.iter_mut().for_each(Actor::next_job);
    }
    stage.polls(4);
    assert_eq!(stage.rates.held().1, 10);
    stage.actors.iter_mut().for_each(Actor::next_job);
    stage.polls(1);
    assert_eq!(stage.rates.held().1, 0, "whoever has shown no pace yet has no seat");
}
