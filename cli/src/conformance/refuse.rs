//! Segments that a writer must not write, and those that look unusual and are good.

use super::seen::fail;
use super::stage::{RESERVED, Setup, refit, seal};
use super::{Proof, World, table};
use hangwatch::layout::header::Fixed;
use hangwatch::layout::word::Tag;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

table! { refuse:
    Core another_major_version_is_refused;
    Core a_feature_that_is_not_known_is_refused;
    Core what_is_no_segment_is_refused;
    Core a_damaged_header_is_refused;
    Core the_other_byte_order_is_refused;
    Core a_file_shorter_than_it_says_is_refused;
    Core slots_that_do_not_fit_are_refused;
    Core a_segment_of_another_boot_is_not_written;
    Core a_fifo_and_a_folder_are_refused_and_not_waited_for;
    Core a_symbolic_link_is_not_followed;
    Full a_segment_that_others_may_write_is_refused;
    Core a_higher_minor_version_and_features_that_may_be_ignored_are_accepted;
    Core larger_strides_are_accepted;
    Core a_larger_header_is_accepted;
}

type Forge = fn(&mut Vec<u64>);
type Spoil = fn(&Path) -> io::Result<()>;

/// The attach is an error, or goes elsewhere; the file that was there is as it was.
fn untouched(world: &World, setup: Setup, may_go_elsewhere: bool) -> Proof {
    let mut stage = world.stage(setup)?;
    let before = stage.bytes()?;
    let answer = stage.call("attach - -")?;
    if !answer.starts_with("error ") && !may_go_elsewhere {
        return fail(format!("'attach - -' was answered '{answer}', expected 'error CODE WHY'"));
    }
    stage.tell("step 1")?;
    stage.tell("detach")?;
    if stage.bytes()? == before { Ok(()) } else { fail("a segment that was refused was changed") }
}

fn forged(world: &World, forges: &[Forge]) -> Proof {
    forges.iter().try_for_each(|forge| untouched(world, Setup { forge: Some(*forge), ..Setup::default() }, false))
}

fn spoiled(world: &World, spoils: &[Spoil]) -> Proof {
    spoils.iter().try_for_each(|spoil| untouched(world, Setup { spoil: Some(*spoil), ..Setup::default() }, false))
}

fn another_major_version_is_refused(world: &World) -> Proof {
    forged(world, &[|w| refit(w, |f| f.version = 2 << 32), |w| refit(w, |f| f.version = 9)])
}

fn a_feature_that_is_not_known_is_refused(world: &World) -> Proof {
    forged(world, &[|w| refit(w, |f| f.feat_incompat = 1), |w| refit(w, |f| f.feat_incompat = 1 << 63)])
}

fn what_is_no_segment_is_refused(world: &World) -> Proof {
    forged(world, &[|w| w[0] = 0, |w| w[0] ^= 1, |w| w.fill(0), |w| w.fill(u64::MAX)])
}

fn a_damaged_header_is_refused(world: &World) -> Proof {
    forged(world, &[|w| w[31] ^= 1, |w| w[10] ^= 1 << 40])
}

fn the_other_byte_order_is_refused(world: &World) -> Proof {
    let swap: Forge = |words| {
        words[1] = words[1].swap_bytes();
        seal(words);
    };
    forged(world, &[swap])
}

fn a_file_shorter_than_it_says_is_refused(world: &World) -> Proof {
    forged(world, &[|w| w.truncate(w.len() - 1), |w| w.truncate(64), |w| w.truncate(31), |w| w.clear()])
}

fn slots_that_do_not_fit_are_refused(world: &World) -> Proof {
    forged(
        world,
        &[
            |w| refit(w, |f| f.slot_count = 5),
            |w| refit(w, |f| f.slot_count = 0),
            |w| refit(w, |f| f.slot_size = 512),
            |w| refit(w, |f| f.slot_size = 1025),
            |w| refit(w, |f| f.slots_off = 64),
            |w| refit(w, |f| f.slots_off = u64::MAX - 127),
            |w| refit(w, |f| f.total_len = u64::MAX),
        ],
    )
}

fn a_segment_of_another_boot_is_not_written(world: &World) -> Proof {
    let forge: Forge = |words| refit(words, |fixed| fixed.boot_id[0] ^= 1);
    // It may be refused, or a new one may take its name.
    untouched(world, Setup { forge: Some(forge), ..Setup::default() }, true)
}

fn a_fifo_and_a_folder_are_refused_and_not_waited_for(world: &World) -> Proof {
    let fifo: Spoil = |path| {
        fs::remove_file(path)?;
        let made = Command::new("mkfifo").args(["-m", "600"]).arg(path).status()?;
        if made.success() { Ok(()) } else { Err(io::Error::other("mkfifo failed")) }
    };
    let folder: Spoil = |path| fs::remove_file(path).and_then(|()| fs::create_dir(path));
    spoiled(world, &[fifo, folder])
}

fn a_symbolic_link_is_not_followed(world: &World) -> Proof {
    let link: Spoil = |path| {
        let there = path.with_extension("there");
        fs::rename(path, &there).and_then(|()| std::os::unix::fs::symlink(there, path))
    };
    spoiled(world, &[link])
}

fn a_segment_that_others_may_write_is_refused(world: &World) -> Proof {
    let others: Spoil = |path| fs::set_permissions(path, fs::Permissions::from_mode(0o602));
    let group: Spoil = |path| fs::set_permissions(path, fs::Permissions::from_mode(0o620));
    spoiled(world, &[others, group])
}

/// It is taken as the segment that it is.
fn accepted(world: &World, setup: Setup) -> Proof {
    let mut stage = world.stage(setup)?;
    let before = stage.bytes()?;
    stage.attach()?;
    stage.tell("begin_job a1b2 sdxl 50")?;
    stage.tell("step 7")?;
    let seen = stage.seen()?;
    seen.is("the owner's tag", seen.owner().tag(), Tag::Live)?;
    seen.is("progress and id", (seen.progress(), seen.info().job_id.as_str()), (7, "a1b2"))?;
    for slot in (0..super::stage::SLOTS).filter(|slot| *slot != RESERVED.0) {
        let other = stage.seen_at(slot)?;
        other.is("the words of another slot", other.words.iter().all(|word| *word == 0), true)?;
    }
    let after = stage.bytes()?;
    if after[..0x180] == before[..0x180] { Ok(()) } else { fail("the header was changed") }
}

fn a_higher_minor_version_and_features_that_may_be_ignored_are_accepted(world: &World) -> Proof {
    let forge: Forge = |words| {
        refit(words, |fixed| {
            fixed.version = Fixed::VERSION + 5;
            fixed.feat_compat = u64::MAX;
        });
    };
    accepted(world, Setup { forge: Some(forge), ..Setup::default() })
}

fn larger_strides_are_accepted(world: &World) -> Proof {
    accepted(world, Setup { slot_size: 4096, ..Setup::default() })?;
    // One that no version makes yet: slots of 1152 bytes.
    let forge: Forge = |words| {
        let slots: Vec<Vec<u64>> = words[512..].chunks(128).map(<[u64]>::to_vec).collect();
        words.truncate(512);
        slots.into_iter().for_each(|slot| words.extend(slot.into_iter().chain([0; 16])));
        let total_len = words.len() as u64 * 8;
        refit(words, |fixed| (fixed.slot_size, fixed.total_len) = (1152, total_len));
    };
    accepted(world, Setup { forge: Some(forge), ..Setup::default() })
}

fn a_larger_header_is_accepted(world: &World) -> Proof {
    let forge: Forge = |words| {
        let slots = words.split_off(512);
        words.extend([0; 512]);
        words.extend(slots);
        let total_len = words.len() as u64 * 8;
        refit(words, |fixed| (fixed.header_len, fixed.slots_off, fixed.total_len) = (8192, 8192, total_len));
    };
    accepted(world, Setup { forge: Some(forge), ..Setup::default() })
}
