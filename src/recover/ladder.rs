//! The ladder of one process: every rung once, in order, and it always ends. Pure: instants in ns of a monotonic clock.

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// SIGCONT and SIGTERM to the whole tree.
    Terminate,
    /// SIGKILL to the whole tree.
    Kill,
    /// It is still there: say so and set its slot aside.
    ReportUnkillable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Up,
    Terminating { until: u64 },
    Killing { until: u64 },
    Unkillable,
}

/// Where a process stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    rung: Rung,
    grace: u64,
    d_wait: u64,
}

impl Ladder {
    /// A process that nothing is wrong with.
    pub fn new(grace: u64, d_wait: u64) -> Self {
        Self { rung: Rung::Up, grace, d_wait }
    }

    /// Whether nothing is being done about it.
    pub fn is_up(&self) -> bool {
        self.rung == Rung::Up
    }

    /// Whether it outlived SIGKILL.
    pub fn is_unkillable(&self) -> bool {
        self.rung == Rung::Unkillable
    }

    /// It must go. A second call changes nothing: no rung is repeated.
    pub fn begin(&mut self, now: u64) -> Option<Act> {
        if !self.is_up() {
            return None;
        }
        self.rung = Rung::Terminating { until: now.saturating_add(self.grace) };
        Some(Act::Terminate)
    }

    /// It must go at once: the grace is over.
    pub fn hurry(&mut self, now: u64) -> Option<Act> {
        matches!(self.rung, Rung::Up | Rung::Terminating { .. }).then(|| self.kill(now))
    }

    /// Time has passed.
    pub fn tick(&mut self, now: u64) -> Option<Act> {
        match self.rung {
            Rung::Terminating { until } if now >= until => Some(self.kill(now)),
            Rung::Killing { until } if now >= until => {
                self.rung = Rung::Unkillable;
                Some(Act::ReportUnkillable)
            }
            _ => None,
        }
    }

    fn kill(&mut self, now: u64) -> Act {
        self.rung = Rung::Killing { until: now.saturating_add(self.d_wait) };
        Act::Kill
    }

    /// When `tick` has something to say next.
    pub fn deadline(&self) -> Option<u64> {
        match self.rung {
            Rung::Terminating { until } | Rung::Killing { until } => Some(until),
            Rung::Up | Rung::Unkillable => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rungs_come_once_each_in_order_and_end() {
        let mut ladder = Ladder::new(10, 5);
        assert_eq!(ladder.tick(1000), None, "a process that is up is left alone");
        assert_eq!(ladder.begin(1000), Some(Act::Terminate));
        assert_eq!(ladder.begin(1001), None);
        assert_eq!(ladder.tick(1009), None);
        assert_eq!(ladder.tick(1010), Some(Act::Kill));
        assert_eq!(ladder.tick(1014), None);
        assert_eq!(ladder.tick(1015), Some(Act::ReportUnkillable));
        assert_eq!(ladder.tick(u64::MAX), None);
        assert_eq!(ladder.deadline(), None);
    }

    #[test]
    fn hurrying_skips_the_grace_and_nothing_else() {
        let mut ladder = Ladder::new(10, 5);
        ladder.begin(0);
        assert_eq!(ladder.hurry(1), Some(Act::Kill));
        assert_eq!(ladder.hurry(2), None);
        assert_eq!(ladder.tick(6), Some(Act::ReportUnkillable));
    }
}
