//! The end of a hold on a slot: detach, fork, exec.

use super::seen::fail;
use super::stage::{GENERATION, RESERVED};
use super::{Proof, World, table};
use hangwatch::layout::word::{Kind, Owner, Tag};

table! { end:
    Core a_detach_frees_the_slot_and_keeps_its_generation;
    Core a_late_release_frees_nothing_of_the_next_owner;
    Core after_a_detach_nothing_is_written;
    Core a_writer_ends_well_when_its_input_ends;
    Full it_may_attach_again;
    Full a_forked_child_changes_nothing_of_its_parents_slot;
    Full a_forked_child_that_attaches_itself_gets_a_slot_of_its_own;
    Full after_exec_the_slot_is_taken_over_with_the_next_generation;
    Full after_exec_the_lanes_of_before_are_free_again;
}

fn a_detach_frees_the_slot_and_keeps_its_generation(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    world.look(&mut stage, "detach", |seen, before| {
        seen.is("the owner", seen.owner(), Owner::new(GENERATION, Tag::Free, Kind::Worker, 0))?;
        seen.is("the beat's generation", seen.beat().generation(), GENERATION)?;
        seen.only(&["owner", "beat", "stamp_ns"], before)
    })?;
    stage.expect("is_attached", "0")
}

fn a_late_release_frees_nothing_of_the_next_owner(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    // As if it had been taken for dead: freed, and claimed by this process.
    let next = Owner::new(GENERATION + 1, Tag::Live, Kind::Worker, std::process::id());
    stage.write(RESERVED.0, "owner", next.0)?;
    stage.tell("detach")?;
    let seen = stage.seen()?;
    seen.is("the owner", seen.owner(), next)?;
    let mut stage = world.in_job(20)?;
    let quarantined = Owner::new(GENERATION, Tag::Quarantined, Kind::Worker, stage.writer().pid());
    stage.write(RESERVED.0, "owner", quarantined.0)?;
    stage.tell("detach")?;
    let seen = stage.seen()?;
    seen.is("the owner", seen.owner(), quarantined)
}

fn after_a_detach_nothing_is_written(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    stage.tell("detach")?;
    let before = stage.bytes()?;
    for call in ["step 21", "beat", "phase 5", "begin_job b sdxl 1", "end_job ok", "detach"] {
        stage.tell(call)?;
        if stage.bytes()? != before {
            return fail(format!("'{call}' changed the segment after a detach"));
        }
    }
    Ok(())
}

fn a_writer_ends_well_when_its_input_ends(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    stage.tell("detach")?;
    stage.end().map(drop)
}

fn it_may_attach_again(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    stage.tell("detach")?;
    let slot = stage.attach_anywhere()?;
    let seen = stage.seen()?;
    let before = if slot == RESERVED.0 { GENERATION } else { 0 };
    seen.is("tag and generation", (seen.owner().tag(), seen.owner().generation()), (Tag::Live, before + 1))?;
    seen.is("the epoch", seen.epoch().0, 0)?;
    stage.tell("step 1")
}

fn a_forked_child_changes_nothing_of_its_parents_slot(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    let before = stage.bytes()?;
    // The calls that every writer has, then the others, each in a child of its own: the last one ends as programs do.
    let all = [
        "step 99",
        "step 3",
        "beat",
        "phase 5",
        "begin_job child child 1",
        "end_job failed",
        "alive",
        "begin_pass",
        "note child",
        "extend 1000",
        "enter 5 0",
        "leave",
        "detach",
    ];
    for call in all {
        let answer = match stage.call(&format!("fork {call}")) {
            Err(super::Halt::Unsupported(why)) if why.starts_with("'fork step 99'") => return Err(super::Halt::Unsupported(why)),
            Err(super::Halt::Unsupported(_)) => continue,
            other => other?,
        };
        if answer != "ok" {
            return fail(format!("a forked child answered '{answer}' to '{call}', expected 'ok'"));
        }
        if stage.bytes()? != before {
            return fail(format!("a forked child's '{call}', or its end, changed its parent's segment"));
        }
    }
    stage.expect("fork is_attached", "0")?;
    stage.expect("is_attached", "1")?;
    world.look(&mut stage, "step 21", |seen, _| seen.is("the parent's progress", seen.progress(), 21))
}

fn a_forked_child_that_attaches_itself_gets_a_slot_of_its_own(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    let before = stage.seen()?;
    let slot = stage.slot_of("fork attach - child")?;
    let after = stage.seen()?;
    after.only(&[], &before)?;
    after.holds("the child's slot is another", slot != RESERVED.0)?;
    let child = stage.seen_at(slot)?;
    child.is("the child's generation", child.owner().generation(), 1)
}

fn after_exec_the_slot_is_taken_over_with_the_next_generation(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    let pid = stage.writer().pid();
    stage.tell("exec")?;
    stage.attach()?;
    let seen = stage.seen()?;
    let owner = seen.owner();
    seen.is("tag, generation and pid", (owner.tag(), owner.generation(), owner.pid()), (Tag::Live, GENERATION + 1, pid))?;
    seen.is("job and beats", (seen.epoch().0, seen.beat().count()), (0, 0))?;
    seen.is("jobs that ended", seen.jobs(), (0, 0, 0))?;
    stage.tell("step 1")?;
    let seen = stage.seen()?;
    seen.is("progress", seen.progress(), 1)
}

fn after_exec_the_lanes_of_before_are_free_again(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    let lane = stage.slot_of("@b lane l1")?;
    stage.tell("exec")?;
    let seen = stage.seen_at(lane)?;
    seen.is("the lane's tag", seen.owner().tag(), Tag::Live)?;
    stage.attach()?;
    let seen = stage.seen_at(lane)?;
    seen.is("the lane's tag and generation", (seen.owner().tag(), seen.owner().generation()), (Tag::Free, 1))
}
