//! Jobs: their begin, what is said of them, their end.

use super::seen::{RECORDS, Seen};
use super::{Proof, World, table};
use hangwatch::clock;
use hangwatch::layout::slot::{NO_PROGRESS, TOTAL_UNKNOWN};

table! { job:
    Core a_job_is_one_more_it_enters_inference_and_has_a_count_of_its_own;
    Core the_record_says_which_job_it_is;
    Core a_total_may_be_known_unknown_or_none;
    Core a_job_may_follow_one_that_was_not_ended;
    Core an_ended_job_leaves_idle_and_no_count_behind;
    Core jobs_are_counted_by_how_they_ended;
    Core a_job_that_is_not_open_is_not_counted;
    Full batch_size_deadline_and_device_are_published;
    Full a_job_that_names_no_device_leaves_the_one_before;
}

/// What a job's border may change. A lease that is open ends with it.
const BORDER: &[&str] = &[
    "beat", "stamp_ns", "phase", "epoch", "progress", "total", "lease", "jobs_ok", "jobs_bad", "info_seq", RECORDS[0], RECORDS[1],
];

fn began(seen: &Seen, before: &Seen, total: u64) -> Proof {
    let epoch = seen.epoch();
    seen.is("job, pass and falls", (epoch.job(), epoch.pass(), epoch.falls()), (before.epoch().job() + 1, 0, 0))?;
    let phase = seen.phase();
    let expected = (7, true, 0, before.phase().entry() + 1);
    seen.is("phase, job open, depth and entry", (phase.id(), phase.job_open(), phase.depth(), phase.entry()), expected)?;
    seen.is("progress and total", (seen.progress(), seen.total()), (NO_PROGRESS, total))?;
    seen.is("the record's job", seen.info().job, epoch.job())?;
    seen.beat_grew(before, false)?;
    seen.only(BORDER, before)
}

fn a_job_is_one_more_it_enters_inference_and_has_a_count_of_its_own(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for _ in 0..3 {
        world.look(&mut stage, "begin_job a1b2 sdxl 50", |seen, before| began(seen, before, 50))?;
        stage.tell("step 9")?;
        stage.tell("step 4")?;
        stage.tell("end_job ok")?;
    }
    Ok(())
}

fn the_record_says_which_job_it_is(world: &World) -> Proof {
    let mut stage = world.attached()?;
    let from = clock::boottime_ns();
    stage.tell("begin_job a1b2 sdxl 50")?;
    let until = clock::boottime_ns();
    let seen = stage.seen()?;
    let info = seen.info();
    seen.is("generation and job", (info.generation, info.job), (seen.owner().generation(), 1))?;
    seen.is("id and model", (info.job_id.as_str(), info.model.as_str()), ("a1b2", "sdxl"))?;
    let began = info.job_start_boottime_ns;
    seen.holds("job_start_boottime_ns is the moment of the begin", (from..=until).contains(&began))
}

fn a_total_may_be_known_unknown_or_none(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for total in [50, TOTAL_UNKNOWN, 0, 1 << 40] {
        world.look(&mut stage, &format!("begin_job a1b2 sdxl {total}"), |seen, before| began(seen, before, total))?;
        stage.tell("end_job ok")?;
    }
    Ok(())
}

fn a_job_may_follow_one_that_was_not_ended(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    world.look(&mut stage, "begin_job c3d4 flux 4", |seen, before| {
        began(seen, before, 4)?;
        seen.is("id and model", (seen.info().job_id.as_str(), seen.info().model.as_str()), ("c3d4", "flux"))?;
        seen.is("jobs that ended", seen.jobs(), (0, 0, 0))
    })
}

fn an_ended_job_leaves_idle_and_no_count_behind(world: &World) -> Proof {
    let mut stage = world.in_job(20)?;
    world.look(&mut stage, "end_job ok", |seen, before| {
        let phase = seen.phase();
        let expected = (1, false, before.phase().entry() + 1);
        seen.is("phase, job open and entry", (phase.id(), phase.job_open(), phase.entry()), expected)?;
        seen.is("progress and total", (seen.progress(), seen.total()), (NO_PROGRESS, 0))?;
        seen.is("the job's number", seen.epoch().job(), before.epoch().job())?;
        let info = seen.info();
        seen.is("the record's job", info.job, before.epoch().job())?;
        seen.is("the record's id and start", (info.job_id.as_str(), info.job_start_boottime_ns), ("", 0))?;
        seen.beat_grew(before, false)?;
        seen.only(BORDER, before)
    })
}

fn jobs_are_counted_by_how_they_ended(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for (outcome, counted) in
        [("ok", (1, 0, 0)), ("failed", (1, 1, 0)), ("cancelled", (1, 1, 1)), ("ok", (2, 1, 1)), ("cancelled", (2, 1, 2))]
    {
        stage.tell("begin_job a1b2 sdxl 50")?;
        world.look(&mut stage, &format!("end_job {outcome}"), |seen, _| seen.is("jobs that ended", seen.jobs(), counted))?;
    }
    Ok(())
}

fn a_job_that_is_not_open_is_not_counted(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for outcome in ["ok", "failed", "cancelled"] {
        stage.tell(&format!("end_job {outcome}"))?;
        let seen = stage.seen()?;
        seen.is("jobs that ended", seen.jobs(), (0, 0, 0))?;
        seen.is("the phase", seen.phase().id(), 1)?;
    }
    stage.tell("begin_job a1b2 sdxl 50")?;
    for _ in 0..2 {
        world.look(&mut stage, "end_job ok", |seen, _| seen.is("jobs that ended", seen.jobs(), (1, 0, 0)))?;
    }
    Ok(())
}

fn batch_size_deadline_and_device_are_published(world: &World) -> Proof {
    let mut stage = world.attached()?;
    world.look(&mut stage, "begin_job_with a1b2 sdxl 18446744073709551615 4 1024 2500 7", |seen, before| {
        began(seen, before, TOTAL_UNKNOWN)?;
        let info = seen.info();
        seen.is("id and model", (info.job_id.as_str(), info.model.as_str()), ("a1b2", "sdxl"))?;
        let met = (info.batch, info.size, info.deadline_ns, info.device);
        seen.is("batch, size, deadline in ns and device", met, (4, 1024, 2_500_000_000, 7))
    })?;
    world.look(&mut stage, "end_job ok", |seen, _| {
        let info = seen.info();
        seen.is("batch, size and deadline of no job", (info.batch, info.size, info.deadline_ns), (0, 0, 0))
    })
}

fn a_job_that_names_no_device_leaves_the_one_before(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for (device, expected) in [("-", 3), ("7", 7), ("-", 7), ("0", 0)] {
        let call = format!("begin_job_with a1b2 sdxl 1 0 0 0 {device}");
        world.look(&mut stage, &call, |seen, _| {
            seen.is("device and deadline", (seen.info().device, seen.info().deadline_ns), (expected, 0))
        })?;
    }
    Ok(())
}
