//! GPU lanes: a slot that a device writes while a kernel runs. The suite plays the device, while the writer waits for a call.

use super::seen::Seen;
use super::stage::{DEVICE, NAME, Setup, Stage};
use super::{Halt, Proof, World, table};
use hangwatch::layout::phase::Phase;
use hangwatch::layout::slot::NO_PROGRESS;
use hangwatch::layout::word::{Beat, Epoch, Kind, Tag};

table! { gpu:
    Full a_gpu_lane_is_a_slot_of_its_own_that_begins_idle_and_names_its_device;
    Full a_hosts_step_and_beat_do_nothing_on_a_gpu_lane;
    Full after_a_kernel_the_host_goes_on_from_the_devices_beats_and_falls;
    Full words_that_another_owners_kernel_left_are_not_gone_on_from;
    Full a_job_does_not_change_a_gpu_lanes_device;
    Full a_gpu_lane_may_be_on_its_workers_device;
    Full slots_that_are_no_pages_get_no_gpu_lane;
}

/// `hangwatch_code_e`: an argument, or a variable, makes no sense.
const USAGE: u32 = 1;

/// A worker in a segment whose slots are pages, and the slot of a GPU lane beside it.
fn with_lane(world: &World) -> Result<(Stage<'_>, u32), Halt> {
    let mut stage = world.stage(Setup { slot_size: 4096, ..Setup::default() })?;
    stage.attach()?;
    let lane = stage.slot_of("@b gpu_lane denoise 5")?;
    Ok((stage, lane))
}

/// What a kernel of so many reports leaves: it got to `done`, and fell back so often on the way.
fn kernel(stage: &Stage<'_>, lane: u32, reports: u64, done: u64, falls: u16) -> Result<Seen, Halt> {
    let before = stage.seen_at(lane)?;
    let epoch = before.epoch();
    stage.write(lane, "progress", done)?;
    stage.write(lane, "epoch", Epoch::new(epoch.job(), epoch.pass(), epoch.falls().wrapping_add(falls)).0)?;
    stage.write(lane, "beat", before.beat().0 + reports)?;
    stage.seen_at(lane)
}

fn a_gpu_lane_is_a_slot_of_its_own_that_begins_idle_and_names_its_device(world: &World) -> Proof {
    let (stage, lane) = with_lane(world)?;
    let seen = stage.seen_at(lane)?;
    let owner = seen.owner();
    seen.is("tag, kind and pid", (owner.tag(), owner.kind(), owner.pid()), (Tag::Live, Kind::Gpu, stage.writer().pid()))?;
    let info = seen.info();
    seen.is("name, lane and device", (info.name.as_str(), info.lane.as_str(), info.device), (NAME, "denoise", 5))?;
    seen.is("sub", seen.word("tid") & 0xffff_ffff, 5)?;
    seen.is("the phase", seen.phase().id(), Phase::Idle.id())?;
    seen.holds("it has beaten", seen.beat().count() > 0 && seen.beat().generation() == owner.generation())?;
    seen.is("progress", seen.progress(), NO_PROGRESS)?;
    seen.is("the stamps, of a clock that is no device's", (seen.word("stamp_ns"), seen.word("progress_stamp_ns")), (0, 0))
}

fn a_hosts_step_and_beat_do_nothing_on_a_gpu_lane(world: &World) -> Proof {
    let (mut stage, lane) = with_lane(world)?;
    stage.tell("@b begin_job a1b2 sdxl 100")?;
    let before = kernel(&stage, lane, 9, 25, 0)?;
    stage.tell("@b step 7")?;
    stage.tell("@b beat")?;
    stage.seen_at(lane)?.only(&[], &before)?;
    let host = stage.seen()?;
    stage.tell("step 1")?;
    stage.seen()?.beat_grew(&host, true)?;
    stage.seen_at(lane)?.only(&[], &before)
}

fn after_a_kernel_the_host_goes_on_from_the_devices_beats_and_falls(world: &World) -> Proof {
    let (mut stage, lane) = with_lane(world)?;
    stage.tell("@b begin_job a1b2 sdxl 100")?;
    let ran = kernel(&stage, lane, 1000, 30, 2)?;
    stage.tell("@b enter 5 0")?;
    let loading = stage.seen_at(lane)?;
    loading.beat_grew(&ran, false)?;
    stage.tell("@b leave")?;
    let back = stage.seen_at(lane)?;
    back.beat_grew(&loading, false)?;
    back.is("progress and falls", (back.progress(), back.epoch()), (30, ran.epoch()))?;
    let ran = kernel(&stage, lane, 1000, 20, 1)?;
    stage.tell("@b begin_pass")?;
    let pass = stage.seen_at(lane)?;
    pass.beat_grew(&ran, false)?;
    pass.is("progress and epoch", (pass.progress(), pass.epoch()), (NO_PROGRESS, Epoch::new(1, 1, 0)))?;
    let ran = kernel(&stage, lane, 1000, 99, 0)?;
    stage.tell("@b end_job ok")?;
    let ended = stage.seen_at(lane)?;
    ended.beat_grew(&ran, false)?;
    ended.is("jobs that ended well", ended.jobs(), (1, 0, 0))?;
    stage.tell("@b begin_job c3d4 sdxl 100")?;
    let next = stage.seen_at(lane)?;
    next.beat_grew(&ended, false)?;
    next.is("progress and epoch", (next.progress(), next.epoch()), (NO_PROGRESS, Epoch::new(2, 0, 0)))?;
    let ran = kernel(&stage, lane, 1000, 1, 0)?;
    stage.tell("@b detach")?;
    let free = stage.seen_at(lane)?;
    free.is("the lane's tag", free.owner().tag(), Tag::Free)?;
    free.holds("its last beat is none of before the kernel's", free.beat().0 >= ran.beat().0)
}

fn words_that_another_owners_kernel_left_are_not_gone_on_from(world: &World) -> Proof {
    let (mut stage, lane) = with_lane(world)?;
    stage.tell("@b begin_job a1b2 sdxl 100")?;
    let before = stage.seen_at(lane)?;
    for generation in [before.owner().generation().wrapping_add(1), before.owner().generation().wrapping_sub(1)] {
        stage.write(lane, "beat", Beat::start(generation).0 + 4242)?;
        stage.write(lane, "epoch", Epoch::new(77, 3, 9).0)?;
        stage.tell("@b enter 5 0")?;
        let after = stage.seen_at(lane)?;
        after.beat_grew(&before, false)?;
        after.is("the epoch", after.epoch(), before.epoch())?;
        stage.tell("@b leave")?;
    }
    Ok(())
}

fn a_job_does_not_change_a_gpu_lanes_device(world: &World) -> Proof {
    let (mut stage, lane) = with_lane(world)?;
    stage.tell("@b begin_job_with a1b2 sdxl 100 1 0 0 7")?;
    let seen = stage.seen_at(lane)?;
    seen.is("the device", seen.info().device, 5)
}

fn a_gpu_lane_may_be_on_its_workers_device(world: &World) -> Proof {
    let mut stage = world.stage(Setup { slot_size: 4096, ..Setup::default() })?;
    stage.attach()?;
    let lane = stage.slot_of(&format!("@b gpu_lane denoise {}", u32::MAX))?;
    let seen = stage.seen_at(lane)?;
    seen.is("the device and sub", (seen.info().device, seen.word("tid") & 0xffff_ffff), (DEVICE, DEVICE))
}

fn slots_that_are_no_pages_get_no_gpu_lane(world: &World) -> Proof {
    let mut stage = world.attached()?;
    let before = stage.bytes()?;
    let code = stage.refused("@b gpu_lane denoise 5")?;
    let seen = stage.seen()?;
    seen.is("the code of the refusal", code, USAGE)?;
    seen.holds("nothing of the segment is changed", stage.bytes()? == before)
}
