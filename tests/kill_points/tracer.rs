//! A child that is stepped through, instruction by instruction.
#![allow(unsafe_code, reason = "ptrace, and the fork of a child that asks for it")]

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Ended with this, however the test ends.
pub(crate) struct Traced {
    pid: libc::pid_t,
    ended: bool,
    /// `None` of one that was forked.
    child: Option<Child>,
}

/// Why a child stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It did what it was let do: an instruction, or all up to a system call's edge.
    Stepped,
    /// It asked for it: the operation begins or has ended.
    Asked,
}

/// Whether a process here may trace its children at all.
pub(crate) fn is_allowed() -> Result<(), String> {
    let mut probe = Command::new("true");
    match trace_me(&mut probe).spawn() {
        Err(e) => Err(format!("ptrace: {e}")),
        Ok(mut child) => {
            let _ = child.kill();
            let _ = child.wait();
            Ok(())
        }
    }
}

fn ask_to_be_traced() -> std::io::Result<()> {
    // SAFETY: asks for nothing but to be traced by the parent.
    match unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn trace_me(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec one system call is made, which allocates and locks nothing.
    unsafe { command.pre_exec(ask_to_be_traced) }
}

impl Traced {
    /// Starts a program, which stands at its first instruction.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = trace_me(command).spawn().expect("it starts");
        let mut traced = Self { pid: child.id() as libc::pid_t, ended: false, child: Some(child) };
        assert_eq!(traced.wait(), Stop::Stepped, "a traced program stops at its exec");
        traced.die_with_the_tracer();
        traced
    }

    /// Runs `child` in a forked child, whose first act is to be traced. It ends with the child's return.
    pub(crate) fn fork(child: impl FnOnce()) -> Self {
        // SAFETY: the child works alone on what it forked with, and ends by _exit.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "forked");
        if pid == 0 {
            let work = || ask_to_be_traced().map(|()| child());
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let code = i32::from(!matches!(ended, Ok(Ok(()))));
            // SAFETY: ends the forked child without running the parent's exit handlers.
            unsafe { libc::_exit(code) };
        }
        Self { pid, ended: false, child: None }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Lets it run until it asks for a stop.
    pub(crate) fn run(&mut self) {
        if self.child.is_some() {
            self.go_on(libc::PTRACE_CONT);
        }
        assert_eq!(self.wait(), Stop::Asked, "it runs until it asks for a stop");
        self.die_with_the_tracer();
    }

    /// A test that is killed leaves no child that stands still for ever.
    fn die_with_the_tracer(&self) {
        // SAFETY: the child is ours and stands still; the option is a number.
        let done = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, self.pid, 0, libc::PTRACE_O_EXITKILL) };
        assert_eq!(done, 0, "it is ours: {}", std::io::Error::last_os_error());
    }

    /// One instruction, a system call among them as a whole.
    pub(crate) fn step(&mut self) -> Stop {
        self.go_on(libc::PTRACE_SINGLESTEP);
        self.wait()
    }

    /// To the next edge of a system call: to its beginning, and from there to its end.
    pub(crate) fn pass_an_edge(&mut self) -> Stop {
        self.go_on(libc::PTRACE_SYSCALL);
        self.wait()
    }

    fn go_on(&self, how: libc::c_uint) {
        // SAFETY: the child is ours and stands still; no signal is passed on.
        let done = unsafe { libc::ptrace(how, self.pid, 0, 0) };
        assert_eq!(done, 0, "it goes on: {}", std::io::Error::last_os_error());
    }

    fn wait(&mut self) -> Stop {
        let mut status = 0;
        loop {
            // SAFETY: `status` is valid for the call to fill; the child is ours.
            let waited = unsafe { libc::waitpid(self.pid, &mut status, libc::__WALL) };
            if waited == self.pid {
                break;
            }
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINTR), "ours to wait for");
        }
        if !libc::WIFSTOPPED(status) {
            self.ended = true;
            panic!("it ended on its way: {status:#x}");
        }
        match libc::WSTOPSIG(status) {
            libc::SIGTRAP => Stop::Stepped,
            libc::SIGSTOP => Stop::Asked,
            other => panic!("it met signal {other}"),
        }
    }

    /// SIGKILL where it stands, and reaped.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        // SAFETY: the child is ours and not reaped yet.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        let mut status = 0;
        // SAFETY: `status` is valid for the call to fill; the child is ours.
        while unsafe { libc::waitpid(self.pid, &mut status, libc::__WALL) } == self.pid && libc::WIFSTOPPED(status) {}
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.end();
    }
}

/// From a forked child: asks its tracer for a stop.
pub(crate) fn stop_here() {
    // SAFETY: raising a signal for oneself touches nothing.
    unsafe { libc::raise(libc::SIGSTOP) };
}
