//! What a worker of the chaos will do: one script a life, all of it from the seed, the replica and the number of the life.

use super::common::trial::Random;

/// Budgets of the trial, in ms. Long enough that a shared machine starves no healthy worker of one, short enough for many rounds
/// a minute.
pub(crate) const INFERENCE: u64 = 3000;
pub(crate) const LOADING: u64 = 2000;
pub(crate) const STARTING: u64 = 3000;
pub(crate) const DEADLINE: u64 = 2000;
pub(crate) const MAX_LEASE: u64 = 4000;

/// Something that no monitor may hold against a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// A job, a step each 20 ms.
    Healthy { steps: u64 },
    /// A job whose steps take a good part of the budget.
    Slow { steps: u64, ms: u64 },
    /// Silence under a lease, and some beyond it.
    Lease { ms: u64, silent: u64 },
    /// A load that advances within its budget each time.
    Load { units: u64, ms: u64 },
    /// No job for longer than any budget.
    Idle { ms: u64 },
    /// A job that reports beats and no progress, for longer than the budget.
    BeatsAlone { ms: u64 },
    /// Passes that begin their count again.
    Passes,
    /// Totals, counts, leases, names and notes that are nonsense.
    Lies,
    /// A process of its own, in a session of its own or not.
    Child { setsid: bool },
    /// It works until the test has stopped it for so long and let it go on.
    Stopped { ms: u64 },
}

/// How it hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hang {
    /// No sign of life.
    Silent,
    /// Beats, and no progress.
    Beats,
    /// A helper's `alive`, and nothing else.
    Alive,
    /// Progress falls back and never passes its mark.
    Loop,
    /// A load stands still.
    Load,
    /// It works on beyond its job's deadline.
    Deadline,
    /// It attaches, and no more.
    Start,
    /// It asks for for ever, and is silent.
    Lease,
    /// One of two jobs in flight is silent.
    Lane,
}

impl Hang {
    pub(crate) const ALL: [Self; 9] =
        [Self::Silent, Self::Beats, Self::Alive, Self::Loop, Self::Load, Self::Deadline, Self::Start, Self::Lease, Self::Lane];

    /// What it is to be called.
    pub(crate) const fn verdict(self) -> &'static str {
        match self {
            Self::Silent | Self::Lease | Self::Lane => "silent",
            Self::Beats | Self::Alive => "stalled",
            Self::Loop => "looping",
            Self::Load | Self::Deadline => "overdue",
            Self::Start => "never_started",
        }
    }

    /// How long it may be so, in ms.
    pub(crate) const fn budget(self) -> u64 {
        match self {
            Self::Silent | Self::Beats | Self::Alive | Self::Loop | Self::Lane => INFERENCE,
            Self::Load => LOADING,
            Self::Deadline => DEADLINE,
            Self::Start => STARTING,
            Self::Lease => MAX_LEASE + INFERENCE,
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hang| format!("{hang:?}") == name)
    }
}

/// How a life ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// `deaf`: it ignores SIGTERM.
    Hang { hang: Hang, deaf: bool },
    /// With this code, in the middle of a job or not.
    Exit { code: i32, in_job: bool },
    /// It works until the test kills it.
    Killed,
}

/// A life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) acts: Vec<Act>,
    pub(crate) end: End,
}

impl Script {
    /// `children`: it may have processes of its own.
    pub(crate) fn of(seed: u64, replica: u64, life: u64, children: bool) -> Self {
        let mut random = Random::of(seed, replica << 32 | life);
        let end = match random.below(10) {
            0 => End::Exit { code: 1 + random.below(100) as i32, in_job: random.below(2) == 0 },
            1 | 2 => End::Killed,
            _ => End::Hang { hang: *random.one_of(&Hang::ALL), deaf: random.below(4) == 0 },
        };
        let acts = match end {
            // A beat would start it.
            End::Hang { hang: Hang::Start, .. } => 0,
            _ => 1 + random.below(3),
        };
        Self { acts: (0..acts).map(|_| Act::drawn(&mut random, children)).collect(), end }
    }
}

impl Act {
    fn drawn(random: &mut Random, children: bool) -> Self {
        match random.below(if children { 12 } else { 10 }) {
            0 | 1 => Self::Healthy { steps: 20 + random.below(60) },
            2 => Self::Slow { steps: 2 + random.below(2), ms: 1000 + random.below(800) },
            3 => {
                let ms = 1000 + random.below(MAX_LEASE - 1000);
                Self::Lease { ms, silent: ms / 2 + random.below(ms / 2 + INFERENCE / 3) }
            }
            4 => Self::Load { units: 4 + random.below(4), ms: 200 + random.below(800) },
            5 => Self::Idle { ms: 2 * INFERENCE - 2000 + random.below(1000) },
            6 => Self::BeatsAlone { ms: INFERENCE + 500 + random.below(1000) },
            7 => Self::Passes,
            8 => Self::Lies,
            9 => Self::Stopped { ms: 200 + random.below(5000) },
            _ => Self::Child { setsid: random.below(2) == 0 },
        }
    }
}

#[test]
fn a_seed_gives_the_same_scripts_each_time_and_each_fault_is_among_them() {
    let scripts = || (0..8).flat_map(|replica| (0..50).map(move |life| Script::of(7, replica, life, true))).collect::<Vec<_>>();
    assert_eq!(scripts(), scripts());
    assert_ne!(Script::of(7, 0, 0, true), Script::of(8, 0, 0, true));
    for hang in Hang::ALL {
        assert!(scripts().iter().any(|s| matches!(s.end, End::Hang { hang: is, .. } if is == hang)), "{hang:?} is drawn");
        assert_eq!(Hang::from_name(&format!("{hang:?}")), Some(hang));
    }
    assert!(scripts().iter().any(|s| s.end == End::Killed) && scripts().iter().any(|s| matches!(s.end, End::Exit { .. })));
}

#[test]
fn no_act_of_a_script_spends_its_budget() {
    for act in (0..1000).flat_map(|life| Script::of(7, 0, life, true).acts) {
        match act {
            Act::Slow { ms, .. } => assert!(ms < INFERENCE * 2 / 3),
            Act::Load { ms, .. } => assert!(ms < LOADING * 2 / 3),
            Act::Lease { ms, silent } => assert!(ms <= MAX_LEASE && silent < ms + INFERENCE / 2, "{ms} {silent}"),
            _ => {}
        }
    }
}
