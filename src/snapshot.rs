//! What was read of a slot at one poll, as plain data: judgement needs neither memory nor /proc, so a recorded snapshot
//! replays to the same verdict.

use crate::layout::hot::HotWords;
use crate::layout::info::Info;
use crate::layout::phase::Phase;
use crate::layout::user_phase::UserPhase;
use crate::layout::word::Owner;
use std::sync::Arc;

/// What was read of a slot's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Process {
    /// Not asked at this poll, or it cannot be known from here (another pid namespace).
    #[default]
    Unknown,
    /// There, and not stopped.
    Running,
    /// Stopped by a signal (state T).
    Stopped,
    /// Under a debugger: state t, or a tracer is attached.
    Traced,
    /// In a frozen cgroup (state S to the eye; `cgroup.events` tells).
    Frozen,
    /// In uninterruptible sleep (state D), and SIGKILL is pending.
    Unkillable,
    /// It has exited; its parent has not reaped it.
    Zombie,
    /// It has exited.
    Gone,
}

impl Process {
    /// Somebody holds it up on purpose: no budget runs meanwhile.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Stopped | Self::Traced | Self::Frozen)
    }
}

/// What the last look at a slot's process found. It stands until the next look, which may be some polls later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Probe {
    /// Its state.
    pub process: Process,
    /// The thread that claimed has ended while the process lives.
    pub thread_gone: bool,
    /// How long the claiming thread has waited for a CPU in all (ns, the kernel's count); `None` where it cannot be read.
    pub run_delay_ns: Option<u64>,
}

/// What was read of the machine at one poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostSnapshot {
    /// CLOCK_MONOTONIC: stands still while the machine is suspended.
    pub monotonic_ns: u64,
    /// CLOCK_BOOTTIME: does not; 0 where it was not read.
    pub boottime_ns: u64,
    /// How long some task has waited for a CPU in all (us, /proc/pressure/cpu); `None` where it cannot be read.
    pub cpu_pressure_us: Option<u64>,
}

/// One slot at one poll.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotSnapshot {
    /// The slot's index.
    pub index: u32,
    /// Its owner word; the tag says whether anybody owns it.
    pub owner: Owner,
    /// The hot words; `None` where the slot is not LIVE, or its writer was too quick for this poll.
    pub hot: Option<HotWords>,
    /// The info record, if it is this owner's and this job's.
    pub info: Option<Arc<Info>>,
    /// The user phase that the phase word names, if it names one that is registered.
    pub user_phase: Option<Arc<UserPhase>>,
    /// What was read of the process.
    pub probe: Probe,
}

impl SlotSnapshot {
    /// The phase that the hot words name.
    pub fn phase(&self) -> Option<Phase> {
        self.hot.as_ref().map(|hot| Phase::from_id(hot.phase.id()))
    }
}
