//! Who was truly hung, by the journals alone, and what of that was told. Pure: journals, events and readings of the monitor's clock
//! in, sentences about what is wrong out.
//!
//! | wrong | when |
//! |---|---|
//! | a false kill | an act on a worker that was not hung, or not for its budget yet |
//! | a missed hang | one that was past its budget by the monitor's own clock, and no episode says so, or nothing came of it |
//! | a wrong name | a hang that is called another one |
//! | a death of nobody's doing | a worker that is gone, and neither exited, nor was killed by the test, nor acted on |
//! | a death that was not noticed | so many workers less than deaths were started again |

use super::journal::{Announced, Life};
use std::collections::BTreeMap;

const MS: u64 = 1_000_000;

/// Events are stamped in ms by the wall clock; the journals are not.
const ROUNDING: u64 = 20 * MS;

/// The monitor stretches a budget by this much at most where the machine is short of time.
const MAX_STRETCH: u64 = 8;

/// Verdicts that are acted on, whatever else is known.
const ACTING: [&str; 5] = ["silent", "stalled", "looping", "overdue", "never_started"];

/// An event, at an instant of the journals' clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) at: u64,
    pub(crate) kind: String,
    pub(crate) verdict: String,
    pub(crate) pid: u32,
}

/// All that is known of a trial.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    pub(crate) lives: Vec<Life>,
    pub(crate) told: Vec<Told>,
    /// Readings of the monitor's clock: an instant, and what it showed.
    pub(crate) clock: Vec<(u64, u64)>,
    pub(crate) poll: u64,
    /// The kind of event by which the monitor acts: `action`, or `would_act` where it may not.
    pub(crate) acts_by: &'static str,
    /// When the test began to end it all.
    pub(crate) ended: u64,
}

/// What became of each hang.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) wrong: Vec<String>,
    /// Of each kind: how many were past their budget, and how many ms past it each was told of.
    pub(crate) delays: BTreeMap<&'static str, Vec<u64>>,
    /// Hangs that the end, or a kill by the test, came before.
    pub(crate) undecided: usize,
    /// Told late, as the machine was short of time.
    pub(crate) starved: usize,
}

impl Trial {
    /// What the monitor's clock showed at an instant.
    fn clock_at(&self, at: u64) -> u64 {
        let after = self.clock.partition_point(|(instant, _)| *instant <= at);
        after.checked_sub(1).map_or(0, |last| self.clock[last].1)
    }

    /// What it showed when that was next read: of a reading that comes late, the test is to blame.
    fn clock_after(&self, at: u64) -> u64 {
        let after = self.clock.partition_point(|(instant, _)| *instant < at);
        self.clock.get(after).map_or(u64::MAX, |next| next.1)
    }

    /// Whose life it was: the last that began with this number before.
    fn life_of(&self, told: &Told) -> Option<&Life> {
        let began = self.lives.iter().filter(|life| life.pid == told.pid && life.began <= told.at + ROUNDING);
        began.max_by_key(|life| life.began)
    }

    /// Events of this life.
    fn told_of<'a>(&'a self, life: &'a Life) -> impl Iterator<Item = &'a Told> {
        let is_of =
            move |told: &&Told| self.life_of(told).is_some_and(|of| (of.replica, of.number) == (life.replica, life.number));
        self.told.iter().filter(move |told| told.pid == life.pid).filter(is_of)
    }

    pub(crate) fn judge(&self) -> Summary {
        let mut summary = Summary::default();
        for told in self.told.iter().filter(|told| told.at + ROUNDING < self.ended) {
            let acts = told.kind == self.acts_by || told.kind == "opened" && ACTING.contains(&told.verdict.as_str());
            if acts && let Some(why) = self.is_false(told) {
                summary.wrong.push(format!("a false kill: {told:?}: {why}"));
            }
        }
        for life in &self.lives {
            if let Some(announced) = life.hang {
                self.follow(life, announced, &mut summary);
            }
            if let Some(why) = self.nobodys_doing(life) {
                summary.wrong.push(format!("a death of nobody's doing: {why}: {life:?}"));
            }
        }
        summary
    }

    /// Why an act is on the wrong worker, or too early.
    fn is_false(&self, told: &Told) -> Option<String> {
        let Some(life) = self.life_of(told) else { return Some("nobody has that number".into()) };
        let Some(announced) = life.hang else { return Some(format!("it was well: {life:?}")) };
        let earliest = announced.since + announced.hang.budget() * MS;
        (told.at + ROUNDING < earliest).then(|| format!("{} ms too early for {announced:?}", (earliest - told.at) / MS))
    }

    /// What became of a hang.
    fn follow(&self, life: &Life, announced: Announced, summary: &mut Summary) {
        let Some(hung) = announced.hung else { return };
        let hang = announced.hang;
        let budget = hang.budget() * MS;
        let until = life.killed.unwrap_or(u64::MAX).min(self.ended);
        let opened = self.told_of(life).find(|told| told.kind == "opened" && ACTING.contains(&told.verdict.as_str()));
        let during = hung..opened.map_or(until, |opened| opened.at);
        let gaps = self.told.iter().filter(|told| told.kind == "monitor_gap" && during.contains(&told.at)).count() as u64;
        // Seen at the next poll, judged at the first past the budget; the clock counts two intervals for a late poll, and a poll
        // after a gap judges nobody.
        let latest = self.clock_after(hung).saturating_add(budget + 4 * self.poll * (1 + gaps));
        let starved = self.told_of(life).find(|told| told.kind == "opened" && told.verdict == "starved" && told.at > hung);
        let in_time = |told: &Told| self.clock_at(told.at) <= latest;
        if let Some(opened) = opened {
            if !in_time(opened) && !starved.is_some_and(in_time) {
                summary.wrong.push(format!("a missed hang: told {} ms late: {life:?}", (self.clock_at(opened.at) - latest) / MS));
            }
            summary.starved += usize::from(!in_time(opened));
            if opened.verdict != hang.verdict() {
                summary.wrong.push(format!("a wrong name: {opened:?} for {announced:?}"));
            }
            let past = opened.at.saturating_sub(hung + budget) / MS;
            summary.delays.entry(hang.verdict()).or_default().push(past);
            let acted = self.told_of(life).any(|told| told.kind == self.acts_by && told.at + ROUNDING < self.ended);
            // What is done about it goes on while the scan does: a kill by the test, or the end, may come between.
            let had_time = self.clock_at(until) > self.clock_at(opened.at) + 10 * self.poll;
            if !acted && had_time {
                summary.wrong.push(format!("a missed hang: nothing came of {opened:?}"));
            }
        } else {
            let stretch = if starved.is_some() { budget * (MAX_STRETCH - 1) } else { 0 };
            let allowed = latest.saturating_add(stretch);
            if self.clock_at(until) > allowed {
                summary.wrong.push(format!("a missed hang: nobody told of {life:?}"));
            } else {
                summary.undecided += 1;
            }
        }
    }

    /// Why a worker that is gone should not be: it has a successor.
    fn nobodys_doing(&self, life: &Life) -> Option<&'static str> {
        let is_gone = self.lives.iter().any(|other| other.replica == life.replica && other.number == life.number + 1);
        let acted = || self.told_of(life).any(|told| told.kind == self.acts_by);
        (is_gone && life.exited.is_none() && life.killed.is_none() && !acted()).then_some("it has a successor")
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::Hang;
    use super::*;

    /// One that hangs silently at 10 s, one that is well; polls of 100 ms on time, up to 30 s.
    fn trial(told: &[(u64, &str, &str, u32)]) -> Trial {
        let announced = Announced { hang: Hang::Silent, since: 9_990 * MS, hung: Some(10_000 * MS) };
        let hung = Life { pid: 1, began: MS, hang: Some(announced), ..Life::default() };
        let well = Life { pid: 2, replica: 1, began: MS, ..Life::default() };
        let told = told.iter().map(|(ms, kind, verdict, pid)| Told {
            at: ms * MS,
            kind: (*kind).into(),
            verdict: (*verdict).into(),
            pid: *pid,
        });
        Trial {
            lives: vec![hung, well],
            told: told.collect(),
            clock: (0..300).map(|poll| (poll * 100 * MS, poll * 100 * MS)).collect(),
            poll: 100 * MS,
            acts_by: "action",
            ended: 30_000 * MS,
        }
    }

    const OPENED: (u64, &str, &str, u32) = (13_100, "opened", "silent", 1);
    const ACTED: (u64, &str, &str, u32) = (13_101, "action", "silent", 1);

    fn wrong(trial: &Trial) -> Vec<String> {
        trial.judge().wrong.iter().map(|line| line.split(':').next().unwrap_or_default().to_string()).collect()
    }

    #[test]
    fn a_hang_that_is_told_in_time_and_acted_on_is_right_and_its_delay_is_counted() {
        let summary = trial(&[OPENED, ACTED]).judge();
        assert_eq!(summary.wrong, [""; 0]);
        assert_eq!(summary.delays, BTreeMap::from([("silent", vec![100])]));
    }

    #[test]
    fn an_act_on_a_worker_that_is_well_is_a_false_kill() {
        assert_eq!(wrong(&trial(&[OPENED, ACTED, (14_000, "action", "silent", 2)])), ["a false kill"]);
        assert_eq!(wrong(&trial(&[OPENED, ACTED, (14_000, "opened", "stalled", 2)])), ["a false kill"]);
        assert_eq!(wrong(&trial(&[OPENED, ACTED, (14_000, "action", "silent", 3)])), ["a false kill"], "nor on a stranger");
        assert_eq!(wrong(&trial(&[OPENED, ACTED, (14_000, "opened", "stopped", 2)])), [""; 0], "a warning kills nobody");
    }

    #[test]
    fn an_act_before_the_budget_is_spent_is_a_false_kill() {
        assert_eq!(wrong(&trial(&[(12_900, "opened", "silent", 1), ACTED])), ["a false kill"]);
    }

    #[test]
    fn a_hang_of_which_nobody_tells_or_too_late_is_missed() {
        assert_eq!(wrong(&trial(&[])), ["a missed hang"]);
        assert_eq!(wrong(&trial(&[(13_700, "opened", "silent", 1), (13_701, "action", "silent", 1)])), ["a missed hang"]);
        assert_eq!(wrong(&trial(&[OPENED])), ["a missed hang"], "telling is not acting");
    }

    #[test]
    fn the_monitors_own_gaps_and_what_it_says_of_the_machine_make_a_hang_late_and_not_missed() {
        let late = [(13_700, "opened", "silent", 1), (13_701, "action", "silent", 1)];
        let with = |told| trial(&[&[told], late.as_slice()].concat());
        assert_eq!(wrong(&with((12_000, "monitor_gap", "", 0))), [""; 0]);
        assert_eq!(wrong(&with((9_000, "monitor_gap", "", 0))), ["a missed hang"], "a gap before it explains nothing");
        assert_eq!(wrong(&with((14_000, "monitor_gap", "", 0))), ["a missed hang"], "nor one after it was told");
        assert_eq!(wrong(&with((13_100, "opened", "starved", 1))), [""; 0]);
        assert_eq!(wrong(&trial(&[(13_100, "opened", "starved", 1)])), [""; 0], "it may be stretched until the end");
        let mut stood_still = trial(&late);
        stood_still.clock.retain(|(at, _)| !(11_000 * MS..12_000 * MS).contains(at));
        stood_still.clock.iter_mut().filter(|(at, _)| *at >= 12_000 * MS).for_each(|(_, clock)| *clock -= 800 * MS);
        assert_eq!(wrong(&stood_still), [""; 0], "it is the monitor's clock that counts");
    }

    #[test]
    fn a_hang_that_the_test_or_the_end_came_before_is_undecided() {
        let mut killed = trial(&[]);
        killed.lives[0].killed = Some(13_000 * MS);
        assert_eq!((wrong(&killed), killed.judge().undecided), (vec![], 1));
        let ended = Trial { ended: 13_000 * MS, ..trial(&[]) };
        assert_eq!((wrong(&ended), ended.judge().undecided), (vec![], 1));
    }

    #[test]
    fn a_hang_that_is_called_another_one_is_wrong() {
        assert_eq!(wrong(&trial(&[(13_100, "opened", "stalled", 1), ACTED])), ["a wrong name"]);
    }

    #[test]
    fn a_worker_that_is_gone_without_a_reason_is_wrong() {
        let gone = |change: fn(&mut Life)| {
            let mut trial = trial(&[OPENED, ACTED]);
            trial.lives.push(Life { pid: 3, replica: 1, number: 1, began: 20_000 * MS, ..Life::default() });
            change(&mut trial.lives[1]);
            wrong(&trial)
        };
        assert_eq!(gone(|_| {}), ["a death of nobody's doing"]);
        assert_eq!(gone(|life| life.exited = Some(19_000 * MS)), [""; 0]);
        assert_eq!(gone(|life| life.killed = Some(19_000 * MS)), [""; 0]);
    }
}
