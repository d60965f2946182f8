//! Real processes to look at, for the tests of this row and of the monitor's.

use super::pidfd::PidFd;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

#[path = "../../tests/common/skipped.rs"]
mod skipped;

pub(crate) use skipped::skip;

/// A child; it dies with this.
pub(crate) struct Subject(Child);

impl Subject {
    pub(crate) fn sleeping() -> Self {
        Self(Command::new("sleep").arg("1000000").spawn().expect("sleep"))
    }

    /// On the first CPU that this process may use, with all others like it.
    pub(crate) fn spinning() -> Self {
        let child = Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("sh"));
        // SAFETY: cpu_set_t is plain data, for which all zero is a value.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is valid for the call to fill, and its size is given.
        assert_eq!(unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) }, 0);
        // SAFETY: the index is within the set.
        let first = (0..libc::CPU_SETSIZE as usize).find(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).expect("a CPU");
        // SAFETY: the set is valid.
        unsafe { libc::CPU_ZERO(&mut set) };
        // SAFETY: the index is within the set.
        unsafe { libc::CPU_SET(first, &mut set) };
        // SAFETY: the set is valid, and its size is given.
        assert_eq!(unsafe { libc::sched_setaffinity(child.pid() as libc::pid_t, size_of_val(&set), &set) }, 0);
        child
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn inode(&self) -> u64 {
        PidFd::open(self.pid()).expect("there").inode()
    }

    fn signal(&self, signal: libc::c_int) {
        PidFd::open(self.pid()).and_then(|fd| fd.signal(signal, false)).expect("it is ours");
    }

    fn wait(&self, what: libc::c_int) {
        wait(self.pid(), what);
    }

    /// Stops it; it is stopped when this returns.
    pub(crate) fn stop(&self) {
        self.signal(libc::SIGSTOP);
        self.wait(libc::WUNTRACED);
    }

    pub(crate) fn resume(&self) {
        self.signal(libc::SIGCONT);
        self.wait(libc::WCONTINUED);
    }

    /// Kills it and leaves it to be reaped.
    pub(crate) fn kill(&self) {
        self.signal(libc::SIGKILL);
        // SAFETY: siginfo_t is plain data, for which all zero is a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is valid for the call to fill; the child is ours.
        let rc = unsafe { libc::waitid(libc::P_PID, self.pid(), &mut info, libc::WEXITED | libc::WNOWAIT) };
        assert_eq!(rc, 0, "it has exited and is not reaped");
    }

    /// Kills it and reaps it.
    pub(crate) fn end(&mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("reaped");
    }

    /// Attaches to it as a debugger does, without stopping it. The tracer is this thread.
    pub(crate) fn trace(&self) -> Tracer {
        let tracer = Tracer { pid: self.pid(), held: Cell::new(false) };
        tracer.ask(libc::PTRACE_SEIZE);
        tracer
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(pid: u32, what: libc::c_int) {
    let mut status = 0;
    // SAFETY: `status` is valid for the call to fill; the child is ours.
    assert_eq!(unsafe { libc::waitpid(pid as libc::pid_t, &mut status, what) }, pid as libc::pid_t, "of ours");
}

/// A debugger at work on a child; it lets go with this.
pub(crate) struct Tracer {
    pid: u32,
    held: Cell<bool>,
}

impl Tracer {
    fn ask(&self, request: libc::c_uint) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: these requests read neither of the two pointers.
        let rc = unsafe { libc::ptrace(request, self.pid as libc::pid_t, none, none) };
        assert_eq!(rc, 0, "ptrace {request}: {}", std::io::Error::last_os_error());
    }

    /// Holds the child at a prompt.
    pub(crate) fn hold(&self) {
        if !self.held.replace(true) {
            self.ask(libc::PTRACE_INTERRUPT);
            wait(self.pid, libc::__WALL);
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Only one that is held can be let go.
        self.hold();
        self.ask(libc::PTRACE_DETACH);
    }
}

/// A cgroup of its own around one process, frozen; gone with this.
pub(crate) struct Frozen {
    pid: u32,
    top: PathBuf,
    /// Outermost first.
    made: Vec<PathBuf>,
    /// The file that freezes, what it wants to thaw.
    switch: (PathBuf, &'static str),
}

impl Frozen {
    /// `nested`: the process is in a child of the frozen one.
    pub(crate) fn version_2(pid: u32, nested: bool) -> Result<Self, String> {
        let top = mounted("cgroup2", "").ok_or("no cgroup file system of version 2 is mounted")?;
        let outer = top.join(format!("hangwatch-test-{pid}"));
        let folders = [outer.clone(), outer.join("inner")].into_iter().take(1 + usize::from(nested)).collect();
        let switch = (outer.join("cgroup.freeze"), "0");
        Self::make(pid, top, folders, switch, "1", &|it| it.made.iter().all(|dir| holds(&dir.join("cgroup.events"), "frozen 1")))
    }

    pub(crate) fn version_1(pid: u32) -> Result<Self, String> {
        let top = mounted("cgroup", "freezer").ok_or("no freezer of version 1 is mounted")?;
        let folder = top.join(format!("hangwatch-test-{pid}"));
        let switch = (folder.join("freezer.state"), "THAWED");
        Self::make(pid, top, vec![folder], switch, "FROZEN", &|it| holds(&it.switch.0, "FROZEN"))
    }

    fn make(
        pid: u32,
        top: PathBuf,
        folders: Vec<PathBuf>,
        switch: (PathBuf, &'static str),
        freeze: &str,
        frozen: &dyn Fn(&Self) -> bool,
    ) -> Result<Self, String> {
        let mut it = Self { pid, top, made: Vec::new(), switch };
        for folder in folders {
            fs::create_dir(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
            it.made.push(folder);
        }
        let innermost = it.made.last().expect("one at least");
        fs::write(innermost.join("cgroup.procs"), pid.to_string()).map_err(|e| format!("cannot move a process there: {e}"))?;
        fs::write(&it.switch.0, freeze).map_err(|e| format!("cannot freeze: {e}"))?;
        while !frozen(&it) {
            std::thread::yield_now();
        }
        Ok(it)
    }

    pub(crate) fn thaw(&self) {
        let (file, word) = &self.switch;
        let _ = fs::write(file, word);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw();
        let _ = fs::write(self.top.join("cgroup.procs"), self.pid.to_string());
        for folder in self.made.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn holds(file: &Path, wanted: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.lines().any(|line| line == wanted))
}

/// Where a whole hierarchy of this type and with this option is mounted.
fn mounted(kind: &str, option: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let dash = fields.iter().position(|field| *field == "-")?;
        let of = fields.get(dash + 1) == Some(&kind) && fields.get(dash + 3).is_some_and(|options| options.contains(option));
        (of && fields[3] == "/").then(|| PathBuf::from(fields[4]))
    })
}

/// Locks byte 0 of the file by its description, which names no process.
pub(crate) fn lock_description(file: &fs::File) {
    use std::os::fd::AsRawFd;
    // SAFETY: flock is a struct of integers, for which all zero is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_len) = (libc::F_WRLCK as libc::c_short, 1);
    // SAFETY: the descriptor is open, the lock is a valid flock.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &mut lock) }, 0);
}

/// Gives up this process's user for good.
pub(crate) fn become_user(id: u32) {
    // SAFETY: it takes three numbers.
    assert_eq!(unsafe { libc::setresuid(id, id, id) }, 0);
}
