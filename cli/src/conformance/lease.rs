//! Leases.

use super::count::BEAT;
use super::{Proof, World, table};

table! { lease:
    Full each_lease_is_a_new_one_and_a_beat;
    Full a_phase_a_job_and_its_end_end_a_lease;
    Full a_pass_and_a_step_leave_the_word_as_it_is;
    Full a_lease_too_long_for_its_field_is_cut_and_no_other_number;
}

fn each_lease_is_a_new_one_and_a_beat(world: &World) -> Proof {
    let mut stage = world.in_job(1)?;
    for ms in [1500, 1500, 0, 0, 3_600_000] {
        world.look(&mut stage, &format!("extend {ms}"), |seen, before| {
            seen.is("the lease in ms", seen.lease().ms(), ms)?;
            seen.is("the lease's number", seen.lease().seq(), before.lease().seq() + 1)?;
            seen.beat_grew(before, true)?;
            seen.only(&[BEAT, &["lease"]].concat(), before)
        })?;
    }
    Ok(())
}

fn a_phase_a_job_and_its_end_end_a_lease(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for end in ["phase 5", "begin_job a1b2 sdxl 50", "end_job ok"] {
        stage.tell("extend 60000")?;
        world.look(&mut stage, end, |seen, before| {
            seen.is("the lease in ms", seen.lease().ms(), 0)?;
            seen.holds("it is a new lease", seen.lease().seq() != before.lease().seq())
        })?;
        world.look(&mut stage, "phase 5", |seen, before| seen.is("the lease", seen.lease(), before.lease()))?;
    }
    Ok(())
}

fn a_pass_and_a_step_leave_the_word_as_it_is(world: &World) -> Proof {
    let mut stage = world.in_job(1)?;
    stage.tell("extend 60000")?;
    for call in ["step 2", "begin_pass", "beat"] {
        world.look(&mut stage, call, |seen, before| seen.is("the lease", seen.lease(), before.lease()))?;
    }
    Ok(())
}

fn a_lease_too_long_for_its_field_is_cut_and_no_other_number(world: &World) -> Proof {
    let mut stage = world.in_job(1)?;
    world.look(&mut stage, "extend 18446744073709551615", |seen, before| {
        let number = before.lease().seq() + 1;
        seen.holds("it is as long as the field holds, or nearly", seen.lease().ms() > 1 << 40)?;
        seen.is("the lease's number", seen.lease().seq(), number)
    })
}
