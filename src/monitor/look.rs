//! One look into /proc at a process and the thread that claimed.

use crate::os::proc::cgroup::Freezers;
use crate::os::proc::task::{Status, Task};
use crate::os::proc::text::Text;
use crate::snapshot::{Probe, Process};
use std::io;

/// Looks; the buffers serve all of them.
#[derive(Debug)]
pub(super) struct Looker {
    text: Text,
    freezers: Freezers,
}

impl Looker {
    pub(super) fn new() -> Self {
        Self { text: Text::default(), freezers: Freezers::find() }
    }

    /// At a process that lived a moment ago. `tid`: the thread that claimed, 0 if not known.
    pub(super) fn look(&mut self, pid: u32, tid: u32) -> Probe {
        let claimer = Task { pid, tid };
        let first = Task::first(pid);
        // The first thread speaks for its process where the claimer cannot: not known, or ended.
        let (status, thread_gone) = match claimer.status(&mut self.text) {
            Ok(status) if !status.has_ended() => (Ok(status), false),
            Ok(_) => (first.status(&mut self.text), true),
            Err(e) => (first.status(&mut self.text), tid != 0 && e.kind() == io::ErrorKind::NotFound),
        };
        let Ok(status) = status else { return Probe::default() };
        Probe {
            process: self.state(pid, status),
            thread_gone,
            // What another thread waits for says nothing of this one.
            run_delay_ns: if thread_gone { None } else { self.run_delay(claimer, first) },
        }
    }

    fn state(&mut self, pid: u32, status: Status) -> Process {
        match status.state {
            'D' if status.killed => Process::Unkillable,
            'T' => Process::Stopped,
            't' => Process::Traced,
            _ if status.traced => Process::Traced,
            // Where no cgroup can be seen nothing says that it is frozen.
            _ if self.freezers.is_frozen(pid, &mut self.text) == Some(true) => Process::Frozen,
            _ => Process::Running,
        }
    }

    fn run_delay(&mut self, claimer: Task, first: Task) -> Option<u64> {
        claimer.run_delay_ns(&mut self.text).or_else(|| first.run_delay_ns(&mut self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::tests::{Frozen, Subject, skip};

    fn seen(child: &Subject) -> Process {
        Looker::new().look(child.pid(), child.pid()).process
    }

    #[test]
    fn whoever_holds_a_process_up_on_purpose_is_told_apart() {
        let child = Subject::sleeping();
        assert_eq!(seen(&child), Process::Running);
        child.stop();
        assert_eq!(seen(&child), Process::Stopped);
        child.resume();
        let tracer = child.trace();
        assert_eq!(seen(&child), Process::Traced, "attached, and it runs");
        tracer.hold();
        assert_eq!(seen(&child), Process::Traced, "at a prompt");
        drop(tracer);
        assert_eq!(seen(&child), Process::Running, "let go");
    }

    #[test]
    fn a_frozen_cgroup_holds_its_process_up() {
        let child = Subject::sleeping();
        let frozen = match Frozen::version_2(child.pid(), false) {
            Ok(frozen) => frozen,
            Err(why) => return skip(&format!("a_frozen_cgroup_holds_its_process_up: {why}")),
        };
        assert_eq!(seen(&child), Process::Frozen);
        frozen.thaw();
        assert_eq!(seen(&child), Process::Running);
    }

    #[test]
    fn a_claiming_thread_that_is_not_there_is_gone_while_its_process_lives() {
        let child = Subject::sleeping();
        let mut looker = Looker::new();
        let gone = looker.look(child.pid(), 1);
        assert_eq!((gone.process, gone.thread_gone, gone.run_delay_ns), (Process::Running, true, None));
        let there = looker.look(child.pid(), child.pid());
        assert!(!there.thread_gone && there.run_delay_ns.is_some(), "{there:?}");
        let unknown = looker.look(child.pid(), 0);
        assert!(!unknown.thread_gone && unknown.run_delay_ns.is_some(), "its process speaks for it: {unknown:?}");
    }

    #[test]
    fn of_a_process_that_is_gone_nothing_is_said() {
        let mut child = Subject::sleeping();
        child.end();
        assert_eq!(Looker::new().look(child.pid(), child.pid()), Probe::default());
    }
}
