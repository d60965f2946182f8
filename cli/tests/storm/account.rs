//! What a `run` told of a storm, against what happened in it.

use super::common::diary::{Job, Life};
use serde_json::Value;
use std::collections::BTreeMap;

/// A replacement as it was told: in this slot, of this process by that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) slot: u64,
    pub(crate) before: u32,
    pub(crate) pid: u32,
}

impl Replaced {
    pub(crate) fn of(event: &Value) -> Self {
        let number = |name: &str| event[name].as_u64().unwrap_or_else(|| panic!("{name}: {event}"));
        // `pid 10 -> 11, generation 2`, and what is beside it.
        let detail = event["detail"].as_str().unwrap_or_default();
        let before = detail.split("pid ").nth(1).and_then(|text| text.split(' ').next()?.parse().ok());
        Self { slot: number("slot"), before: before.unwrap_or_else(|| panic!("of whom: {event}")), pid: number("pid") as u32 }
    }
}

/// A lost job as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) slot: u32,
    pub(crate) generation: u16,
    pub(crate) job: String,
}

pub(crate) fn lost(event: &Value) -> Lost {
    let number = |name: &str| event[name].as_u64().unwrap_or_else(|| panic!("{name}: {event}"));
    let job = event["job"].as_str().unwrap_or_else(|| panic!("a lost job has a name: {event}"));
    Lost { slot: number("slot") as u32, generation: number("generation") as u16, job: job.into() }
}

/// What cannot be true of the jobs that were told lost. One that was just beginning or ending may be told or not; before its
/// record was written it has only a number.
pub(crate) fn wrong_with_lost_jobs(lives: &[Life], told: &[Lost]) -> Vec<String> {
    let mut of_claim: BTreeMap<(u32, u16), Vec<&str>> = BTreeMap::new();
    for lost in told {
        of_claim.entry((lost.slot, lost.generation)).or_default().push(&lost.job);
    }
    let mut wrong = Vec::new();
    for life in lives {
        let claim = life.claims.last().map(|claim| (claim.slot, claim.generation));
        let told = claim.and_then(|claim| of_claim.remove(&claim)).unwrap_or_default();
        let is_right = match (&life.job, told.as_slice()) {
            (Job::None | Job::Maybe(_), []) => true,
            (Job::Open(job), [told]) => job == told,
            (Job::Maybe(job), [told]) => job == told || told.starts_with('#'),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("pid {} was killed at {:?}, and {told:?} was told lost", life.pid, life.job));
        }
    }
    wrong.extend(of_claim.iter().map(|(claim, jobs)| format!("nobody was killed in {claim:?}, and {jobs:?} was told lost")));
    wrong
}

/// What cannot be true of the replacements that were told: each slot's are one chain, and each that was killed is in one of them,
/// once. The last of each chain may have ended with the run.
pub(crate) fn wrong_with_replacements(lives: &[Life], told: &[Replaced]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut last: BTreeMap<u64, u32> = BTreeMap::new();
    // A number may have been given again: so many lives had it.
    let mut not_told: BTreeMap<u32, i64> = BTreeMap::new();
    for life in lives {
        *not_told.entry(life.pid).or_default() += 1;
    }
    for replaced in told {
        *not_told.entry(replaced.before).or_default() -= 1;
        if let Some(expected) = last.insert(replaced.slot, replaced.pid).filter(|pid| *pid != replaced.before) {
            wrong.push(format!("{replaced:?}, where pid {expected} was last"));
        }
    }
    for pid in last.values() {
        *not_told.entry(*pid).or_default() -= 1;
    }
    let uneven = not_told.iter().filter(|(_, count)| **count != 0);
    wrong.extend(uneven.map(|(pid, count)| format!("pid {pid} ended {count} times more often than it was told of")));
    wrong
}

fn life(pid: u32, generation: u16, more: &str) -> Life {
    Life::read(&format!("is {pid} 1\ntry\nown 0 {generation} 100 alone\n{more}"))
}

#[test]
fn each_open_job_is_told_lost_once_and_no_other_one() {
    let told = |jobs: &[(u16, &str)]| {
        let lives = [life(10, 1, "job a\nopen a\n"), life(11, 2, "job b\nopen b\nend b\n"), life(12, 3, "job c\n")];
        let idle = life(13, 4, "job d\nopen d\nend d\nended d\n");
        let lost = jobs.iter().map(|(generation, job)| Lost { slot: 0, generation: *generation, job: (*job).into() });
        wrong_with_lost_jobs(&[lives.as_slice(), &[idle]].concat(), &lost.collect::<Vec<_>>()).len()
    };
    assert_eq!(told(&[(1, "a")]), 0);
    assert_eq!(told(&[(1, "a"), (2, "b"), (3, "#1")]), 0, "at its edges a job may be open or not");
    assert_eq!(told(&[]), 1, "an open one that is not told");
    assert_eq!(told(&[(1, "a"), (1, "a")]), 1, "one that is told twice");
    assert_eq!(told(&[(1, "b")]), 1, "another's name");
    assert_eq!(told(&[(1, "a"), (4, "d")]), 1, "one that had ended");
    assert_eq!(told(&[(1, "a"), (5, "e")]), 1, "one that nobody had");
}

#[test]
fn each_death_is_told_once_in_the_chain_of_its_slot() {
    let told = |pairs: &[(u32, u32)]| {
        let lives = [life(10, 1, ""), life(11, 2, ""), life(12, 3, "")];
        let replaced = pairs.iter().map(|(before, pid)| Replaced { slot: 0, before: *before, pid: *pid });
        wrong_with_replacements(&lives, &replaced.collect::<Vec<_>>()).len()
    };
    assert_eq!(told(&[(10, 11), (11, 12)]), 0);
    assert!(told(&[(10, 11)]) > 0, "a death that is not told");
    assert!(told(&[(10, 11), (11, 12), (11, 12)]) > 0, "one that is told twice");
    assert!(told(&[(10, 11), (10, 12)]) > 0, "a chain that is broken");
    assert!(told(&[(10, 11), (11, 12), (12, 13)]) > 0, "a death that was none");
}
