//! The count of a job: steps, beats, falls, passes, and the stamps beside them.

use super::stage::{Setup, refit};
use super::{Proof, World, table};
use hangwatch::clock;
use hangwatch::layout::slot::NO_PROGRESS;

table! { count:
    Core a_beat_is_one_more_and_changes_nothing_else;
    Core a_step_is_progress_and_one_beat;
    Core progress_that_falls_back_is_counted_as_a_fall;
    Core a_stamp_is_now_or_none;
    Core in_a_segment_without_a_clock_nothing_is_stamped;
    Full only_an_advance_past_the_mark_is_stamped_as_one;
    Full any_64_bits_are_progress;
    Full a_helpers_beat_is_a_word_of_its_own;
    Full a_pass_starts_the_count_again_and_is_no_entry;
}

/// What a beat may change.
pub(super) const BEAT: &[&str] = &["beat", "stamp_ns"];
const STEP: &[&str] = &["beat", "stamp_ns", "progress", "progress_stamp_ns"];
const FALL: &[&str] = &["beat", "stamp_ns", "progress", "progress_stamp_ns", "epoch"];

fn a_beat_is_one_more_and_changes_nothing_else(world: &World) -> Proof {
    let mut stage = world.in_job(3)?;
    for _ in 0..3 {
        world.look(&mut stage, "beat", |seen, before| {
            seen.beat_grew(before, true)?;
            seen.only(BEAT, before)
        })?;
    }
    Ok(())
}

fn a_step_is_progress_and_one_beat(world: &World) -> Proof {
    let mut stage = world.attached()?;
    stage.tell("begin_job a1b2 sdxl 50")?;
    // 0 is progress reported, which is not none; the same again is a sign of life.
    for done in [0, 1, 2, 2, 7, 50] {
        world.look(&mut stage, &format!("step {done}"), |seen, before| {
            seen.is("progress", seen.progress(), done)?;
            seen.is("falls", seen.epoch().falls(), 0)?;
            seen.beat_grew(before, true)?;
            seen.only(STEP, before)
        })?;
    }
    Ok(())
}

fn progress_that_falls_back_is_counted_as_a_fall(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    // Each below the step before it is a fall; what rises again below the mark is none.
    for (done, falls) in [(5, 1), (6, 1), (6, 1), (0, 2), (19, 2), (18, 3)] {
        world.look(&mut stage, &format!("step {done}"), |seen, before| {
            seen.is("progress", seen.progress(), done)?;
            let (job, pass) = (before.epoch().job(), before.epoch().pass());
            seen.is("job, pass and falls", (seen.epoch().job(), seen.epoch().pass(), seen.epoch().falls()), (job, pass, falls))?;
            seen.only(FALL, before)
        })?;
    }
    Ok(())
}

fn a_stamp_is_now_or_none(world: &World) -> Proof {
    let mut stage = world.attached()?;
    stage.tell("begin_job a1b2 sdxl 50")?;
    for call in ["step 1", "beat"] {
        // The coarse clock lags by a tick: what is read before is never later than what the writer reads.
        let from = clock::coarse_ns();
        stage.tell(call)?;
        let until = clock::monotonic_ns();
        let seen = stage.seen()?;
        for name in ["stamp_ns", "progress_stamp_ns"] {
            let stamp = seen.word(name);
            let is_now = stamp == 0 || stamp <= until && (call == "beat" && name != "stamp_ns" || stamp >= from);
            seen.holds(
                &format!("{name} is 0, or CLOCK_MONOTONIC in ns at the call; it is {stamp}, in {from} to {until}"),
                is_now,
            )?;
        }
        let (stamp, of_progress) = (seen.word("stamp_ns"), seen.word("progress_stamp_ns"));
        seen.holds("both are stamped or neither", (stamp == 0) == (of_progress == 0))?;
    }
    Ok(())
}

fn in_a_segment_without_a_clock_nothing_is_stamped(world: &World) -> Proof {
    let forge = |words: &mut Vec<u64>| refit(words, |fixed| fixed.stamp_clock = 0);
    let mut stage = world.stage(Setup { forge: Some(forge), ..Setup::default() })?;
    stage.attach()?;
    for call in ["begin_job a1b2 sdxl 50", "step 1", "beat", "end_job ok"] {
        stage.tell(call)?;
        let seen = stage.seen()?;
        seen.is("stamp_ns and progress_stamp_ns", (seen.word("stamp_ns"), seen.word("progress_stamp_ns")), (0, 0))?;
    }
    Ok(())
}

fn only_an_advance_past_the_mark_is_stamped_as_one(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    if stage.seen()?.word("stamp_ns") == 0 {
        return Err(super::Halt::Unsupported("it stamps nothing".into()));
    }
    for (done, advances) in [(20, false), (5, false), (19, false), (21, true), (21, false), (40, true)] {
        // Two readings of the coarse clock are told apart once it has ticked.
        let now = clock::coarse_ns();
        while clock::coarse_ns() == now {
            std::thread::yield_now();
        }
        world.look(&mut stage, &format!("step {done}"), |seen, before| {
            seen.holds("the beat is stamped", seen.word("stamp_ns") > before.word("stamp_ns"))?;
            let moved = seen.word("progress_stamp_ns") > before.word("progress_stamp_ns");
            seen.is("whether the advance was stamped", moved, advances)
        })?;
    }
    Ok(())
}

fn any_64_bits_are_progress(world: &World) -> Proof {
    let mut stage = world.attached()?;
    stage.tell("begin_job a1b2 sdxl 18446744073709551615")?;
    let seen = stage.seen()?;
    seen.is("total", seen.total(), u64::MAX)?;
    for done in [1 << 32, 1 << 53, (1 << 53) + 1, u64::MAX - 1] {
        world.look(&mut stage, &format!("step {done}"), |seen, _| seen.is("progress", seen.progress(), done))?;
    }
    Ok(())
}

fn a_helpers_beat_is_a_word_of_its_own(world: &World) -> Proof {
    let mut stage = world.in_job(1)?;
    for count in 1..=3 {
        world.look(&mut stage, "alive", |seen, before| {
            seen.is("alive", (seen.alive().generation(), seen.alive().count()), (seen.owner().generation(), count))?;
            seen.only(&["alive"], before)
        })?;
    }
    Ok(())
}

fn a_pass_starts_the_count_again_and_is_no_entry(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    stage.tell("step 5")?;
    for pass in 1..=2 {
        world.look(&mut stage, "begin_pass", |seen, before| {
            let epoch = seen.epoch();
            seen.is("job, pass and falls", (epoch.job(), epoch.pass(), epoch.falls()), (1, pass, 0))?;
            seen.is("progress and total", (seen.progress(), seen.total()), (NO_PROGRESS, 50))?;
            seen.beat_grew(before, false)?;
            seen.only(&["beat", "stamp_ns", "epoch", "progress"], before)
        })?;
        world.look(&mut stage, "step 1", |seen, _| seen.is("falls", seen.epoch().falls(), 0))?;
    }
    Ok(())
}
