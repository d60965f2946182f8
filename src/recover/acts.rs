//! The acts on a child of our own. Every signal goes through its pidfd: a pid read from shared memory is never signalled.

use crate::os::pidfd::PidFd;
use crate::os::spawn;
pub(crate) use crate::os::spawn::Exit;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};

/// A child that leads a process group of its own.
#[derive(Debug)]
pub(crate) struct Child {
    pid: u32,
    fd: PidFd,
}

impl Child {
    /// Spawns `argv` with these variables added and those of `without` left out. Its standard output and error go to `log`;
    /// without one they are ours.
    pub(crate) fn spawn(
        argv: &[OsString],
        variables: &[(String, String)],
        without: &[&str],
        log: Option<File>,
    ) -> io::Result<Self> {
        let [program, arguments @ ..] = argv else { return Err(io::Error::from_raw_os_error(libc::EINVAL)) };
        let mut command = Command::new(program);
        for name in without {
            command.env_remove(name);
        }
        command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        if let Some(log) = log {
            command.stdout(log.try_clone()?).stderr(log);
        }
        spawn::spawn_leader(command).map(|(pid, fd)| Self { pid, fd })
    }

    /// Its number, which is its group's too.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks the tree to end. A stopped process would not hear SIGTERM, so it is continued too.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        self.fd.signal(libc::SIGTERM, true)?;
        self.fd.signal(libc::SIGCONT, true)
    }

    /// Ends the tree.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.fd.signal(libc::SIGKILL, true)
    }

    /// How it ended, if it has; it is still to be reaped.
    pub(crate) fn exit(&self) -> Option<Exit> {
        spawn::peek_exit(&self.fd).ok().flatten()
    }

    /// Ends what is left of its group, whose number it still holds, and reaps it.
    pub(crate) fn reap(self) {
        let _ = self.kill();
        let _ = spawn::reap(&self.fd);
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
