//! An episode that a former monitor left open in a slot's words: it goes on under its number, and ends only when it is known
//! that the worker is well. Pure.

use super::episode::Episode;
use crate::judge::{self, Judgement, Severity, Verdict};
use crate::layout::monitor::Seen;
use crate::layout::word::{Owner, Tag};
use crate::observe::{Observation, Resume};
use crate::policy::{Policy, ns};

/// Polls in which a verdict that rests on a look at the process, or on beats in two polls running, must show itself again.
const POLLS_TO_SHOW: u32 = 4;

/// Whether these words, with an episode in them, are of this owner: then the episode goes on.
pub(crate) fn is_taken_over(seen: &Seen, owner: Owner) -> bool {
    owner.tag() == Tag::Live && seen.verdict.generation() == owner.generation() && Inherited::of(seen).is_some()
}

/// What a former monitor judged last, with an episode open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inherited {
    seen: Seen,
    verdict: Verdict,
    polls: u32,
}

impl Inherited {
    /// `None` where no episode is open; a verdict that opens none is garbage.
    pub(super) fn of(seen: &Seen) -> Option<Self> {
        let verdict = Verdict::from_bits(seen.verdict.verdict());
        (seen.episode != 0 && verdict.severity() != Severity::Well).then_some(Self { seen: *seen, verdict, polls: 0 })
    }

    /// What the former monitor excused was no word of the slot: a starved worker's clocks count from now.
    pub(super) fn was_starved(&self) -> bool {
        self.verdict == Verdict::Starved
    }

    /// It stands until the worker is judged anew.
    pub(super) fn judgement(&self) -> Judgement {
        Judgement { verdict: self.verdict, spent: None, severity: self.verdict.severity() }
    }

    /// The episode, opened when the clock that expired had spent its budget; now, where no clock did or its budget is not known.
    pub(super) fn episode(&self, o: &Observation, policy: &Policy) -> Episode {
        let clock = judge::clock_name(self.seen.verdict.reason());
        let budget = match clock {
            "heartbeat" => Some(ns(policy.heartbeat_timeout)),
            "progress" => Some(ns(policy.progress_timeout)),
            _ => judge::running_clocks(o, policy).find(|spent| spent.clock == clock).map(|spent| spent.budget),
        };
        let since = if clock == "progress" { self.seen.progress_at } else { self.seen.beat_at };
        let opened_at = budget.map_or(o.now, |budget| since.saturating_add(budget).min(o.now));
        Episode::resumed(self.seen.episode, self.judgement(), opened_at, o.now, policy.reminder)
    }

    /// Whether it cannot be known yet that it is over, though nothing speaks for it at this poll: what the verdict rests on is
    /// not in the slot's words and has to be found out again. A clock's age came along, and is believed at once.
    pub(super) fn is_undecided(&mut self, now: &Resume, has_pace: bool) -> bool {
        self.polls += 1;
        let Seen { beat, epoch, verdict, .. } = self.seen;
        let same_beat = now.beat == beat;
        let same_job = (now.epoch.job(), now.epoch.pass(), now.entry) == (epoch.job(), epoch.pass(), verdict.entry());
        match self.verdict {
            Verdict::Unkillable | Verdict::ThreadGone | Verdict::Stopped | Verdict::Foreign => {
                same_beat && self.polls <= POLLS_TO_SHOW
            }
            Verdict::Slow => same_job && !has_pace,
            _ => false,
        }
    }
}
