//! What two samples of a process's threads say: the last reading of each, and what grew between them.

use crate::clock;
use crate::os::pidfd::PidFd;
use crate::os::proc::detail::{self, Detail};
use crate::os::proc::task::Task;
use crate::os::proc::text::Text;
use crate::os::wake::wait_readable;
use crate::policy::ns;
use serde::Serialize;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// Threads of which all is read: a worker with more has pools of them that all look the same.
const MAX_THREADS: usize = 256;
/// Threads among which the one that claimed is looked for.
const MAX_LOOKED_AT: usize = 4096;
/// A tick of /proc, in ns; the same on every machine.
const TICK_NS: u64 = 10_000_000;

/// What became more between the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Grew {
    /// Time on a CPU.
    pub(super) cpu_ns: u64,
    /// Time runnable and without a CPU; counted when the wait ends.
    pub(super) run_delay_ns: Option<u64>,
    /// Times it gave its CPU up.
    pub(super) voluntary_switches: u64,
    /// Times it lost its CPU.
    pub(super) involuntary_switches: u64,
    /// Bytes through system calls.
    pub(super) io_bytes: Option<u64>,
    /// Bytes from or to a disk.
    pub(super) disk_bytes: Option<u64>,
}

/// One thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Thread {
    /// It claimed the slot.
    pub(super) claimed: bool,
    /// Its state at the first sample.
    pub(super) first_state: char,
    /// The last reading.
    #[serde(flatten)]
    pub(super) now: Detail,
    /// What grew.
    pub(super) grew: Grew,
}

/// Who claimed the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claiming {
    /// The thread of that number here.
    Thread(u32),
    /// It is not known.
    Unknown,
    /// The thread that had that number in its own namespace has ended.
    Ended(u32),
}

/// All of them: the one that claimed, the first one, the others by number.
#[derive(Debug)]
pub(super) struct Threads {
    pub(super) pid: u32,
    pub(super) claiming: Claiming,
    pub(super) between_ns: u64,
    pub(super) threads: Vec<Thread>,
    /// Threads of which nothing was read.
    pub(super) left_out: usize,
}

fn grew(first: &Detail, last: &Detail) -> Grew {
    let more = |of: fn(&Detail) -> u64| of(last).saturating_sub(of(first));
    let maybe = |of: fn(&Detail) -> Option<u64>| Some(of(last)?.saturating_sub(of(first)?));
    let ticks = more(|it| it.user_ticks + it.system_ticks);
    Grew {
        cpu_ns: maybe(|it| it.on_cpu_ns).unwrap_or(ticks * TICK_NS),
        run_delay_ns: maybe(|it| it.run_delay_ns),
        voluntary_switches: more(|it| it.voluntary_switches),
        involuntary_switches: more(|it| it.involuntary_switches),
        io_bytes: maybe(|it| it.io_bytes),
        disk_bytes: maybe(|it| it.disk_bytes),
    }
}

/// The number here of the thread that claimed: workers know the one in their own namespace.
fn claiming(pid: u32, own_tid: u32, tids: &[u32], text: &mut Text) -> Claiming {
    if own_tid == 0 {
        return Claiming::Unknown;
    }
    let mut is_it = |tid: u32| Task { pid, tid }.own_number(text) == Some(own_tid);
    // The number itself first: mostly there is one namespace.
    let found = tids.contains(&own_tid).then_some(own_tid).filter(|tid| is_it(*tid));
    match found.or_else(|| tids.iter().copied().take(MAX_LOOKED_AT).find(|tid| is_it(*tid))) {
        Some(tid) => Claiming::Thread(tid),
        None => Claiming::Ended(own_tid),
    }
}

/// Takes both samples; waits `between` on this thread, less if the process ends. An error: it is gone.
pub(super) fn sample(pid: u32, own_tid: u32, fd: &PidFd, between: Duration) -> io::Result<Threads> {
    let mut text = Text::default();
    let mut tids = detail::threads(pid)?;
    let claiming = claiming(pid, own_tid, &tids, &mut text);
    tids.sort_by_key(|tid| (Claiming::Thread(*tid) != claiming, *tid != pid, *tid));
    let left_out = tids.len().saturating_sub(MAX_THREADS);
    tids.truncate(MAX_THREADS);
    let began = clock::monotonic_ns();
    let first: Vec<Detail> = tids.iter().filter_map(|&tid| Task { pid, tid }.detail(&mut text).ok()).collect();
    let end = began.saturating_add(ns(between));
    // A signal ends a wait early, the process's end ends all of them.
    while let Some(left) = super::gatherer::left_until(end) {
        if wait_readable(&[fd.as_fd()], Some(left))[0] {
            break;
        }
    }
    let between_ns = clock::monotonic_ns() - began;
    let last = |first: Detail| {
        let task = Task { pid, tid: first.tid };
        let mut now = task.detail(&mut text).ok()?;
        task.add_long(&mut now, &mut text);
        Some(Thread { claimed: claiming == Claiming::Thread(now.tid), first_state: first.state, grew: grew(&first, &now), now })
    };
    let threads = first.into_iter().filter_map(last).collect();
    Ok(Threads { pid, claiming, between_ns, threads, left_out })
}
