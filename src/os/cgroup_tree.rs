//! A cgroup of version 2 for one tree of processes, where ours is delegated to us: whoever is in it is of the tree, whatever
//! session, group or parent it has, and `cgroup.kill` ends all of them at once.
//!
//! No controller is enabled, so the rule that only leaves may hold processes does not apply.

use super::file;
use super::pidfd::PidFd;
use super::proc::cgroup::{Freezers, unified_path};
use super::proc::must_be_ours;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the names of those that we make begin with: a supervisor that adopts a child knows the child's own cgroup by it.
const PREFIX: &str = "hangwatch-tree-";
/// Of the caller's name; a folder's may have 255.
const MAX_NAME: usize = 128;
/// Cgroups that a worker may have made inside of its own, one in the other, and that go with it.
const MAX_DEPTH: u32 = 8;

/// A tree's own cgroup.
#[derive(Debug)]
pub(crate) struct Cgroup {
    /// As the kernel writes it in /proc/PID/cgroup.
    path: String,
    folder: PathBuf,
}

/// The way into a new cgroup, for a child between fork and exec.
#[derive(Debug)]
pub(crate) struct Door {
    procs: File,
    /// Locked: the cgroup is not one that was left behind, though nobody is in it yet.
    _held: File,
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.procs.as_fd()
    }
}

fn path_of(cgroups: &str) -> Option<String> {
    fs::read_to_string(cgroups).ok().and_then(|text| unified_path(&text).map(str::to_owned))
}

fn path_of_process(pid: u32) -> Option<String> {
    must_be_ours().ok()?;
    path_of(&format!("/proc/{pid}/cgroup"))
}

/// The folder of a cgroup, and that it is there.
fn folder_of(path: &str) -> Option<PathBuf> {
    let mut folder = String::new();
    let mounts = Freezers::find().unified();
    mounts.iter().any(|mount| mount.folder(path, &mut folder) && Path::new(&folder).is_dir()).then(|| folder.into())
}

/// Takes away what supervisors left that were killed. One with somebody in it stays, and so does one that is being made: should
/// it be met before its maker has locked it, that tree has none.
fn remove_left_behind(parent: &Path) {
    for folder in fs::read_dir(parent).into_iter().flatten().flatten() {
        if folder.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX))
            && File::open(folder.path()).is_ok_and(|dir| file::try_flock_exclusive(&dir).is_ok_and(|held| held))
        {
            let _ = fs::remove_dir(folder.path());
        }
    }
}

/// Whether `path` is `of` or inside of it.
fn is_inside(path: &str, of: &str) -> bool {
    path.strip_prefix(of.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Cgroup {
    /// Makes one under ours; `None` where that is not delegated, not of version 2, or not to be seen.
    pub(crate) fn make(name: &str) -> Option<(Self, Door)> {
        let own = path_of("/proc/self/cgroup")?;
        let parent = folder_of(&own)?;
        let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' });
        let name: String = plain.take(MAX_NAME).collect();
        remove_left_behind(&parent);
        // A name that was never there before and never comes again: nothing that is done to it can meet another tree's.
        let mut random = [0; 8];
        file::random(&mut random).ok()?;
        let name = format!("{PREFIX}{name}.{:016x}", u64::from_ne_bytes(random));
        let it = Self { path: format!("{}/{name}", own.trim_end_matches('/')), folder: parent.join(name) };
        fs::create_dir(&it.folder).ok()?;
        let held = File::open(&it.folder).ok().filter(|dir| file::try_flock_exclusive(dir).is_ok_and(|held| held));
        let procs = held.and_then(|held| Some((OpenOptions::new().write(true).open(it.folder.join("cgroup.procs")).ok()?, held)));
        let Some((procs, held)) = procs else {
            it.remove();
            return None;
        };
        Some((it, Door { procs, _held: held }))
    }

    /// The one that a supervisor made for the process, whose number is its own all the while; `None`: none was made.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let path = path_of_process(pid)?;
        let folder = folder_of(&path)?;
        let ours = path.rsplit('/').next().is_some_and(|name| name.starts_with(PREFIX));
        // A supervisor that runs inside of a worker's cgroup would end itself.
        let holds_us = path_of("/proc/self/cgroup").is_none_or(|own| is_inside(&own, &path));
        let owned = fs::metadata(&folder).is_ok_and(|metadata| metadata.uid() == file::euid());
        (ours && owned && !holds_us).then_some(Self { path, folder })
    }

    /// SIGKILL to all in it, and to all that they fork meanwhile. An error where the kernel has no such switch (before 5.14).
    pub(crate) fn kill(&self) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.kill"), "1")
    }

    /// Whether anybody is left in it who has not exited; nobody in one that is gone.
    pub(crate) fn is_populated(&self) -> bool {
        match fs::read_to_string(self.folder.join("cgroup.events")) {
            Ok(events) => events.lines().any(|line| line == "populated 1"),
            Err(e) => !matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)),
        }
    }

    /// The numbers of those in it, cgroups that they made inside of it included.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        self.each(MAX_DEPTH, &mut |folder| {
            let procs = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            // 0 stands for a process of a pid namespace that this one cannot see.
            pids.extend(procs.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid != 0));
        });
        pids
    }

    /// Whether the process that has this number now, and of which `fd` is held, is in it.
    pub(crate) fn holds(&self, pid: u32, fd: &PidFd) -> bool {
        // Asked before the handle: while that one's process is there, the number is its own.
        let inside = path_of_process(pid).is_some_and(|path| is_inside(&path, &self.path));
        inside && !fd.has_exited()
    }

    /// Takes it away; one that somebody is still in stays as it is.
    pub(crate) fn remove(&self) {
        if self.is_populated() {
            return;
        }
        self.each(MAX_DEPTH, &mut |folder| {
            let _ = fs::remove_dir(folder);
        });
    }

    /// Every cgroup inside of it, innermost first, and itself.
    fn each(&self, depth: u32, act: &mut dyn FnMut(&Path)) {
        fn inner(folder: &Path, depth: u32, act: &mut dyn FnMut(&Path)) {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let folders: Vec<PathBuf> =
                entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect();
            for folder in folders.iter().filter(|_| depth > 0) {
                inner(folder, depth - 1, act);
            }
            act(folder);
        }
        inner(&self.folder, depth, act);
    }
}

#[cfg(test)]
impl Cgroup {
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Folders of this name that are there.
    pub(crate) fn left_of(name: &str) -> Vec<PathBuf> {
        let parent = path_of("/proc/self/cgroup").and_then(|own| folder_of(&own));
        let folders = parent.and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten().flatten();
        let named = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with(&format!("{PREFIX}{name}.")));
        named.map(|folder| folder.path()).collect()
    }
}
