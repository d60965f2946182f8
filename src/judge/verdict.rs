//! The verdicts, in order of precedence.

/// What a slot is judged to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Verdict {
    /// SIGKILL is pending in uninterruptible sleep.
    Unkillable = 1,
    /// Its process has exited without giving the slot back.
    Dead = 2,
    /// The same, and its parent has not reaped it.
    Zombie = 3,
    /// Another generation beats in it.
    Foreign = 4,
    /// The claiming thread ended, the process lives.
    ThreadGone = 5,
    /// Stopped by a signal, a debugger or a frozen cgroup.
    Stopped = 6,
    /// Claimed, and never a beat within the start budget.
    NeverStarted = 7,
    /// In inference, and no sign of life for the heartbeat budget.
    Silent = 8,
    /// Progress fell back and has not passed its mark for the progress budget.
    Looping = 9,
    /// Progress has not passed its mark for the progress budget.
    Stalled = 10,
    /// A phase's budget or a job's deadline is spent.
    Overdue = 11,
    /// Runnable and not given CPU.
    Starved = 12,
    /// A learnt threshold is passed.
    Suspect = 13,
    /// Advancing, but below what it should.
    Slow = 14,
    /// Waits for work.
    Idle = 15,
    /// Signs of life within budget.
    Ok = 16,
    /// No live monitor and no usable stamp.
    Unknown = 17,
}

/// How much a verdict matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to tell.
    Well,
    /// An event, never an act.
    Warning,
    /// An event; whoever may act, acts.
    Acting,
}

impl Verdict {
    /// All of them, in order of precedence.
    pub const ALL: [Self; 17] = [
        Self::Unkillable,
        Self::Dead,
        Self::Zombie,
        Self::Foreign,
        Self::ThreadGone,
        Self::Stopped,
        Self::NeverStarted,
        Self::Silent,
        Self::Looping,
        Self::Stalled,
        Self::Overdue,
        Self::Starved,
        Self::Suspect,
        Self::Slow,
        Self::Idle,
        Self::Ok,
        Self::Unknown,
    ];

    /// Its name, everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unkillable => "unkillable",
            Self::Dead => "dead",
            Self::Zombie => "zombie",
            Self::Foreign => "foreign",
            Self::ThreadGone => "thread_gone",
            Self::Stopped => "stopped",
            Self::NeverStarted => "never_started",
            Self::Silent => "silent",
            Self::Looping => "looping",
            Self::Stalled => "stalled",
            Self::Overdue => "overdue",
            Self::Starved => "starved",
            Self::Suspect => "suspect",
            Self::Slow => "slow",
            Self::Idle => "idle",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
        }
    }

    /// How much it matters.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Unkillable | Self::Dead | Self::Zombie | Self::NeverStarted => Severity::Acting,
            Self::Silent | Self::Looping | Self::Stalled | Self::Overdue => Severity::Acting,
            Self::Foreign | Self::ThreadGone | Self::Stopped | Self::Starved | Self::Suspect | Self::Slow => Severity::Warning,
            Self::Idle | Self::Ok | Self::Unknown => Severity::Well,
        }
    }

    /// Whether it is proof that the process has exited.
    pub const fn is_death(self) -> bool {
        matches!(self, Self::Dead | Self::Zombie)
    }

    /// From the slot's word: any byte is a value.
    pub const fn from_bits(bits: u8) -> Self {
        let i = bits as usize;
        if i >= 1 && i <= Self::ALL.len() { Self::ALL[i - 1] } else { Self::Unknown }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
