//! GPU lanes: the host's thread and a device write one slot, one after the other. The device is a second pen here.

use super::scratch;
use crate::error::ErrorKind;
use crate::layout::Slot;
use crate::layout::hot::{HotWords, Pen};
use crate::layout::phase::Phase;
use crate::layout::slot::NO_PROGRESS;
use crate::layout::word::{Epoch, Kind, Tag};
use crate::segment::{Geometry, Segment};
use crate::worker::{Attach, Job, Outcome, Total, Worker};
use std::path::Path;
use std::sync::Arc;

fn segment(dir: &Path, slot_size: u32) -> Arc<Segment> {
    Arc::new(Segment::create(&dir.join("s"), Geometry { slots: 3, slot_size }).expect("a segment"))
}

fn host(segment: &Arc<Segment>) -> Worker {
    Attach::new().name("sd-0").attach_to(segment).expect("a free slot")
}

/// As a kernel begins: it goes on from what the slot says.
fn kernel(slot: &Slot) -> Pen {
    let mut device = Pen::new(slot.peek_owner().generation());
    device.epoch = slot.read_hot().expect("live").epoch.0;
    device.resync(slot);
    device
}

fn hot(slot: &Slot) -> HotWords {
    slot.read_hot().expect("live, and nobody writes it now")
}

#[test]
fn a_gpu_lane_is_a_page_of_its_own_that_begins_idle_and_names_its_device() {
    let dir = scratch();
    let segment = segment(dir.path(), 4096);
    let host = host(&segment);
    let lane = host.gpu_lane("denoise", 3).expect("a free slot");
    let slot = segment.slot(1).expect("inside");
    assert_eq!((hot(slot).owner.kind(), hot(slot).owner.tag()), (Kind::Gpu, Tag::Live));
    assert_eq!(std::ptr::from_ref(slot).addr() % 4096, 0, "a driver registers whole pages");
    assert_eq!(slot.read_identity().expect("live").1.sub, 3);
    let info = slot.read_info().expect("quiet");
    assert_eq!((info.name.as_str(), info.lane.as_str(), info.device), ("sd-0", "denoise", 3));
    assert_eq!((hot(slot).phase.id(), hot(slot).beat.count()), (Phase::Idle.id(), 1), "a device has nothing to start");
    assert_eq!((hot(slot).stamp_ns, lane.is_stamped()), (0, false), "a device has another clock");
    assert_eq!((lane.slot(), lane.is_attached(), lane.device()), (Some(1), true, Some(3)));
    drop(lane);
    assert_eq!(slot.peek_owner().tag(), Tag::Free);
}

#[test]
fn slots_that_are_no_pages_get_no_device_and_the_error_says_the_way_out() {
    let dir = scratch();
    let segment = segment(dir.path(), 1024);
    let e = host(&segment).gpu_lane("g", 0).expect_err("1024 bytes are no page");
    assert_eq!(e.kind(), ErrorKind::Usage);
    assert_eq!(e.why(), "its slots are 1024 bytes apart, expected 4096: a device needs a page");
    let said = e.to_string();
    assert!(said.contains("--slot-size 4096") && said.contains("HANGWATCH_SLOT_SIZE=4096"), "{said}");
    let detached = Worker::detached().gpu_lane("g", 0).expect("nobody watches, which is no error");
    assert!(!detached.is_attached());
}

#[test]
fn a_hosts_step_and_beat_do_nothing_on_a_gpu_lane() {
    let dir = scratch();
    let segment = segment(dir.path(), 4096);
    let mut lane = host(&segment).gpu_lane("g", 0).expect("a free slot");
    lane.begin_job("j", "m", Total::Known(100));
    let slot = segment.slot(1).expect("inside");
    let before = slot.raw_words();
    lane.step(7);
    lane.beat();
    assert_eq!(slot.raw_words(), before, "a kernel may be writing them");
    lane.alive();
    assert_eq!(hot(slot).alive.count(), 1, "a helper's word is no device's");
}

#[test]
fn after_a_kernel_the_host_goes_on_from_the_devices_beats_and_falls() {
    let dir = scratch();
    let segment = segment(dir.path(), 4096);
    let mut lane = host(&segment).gpu_lane("g", 5).expect("a free slot");
    let slot = segment.slot(1).expect("inside");
    lane.begin_job_with(&Job::new("j").model("m").total(Total::Known(100)).device(7));
    assert_eq!(slot.read_info().expect("quiet").device, 5, "a GPU lane is its own device's");
    let before = hot(slot);
    let mut device = kernel(slot);
    for done in [10, 25, 5, 30] {
        device.step(slot, done, None);
    }
    let ran = hot(slot);
    assert_eq!((ran.beat.count(), ran.progress, ran.epoch.falls()), (before.beat.count() + 4, 30, 1));

    // In the job, between two kernels: a load, and back.
    lane.enter(Phase::Loading, Total::None);
    assert_eq!((hot(slot).beat.count(), hot(slot).beat.generation()), (ran.beat.count() + 1, 1), "a beat never goes back");
    lane.leave();
    assert_eq!((hot(slot).progress, hot(slot).total, hot(slot).epoch), (30, 100, ran.epoch), "the device's count, and its fall");

    let mut device = kernel(slot);
    device.step(slot, 31, None);
    device.step(slot, 20, None);
    assert_eq!(hot(slot).epoch, Epoch::new(1, 0, 2), "the next kernel goes on where the last one stopped");
    let ran = hot(slot);
    lane.begin_pass();
    assert_eq!((hot(slot).beat.count(), hot(slot).progress), (ran.beat.count() + 1, NO_PROGRESS));
    assert_eq!(hot(slot).epoch, Epoch::new(1, 1, 0));
    kernel(slot).step(slot, 2, None);
    lane.end_job(Outcome::Ok);
    assert_eq!(hot(slot).beat.count(), ran.beat.count() + 3);
    lane.begin_job("k", "m", Total::Unknown);
    assert_eq!((hot(slot).epoch, hot(slot).progress), (Epoch::new(2, 0, 0), NO_PROGRESS), "nothing of a job is left to the next");
    lane.extend(std::time::Duration::from_secs(1));
    assert_eq!((hot(slot).lease.ms(), hot(slot).beat.count()), (1000, ran.beat.count() + 5));
    let last = kernel(slot).local;
    drop(lane);
    assert_eq!(slot.peek_beat().0, last + 1, "nor does the last one of all");
}

#[test]
fn words_of_a_kernel_that_outlived_its_slot_are_not_gone_on_from() {
    let dir = scratch();
    let segment = segment(dir.path(), 4096);
    let worker = host(&segment);
    let lane = worker.gpu_lane("g", 0).expect("a free slot");
    let slot = segment.slot(1).expect("inside");
    let mut late = kernel(slot);
    drop(lane);
    // The hint walks on; the slot that was freed is given again after the others.
    let _between = worker.lane("l").expect("a free slot");
    let mut lane = worker.gpu_lane("g", 0).expect("the slot again");
    assert_eq!(lane.slot(), Some(1));
    lane.begin_job("j", "m", Total::Known(9));
    let before = hot(slot).beat;
    late.epoch = Epoch::new(77, 0, 3).0;
    for done in 0..9 {
        late.step(slot, done, None);
    }
    late.step(slot, 0, None);
    assert_eq!(hot(slot).own_beat(), None, "the reader credits nobody");
    lane.end_job(Outcome::Failed);
    assert_eq!(hot(slot).own_beat().map(|beat| beat.count()), Some(before.count() + 1), "its own generation, its own count");
    assert_eq!(hot(slot).epoch.job(), 1);
}

#[test]
fn a_late_beat_of_a_generation_before_the_count_began_again_is_none_to_go_on_from() {
    let slot = Slot::zeroed();
    let (mut late, mut own) = (Pen::new(u16::MAX), Pen::new(0));
    own.beat(&slot, None);
    let before = own.clone();
    late.beat(&slot, None);
    own.resync(&slot);
    assert_eq!(own.local, before.local, "generations wrap: the greater one may be the older");
}
