//! Lanes: a slot a job in flight.

use super::stage::{DEVICE, NAME};
use super::{Proof, World, table};
use hangwatch::layout::word::{Kind, Tag};

table! { lane:
    Full a_lane_is_a_slot_of_its_own_with_its_workers_name;
    Full a_lane_and_its_worker_do_not_touch_each_other;
    Full a_lane_outlives_its_worker;
}

fn a_lane_is_a_slot_of_its_own_with_its_workers_name(world: &World) -> Proof {
    let mut stage = world.attached()?;
    let pid = stage.writer().pid();
    let lane = stage.slot_of("@b lane second-of-two-in-flight-and-longer")?;
    let seen = stage.seen_at(lane)?;
    let owner = seen.owner();
    seen.is("tag, kind and pid", (owner.tag(), owner.kind(), owner.pid()), (Tag::Live, Kind::Lane, pid))?;
    let info = seen.info();
    seen.is("name and lane", (info.name.as_str(), info.lane.as_str()), (NAME, "second-of-two-in-flight-"))?;
    seen.is("the device", info.device, DEVICE)
}

fn a_lane_and_its_worker_do_not_touch_each_other(world: &World) -> Proof {
    let mut stage = world.in_job(1)?;
    let lane = stage.slot_of("@b lane l1")?;
    let worker = stage.seen()?;
    stage.tell("@b begin_job l1-job sdxl 9")?;
    stage.tell("@b step 7")?;
    stage.seen()?.only(&[], &worker)?;
    let seen = stage.seen_at(lane)?;
    seen.is("the lane's progress", seen.progress(), 7)?;
    stage.tell("step 2")?;
    stage.seen_at(lane)?.only(&[], &seen)
}

fn a_lane_outlives_its_worker(world: &World) -> Proof {
    let mut stage = world.attached()?;
    let lane = stage.slot_of("@b lane l1")?;
    stage.tell("detach")?;
    let worker = stage.seen()?;
    worker.is("the worker's tag", worker.owner().tag(), Tag::Free)?;
    stage.tell("@b step 3")?;
    let seen = stage.seen_at(lane)?;
    seen.is("the lane's tag and progress", (seen.owner().tag(), seen.progress()), (Tag::Live, 3))?;
    stage.tell("@b detach")?;
    let seen = stage.seen_at(lane)?;
    seen.is("the lane's tag", seen.owner().tag(), Tag::Free)
}
