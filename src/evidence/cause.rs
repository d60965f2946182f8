//! What a hung worker waits for, in one line.

use serde::Serialize;

/// What holds it up. Additive: a reader skips what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CauseKind {
    /// Another thread of its own is to wake it: a lock, a condition, a join.
    FutexWait,
    /// The driver of a device, most likely the GPU's.
    DriverWait,
    /// A file system or a disk.
    DiskWait,
    /// A socket, or a file system at the other end of one.
    NetworkWait,
    /// A pipe, or any of several descriptors (poll).
    PipeWait,
    /// Nothing: it runs on. A thread that spins until its GPU is done looks the same.
    BusyLoop,
    /// A signal or a debugger has stopped it.
    Stopped,
    /// A CPU.
    Starved,
    /// A timer, a signal or a child of its own.
    Sleeping,
    /// It has ended.
    Exited,
    /// It cannot be known from what could be read.
    Unknown,
}

impl CauseKind {
    /// Its name, everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FutexWait => "futex_wait",
            Self::DriverWait => "driver_wait",
            Self::DiskWait => "disk_wait",
            Self::NetworkWait => "network_wait",
            Self::PipeWait => "pipe_wait",
            Self::BusyLoop => "busy_loop",
            Self::Stopped => "stopped",
            Self::Starved => "starved",
            Self::Sleeping => "sleeping",
            Self::Exited => "exited",
            Self::Unknown => "unknown",
        }
    }
}

/// What a worker waits for, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// What it waits for.
    pub kind: CauseKind,
    /// What it rests on: `thread 4821 (worker) in S, wchan futex_wait_queue, syscall 202 (futex), no CPU time in 250 ms`.
    pub reading: String,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.reading)
    }
}
