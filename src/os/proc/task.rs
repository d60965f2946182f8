//! One thread of a process: its state, who traces it, how long it has waited for a CPU.

use super::must_be_ours;
use super::text::Text;
use std::io;

/// What `status` says of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    /// State letter.
    pub(crate) state: char,
    /// Somebody traces it: a debugger, or strace. A tracer in a pid namespace that this one cannot see does not show.
    pub(crate) traced: bool,
    /// SIGKILL has been sent to it or its process and has not ended it.
    pub(crate) killed: bool,
}

/// SIGKILL's bit in a set of signals.
const KILL: u64 = 1 << (libc::SIGKILL - 1);

impl Status {
    /// It runs no more, though its entry may still be there: the first thread's stays until the last one has ended.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// A thread's folder in /proc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    /// The process.
    pub(crate) pid: u32,
    /// The thread, by its number in the reader's pid namespace.
    pub(crate) tid: u32,
}

impl Task {
    /// The thread that has the process's number.
    pub(crate) fn first(pid: u32) -> Self {
        Self { pid, tid: pid }
    }

    /// Its state. `NotFound`: the process has no such thread, or is gone.
    pub(crate) fn status(self, text: &mut Text) -> io::Result<Status> {
        must_be_ours()?;
        let status =
            text.read(format_args!("/proc/{}/task/{}/status", self.pid, self.tid)).map_err(|e| match e.raw_os_error() {
                // It ended between open and read.
                Some(libc::ESRCH) => io::Error::from_raw_os_error(libc::ENOENT),
                _ => e,
            })?;
        parse_status(&status).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// For how long it has been runnable and not on a CPU, in all. The kernel counts a wait when it ends.
    pub(crate) fn run_delay_ns(self, text: &mut Text) -> Option<u64> {
        must_be_ours().ok()?;
        let text = text.read(format_args!("/proc/{}/task/{}/schedstat", self.pid, self.tid)).ok()?;
        parse_schedstat(&text).map(|(_, waited)| waited)
    }
}

fn parse_status(text: &str) -> Option<Status> {
    // Name, the one field that its process chooses, cannot forge a line: the kernel writes its line ends as \n.
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let state = field("State")?.chars().next()?;
    let tracer: u32 = field("TracerPid")?.parse().ok()?;
    let pending = |name: &str| field(name).and_then(|set| u64::from_str_radix(set, 16).ok()).unwrap_or(0);
    let killed = (pending("SigPnd") | pending("ShdPnd")) & KILL != 0;
    Some(Status { state, traced: tracer != 0, killed })
}

/// Time on a CPU and time waiting for one, of a line that ends with the turns. A kernel that does not count writes zeros.
pub(super) fn parse_schedstat(text: &str) -> Option<(u64, u64)> {
    let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
    let on_cpu = fields.next()?.ok()?;
    let waited = fields.next()?.ok()?;
    let turns = fields.next()?.ok()?;
    (on_cpu != 0 || turns != 0).then_some((on_cpu, waited))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::tests::Subject;

    const STATUS: &str = "Name:\ta\\nState:\\tT\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t42\nTracerPid:\t0\nUid:\t0\n";

    fn number_of_this_thread() -> u32 {
        // SAFETY: gettid has no preconditions and cannot fail.
        unsafe { libc::gettid() as u32 }
    }

    #[test]
    fn the_state_and_the_tracer_are_read_whatever_the_name_holds() {
        assert_eq!(parse_status(STATUS), Some(Status { state: 'S', traced: false, killed: false }));
        let traced = STATUS.replace("TracerPid:\t0", "TracerPid:\t7").replace("S (sleeping)", "t (tracing stop)");
        assert_eq!(parse_status(&traced), Some(Status { state: 't', traced: true, killed: false }));
    }

    #[test]
    fn a_status_that_is_cut_or_odd_is_none() {
        for odd in ["", "State", "State:", "State:\tS (sleeping)\n", "State:\tS\nTracerPid:\t", "State:\tS\nTracerPid:\t-1\n"] {
            assert_eq!(parse_status(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn the_run_delay_is_the_second_of_three_fields() {
        assert_eq!(parse_schedstat("189142518 30287215 663\n"), Some((189_142_518, 30_287_215)));
        assert_eq!(parse_schedstat("0 0 1\n"), Some((0, 0)), "it has had a turn, too short to be counted yet");
    }

    #[test]
    fn a_schedstat_that_is_cut_or_odd_or_not_counted_is_none() {
        for odd in ["", "1", "1 2", "1 x 3", "-1 2 3", "1 99999999999999999999 3", "0 0 0\n"] {
            assert_eq!(parse_schedstat(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_thread_that_ended_has_no_status_while_its_process_has_one() {
        let mut text = Text::default();
        let pid = std::process::id();
        let tid = std::thread::spawn(number_of_this_thread).join().expect("it ended");
        let ended = Task { pid, tid };
        // A thread can be joined a moment before the kernel has taken its entry away.
        let gone = loop {
            if let Err(e) = ended.status(&mut text) {
                break e;
            }
            std::thread::yield_now();
        };
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        let this = Task { pid, tid: number_of_this_thread() };
        assert_eq!(this.status(&mut text).expect("it runs").state, 'R');
    }

    #[test]
    fn a_stopped_child_is_in_state_t_until_it_is_continued() {
        let child = Subject::sleeping();
        let mut text = Text::default();
        let task = Task::first(child.pid());
        child.stop();
        assert_eq!(task.status(&mut text).expect("there"), Status { state: 'T', traced: false, killed: false });
        child.resume();
        assert_ne!(task.status(&mut text).expect("there").state, 'T');
    }

    #[test]
    fn a_child_under_a_debugger_is_traced_both_while_it_runs_and_while_it_is_held() {
        let child = Subject::sleeping();
        let mut text = Text::default();
        let task = Task::first(child.pid());
        let tracer = child.trace();
        let seized = task.status(&mut text).expect("there");
        assert!(seized.traced && seized.state != 't', "{seized:?}");
        tracer.hold();
        assert_eq!(task.status(&mut text).expect("there"), Status { state: 't', traced: true, killed: false });
        drop(tracer);
        assert!(!task.status(&mut text).expect("there").traced, "the debugger has let it go");
    }

    #[test]
    fn the_run_delay_of_one_that_must_share_its_cpu_grows() {
        let (one, _other) = (Subject::spinning(), Subject::spinning());
        let mut text = Text::default();
        let task = Task::first(one.pid());
        let first = task.run_delay_ns(&mut text).expect("this kernel counts");
        while task.run_delay_ns(&mut text).expect("it runs") < first + 1_000_000 {
            std::thread::yield_now();
        }
    }
}
