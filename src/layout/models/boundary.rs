//! Jobs and phases: whose count a reading shows.

use super::harness::{Model, Tally, models};
use super::live_slot;
use crate::layout::Slot;
use crate::layout::hot::{Count, HotWords, Pen};
use crate::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use crate::layout::word::{Beat, Epoch, Lease, PhaseWord};
use crate::sync::Ordering::*;
use loom::sync::atomic::fence;
use loom::thread;
use std::sync::Arc;

models! {
    JOB = a_reader_never_pairs_one_jobs_epoch_with_another_jobs_count;
    PHASE = a_reader_never_pairs_one_phase_with_another_phases_count;
}

/// What a count may show: what it was given, what a step made of it, or, at its border, nobody's.
fn is_of(hot: &HotWords, progress: &[u64], total: u64) -> bool {
    (hot.progress == NO_PROGRESS || progress.contains(&hot.progress)) && (hot.total == TOTAL_NONE || hot.total == total)
}

/// A slot in job 1, phase entry 1, at 7 of 10.
fn at_seven_of_ten() -> (Arc<Slot>, Pen) {
    let (slot, owner) = live_slot();
    let mut pen = Pen::new(owner.generation());
    pen.boundary(&slot, Epoch::new(1, 0, 0), PhaseWord::new(1, 1, 1), Count::fresh(10));
    pen.step(&slot, 7, None);
    (Arc::new(slot), pen)
}

type Boundary = fn(&mut Pen, &Slot, Epoch, PhaseWord, Count);
type Reader = fn(&Slot) -> Option<HotWords>;

fn job(tally: &Arc<Tally>, boundary: Boundary) {
    let (slot, mut pen) = at_seven_of_ten();
    let reader = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || {
            let Ok(hot) = slot.read_hot() else { return };
            if hot.epoch.job() == 1 {
                tally.must(is_of(&hot, &[7], 10), "the last job's epoch is never read with this job's count");
                tally.must(hot.beat.count() < 2, "a beat implies its job");
            } else {
                tally.reading(hot.progress == 1);
                tally.must(is_of(&hot, &[1], 20), "this job's epoch is never read with the last job's count");
            }
        }
    });
    boundary(&mut pen, &slot, Epoch::new(2, 0, 0), PhaseWord::new(1, 1, 2), Count::fresh(20));
    pen.step(&slot, 1, None);
    reader.join().unwrap();
}

fn a_reader_never_pairs_one_jobs_epoch_with_another_jobs_count(tally: &Arc<Tally>) {
    job(tally, Pen::boundary);
}

/// Back to a phase whose count was set aside at 3 of 5: the epoch stays, the phase alone tells the counts apart.
fn phase(tally: &Arc<Tally>, boundary: Boundary, read: Reader) {
    let (slot, mut pen) = at_seven_of_ten();
    let set_aside = Count { progress: 3, total: 5, last: 3, next_mark: 4 };
    let reader = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || {
            let Some(hot) = read(&slot) else { return };
            if hot.phase.entry() == 1 {
                tally.must(is_of(&hot, &[7], 10), "the last phase is never read with this phase's count");
            } else {
                tally.reading(hot.progress == 3 || hot.progress == 4);
                tally.must(is_of(&hot, &[3, 4], 5), "this phase is never read with the last phase's count");
            }
        }
    });
    boundary(&mut pen, &slot, Epoch::new(1, 0, 0), PhaseWord::new(2, 1, 2), set_aside);
    pen.step(&slot, 4, None);
    reader.join().unwrap();
}

fn a_reader_never_pairs_one_phase_with_another_phases_count(tally: &Arc<Tally>) {
    phase(tally, Pen::boundary, |slot| slot.read_hot().ok());
}

/// The count's own words stood before the first fence once, where a reader finds them under the epoch that still stands.
fn count_first(pen: &mut Pen, slot: &Slot, epoch: Epoch, phase: PhaseWord, count: Count) {
    slot.progress.store(count.progress, Relaxed);
    slot.total.store(count.total, Relaxed);
    fence(Release);
    slot.epoch.store(epoch.0, Relaxed);
    slot.phase.store(phase.0, Relaxed);
    fence(Release);
    (pen.epoch, pen.last, pen.next_mark) = (epoch.0, count.last, count.next_mark);
}

#[test]
fn a_boundary_that_stores_its_count_first_shows_it_under_the_last_epoch() {
    Model::new("count before epoch", |tally| job(tally, count_first)).falls().unwrap();
}

#[test]
fn a_boundary_that_stores_its_count_first_shows_it_under_the_last_phase() {
    fn body(tally: &Arc<Tally>) {
        phase(tally, count_first, |slot| slot.read_hot().ok());
    }
    Model::new("count before phase", body).falls().unwrap();
}

#[test]
fn a_reader_that_checks_the_epoch_alone_mixes_two_phases() {
    fn epoch_alone(slot: &Slot) -> Option<HotWords> {
        let (epoch, phase) = (slot.epoch.load(Relaxed), slot.phase.load(Relaxed));
        fence(Acquire);
        let (progress, total) = (slot.progress.load(Relaxed), slot.total.load(Relaxed));
        fence(Acquire);
        let (epoch_again, owner) = (slot.epoch.load(Relaxed), slot.peek_owner());
        (epoch_again == epoch).then(|| HotWords {
            owner,
            beat: Beat::default(),
            epoch: Epoch(epoch),
            phase: PhaseWord(phase),
            progress,
            total,
            lease: Lease::default(),
            alive: Beat::default(),
            stamp_ns: 0,
            progress_stamp_ns: 0,
        })
    }
    Model::new("epoch alone", |tally| phase(tally, Pen::boundary, epoch_alone)).falls().unwrap();
}
