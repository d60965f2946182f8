//! Files of /proc that never block, as tests/proc_files.rs lists them. Others (cmdline, environ, maps) wait for a process that is
//! stuck in its memory map, and nothing here reads them.

#[cfg(feature = "monitor")]
pub(crate) mod cgroup;
#[cfg(feature = "monitor")]
pub(crate) mod detail;
#[cfg(feature = "monitor")]
pub(crate) mod machine;
#[cfg(feature = "monitor")]
pub(crate) mod pressure;
#[cfg(feature = "monitor")]
pub(crate) mod syscall;
#[cfg(feature = "monitor")]
pub(crate) mod task;
#[cfg(feature = "monitor")]
pub(crate) mod text;

use std::fs;
use std::io;

/// What is read of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// State letter: R, S, D, T, t, Z, X …
    pub(crate) state: char,
    /// Process group.
    pub(crate) group: i32,
    /// Field 22: start time in ticks since boot, in the reader's time namespace.
    pub(crate) starttime: u64,
}

/// Parses a stat line; `None` if it is not one. `comm` may hold spaces and brackets.
pub(crate) fn parse_stat(line: &str) -> Option<Stat> {
    // comm ends at the *last* bracket.
    let rest = &line[line.rfind(')')? + 1..];
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let _ppid = fields.next()?;
    let group = fields.next()?.parse().ok()?;
    // Fields 6 to 21 stand between the group and the start time.
    let starttime = fields.nth(16)?.parse().ok()?;
    Some(Stat { state, group, starttime })
}

/// A name set by `prctl` may end in the middle of a character, so the file need not be UTF-8.
fn read(path: &str) -> io::Result<Stat> {
    parse_stat(&String::from_utf8_lossy(&fs::read(path)?))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("cannot read {path}")))
}

/// Of the calling process.
pub(crate) fn stat_self() -> io::Result<Stat> {
    read("/proc/self/stat")
}

/// Of `pid`.
#[cfg(feature = "monitor")]
pub(crate) fn stat(pid: u32) -> io::Result<Stat> {
    read(&format!("/proc/{pid}/stat"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_spaces_and_brackets_hides_no_field() {
        let line = "42 (a) b (c)) T 1 42 42 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 304812 2281472 213 18446744073709551615";
        assert_eq!(parse_stat(line), Some(Stat { state: 'T', group: 42, starttime: 304_812 }));
    }

    #[test]
    fn a_line_cut_short_is_no_stat() {
        assert_eq!(parse_stat("42 (a) T 1 42"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    #[cfg(feature = "monitor")]
    fn a_name_that_is_no_utf8_hides_nothing() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().expect("a temp dir");
        let program = dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\xc3)"));
        fs::copy("/bin/sleep", &program).expect("a program of that name");
        let mut child = std::process::Command::new(&program).arg("1000").spawn().expect("spawned");
        let stat = stat(child.id());
        child.kill().expect("ours");
        child.wait().expect("reaped");
        assert!(stat.is_ok(), "{stat:?}");
    }
}
