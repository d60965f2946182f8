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

/// Storms, and the rounds of one.
const STORMS: usize = 20;
const ROUNDS: u64 = 1000;
/// What a round's total is above its number, so that it cannot be a progress.
const TOTAL: u64 = 1_000_000;
/// What its second step is above its first. At a border no progress is seen: only a step after a step shows one that is late.
const SECOND: u64 = 500_000;

/// One round of a storm, as single calls.
fn round(i: u64) -> [String; 5] {
    [
        format!("begin_job {i} {i} {}", TOTAL + i),
        format!("step {i}"),
        format!("step {}", SECOND + i),
        "beat".into(),
        "end_job ok".into(),
    ]
}

/// Runs storms while `look` reads the slot; the first word that it says is wrong fails the case.
fn storms(stage: &mut Stage<'_>, look: impl Fn(&Slot) -> Result<(), String> + Sync) -> Proof {
    let segment = Segment::open_read_only(stage.path()).map_err(Halt::Broken)?;
    let Some(slot) = segment.slot(RESERVED.0) else { return fail("the segment has lost the slot") };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| -> Result<(), String> {
            while !is_over.load(Relaxed) {
                look(slot)?;
            }
            Ok(())
        });
        let mut stormed = Ok(());
        for _ in 0..STORMS {
            if stormed.is_ok() && !looking.is_finished() {
                stormed = stage.tell(&format!("storm {ROUNDS}"));
            }
        }
        is_over.store(true, Relaxed); // Relaxed: the reader stops a little later at worst
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
    // How many beats a round has, and which of them is the step's: a border may have more than one.
    let mut beats = vec![stage.seen()?.beat().count()];
    for call in round(1) {
        stage.tell(&call)?;
        beats.push(stage.seen()?.beat().count());
    }
    let (first, of_round, until_step) = (beats[5], beats[5] - beats[0], beats[3] - beats[0]);
    // One job was before the first storm.
    storms(&mut stage, |slot| {
        let Ok(hot) = slot.read_hot() else { return Ok(()) };
        let Some(since) = hot.beat.count().checked_sub(first) else { return Ok(()) };
        let (rounds, within) = (since / of_round.max(1), since % of_round.max(1));
        // Past the second step's beat: the step must be seen, or that its count has ended.
        let job = u64::from(hot.epoch.job());
        let expected = rounds + 2;
        let i = rounds % ROUNDS + 1;
        if within >= until_step
            && (job < expected || job == expected && hot.phase.job_open() && ![SECOND + i, NO_PROGRESS].contains(&hot.progress))
        {
            return Err(format!(
                "beat {since} of the storm, which follows step {} of job {expected}, was seen with job {job} at {:#x}",
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
