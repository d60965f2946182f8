//! What a hung worker waits for, in one line.

use super::interpreter::{self, Interpreter};
use super::places::{driver_frame, of_call, of_stack, place};
use super::threads::{Claiming, Thread, Threads};
use crate::os::proc::detail::Detail;
use crate::os::proc::syscall::named;
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
    /// What its interpreter does, where the worker has it watched.
    pub interpreter: Option<Interpreter>,
}

impl Cause {
    pub(super) fn new(kind: CauseKind, reading: String) -> Self {
        Self { kind, reading, interpreter: None }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.reading)?;
        self.interpreter.iter().try_for_each(|it| write!(f, "; interpreter {it}"))
    }
}

/// Of the time between the samples: one that had this much of it on a CPU was not waiting.
const BUSY: f64 = 0.5;
/// The same where it waited for a CPU for most of the rest: it shares one.
const BUSY_SHARED: f64 = 0.2;
/// One that was runnable all the time and had less of it was starved, one that had more spins on what it is given.
const HARDLY: f64 = 0.1;

/// What a worker waits for, and what its interpreter does where it is watched.
pub(super) fn cause(threads: &Threads) -> Cause {
    let elsewhere = matches!(threads.claiming, Claiming::Thread(tid) if tid != threads.pid);
    let interpreter = threads.threads.iter().find_map(|it| interpreter::told(&it.now.name, elsewhere));
    Cause { interpreter, ..of_threads(threads) }
}

/// The thread that claimed decides; where that one is idle or not known, the first thread, and then whichever is busiest.
fn of_threads(threads: &Threads) -> Cause {
    let find = |tid: u32| threads.threads.iter().find(|it| it.now.tid == tid);
    let (decides, note) = match threads.claiming {
        Claiming::Thread(tid) => (find(tid), String::new()),
        Claiming::Unknown => (None, "the thread that claimed is not known; ".into()),
        Claiming::Ended(own) => (None, format!("the thread that claimed, {own} to itself, has ended; ")),
    };
    let first = find(threads.pid);
    let Some(own) = decides.or(first).or_else(|| threads.threads.first()) else {
        return Cause::new(CauseKind::Exited, format!("{note}process {} has no thread any more", threads.pid));
    };
    let busiest = threads.threads.iter().max_by_key(|it| it.grew.cpu_ns);
    let kind = kind(own, threads.between_ns);
    let reading = |it: &Thread| reading(it, threads.between_ns);
    // An idle thread may wait for one that is not.
    let is_idle = matches!(kind, CauseKind::PipeWait | CauseKind::Sleeping | CauseKind::Exited | CauseKind::Unknown);
    let others = [first, busiest].into_iter().flatten().filter(|it| it.now.tid != own.now.tid);
    for other in others.filter(|_| is_idle) {
        let kind = self::kind(other, threads.between_ns);
        if matches!(kind, CauseKind::DriverWait | CauseKind::DiskWait | CauseKind::BusyLoop | CauseKind::Starved) {
            return Cause::new(kind, format!("{note}{}; {} is idle", reading(other), who(own)));
        }
    }
    // What it waits for may be a thread that waits for more than a thread.
    let tells = |it: &&Thread, tells: CauseKind| it.now.tid != own.now.tid && self::kind(it, threads.between_ns) == tells;
    let another = [CauseKind::DriverWait, CauseKind::DiskWait, CauseKind::BusyLoop]
        .into_iter()
        .find_map(|kind| threads.threads.iter().find(|it| tells(it, kind)));
    let besides = another.map_or_else(String::new, |it| format!("; besides, {}", reading(it)));
    Cause::new(kind, format!("{note}{}{besides}", reading(own)))
}

/// What one thread waits for.
fn kind(thread: &Thread, between_ns: u64) -> CauseKind {
    let Thread { first_state, now, grew, .. } = thread;
    let of_all = |ns: u64| ns as f64 / between_ns.max(1) as f64;
    let (on_cpu, waited) = (of_all(grew.cpu_ns), of_all(grew.run_delay_ns.unwrap_or(0)));
    match now.state {
        'Z' | 'X' | 'x' => return CauseKind::Exited,
        'T' | 't' => return CauseKind::Stopped,
        _ if on_cpu >= BUSY || (on_cpu >= BUSY_SHARED && on_cpu + waited >= BUSY) => return CauseKind::BusyLoop,
        // It has not given its CPU up in between, so it wanted one all the time. How long it waited is counted when a wait ends.
        'R' if *first_state == 'R' && grew.voluntary_switches == 0 => {
            return if on_cpu < HARDLY { CauseKind::Starved } else { CauseKind::BusyLoop };
        }
        'R' => return CauseKind::Unknown,
        _ => {}
    }
    let stack = now.stack.as_deref().unwrap_or_default();
    if driver_frame(stack).is_some() {
        return CauseKind::DriverWait;
    }
    let by_name = now.wchan.as_deref().and_then(place).or_else(|| of_stack(stack));
    let by_call = || call(now).and_then(|number| of_call(number, now.state == 'D'));
    by_name.or_else(by_call).unwrap_or(CauseKind::Unknown)
}

/// The number of the system call that it is in; -1 for none, where it waits in a page fault. `None`: it runs, or may not be read.
fn call(detail: &Detail) -> Option<i64> {
    detail.syscall.as_deref()?.split(' ').next()?.parse().ok()
}

fn who(thread: &Thread) -> String {
    format!("thread {} ({})", thread.now.tid, thread.now.name)
}

/// Where a thread stands: its state, and what names the place.
pub(super) fn standing(thread: &Thread) -> Vec<String> {
    let now = &thread.now;
    let mut parts = vec![format!("{} in {}", who(thread), now.state)];
    parts.extend(now.wchan.as_ref().map(|wchan| format!("wchan {wchan}")));
    parts.extend(now.stack.as_deref().and_then(driver_frame).map(|frame| format!("stack with {frame}")));
    parts.extend(call(now).map(|number| match (number, named(number)) {
        (_, Some((name, _))) => format!("syscall {number} ({name})"),
        (..0, None) => "in a fault, outside of any system call".into(),
        (_, None) => format!("syscall {number}"),
    }));
    parts
}

fn reading(thread: &Thread, between_ns: u64) -> String {
    let ms = |ns: u64| ns / 1_000_000;
    let mut parts = standing(thread);
    let delay = thread.grew.run_delay_ns.map(ms).filter(|ms| *ms > 0);
    parts.extend(delay.map(|delay| format!("waited {delay} ms for a CPU")));
    let (cpu, between) = (ms(thread.grew.cpu_ns), ms(between_ns));
    parts.push(if cpu == 0 { format!("no CPU time in {between} ms") } else { format!("{cpu} ms of CPU time in {between} ms") });
    parts.join(", ")
}

#[cfg(test)]
mod tests;
