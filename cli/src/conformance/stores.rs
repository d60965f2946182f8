//! The order of stores, as far as it can be seen: a reader looks on while the writer works without a pause.
//!
//! What is not seen is not proven: a processor may keep stores in order that a compiler or another processor would not. The
//! windows are as wide as the writer is slow, so this finds most in writers of interpreted languages.

use super::seen::fail;
use super::stage::{RESERVED, Stage};
use super::{Halt, Proof, World, table};
use hangwatch::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use hangwatch::layout::{HotWords, Slot};
use hangwatch::segment::Segment;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

table! { stores:
    Core a_beat_that_is_seen_implies_its_progress;
    Core a_count_is_never_seen_with_another_jobs_epoch;
    Core a_record_is_read_whole_or_not_at_all;
}

/// Rounds of a storm, an even number.
const ROUNDS: u64 = 1000;
/// So many readings must find another beat than the one before, so that the writer was seen at work and not between two storms;
/// and the storms after which they are what they are.
const READINGS: u32 = 5_000;
const STORMS: usize = 100;
/// What a round's total is above its number, so that it cannot be a progress.
const TOTAL: u64 = 1_000_000;
/// What its second step is above its first. At a border no progress is seen: only a step after a step shows one that is late.
const SECOND: u64 = 500_000;

/// One round of a storm, as single calls. Every second job is followed by another without an end.
fn round(i: u64) -> Vec<String> {
    let mut calls =
        vec![format!("begin_job {i} {i} {}", TOTAL + i), format!("step {i}"), format!("step {}", SECOND + i), "beat".into()];
    if i.is_multiple_of(2) {
        calls.push("end_job ok".into());
    }
    calls
}

/// Runs storms while `look` reads the slot; the first word that it says is wrong fails the case.
fn storms(stage: &mut Stage<'_>, look: impl Fn(&Slot) -> Result<(), String> + Sync) -> Proof {
    let segment = Segment::open_read_only(stage.path()).map_err(Halt::Broken)?;
    let Some(slot) = segment.slot(RESERVED.0) else { return fail("the segment has lost the slot") };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| -> Result<(), String> {
            let (mut readings, mut last) = (0, slot.peek_beat());
            // Relaxed: it stops a little later at worst.
            while readings < READINGS && !is_over.load(Relaxed) {
                look(slot)?;
                let beat = slot.peek_beat();
                readings += u32::from(beat != last);
                last = beat;
            }
            Ok(())
        });
        let mut stormed = Ok(());
        for _ in 0..STORMS {
            if stormed.is_ok() && !looking.is_finished() {
                stormed = stage.tell(&format!("storm {ROUNDS}"));
            }
        }
        is_over.store(true, Relaxed); // Relaxed: as above
        let looked = looking.join().unwrap_or_else(|_| Err("the reader panicked".into()));
        stormed.and_then(|()| looked.or_else(fail))
    })
}

/// The number of a storm's round that the hot words are of: each storm begins at 1 again.
fn number(hot: &HotWords) -> u64 {
    (u64::from(hot.epoch.job()).wrapping_sub(1)) % ROUNDS + 1
}

fn a_count_is_never_seen_with_another_jobs_epoch(world: &World) -> Proof {
    let mut stage = world.attached()?;
    storms(&mut stage, |slot| {
        let Ok(hot) = slot.read_hot() else { return Ok(()) };
        let job = hot.epoch.job();
        let (i, is_open) = (number(&hot), job > 0 && hot.phase.job_open());
        let (total, steps) = if is_open { (TOTAL + i, [i, SECOND + i]) } else { (TOTAL_NONE, [NO_PROGRESS; 2]) };
        let nobodys = hot.progress == NO_PROGRESS;
        if ![total, TOTAL_NONE].contains(&hot.total) || !steps.contains(&hot.progress) && !nobodys {
            return Err(format!(
                "in job {job}, {}, total {} and progress {:#x} were seen, expected {total} and one of {steps:x?}, or none",
                if is_open { "open" } else { "not open" },
                hot.total,
                hot.progress
            ));
        }
        Ok(())
    })
}

fn a_beat_that_is_seen_implies_its_progress(world: &World) -> Proof {
    let mut stage = world.attached()?;
    // Which beats are those of a second step, in a pair of rounds: a border may have more than one.
    let first = stage.seen()?.beat().count();
    let mut of_steps = Vec::new();
    for i in 1..=2 {
        for call in round(i) {
            stage.tell(&call)?;
            if call == format!("step {}", SECOND + i) {
                of_steps.push(stage.seen()?.beat().count() - first);
            }
        }
    }
    let last = stage.seen()?.beat().count();
    let of_pair = (last - first).max(1);
    storms(&mut stage, |slot| {
        let Ok(hot) = slot.read_hot() else { return Ok(()) };
        let Some(since) = hot.beat.count().checked_sub(last) else { return Ok(()) };
        // The round of the last second step that the beat implies. It must be seen, or that its count has ended.
        let rounds = of_steps.iter().filter(|beats| **beats <= since % of_pair).count() as u64 + 2 * (since / of_pair);
        if rounds == 0 {
            return Ok(());
        }
        // Two jobs were before the first storm.
        let (i, expected, job) = ((rounds - 1) % ROUNDS + 1, rounds + 2, u64::from(hot.epoch.job()));
        let is_late = job == expected && hot.phase.job_open() && ![SECOND + i, NO_PROGRESS].contains(&hot.progress);
        if job < expected || is_late {
            return Err(format!(
                "beat {since} of the storms, which follows step {} of job {expected}, was seen with job {job} at {:#x}",
                SECOND + i,
                hot.progress
            ));
        }
        Ok(())
    })
}

fn a_record_is_read_whole_or_not_at_all(world: &World) -> Proof {
    let mut stage = world.attached()?;
    storms(&mut stage, |slot| {
        let Some(info) = slot.read_info() else { return Ok(()) };
        let number = (u64::from(info.job).wrapping_sub(1) % ROUNDS + 1).to_string();
        let (id, model) = (info.job_id.as_str(), info.model.as_str());
        let is_open = id == number && model == number;
        let is_ended = id.is_empty() && (model == number || model.is_empty());
        if info.job == 0 || is_open || is_ended {
            return Ok(());
        }
        Err(format!("a record of job {} was seen with id '{id}' and model '{model}', expected '{number}'", info.job))
    })
}
