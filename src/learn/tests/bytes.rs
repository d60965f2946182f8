//! What is learnt survives a restart, and garbage does not get in.

use super::world::*;
use crate::layout::phase::Phase;
use crate::learn::{Learnt, Part, Unreadable};
use proptest::prelude::*;

fn learnt() -> Learnt {
    let mut world = World::denoising();
    world.steps(40, 3);
    world.steps(1, 90);
    world.info.model = "größer".into();
    world.begin_job(Phase::Inference, 20);
    for _ in 0..20 {
        world.alive();
        world.advance();
        world.poll();
    }
    world.wait(100);
    world.follower.acted(&mut world.learnt);
    world.learnt
}

/// With the checksum that belongs to them.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let covered = bytes.len() - 8;
    let sum = bytes[..covered]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    bytes[covered..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn what_was_written_comes_back_and_goes_on_the_same() {
    let before = learnt();
    let after = Learnt::from_bytes(&before.to_bytes()).unwrap();
    assert_eq!(after.rows(), before.rows());
    assert_eq!(after.to_bytes(), before.to_bytes());
    let go_on = |learnt: Learnt| {
        let mut world = World::denoising();
        world.learnt = learnt;
        world.steps(30, 4);
        world.steps(3, 200);
        world.steps(30, 4);
        (world.polls_until_suspect(), world.learnt.to_bytes())
    };
    assert_eq!(go_on(before), go_on(after), "a restart changes nothing of what is learnt later");
}

#[test]
fn a_threshold_that_was_doubled_stays_so_over_a_restart() {
    let mut world = World::denoising();
    world.steps(40, 3);
    let usual = world.polls_until_suspect();
    world.follower.acted(&mut world.learnt);
    world.learnt = Learnt::from_bytes(&world.learnt.to_bytes()).unwrap();
    world.begin_again();
    assert!(world.polls_until_suspect() >= 2 * (usual - 1));
}

#[test]
fn nothing_learnt_is_written_and_read_too() {
    let bytes = Learnt::new().to_bytes();
    assert_eq!(Learnt::from_bytes(&bytes).unwrap().rows(), []);
}

#[test]
fn whatever_is_wrong_is_named() {
    let good = learnt().to_bytes();
    let error = |bytes: &[u8]| Learnt::from_bytes(bytes).unwrap_err();
    assert_eq!(error(b""), Unreadable::Foreign);
    assert_eq!(error(b"{\"learnt\":1}"), Unreadable::Foreign);
    assert_eq!(error(&good[..good.len() - 1]), Unreadable::Damaged);
    assert_eq!(error(&good[..10]), Unreadable::Short);
    let mut other = good.clone();
    other[8] = 9;
    assert_eq!(error(&other).to_string(), "version 9, expected 1");
    let mut more = good.clone();
    more[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(error(&summed(more)), Unreadable::Invalid("more entries than are kept"));
    let mut fewer = good.clone();
    fewer[12..16].copy_from_slice(&1u32.to_le_bytes());
    assert_eq!(error(&summed(fewer)), Unreadable::Invalid("bytes after the last entry"));
    let mut part = good.clone();
    part[16] = 5;
    assert_eq!(error(&summed(part)), Unreadable::Invalid("part"));
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let mut world = World::denoising();
    world.steps(4, 2);
    let once = world.learnt.to_bytes();
    let entries = &once[16..once.len() - 8];
    let mut twice = once[..16].to_vec();
    twice[12..16].copy_from_slice(&(2 * world.learnt.rows().len() as u32).to_le_bytes());
    twice.extend([entries, entries, &[0; 8]].concat());
    assert_eq!(Learnt::from_bytes(&summed(twice)).unwrap_err(), Unreadable::Invalid("a key twice, or more keys than are kept"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_keys_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Learnt::from_bytes(&bytes);
        let mut framed = b"hwlearnt\x01\0\0\0".to_vec();
        framed.extend(bytes);
        framed.extend([0; 8]);
        let _ = Learnt::from_bytes(&summed(framed));
    }

    #[test]
    fn keys_with_any_bytes_changed_are_refused_or_can_be_lived_with(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        sum in any::<bool>(),
    ) {
        let mut bytes = learnt().to_bytes();
        let good = bytes.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assume!(bytes != good);
        if !sum {
            prop_assert!(Learnt::from_bytes(&bytes).is_err(), "a change without its checksum is damage");
            return Ok(());
        }
        if let Ok(learnt) = Learnt::from_bytes(&summed(bytes)) {
            let mut world = World::denoising();
            world.learnt = learnt;
            world.steps(40, 3);
            world.alive();
            world.steps(3, 50);
            prop_assert!(Learnt::from_bytes(&world.learnt.to_bytes()).is_ok(), "what is read and gone on with is written well");
            prop_assert!(world.samples(Part::Rest) > 0);
        }
    }
}
