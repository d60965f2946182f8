//! Episodes: one event when a worker is not as it should be, a reminder at doubling distances, one when it ends. Pure.

use crate::judge::{Judgement, Severity, Verdict};
use crate::policy::ns;
use std::time::Duration;

/// An open episode. Instants are of the monitor's clock, in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// Its number.
    pub id: u64,
    /// The verdict that stands.
    pub verdict: Verdict,
    /// How much that matters.
    pub severity: Severity,
    /// When it was opened.
    pub opened_at: u64,
    next_reminder: u64,
    distance: u64,
}

impl Episode {
    /// One that a former monitor opened: its next reminder is the one that would have come next.
    pub(super) fn resumed(id: u64, judgement: Judgement, opened_at: u64, now: u64, first: Duration) -> Self {
        let mut distance = ns(first).max(1);
        let mut next_reminder = opened_at.saturating_add(distance);
        // At most 64 doublings.
        while next_reminder <= now && distance < u64::MAX / 2 {
            distance = distance.saturating_mul(2);
            next_reminder = next_reminder.saturating_add(distance);
        }
        Self { id, verdict: judgement.verdict, severity: judgement.severity, opened_at, next_reminder, distance }
    }
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Opened(Episode),
    Reminder(Episode),
    Closed(Episode),
}

/// Takes one poll's verdict. A graver one closes a warning and opens anew; other changes of the verdict go on in the same
/// episode, so that a worker that is stalled and then silent is told of once.
pub(super) fn follow(
    open: Option<Episode>,
    judgement: &Judgement,
    now: u64,
    first: Duration,
    id: impl FnOnce() -> u64,
) -> (Option<Episode>, Vec<Told>) {
    let (verdict, severity) = (judgement.verdict, judgement.severity);
    let fresh = |id: u64| {
        let distance = ns(first).max(1);
        Episode { id, verdict, severity, opened_at: now, next_reminder: now.saturating_add(distance), distance }
    };
    match open {
        None if severity == Severity::Well => (None, Vec::new()),
        None => {
            let episode = fresh(id());
            (Some(episode), vec![Told::Opened(episode)])
        }
        Some(episode) if severity == Severity::Well => (None, vec![Told::Closed(episode)]),
        Some(episode) if severity > episode.severity => {
            let graver = fresh(id());
            (Some(graver), vec![Told::Closed(episode), Told::Opened(graver)])
        }
        Some(mut episode) => {
            (episode.verdict, episode.severity) = (verdict, severity.max(episode.severity));
            if now < episode.next_reminder {
                return (Some(episode), Vec::new());
            }
            episode.distance = episode.distance.saturating_mul(2);
            episode.next_reminder = now.saturating_add(episode.distance);
            (Some(episode), vec![Told::Reminder(episode)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    /// The changes of a verdict a second.
    fn told(verdicts: &[Verdict]) -> Vec<(usize, &'static str)> {
        let (mut open, mut ids, mut told) = (None, 0, Vec::new());
        for (second, verdict) in verdicts.iter().enumerate() {
            let judgement = Judgement { verdict: *verdict, spent: None, severity: verdict.severity() };
            let (next, changes) = follow(open, &judgement, second as u64 * S, Duration::from_secs(60), || {
                ids += 1;
                ids
            });
            open = next;
            told.extend(changes.iter().map(|change| {
                let name = match change {
                    Told::Opened(_) => "opened",
                    Told::Reminder(_) => "reminder",
                    Told::Closed(_) => "closed",
                };
                (second, name)
            }));
        }
        told
    }

    #[test]
    fn an_episode_is_told_once_reminded_at_doubling_distances_and_closed() {
        let mut verdicts = vec![Verdict::Stalled; 500];
        verdicts.push(Verdict::Ok);
        assert_eq!(told(&verdicts), [(0, "opened"), (60, "reminder"), (180, "reminder"), (420, "reminder"), (500, "closed")]);
    }

    #[test]
    fn a_worker_that_recovers_and_hangs_again_is_told_of_again() {
        assert_eq!(told(&[Verdict::Silent, Verdict::Ok, Verdict::Silent]), [(0, "opened"), (1, "closed"), (2, "opened")]);
    }

    #[test]
    fn another_verdict_of_the_same_weight_goes_on_and_a_graver_one_opens_anew() {
        assert_eq!(told(&[Verdict::Stalled, Verdict::Silent]), [(0, "opened")]);
        assert_eq!(told(&[Verdict::Stopped, Verdict::Silent]), [(0, "opened"), (1, "closed"), (1, "opened")]);
    }

    #[test]
    fn a_worker_that_is_well_is_not_told_of() {
        assert_eq!(told(&[Verdict::Ok, Verdict::Idle, Verdict::Ok]), []);
    }
}
