//! Attaching: which slot, what the claim leaves in it, and where there is none.

use super::seen::fail;
use super::stage::{DEVICE, GENERATION, NAME, OWNER, RESERVED, SLOTS, Setup, Told};
use super::{Proof, World, table};
use hangwatch::clock;
use hangwatch::layout::info::Info;
use hangwatch::layout::slot::NO_PROGRESS;
use hangwatch::layout::word::{Beat, Kind, Owner, Tag};
use hangwatch::segment::Segment;
use std::fs;
use std::os::unix::fs::MetadataExt;

table! { attach:
    Core a_reserved_slot_is_claimed_with_the_next_generation;
    Core the_claim_leaves_nothing_of_the_owner_before;
    Core the_identity_is_the_processs_own;
    Core the_name_and_the_device_are_published;
    Core attaching_touches_nothing_else_of_the_segment;
    Core with_nothing_set_the_writer_is_detached_and_every_call_is_well;
    Core a_reservation_past_the_end_is_refused_or_goes_elsewhere;
    Full a_variable_that_makes_no_sense_is_an_error;
    Full a_device_may_be_written_as_frameworks_do;
    Full a_free_slot_is_claimed_where_none_is_reserved;
    Full a_reservation_of_another_generation_is_not_its_own;
    Full a_second_attach_gets_a_slot_of_its_own;
    Full a_full_segment_is_an_error;
    Full a_segment_that_is_absent_is_made;
    Full the_segment_that_it_makes_has_the_geometry_that_the_environment_names;
    Full the_slots_byte_of_the_liveness_file_is_locked_until_the_detach;
}

fn a_reserved_slot_is_claimed_with_the_next_generation(world: &World) -> Proof {
    let mut stage = world.stage(Setup::default())?;
    let pid = stage.writer().pid();
    stage.attach()?;
    let seen = stage.seen()?;
    let owner = seen.owner();
    seen.is("the owner's tag", owner.tag(), Tag::Live)?;
    seen.is("the owner's kind", owner.kind(), Kind::Worker)?;
    seen.is("the generation", owner.generation(), GENERATION)?;
    seen.is("the owner's pid (of the process that was started; a wrapper must exec it)", owner.pid(), pid)?;
    stage.expect("is_attached", "1")
}

fn the_claim_leaves_nothing_of_the_owner_before(world: &World) -> Proof {
    let seen = world.attached()?.seen()?;
    seen.is("beat", seen.beat(), Beat::start(GENERATION))?;
    seen.is("alive", seen.alive(), Beat::start(GENERATION))?;
    seen.is("progress", seen.progress(), NO_PROGRESS)?;
    for name in ["total", "phase", "epoch", "lease", "stamp_ns", "progress_stamp_ns", "jobs_ok", "jobs_bad"] {
        seen.is(name, seen.word(name), 0)?;
    }
    let info = seen.info();
    seen.is("the record's generation and job", (info.generation, info.job), (GENERATION, 0))?;
    let texts = [info.job_id, info.model, info.lane, info.detail].join("");
    seen.is("the record's job, model, lane and detail", texts.as_str(), "")
}

/// Field 22 of a stat line.
fn starttime(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn the_identity_is_the_processs_own(world: &World) -> Proof {
    let before = clock::boottime_ns();
    let stage = world.attached()?;
    let after = clock::boottime_ns();
    let seen = stage.seen()?;
    let stat = fs::read_to_string(stage.proc("stat")).unwrap_or_default();
    seen.is("starttime", Some(seen.word("starttime")), starttime(&stat))?;
    let inode = seen.word("pidfd_ino");
    seen.is("pidfd_ino (or 0, not known)", inode, if inode == 0 { 0 } else { stage.writer().pidfd_inode() })?;
    let low = |name: &str| fs::metadata(stage.proc(name)).map_or(0, |there| there.ino() & 0xffff_ffff);
    seen.is("namespaces", seen.word("namespaces"), low("ns/pid") << 32 | low("ns/time"))?;
    let tid = seen.word("tid");
    seen.holds("tid names a thread of the process", stage.proc("task").join((tid >> 32).to_string()).is_dir())?;
    seen.is("sub, the device", tid & 0xffff_ffff, DEVICE)?;
    let claimed = seen.word("claimed_boottime_ns");
    seen.holds("claimed_boottime_ns is the moment of the claim", (before..=after).contains(&claimed))
}

fn the_name_and_the_device_are_published(world: &World) -> Proof {
    let seen = world.attached()?.seen()?;
    let Info { name, device, .. } = seen.info();
    seen.is("the name, of HANGWATCH_NAME", name.as_str(), NAME)?;
    seen.is("the device, of HANGWATCH_DEVICE", device, DEVICE)?;
    let mut stage = world.stage(Setup::default())?;
    stage.slot_of("attach - sd-0")?;
    let seen = stage.seen()?;
    seen.is("the name, of the call", seen.info().name.as_str(), "sd-0")
}

fn attaching_touches_nothing_else_of_the_segment(world: &World) -> Proof {
    let mut stage = world.stage(Setup::default())?;
    let (before, slot) = (stage.bytes()?, stage.seen()?);
    stage.attach()?;
    let (after, now) = (stage.bytes()?, stage.seen()?);
    let of_monitor = ["cmd", "seen_beat", "beat_at", "verdict", "restarts", "high_mark", "progress_at", "epoch_seen", "episode"];
    for name in of_monitor {
        now.is(name, now.word(name), slot.word(name))?;
    }
    // The hint of where to look for a free slot is anybody's.
    let own = 4096 + 1024 * RESERVED.0 as usize;
    let may = |at: usize| (own..own + 1024).contains(&at) || (0x180..0x188).contains(&at);
    match (0..before.len()).find(|&at| before[at] != after[at] && !may(at)) {
        None if before.len() == after.len() => Ok(()),
        at => fail(format!("attaching changed the segment outside its slot, at {at:x?}")),
    }
}

fn with_nothing_set_the_writer_is_detached_and_every_call_is_well(world: &World) -> Proof {
    let mut stage = world.stage(Setup { told: Told::Nothing, ..Setup::default() })?;
    let before = stage.bytes()?;
    stage.expect("attach - -", "detached")?;
    stage.expect("is_attached", "0")?;
    for call in ["phase 5", "begin_job a sdxl 50", "step 1", "beat", "end_job ok", "detach"] {
        stage.tell(call)?;
    }
    if stage.bytes()? != before {
        return fail("a detached writer changed a segment");
    }
    let (_, left) = stage.end()?;
    if left.len() == 1 { Ok(()) } else { fail(format!("a detached writer made files: {left:?}")) }
}

fn a_reservation_past_the_end_is_refused_or_goes_elsewhere(world: &World) -> Proof {
    for variables in [&[("HANGWATCH_SLOT", "4:6")], &[("HANGWATCH_SLOT", "4294967295:6")]] {
        let mut stage = world.stage(Setup { variables, ..Setup::default() })?;
        let before = stage.seen()?;
        let answer = stage.call("attach - -")?;
        let slot = answer.strip_prefix("slot ").and_then(|slot| slot.parse::<u32>().ok());
        if !answer.starts_with("error ") && slot.is_none_or(|slot| slot >= SLOTS) {
            return fail(format!(
                "'attach - -' was answered '{answer}' ({variables:?}), expected an error or a slot below {SLOTS}"
            ));
        }
        stage.tell("step 1")?;
        stage.seen()?.only(&[], &before)?;
    }
    Ok(())
}

fn a_variable_that_makes_no_sense_is_an_error(world: &World) -> Proof {
    for variables in [&[("HANGWATCH_SLOT", "three")], &[("HANGWATCH_DEVICE", "gpu")]] {
        let mut stage = world.stage(Setup { variables, ..Setup::default() })?;
        let before = stage.bytes()?;
        stage.refused("attach - -")?;
        if stage.bytes()? != before {
            return fail(format!("an attach that was refused changed the segment ({variables:?})"));
        }
    }
    Ok(())
}

fn a_device_may_be_written_as_frameworks_do(world: &World) -> Proof {
    for (variables, device) in [(&[("HANGWATCH_DEVICE", "cuda:1")], 1), (&[("HANGWATCH_DEVICE", "5,6")], 5)] {
        let mut stage = world.stage(Setup { variables, ..Setup::default() })?;
        stage.attach()?;
        let seen = stage.seen()?;
        seen.is("the device", seen.info().device, device)?;
    }
    Ok(())
}

fn a_free_slot_is_claimed_where_none_is_reserved(world: &World) -> Proof {
    let mut stage = world.stage(Setup { told: Told::Segment, ..Setup::default() })?;
    let slot = stage.attach_anywhere()?;
    let seen = stage.seen()?;
    seen.is("the owner's tag", seen.owner().tag(), Tag::Live)?;
    let before = if slot == RESERVED.0 { RESERVED.1 } else { 0 };
    seen.is("the generation", seen.owner().generation(), before + 1)
}

fn a_reservation_of_another_generation_is_not_its_own(world: &World) -> Proof {
    let mut stage = world.stage(Setup { variables: &[("HANGWATCH_SLOT", "2:5")], ..Setup::default() })?;
    let before = stage.seen()?;
    let slot = stage.attach_anywhere()?;
    let after = stage.seen_at(RESERVED.0)?;
    after.holds("it got another slot", slot != RESERVED.0)?;
    after.only(&[], &before)
}

fn a_second_attach_gets_a_slot_of_its_own(world: &World) -> Proof {
    let mut stage = world.attached()?;
    let second = stage.slot_of("@b attach - second")?;
    let first = stage.seen()?;
    first.holds("the second got another slot", second != RESERVED.0)?;
    let of_second = stage.seen_at(second)?;
    of_second.is("the second's tag", of_second.owner().tag(), Tag::Live)?;
    of_second.is("the second's name", of_second.info().name.as_str(), "second")?;
    stage.tell("@b step 9")?;
    stage.seen()?.only(&[], &first)?;
    let of_second = stage.seen_at(second)?;
    of_second.is("the second's progress", of_second.progress(), 9)?;
    stage.tell("step 1")?;
    stage.seen_at(second)?.only(&[], &of_second)
}

/// Every slot is another's: set aside for a child, quarantined, or owned, and of nobody is there proof that he is dead.
fn take_all(words: &mut [u64]) {
    for slot in 0..SLOTS as usize {
        let tag = [Tag::Reserved, Tag::Quarantined, Tag::Live, Tag::Claiming][slot % 4];
        let at = (4096 + 1024 * slot) / 8;
        words[at + OWNER] = Owner::new(1, tag, Kind::Worker, std::process::id()).0;
        words[at + OWNER + 1..at + OWNER + 6].fill(0);
    }
}

fn a_full_segment_is_an_error(world: &World) -> Proof {
    let mut stage = world.stage(Setup { told: Told::Segment, forge: Some(|words| take_all(words)), ..Setup::default() })?;
    let before = stage.bytes()?;
    let code = stage.refused("attach - -")?;
    if stage.bytes()? != before {
        return fail("an attach to a full segment changed it");
    }
    if code == 5 { Ok(()) } else { fail(format!("an attach to a full segment failed with code {code}, expected 5")) }
}

fn a_segment_that_is_absent_is_made(world: &World) -> Proof {
    let mut stage = world.stage(Setup { told: Told::Nothing, ..Setup::default() })?;
    let path = stage.folder().join("made");
    let slot = stage.slot_of(&format!("attach {} maker", path.display()))?;
    let made = match Segment::open_read_only(&path) {
        Ok(made) => made,
        Err(e) => return fail(format!("the segment that was made cannot be opened: {e}")),
    };
    let mode = fs::metadata(&path).map_or(0, |there| there.mode() & 0o777);
    if (mode, made.len(), made.fixed().slot_size) != (0o600, 64, 1024) {
        return fail(format!(
            "the segment that was made has mode {mode:o}, {} slots of {} bytes, expected 600, 64 of 1024",
            made.len(),
            made.fixed().slot_size
        ));
    }
    let live = made.slot(slot).is_some_and(|slot| slot.read_identity().is_some());
    if live { Ok(()) } else { fail("the writer is in no slot of the segment that it made") }
}

fn the_segment_that_it_makes_has_the_geometry_that_the_environment_names(world: &World) -> Proof {
    let variables: &[_] = &[("HANGWATCH_SLOTS", "7"), ("HANGWATCH_SLOT_SIZE", "4096")];
    let mut stage = world.stage(Setup { told: Told::Nothing, variables, ..Setup::default() })?;
    let path = stage.folder().join("made");
    stage.slot_of(&format!("attach {} maker", path.display()))?;
    match Segment::open_read_only(&path) {
        Ok(made) if (made.len(), made.fixed().slot_size) == (7, 4096) => {}
        Ok(made) => return fail(format!("it has {} slots of {} bytes, expected 7 of 4096", made.len(), made.fixed().slot_size)),
        Err(e) => return fail(format!("the segment that was made cannot be opened: {e}")),
    }
    for variables in [&[("HANGWATCH_SLOTS", "many")], &[("HANGWATCH_SLOT_SIZE", "1000")]] {
        let mut stage = world.stage(Setup { told: Told::Nothing, variables, ..Setup::default() })?;
        let path = stage.folder().join("made");
        stage.refused(&format!("attach {} maker", path.display()))?;
        if path.exists() {
            return fail(format!("a segment was made all the same ({variables:?})"));
        }
    }
    Ok(())
}

/// Whether a process holds a record lock on one byte of a file, by the kernel's list.
fn holds_byte(locks: &str, pid: u32, inode: u64, byte: u32) -> bool {
    locks.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>()).any(|words| match words[..] {
        [_, "POSIX", _, "WRITE", holder, file, from, to] => {
            let same = holder == pid.to_string() && file.rsplit(':').next() == Some(inode.to_string().as_str());
            same && [from, to] == [byte.to_string().as_str(); 2]
        }
        _ => false,
    })
}

fn the_slots_byte_of_the_liveness_file_is_locked_until_the_detach(world: &World) -> Proof {
    let mut stage = world.attached()?;
    let file = stage.path().with_extension("liveness");
    let Ok(there) = fs::metadata(&file) else {
        return Err(super::Halt::Unsupported("it makes no '<segment>.liveness': who did not spawn it only observes it".into()));
    };
    let pid = stage.writer().pid();
    let held = || holds_byte(&fs::read_to_string("/proc/locks").unwrap_or_default(), pid, there.ino(), RESERVED.0);
    if !held() {
        return fail(format!("'{}' is there and byte {} of it is not locked by pid {pid}", file.display(), RESERVED.0));
    }
    stage.tell("detach")?;
    if held() { fail("the byte is still locked after the detach") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_found_by_its_process_file_and_byte() {
        let locks = "1: FLOCK  ADVISORY  WRITE 7 00:1a:42 2 2\n2: POSIX  ADVISORY  WRITE 7 00:1a:42 2 2\n";
        assert!(holds_byte(locks, 7, 42, 2));
        assert!(!holds_byte(locks, 8, 42, 2) && !holds_byte(locks, 7, 43, 2) && !holds_byte(locks, 7, 42, 3));
        assert!(!holds_byte("1: POSIX  ADVISORY  READ 7 00:1a:42 2 2\n-> 2: garbage", 7, 42, 2));
    }

    #[test]
    fn a_stat_line_gives_the_start_whatever_the_process_is_called() {
        let rest = (3..=30).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(starttime(&format!("7 (a ) b) {rest}")), Some(22));
        assert_eq!(starttime("7"), None);
    }
}
