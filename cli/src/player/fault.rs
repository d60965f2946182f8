//! What can go wrong with a worker.

/// A fault, and the verdict that it deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// Healthy: does its jobs, then idles (ok, idle)
    None,
    /// Healthy: beats and reports no progress (ok)
    NoProgress,
    /// Stops everything at --at (silent)
    Hang,
    /// Keeps beating and stands still at --at (stalled)
    Stall,
    /// Stands still before its first step, while a helper thread says alive (stalled)
    StallBeforeFirstStep,
    /// Stands still at 5 % of a model's load, while a helper thread says alive (overdue)
    LoadDeadlock,
    /// Retries the step at --at for ever (stalled)
    OomFlat,
    /// Falls back to 0 and climbs to --at for ever (looping)
    OomLoop,
    /// Hangs in post-processing, after the last step (overdue)
    Decode,
    /// Hangs in inference, after the last step (silent)
    Tail,
    /// One step of each job takes 1.3 times --slow, under a lease (ok)
    Lease,
    /// Aborts at --at (dead)
    Crash,
    /// Leaves at --at without giving its slot back (dead)
    Exit,
    /// Stops itself with SIGSTOP at --at, and goes on when continued (stopped)
    Stop,
}

impl Fault {
    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        use clap::ValueEnum;
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it strikes in every job: the work goes on after it.
    pub(super) fn recurs(self) -> bool {
        matches!(self, Self::NoProgress | Self::Lease)
    }
}
