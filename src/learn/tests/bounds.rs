//! Memory is bounded, whatever models and phases are named.

use super::world::*;
use crate::learn::{Learnt, MAX_KEYS, Part};

#[test]
fn ten_thousand_models_are_kept_within_the_bound_and_the_one_in_use_is_kept() {
    let mut world = World::denoising();
    world.steps(40, 3);
    let known = world.row(Part::Rest);
    for model in 0..10_000 {
        world.info.model = format!("model {model}");
        world.begin_job(DENOISE, 10);
        world.poll();
        world.step(5);
        world.poll();
        if model % 50 == 0 {
            world.info.model = known.key.model.clone();
            world.begin_job(DENOISE, 10);
            world.poll();
            world.steps(3, 3);
        }
    }
    let rows = world.learnt.rows();
    let keys = rows.iter().filter(|row| !row.key.model.is_empty()).count();
    assert!(keys <= MAX_KEYS, "{keys}");
    assert!(world.learnt.to_bytes().len() <= Learnt::MAX_BYTES);
    let still = rows.iter().find(|row| row.key == known.key).expect("the model that is in use");
    assert!(still.samples > known.samples);
    let of_all =
        rows.iter().find(|row| row.key.model.is_empty() && row.key.part == Part::Rest).expect("the summary of all models");
    assert!(of_all.samples > 10_000, "no model is given up to it");
}

#[test]
fn keys_that_know_least_make_room_before_those_that_know_more() {
    let mut world = World::denoising();
    world.steps(40, 3);
    let known = world.row(Part::Rest);
    for model in 0..2 * MAX_KEYS {
        world.info.model = format!("model {model}");
        world.begin_job(DENOISE, 10);
        world.poll();
    }
    assert!(
        world.learnt.rows().iter().any(|row| row.key == known.key),
        "models that were met once do not push out one that is known"
    );
}

#[test]
fn names_of_any_length_are_cut_at_a_characters_border() {
    let mut world = World::denoising();
    world.info.model = "ü".repeat(1000);
    world.begin_job(DENOISE, 10);
    world.poll();
    world.steps(4, 2);
    assert!(world.learnt.rows().iter().all(|row| row.key.model.len() <= 96));
    assert!(Learnt::from_bytes(&world.learnt.to_bytes()).is_ok());
}
