//! What a worker's vocabulary leaves in its slot: jobs, phases, passes, leases, lanes, notes, helpers.

mod common;

use common::bench::Bench;
use hangwatch::layout::Slot;
use hangwatch::layout::phase::Class;
use hangwatch::layout::slot::{NO_PROGRESS, TOTAL_NONE, TOTAL_UNKNOWN};
use hangwatch::layout::word::{Kind, Lease};
use hangwatch::{Attach, ErrorKind, Job, Outcome, Phase, Total, Worker};
use std::time::Duration;

#[test]
fn a_claimed_slot_is_starting_and_reports_no_progress_yet() {
    let b = Bench::new();
    assert_eq!(b.count(), (Phase::Starting, 0, 0, 0, NO_PROGRESS, TOTAL_NONE));
    let hot = b.slot().read_hot().expect("live");
    assert_eq!((hot.beat.count(), hot.alive.count(), hot.lease.0, hot.stamp_ns), (0, 0, 0, 0), "no sign of life is invented");
    let info = b.info();
    assert_eq!((info.name.as_str(), info.device, info.generation, info.job), ("sd-0", 5, 1, 0), "named before it is LIVE");
}

#[test]
fn begin_job_enters_inference_and_before_the_first_step_there_is_no_progress() {
    let mut b = Bench::new();
    b.worker.begin_job("j1", "sdxl", Total::Known(50));
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 0, NO_PROGRESS, 50), "none yet is not 0");
    assert!(b.slot().read_hot().expect("live").phase.job_open());
    b.worker.step(0);
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 0, 0, 50));
    let info = b.info();
    assert_eq!((info.job, info.job_id.as_str(), info.model.as_str()), (1, "j1", "sdxl"));
    assert!(info.job_start_boottime_ns > 0);
    assert_eq!((info.deadline_ns, info.batch, info.size, info.device), (0, 0, 0, 5));

    b.worker.begin_job_with(&Job::new("j2").total(Total::Unknown).deadline(Duration::from_secs(1)).batch(3).size(7).device(6));
    assert_eq!(b.count(), (Phase::Inference, 2, 0, 0, NO_PROGRESS, TOTAL_UNKNOWN));
    let info = b.info();
    assert_eq!((info.deadline_ns, info.batch, info.size, info.device, info.model.as_str()), (1_000_000_000, 3, 7, 6, ""));
}

#[test]
fn a_fall_of_progress_is_counted_where_sampling_would_miss_it() {
    let mut b = Bench::new();
    b.worker.begin_job("j", "m", Total::Known(9));
    for done in [3, 4, 4, 2, 4, 1, 5] {
        b.worker.step(done);
    }
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 2, 5, 9), "two falls; an equal count is none");
}

#[test]
fn a_pass_restarts_the_count_and_is_neither_a_phase_entry_nor_the_end_of_a_lease() {
    let mut b = Bench::new();
    b.worker.begin_job("j", "m", Total::Known(30));
    b.worker.step(30);
    b.worker.extend(Duration::from_secs(9));
    let entry = b.slot().read_hot().expect("live").phase;
    b.worker.begin_pass();
    assert_eq!(b.count(), (Phase::Inference, 1, 1, 0, NO_PROGRESS, 30), "the total stays, the count starts anew");
    assert_eq!(b.slot().read_hot().expect("live").phase, entry, "the phase goes on: passes past max_passes must reset nothing");
    assert_eq!(b.lease().ms(), 9_000);
    b.worker.step(1);
    assert_eq!(b.count(), (Phase::Inference, 1, 1, 0, 1, 30), "a declared restart is no fall");
}

#[test]
fn inference_gets_its_count_back_when_the_job_returns_to_it() {
    let mut b = Bench::new();
    b.worker.begin_job("j", "m", Total::Known(50));
    b.worker.step(40);
    b.worker.phase_total(Phase::Loading, Total::Known(1000));
    assert_eq!(b.count(), (Phase::Loading, 1, 0, 0, NO_PROGRESS, 1000), "a load counts for itself");
    b.worker.step(700);
    b.worker.phase(Phase::PostProcessing);
    assert_eq!(b.count(), (Phase::PostProcessing, 1, 0, 0, NO_PROGRESS, TOTAL_NONE));
    b.worker.phase(Phase::Inference);
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 0, 40, 50), "the mark comes back: a retry loop through loading is caught");
    b.worker.step(38);
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 1, 38, 50), "and so does what a fall is measured by");

    b.worker.phase(Phase::Loading);
    b.worker.begin_pass();
    b.worker.phase(Phase::Inference);
    assert_eq!(b.count(), (Phase::Inference, 1, 1, 0, NO_PROGRESS, 50), "another pass meanwhile: the old one's mark is gone");
    b.worker.begin_job("k", "m", Total::Known(7));
    b.worker.phase(Phase::Loading);
    b.worker.begin_job("l", "m", Total::Known(8));
    b.worker.phase(Phase::Safety);
    b.worker.phase(Phase::Inference);
    assert_eq!(b.count(), (Phase::Inference, 3, 0, 0, NO_PROGRESS, 8), "another job: nothing of the one before");
}

#[test]
fn outside_a_job_every_phase_starts_its_own_count() {
    let mut b = Bench::new();
    b.worker.phase_total(Phase::Loading, Total::Known(9));
    b.worker.step(8);
    b.worker.phase_total(Phase::Inference, Total::Known(4));
    assert_eq!(b.count(), (Phase::Inference, 0, 0, 0, NO_PROGRESS, 4));
    b.worker.step(2);
    b.worker.phase(Phase::Idle);
    b.worker.phase(Phase::Inference);
    assert_eq!(b.count(), (Phase::Inference, 0, 0, 0, NO_PROGRESS, TOTAL_NONE), "no job, nothing to come back to");
    assert_eq!(b.slot().read_hot().expect("live").phase.entry(), 4, "leaving and coming back between two polls is seen");
    assert!(!b.slot().read_hot().expect("live").phase.job_open());
}

#[test]
fn a_new_lease_is_a_new_number_and_a_phase_change_or_the_jobs_end_ends_it() {
    let mut b = Bench::new();
    b.worker.begin_job("j", "m", Total::None);
    assert_eq!(b.lease(), Lease::new(0, 0));
    b.worker.extend(Duration::from_secs(60));
    assert_eq!(b.lease(), Lease::new(1, 60_000));
    b.worker.extend(Duration::from_nanos(1));
    assert_eq!(b.lease(), Lease::new(2, 1), "rounded up: it must not end before what was asked for");
    b.worker.extend(Duration::ZERO);
    assert_eq!(b.lease(), Lease::new(3, 0));
    b.worker.extend(Duration::MAX);
    assert_eq!(b.lease(), Lease::new(4, u64::MAX), "clamped to its field");
    b.worker.phase(Phase::Compiling);
    assert_eq!(b.lease(), Lease::new(5, 0), "a phase change ends it");
    b.worker.phase(Phase::Inference);
    assert_eq!(b.lease(), Lease::new(5, 0), "nothing to end");
    b.worker.extend(Duration::from_secs(1));
    b.worker.step(1);
    assert_eq!(b.lease(), Lease::new(6, 1_000), "a step leaves it to the reader, who knows the mark");
    b.worker.end_job(Outcome::Ok);
    assert_eq!(b.lease(), Lease::new(7, 0), "the job's end ends it");
}

#[test]
fn every_report_moves_the_beat_and_a_note_does_not() {
    let mut b = Bench::new();
    let mut beats = 0;
    type Report = (&'static str, fn(&mut Worker));
    let reports: [Report; 8] = [
        ("begin_job", |w| w.begin_job("j", "m", Total::None)),
        ("step", |w| w.step(1)),
        ("beat", Worker::beat),
        ("begin_pass", Worker::begin_pass),
        ("extend", |w| w.extend(Duration::from_secs(1))),
        ("phase", |w| w.phase(Phase::Safety)),
        ("phase_total", |w| w.phase_total(Phase::Loading, Total::Unknown)),
        ("end_job", |w| w.end_job(Outcome::Ok)),
    ];
    for (name, report) in reports {
        report(&mut b.worker);
        beats += 1;
        assert_eq!(b.slot().peek_beat().count(), beats, "{name} is one sign of life");
    }
    b.worker.note("x");
    b.worker.alive();
    assert_eq!(b.slot().peek_beat().count(), beats, "neither a note nor a helper speaks for the working thread");
}

#[test]
fn end_job_counts_by_outcome_and_only_what_was_begun() {
    let mut b = Bench::new();
    b.worker.end_job(Outcome::Failed);
    assert_eq!(b.jobs(), (0, 0, 0), "no job was open");
    for (outcome, jobs) in
        [(Outcome::Ok, (1, 0, 0)), (Outcome::Failed, (1, 1, 0)), (Outcome::Cancelled, (1, 1, 1)), (Outcome::Ok, (2, 1, 1))]
    {
        b.worker.begin_job_with(&Job::new("j").model("sdxl").deadline(Duration::from_secs(3)).batch(2).size(9));
        b.worker.note("half way");
        b.worker.end_job(outcome);
        b.worker.end_job(Outcome::Failed);
        assert_eq!(b.jobs(), jobs, "a second end counts nothing");
        assert_eq!(b.count().0, Phase::Idle);
        assert!(!b.slot().read_hot().expect("live").phase.job_open());
    }
    let info = b.info();
    assert_eq!((info.job, info.job_id.as_str(), info.model.as_str()), (4, "", "sdxl"), "the model stays: it is still loaded");
    assert_eq!((info.job_start_boottime_ns, info.deadline_ns, info.batch, info.size), (0, 0, 0, 0));
}

#[test]
fn a_note_stands_until_the_next_one_or_the_next_job_and_is_cut_to_fit() {
    let mut b = Bench::new();
    b.worker.begin_job("j", "m", Total::None);
    b.worker.note("first");
    b.worker.note(&"ü".repeat(60));
    assert_eq!(b.info().detail, "ü".repeat(48));
    assert_eq!(b.info().job_id, "j", "a note leaves the rest");
    b.worker.begin_job("k", "m", Total::None);
    assert_eq!(b.info().detail, "");
}

#[test]
fn a_lane_is_a_slot_of_its_own() {
    let mut b = Bench::new();
    b.worker.begin_job("j1", "m", Total::Known(4));
    let mut lane = b.worker.lane("l1").expect("a free slot");
    lane.begin_job("j2", "m", Total::Known(8));
    lane.step(5);
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 0, NO_PROGRESS, 4), "one lane's progress is not another's");
    let slot = b.segment.slot(1).expect("inside");
    let hot = slot.read_hot().expect("live");
    assert_eq!((hot.owner.kind(), hot.progress, hot.total), (Kind::Lane, 5, 8));
    let info = slot.read_info().expect("quiet");
    assert_eq!((info.name.as_str(), info.lane.as_str(), info.device), ("sd-0", "l1", 5));
    drop(b.worker);
    assert!(b.segment.slot(0).expect("inside").read_hot().is_err());
    lane.step(6);
    assert_eq!(slot.read_hot().expect("a lane outlives its worker").progress, 6);
}

#[test]
fn a_helper_that_outlives_its_worker_is_ignored() {
    let b = Bench::new();
    let helper = b.worker.helper();
    let spoken = std::thread::spawn(move || {
        helper.alive();
        helper
    });
    let helper = spoken.join().expect("a helper thread");
    b.worker.alive();
    assert_eq!(b.slot().read_hot().expect("live").alive.count(), 2, "any thread may say it");
    drop(b.worker);
    let before = b.segment.slot(0).expect("inside").raw_words();
    helper.alive();
    helper.clone().alive();
    assert_eq!(b.segment.slot(0).expect("inside").raw_words(), before, "its slot may be another's by now");
}

#[test]
fn a_user_phase_is_found_by_name_and_a_full_table_is_an_error_that_stops_nothing() {
    let mut b = Bench::new();
    let register = |b: &Bench, name: &str| b.worker.register_phase(name, Class::Work, Duration::from_secs(5));
    assert_eq!(register(&b, "loading").expect("built in"), Phase::Loading);
    for i in 0..48 {
        assert_eq!(register(&b, &format!("p{i}")).expect("room"), Phase::User(i));
    }
    assert_eq!(register(&b, "p7").expect("known"), Phase::User(7), "the same name is the same phase");
    let e = register(&b, "one too many").expect_err("48 fit");
    assert_eq!(e.kind(), ErrorKind::Full);
    assert_eq!(
        common::shaped(&e),
        "cannot register phase 'one too many': all 48 user phases of the segment are taken\n  reuse a name; a phase may carry on under its old one, work goes on either way"
    );
    let e = register(&b, &"x".repeat(49)).expect_err("too long");
    assert_eq!((e.kind(), e.why()), (ErrorKind::Usage, "its name has 49 bytes, expected 1 to 48"));
    b.worker.phase(Phase::User(7));
    assert_eq!(b.count().0, Phase::User(7));
}

#[test]
fn stamps_move_with_the_beat_and_the_mark_and_can_be_off() {
    let mut b = Bench::new();
    if !b.worker.is_stamped() {
        common::skip("stamps_move_with_the_beat_and_the_mark_and_can_be_off: no vDSO here");
        return;
    }
    let stamps = |slot: &Slot| slot.read_hot().map(|hot| (hot.stamp_ns, hot.progress_stamp_ns)).expect("live");
    let start = hangwatch::clock::coarse_ns();
    b.worker.begin_job("j", "m", Total::Known(9));
    b.worker.step(5);
    let first = stamps(b.slot());
    assert!(first.0 >= start && first.1 >= start && first.0 == first.1);
    while hangwatch::clock::coarse_ns() == first.0 {
        std::thread::yield_now();
    }
    b.worker.step(5);
    let flat = stamps(b.slot());
    assert!(flat.0 > first.0 && flat.1 == first.1, "flat progress is a beat and no advance");
    b.worker.step(6);
    assert!(stamps(b.slot()).1 > first.1);

    let mut plain = Attach::new().without_stamps().attach_to(&b.segment).expect("a free slot");
    plain.begin_job("j", "m", Total::Known(9));
    plain.step(1);
    assert_eq!(stamps(b.segment.slot(1).expect("inside")), (0, 0), "off means none, not old ones");
}
