//! (shim until the real one)
use crate::os::pidfd::PidFd;
use crate::os::spawn;
pub(crate) use crate::os::spawn::Exit;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};

pub(crate) struct Spawn<'a> {
    pub(crate) argv: &'a [OsString],
    pub(crate) variables: &'a [(String, String)],
    pub(crate) without: &'a [&'a str],
    pub(crate) output: Option<&'a File>,
    pub(crate) journal: Option<Journal<'a>>,
    pub(crate) cgroup: Option<String>,
}
pub(crate) struct Journal<'a> {
    pub(crate) file: &'a File,
    pub(crate) words: &'a str,
}
#[derive(Debug)]
pub(crate) enum NotAdopted {
    Gone,
    AnotherProcess,
    Unknown,
}
impl std::fmt::Display for NotAdopted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
#[derive(Debug)]
pub(crate) struct Tree {
    pid: u32,
    fd: PidFd,
    child: bool,
}
impl Tree {
    pub(crate) fn spawn(s: &Spawn<'_>) -> io::Result<Self> {
        let [program, arguments @ ..] = s.argv else { return Err(io::Error::from_raw_os_error(libc::EINVAL)) };
        let mut command = Command::new(program);
        command.args(arguments).envs(s.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        for name in s.without {
            command.env_remove(name);
        }
        if let Some(file) = s.output {
            command.stdout(file.try_clone()?).stderr(file.try_clone()?);
        }
        let _ = (&s.cgroup, s.journal.as_ref().map(|j| (j.file, j.words)));
        spawn::spawn_leader(command).map(|(pid, fd)| Self { pid, fd, child: true })
    }
    pub(crate) fn adopt(pid: u32, inode: u64, _starttime: u64) -> Result<Self, NotAdopted> {
        let fd = PidFd::open(pid).map_err(|_| NotAdopted::Gone)?;
        if inode != fd.inode() {
            return Err(NotAdopted::AnotherProcess);
        }
        if fd.has_exited() {
            return Err(NotAdopted::Gone);
        }
        Ok(Self { pid, fd, child: false })
    }
    pub(crate) fn of_other(fd: PidFd, pid: u32) -> Self {
        Self { pid, fd, child: false }
    }
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
    pub(crate) fn inode(&self) -> u64 {
        self.fd.inode()
    }
    pub(crate) fn starttime(&self) -> u64 {
        crate::os::proc::stat(self.pid).map_or(0, |s| s.starttime)
    }
    pub(crate) fn handle(&self) -> io::Result<PidFd> {
        self.fd.try_clone()
    }
    pub(crate) fn terminate(&mut self) -> io::Result<()> {
        self.fd.signal(libc::SIGTERM, true)?;
        self.fd.signal(libc::SIGCONT, true)
    }
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.fd.signal(libc::SIGKILL, true)
    }
    pub(crate) fn exit(&self) -> Option<Exit> {
        if self.child { spawn::peek_exit(&self.fd).ok().flatten() } else { self.fd.has_exited().then_some(Exit::Unknown) }
    }
    pub(crate) fn sweep(&mut self) -> usize {
        let _ = self.fd.signal(libc::SIGKILL, true);
        0
    }
    pub(crate) fn holders(&self) -> Vec<u32> {
        Vec::new()
    }
    pub(crate) fn reap(self) {
        let _ = spawn::reap(&self.fd);
    }
}
impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
