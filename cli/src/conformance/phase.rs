//! Phases, sections within them, and phases of the writer's own.

use super::seen::{Seen, fail};
use super::{Proof, World, table};
use hangwatch::Phase;
use hangwatch::layout::phase::Class;
use hangwatch::layout::slot::{NO_PROGRESS, TOTAL_UNKNOWN};
use hangwatch::segment::Segment;

table! { phase:
    Core a_phase_is_one_entry_more_a_beat_and_a_count_of_its_own;
    Core the_same_phase_again_is_another_entry;
    Full a_phase_may_count_to_a_total;
    Full a_number_that_is_no_phase_is_an_unknown_one;
    Full a_job_that_comes_back_to_inference_gets_its_count_back;
    Full a_section_counts_for_itself_and_its_end_brings_the_count_around_it_back;
    Full leaving_without_a_section_changes_nothing;
    Full eight_are_open_at_most_and_one_more_changes_nothing;
    Full a_phase_and_a_job_end_all_sections;
    Full a_phase_of_its_own_is_found_by_its_name_and_the_first_who_names_it_sets_it;
    Full a_full_table_of_phases_is_an_error;
}

/// What the entry of a phase may change.
const ENTRY: &[&str] = &["beat", "stamp_ns", "phase", "progress", "total"];

/// One entry more, into `phase`, with a count of its own.
fn entered(seen: &Seen, before: &Seen, phase: u16, total: u64) -> Proof {
    seen.is("the phase", seen.phase().id(), phase)?;
    seen.is("the phase's entry", seen.phase().entry(), before.phase().entry() + 1)?;
    seen.is("progress and total", (seen.progress(), seen.total()), (NO_PROGRESS, total))?;
    seen.beat_grew(before, false)?;
    seen.only(ENTRY, before)
}

fn a_phase_is_one_entry_more_a_beat_and_a_count_of_its_own(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for phase in 0..=11 {
        world.look(&mut stage, &format!("phase {phase}"), |seen, before| {
            seen.is("whether a job is open", seen.phase().job_open(), false)?;
            entered(seen, before, phase, 0)
        })?;
        stage.tell("step 5")?;
    }
    Ok(())
}

fn the_same_phase_again_is_another_entry(world: &World) -> Proof {
    let mut stage = world.attached()?;
    stage.tell("phase 5")?;
    stage.tell("step 5")?;
    world.look(&mut stage, "phase 5", |seen, before| entered(seen, before, 5, 0))
}

fn a_phase_may_count_to_a_total(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for total in [1000, 0, TOTAL_UNKNOWN] {
        world.look(&mut stage, &format!("phase_total 5 {total}"), |seen, before| entered(seen, before, 5, total))?;
    }
    Ok(())
}

fn a_number_that_is_no_phase_is_an_unknown_one(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for (number, phase) in [(99_999_999, u16::MAX), (65_535, u16::MAX), (200, 200)] {
        world.look(&mut stage, &format!("phase {number}"), |seen, before| entered(seen, before, phase, 0))?;
    }
    Ok(())
}

fn a_job_that_comes_back_to_inference_gets_its_count_back(world: &World) -> Proof {
    let mut stage = world.in_job(21)?;
    stage.tell("step 20")?;
    let inference = stage.seen()?;
    stage.tell("phase 5")?;
    stage.tell("step 99")?;
    let before = stage.seen()?;
    before.is("whether the job is open", before.phase().job_open(), true)?;
    stage.tell("phase 7")?;
    let seen = stage.seen()?;
    seen.is("the phase", (seen.phase().id(), seen.phase().entry()), (7, before.phase().entry() + 1))?;
    seen.is("progress and total", (seen.progress(), seen.total()), (20, 50))?;
    seen.is("the epoch, its falls among it", seen.epoch(), inference.epoch())?;
    seen.is("whether it is told from another inference", seen.phase().is_same_section(inference.phase()), true)?;
    // 19 is below the last step of inference, 20.
    world.look(&mut stage, "step 19", |seen, _| seen.is("falls", seen.epoch().falls(), inference.epoch().falls() + 1))
}

fn a_section_counts_for_itself_and_its_end_brings_the_count_around_it_back(world: &World) -> Proof {
    let mut stage = world.in_job(21)?;
    let inference = stage.seen()?;
    stage.tell("enter 5 100")?;
    let load = stage.seen()?;
    entered(&load, &inference, 5, 100)?;
    load.is("the depth, and whether the job is open", (load.phase().depth(), load.phase().job_open()), (1, true))?;
    load.holds("the section's number is another", load.phase().section() != inference.phase().section())?;
    stage.tell("step 99")?;
    stage.tell("enter 6 0")?;
    let compile = stage.seen()?;
    compile.is("phase and depth", (compile.phase().id(), compile.phase().depth()), (6, 2))?;
    for (around, progress, total) in [(&load, 99, 100), (&inference, 21, 50)] {
        world.look(&mut stage, "leave", |seen, before| {
            seen.holds("the section around it is shown again", seen.phase().is_same_section(around.phase()))?;
            seen.is("the phase's entry", seen.phase().entry(), before.phase().entry() + 1)?;
            seen.is("progress and total", (seen.progress(), seen.total()), (progress, total))?;
            seen.is("falls", seen.epoch().falls(), 0)?;
            seen.beat_grew(before, false)?;
            seen.only(ENTRY, before)
        })?;
    }
    Ok(())
}

fn leaving_without_a_section_changes_nothing(world: &World) -> Proof {
    let mut stage = world.in_job(1)?;
    world.look(&mut stage, "leave", |seen, before| seen.only(&[], before))
}

fn eight_are_open_at_most_and_one_more_changes_nothing(world: &World) -> Proof {
    let mut stage = world.in_job(21)?;
    let inference = stage.seen()?;
    for _ in 0..7 {
        stage.tell("enter 6 0")?;
    }
    for _ in 0..2 {
        world.look(&mut stage, "enter 5 0", |seen, before| {
            seen.is("phase and depth", (seen.phase().id(), seen.phase().depth()), (6, 7))?;
            seen.only(&[], before)
        })?;
    }
    for _ in 0..9 {
        stage.tell("leave")?;
    }
    let seen = stage.seen()?;
    seen.holds("those that did not fit are left first", seen.phase().is_same_section(inference.phase()))?;
    seen.is("progress", seen.progress(), 21)
}

fn a_phase_and_a_job_end_all_sections(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for end in ["phase 5", "begin_job a1b2 sdxl 50", "end_job ok"] {
        stage.tell("enter 6 0")?;
        stage.tell("enter 6 0")?;
        stage.tell(end)?;
        let seen = stage.seen()?;
        seen.is("the depth", seen.phase().depth(), 0)?;
        world.look(&mut stage, "leave", |seen, before| seen.only(&[], before))?;
    }
    Ok(())
}

fn a_phase_of_its_own_is_found_by_its_name_and_the_first_who_names_it_sets_it(world: &World) -> Proof {
    let mut stage = world.attached()?;
    let first = Phase::User(0).id();
    stage.expect("register_phase tiling idle 90000", &format!("phase {first}"))?;
    stage.expect("register_phase tiling work 1", &format!("phase {first}"))?;
    stage.expect("register_phase upscale exit 0", &format!("phase {}", first + 1))?;
    stage.expect("register_phase safety work 1", &format!("phase {}", Phase::Safety.id()))?;
    let segment = Segment::open_read_only(stage.path()).map_err(super::Halt::Broken)?;
    for (index, name, class, budget_ns) in [(0, "tiling", Class::Idle, 90_000_000_000), (1, "upscale", Class::Exit, 0)] {
        match segment.user_phase(index) {
            Some(phase) if (phase.name.as_str(), phase.class, phase.budget_ns) == (name, class, budget_ns) => {}
            other => return fail(format!("entry {index} holds {other:?}, expected '{name}', {class:?}, {budget_ns} ns")),
        }
    }
    world.look(&mut stage, &format!("phase {first}"), |seen, before| entered(seen, before, first, 0))
}

fn a_full_table_of_phases_is_an_error(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for index in 0..48 {
        stage.expect(&format!("register_phase p{index} work 0"), &format!("phase {}", 256 + index))?;
    }
    let before = stage.bytes()?;
    stage.refused("register_phase p48 work 0")?;
    stage.expect("register_phase p47 work 0", "phase 303")?;
    if stage.bytes()? == before { Ok(()) } else { fail("a phase that did not fit changed the segment") }
}
