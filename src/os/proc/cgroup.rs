//! Whether a process is in a frozen cgroup. To every other file such a process seems asleep (version 2) or busy in the kernel
//! (version 1).

use super::must_be_ours;
use super::text::Text;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where a hierarchy is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::os) struct Mount {
    /// The part of the hierarchy that is mounted: `/` for all of it.
    root: String,
    point: String,
}

impl Mount {
    /// The folder of the cgroup `path`, in `out`; `false` if it lies outside of what is mounted.
    pub(in crate::os) fn folder(&self, path: &str, out: &mut String) -> bool {
        out.clear();
        let inside = match self.root.as_str() {
            "/" => Some(path),
            root => path.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/')),
        };
        // A cgroup outside the reader's namespace is written from there, with `..`.
        let Some(inside) = inside.filter(|path| !path.starts_with("/..")) else { return false };
        let _ = write!(out, "{}{inside}", self.point);
        true
    }
}

/// The hierarchies that can freeze, as mounted when this was made.
#[derive(Debug, Default)]
pub(crate) struct Freezers {
    unified: Vec<Mount>,
    version_1: Vec<Mount>,
    path: String,
    folder: String,
}

impl Freezers {
    /// Looks for the mounts; without any, nothing is known to be frozen.
    pub(crate) fn find() -> Self {
        // Of any length: a host of containers has hundreds of mounts.
        std::fs::read("/proc/self/mountinfo").map_or_else(|_| Self::default(), |it| Self::parse(&String::from_utf8_lossy(&it)))
    }

    /// Where the hierarchy of version 2 is mounted.
    pub(in crate::os) fn unified(self) -> Vec<Mount> {
        self.unified
    }

    fn parse(mountinfo: &str) -> Self {
        let mut freezers = Self::default();
        for line in mountinfo.lines() {
            // 36 35 98:0 /root /point options … - type source super-options
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let mut left = left.split(' ').skip(3);
            let (Some(root), Some(point)) = (left.next(), left.next()) else { continue };
            let mount = Mount { root: unescape(root), point: unescape(point) };
            let mut right = right.split(' ');
            match (right.next(), right.nth(1)) {
                (Some("cgroup2"), _) => freezers.unified.push(mount),
                (Some("cgroup"), Some(options)) if options.split(',').any(|option| option == "freezer") => {
                    freezers.version_1.push(mount);
                }
                _ => {}
            }
        }
        freezers
    }

    /// Whether the process's cgroup, or one above it, is frozen as a whole: a frozen parent shows in its children too.
    /// `None`: it cannot be known from here.
    pub(crate) fn is_frozen(&mut self, pid: u32, text: &mut Text) -> Option<bool> {
        let Self { unified, version_1, path, folder } = self;
        let mut known = None;
        for (mounts, of, file, frozen) in [
            (&*unified, unified_path as fn(&str) -> Option<&str>, "cgroup.events", says_frozen as fn(&str) -> bool),
            (&*version_1, freezer_path, "freezer.state", says_frozen_in_version_1),
        ] {
            if mounts.is_empty() {
                continue;
            }
            path.clear();
            path.push_str(of(&text.read(format_args!("/proc/{pid}/cgroup")).ok()?).unwrap_or_default());
            if path.is_empty() || !mounts.iter().any(|mount| mount.folder(path, folder)) {
                continue;
            }
            match text.read(format_args!("{folder}/{file}")) {
                Ok(text) if frozen(&text) => return Some(true),
                Ok(_) => known = Some(false),
                // The root of all has no such file and cannot be frozen.
                Err(_) if path == "/" => known = Some(false),
                Err(_) => {}
            }
        }
        known
    }
}

/// What the process's own cgroup of version 2 counts and limits, by the names of its files.
pub(crate) fn of_process(pid: u32, text: &mut Text) -> BTreeMap<&'static str, String> {
    const FILES: [&str; 10] = [
        "cpu.max",
        "cpu.pressure",
        "cpu.stat",
        "io.pressure",
        "memory.current",
        "memory.events",
        "memory.max",
        "memory.pressure",
        "pids.current",
        "pids.max",
    ];
    let Freezers { unified, mut path, mut folder, .. } = Freezers::find();
    if let Ok(cgroups) = must_be_ours().and_then(|()| text.read(format_args!("/proc/{pid}/cgroup"))) {
        path.push_str(unified_path(&cgroups).unwrap_or_default());
    }
    if path.is_empty() || !unified.iter().any(|mount| mount.folder(&path, &mut folder)) {
        return BTreeMap::new();
    }
    let read = |name| Some((name, text.read(format_args!("{folder}/{name}")).ok()?.trim_end().to_owned()));
    FILES.into_iter().filter_map(read).collect()
}

/// `0::/path`, the line of version 2.
pub(in crate::os) fn unified_path(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// `6:freezer:/path`, where several controllers may share a line.
fn freezer_path(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        fields.next()?.split(',').any(|controller| controller == "freezer").then(|| fields.next())?
    })
}

fn says_frozen(events: &str) -> bool {
    events.lines().any(|line| line == "frozen 1")
}

fn says_frozen_in_version_1(state: &str) -> bool {
    state.trim_end() == "FROZEN"
}

/// Space, tab, line end and backslash are written as three octal digits.
fn unescape(field: &str) -> String {
    let mut rest = field;
    let mut out = String::with_capacity(field.len());
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests;
