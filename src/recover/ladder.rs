//! The ladder of one process: every rung once, in order, and it always ends. Pure: instants in ns of a monotonic clock.

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Its command word says stop; what can be seen of it is gathered meanwhile.
    Ask,
    /// SIGTERM and SIGCONT to the whole tree.
    Terminate,
    /// SIGKILL to the whole tree.
    Kill,
    /// It, or some of its tree, is still there: say so and set its slot and device aside.
    ReportUnkillable,
    /// Its leader has exited: SIGKILL to whatever of the tree is left.
    Sweep,
    /// All of the tree is gone: is what it held free again?
    Reclaim,
    /// What it held is not free, and there was time enough.
    ReportUnreclaimed,
}

/// How long each rung may last, in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Patience {
    /// For evidence, from the asking.
    pub evidence: u64,
    /// From SIGTERM to SIGKILL.
    pub grace: u64,
    /// From SIGKILL to `unkillable`, and from the leader's exit until the rest of its tree is.
    pub d_wait: u64,
    /// For what it held to be free again.
    pub reclaim: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Up,
    Asked {
        until: u64,
    },
    Terminating {
        until: u64,
    },
    Killing {
        until: u64,
    },
    Unkillable,
    /// `None`: it was said that some of it is still there.
    Sweeping {
        until: Option<u64>,
    },
    Reclaiming {
        until: u64,
    },
    Clear,
}

/// Where a process stands.
///
/// ```text
/// Up ─ begin ─► Asked ─ evidence or its time ─► Terminating ─ grace ─► Killing ─ d_wait ─► Unkillable
///  └──────────────┴──────────── exit ────────────────┴────────────────────┴────────────────────┘
///                                 ▼
///                              Sweeping ─ nothing left ─► Reclaiming ─ free, or its time ─► Clear
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    rung: Rung,
    patience: Patience,
}

impl Ladder {
    /// A process that nothing is wrong with.
    pub fn new(patience: Patience) -> Self {
        Self { rung: Rung::Up, patience }
    }

    /// Whether nothing is being done about it.
    pub fn is_up(&self) -> bool {
        self.rung == Rung::Up
    }

    /// Whether it, or some of its tree, outlived SIGKILL.
    pub fn is_unkillable(&self) -> bool {
        matches!(self.rung, Rung::Unkillable | Rung::Sweeping { until: None })
    }

    /// Whether its leader's exit is still to come.
    pub fn awaits_exit(&self) -> bool {
        matches!(self.rung, Rung::Up | Rung::Asked { .. } | Rung::Terminating { .. } | Rung::Killing { .. } | Rung::Unkillable)
    }

    /// Whether its leader has exited and its tree is being swept.
    pub fn is_sweeping(&self) -> bool {
        matches!(self.rung, Rung::Sweeping { .. })
    }

    /// Whether all is done.
    pub fn is_clear(&self) -> bool {
        self.rung == Rung::Clear
    }

    /// It must go. A second call changes nothing: no rung is repeated. Without `evidence` no time is spent on it.
    pub fn begin(&mut self, now: u64, evidence: bool) -> Option<Act> {
        if !self.is_up() {
            return None;
        }
        let wait = if evidence { self.patience.evidence } else { 0 };
        self.rung = Rung::Asked { until: now.saturating_add(wait) };
        Some(Act::Ask)
    }

    /// What could be seen of it was gathered, or there is no time for it.
    pub fn gathered(&mut self, now: u64) -> Option<Act> {
        matches!(self.rung, Rung::Asked { .. }).then(|| self.terminate(now))
    }

    /// It must go at once: the grace is over.
    pub fn hurry(&mut self, now: u64) -> Option<Act> {
        matches!(self.rung, Rung::Up | Rung::Asked { .. } | Rung::Terminating { .. }).then(|| self.kill(now))
    }

    /// Its leader has exited.
    pub fn exited(&mut self, now: u64) -> Option<Act> {
        if !self.awaits_exit() {
            return None;
        }
        self.rung = Rung::Sweeping { until: Some(now.saturating_add(self.patience.d_wait)) };
        Some(Act::Sweep)
    }

    /// Nothing of its tree is left.
    pub fn swept(&mut self, now: u64) -> Option<Act> {
        if !self.is_sweeping() {
            return None;
        }
        self.rung = Rung::Reclaiming { until: now.saturating_add(self.patience.reclaim) };
        Some(Act::Reclaim)
    }

    /// What it held is free again, or nobody asks.
    pub fn reclaimed(&mut self) {
        if matches!(self.rung, Rung::Reclaiming { .. }) {
            self.rung = Rung::Clear;
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: u64) -> Option<Act> {
        match self.rung {
            Rung::Asked { until } if now >= until => Some(self.terminate(now)),
            Rung::Terminating { until } if now >= until => Some(self.kill(now)),
            Rung::Killing { until } if now >= until => {
                self.rung = Rung::Unkillable;
                Some(Act::ReportUnkillable)
            }
            Rung::Sweeping { until: Some(until) } if now >= until => {
                self.rung = Rung::Sweeping { until: None };
                Some(Act::ReportUnkillable)
            }
            Rung::Reclaiming { until } if now >= until => {
                self.rung = Rung::Clear;
                Some(Act::ReportUnreclaimed)
            }
            _ => None,
        }
    }

    fn terminate(&mut self, now: u64) -> Act {
        self.rung = Rung::Terminating { until: now.saturating_add(self.patience.grace) };
        Act::Terminate
    }

    fn kill(&mut self, now: u64) -> Act {
        self.rung = Rung::Killing { until: now.saturating_add(self.patience.d_wait) };
        Act::Kill
    }

    /// When `tick` has something to say next.
    pub fn deadline(&self) -> Option<u64> {
        match self.rung {
            Rung::Asked { until }
            | Rung::Terminating { until }
            | Rung::Killing { until }
            | Rung::Sweeping { until: Some(until) }
            | Rung::Reclaiming { until } => Some(until),
            Rung::Up | Rung::Unkillable | Rung::Sweeping { until: None } | Rung::Clear => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Patience = Patience { evidence: 3, grace: 10, d_wait: 5, reclaim: 7 };

    #[test]
    fn the_rungs_come_once_each_in_order_and_end() {
        let mut ladder = Ladder::new(PATIENCE);
        assert_eq!(ladder.tick(1000), None, "a process that is up is left alone");
        assert_eq!(ladder.begin(1000, true), Some(Act::Ask));
        assert_eq!(ladder.begin(1001, true), None);
        assert_eq!(ladder.tick(1002), None);
        assert_eq!(ladder.tick(1003), Some(Act::Terminate), "evidence has its time and no more");
        assert_eq!(ladder.tick(1012), None);
        assert_eq!(ladder.tick(1013), Some(Act::Kill));
        assert_eq!(ladder.tick(1017), None);
        assert_eq!(ladder.tick(1018), Some(Act::ReportUnkillable));
        assert_eq!((ladder.tick(u64::MAX), ladder.deadline()), (None, None));
        assert_eq!(ladder.exited(2000), Some(Act::Sweep), "it can end after all");
        assert_eq!(ladder.swept(2001), Some(Act::Reclaim));
        assert_eq!(ladder.tick(2007), None);
        assert_eq!(ladder.tick(2008), Some(Act::ReportUnreclaimed), "what is not free in time is not waited for");
        assert!(ladder.is_clear());
    }

    #[test]
    fn gathered_evidence_is_not_waited_for_and_hurrying_skips_the_grace() {
        let mut ladder = Ladder::new(PATIENCE);
        ladder.begin(0, true);
        assert_eq!(ladder.gathered(1), Some(Act::Terminate));
        assert_eq!(ladder.gathered(1), None);
        assert_eq!(ladder.hurry(2), Some(Act::Kill));
        assert_eq!(ladder.hurry(3), None);
        assert_eq!(ladder.tick(7), Some(Act::ReportUnkillable));
    }

    #[test]
    fn a_tree_that_outlives_its_leader_is_unkillable_until_it_is_gone() {
        let mut ladder = Ladder::new(PATIENCE);
        assert_eq!(ladder.exited(0), Some(Act::Sweep));
        assert_eq!(ladder.tick(5), Some(Act::ReportUnkillable));
        assert!(ladder.is_unkillable() && ladder.is_sweeping());
        assert_eq!(ladder.swept(9), Some(Act::Reclaim));
        ladder.reclaimed();
        assert!(ladder.is_clear() && !ladder.is_unkillable());
    }

    #[derive(Debug, Clone, Copy)]
    enum Input {
        Begin(bool),
        Gathered,
        Hurry,
        Exited,
        Swept,
        Reclaimed,
        Passes(u64),
    }

    fn inputs() -> impl Strategy<Value = Vec<Input>> {
        let input = prop_oneof![
            any::<bool>().prop_map(Input::Begin),
            Just(Input::Gathered),
            Just(Input::Hurry),
            Just(Input::Exited),
            Just(Input::Swept),
            Just(Input::Reclaimed),
            (0u64..12).prop_map(Input::Passes),
        ];
        proptest::collection::vec(input, 0..40)
    }

    /// Applies one; `hurried` where it skipped the grace.
    fn apply(ladder: &mut Ladder, input: Input, now: &mut u64) -> Option<Act> {
        match input {
            Input::Begin(evidence) => ladder.begin(*now, evidence),
            Input::Gathered => ladder.gathered(*now),
            Input::Hurry => ladder.hurry(*now),
            Input::Exited => ladder.exited(*now),
            Input::Swept => ladder.swept(*now),
            Input::Reclaimed => {
                ladder.reclaimed();
                None
            }
            Input::Passes(ns) => {
                *now += ns;
                ladder.tick(*now)
            }
        }
    }

    proptest! {
        #[test]
        fn no_rung_is_skipped_or_repeated_and_nothing_is_done_to_a_process_that_is_up(all in inputs()) {
            let (mut ladder, mut now, mut acts) = (Ladder::new(PATIENCE), 0, Vec::new());
            let (mut begun, mut hurried, mut exited) = (false, false, false);
            for input in all {
                let was_up = ladder.is_up();
                let act = apply(&mut ladder, input, &mut now);
                begun |= matches!(input, Input::Begin(_)) && act.is_some();
                hurried |= matches!(input, Input::Hurry) && act.is_some();
                exited |= matches!(input, Input::Exited) && act.is_some();
                if was_up && act.is_some() {
                    prop_assert!(matches!(input, Input::Begin(_) | Input::Hurry | Input::Exited), "{input:?}: {act:?}");
                }
                let Some(act) = act else { continue };
                let done = |which: Act| acts.contains(&which);
                match act {
                    Act::Ask => prop_assert!(begun && !exited),
                    Act::Terminate => prop_assert!(done(Act::Ask) && !done(Act::Kill) && !exited),
                    Act::Kill => prop_assert!((done(Act::Terminate) || hurried) && !exited),
                    Act::ReportUnkillable => prop_assert!(done(Act::Kill) || done(Act::Sweep)),
                    Act::Sweep => prop_assert!(exited, "only an exit leads to a sweep"),
                    Act::Reclaim => prop_assert!(done(Act::Sweep)),
                    Act::ReportUnreclaimed => prop_assert!(done(Act::Reclaim)),
                }
                let repeats = acts.iter().filter(|earlier| **earlier == act).count();
                // A leader that could not be killed may end, and leave a tree that cannot be killed either.
                prop_assert!(repeats == 0 || act == Act::ReportUnkillable && repeats == 1 && exited, "{act:?} after {acts:?}");
                acts.push(act);
            }
        }

        #[test]
        fn every_ladder_ends_wherever_it_stands(all in inputs(), exits in any::<bool>()) {
            let (mut ladder, mut now) = (Ladder::new(PATIENCE), 0);
            for input in all {
                apply(&mut ladder, input, &mut now);
            }
            ladder.begin(now, true);
            // Each rung has a deadline, so four of them are enough for any.
            for _ in 0..4 {
                if exits {
                    ladder.exited(now);
                    ladder.swept(now);
                }
                now = ladder.deadline().unwrap_or(now);
                ladder.tick(now);
            }
            prop_assert!(ladder.is_clear() || ladder.is_unkillable(), "{ladder:?}");
            prop_assert!(!exits || ladder.is_clear(), "where everybody exits it is clear: {ladder:?}");
        }
    }
}
