//! Files of /proc that never block, as tests/proc_files.rs lists them. Others (cmdline, environ, maps) wait for a process that is
//! stuck in its memory map, and nothing here reads them but `environ`, each time in a thread that may be left behind.

#[cfg(feature = "monitor")]
pub(crate) mod cgroup;
#[cfg(feature = "monitor")]
pub(crate) mod detail;
#[cfg(feature = "monitor")]
pub(crate) mod environ;
#[cfg(feature = "monitor")]
pub(crate) mod machine;
#[cfg(feature = "monitor")]
pub(crate) mod memfd;
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
    /// Its number, in the pid namespace of this /proc, as all numbers here.
    pub(crate) pid: u32,
    /// State letter: R, S, D, T, t, Z, X …
    pub(crate) state: char,
    /// Its parent now: another than the one that made it if that one has ended. 0: none in this namespace.
    pub(crate) parent: u32,
    /// Process group.
    pub(crate) group: i32,
    /// Session.
    pub(crate) session: i32,
    /// Field 22: start time in ticks since boot, in the reader's time namespace.
    pub(crate) starttime: u64,
    /// Field 52: the wait status of a zombie. `None` on a kernel that has no such field.
    pub(crate) exit_status: Option<i32>,
}

/// Parses a stat line; `None` if it is not one. `comm` may hold spaces and brackets.
pub(crate) fn parse_stat(line: &str) -> Option<Stat> {
    // comm ends at the *last* bracket.
    let (before, rest) = line.split_at(line.rfind(')')? + 1);
    let pid = before.split(' ').next()?.parse().ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // Fields 7 to 21 stand between the session and the start time, 23 to 51 between that and the status.
    let starttime = fields.nth(15)?.parse().ok()?;
    let exit_status = fields.nth(29).and_then(|field| field.parse().ok());
    Some(Stat { pid, state, parent, group, session, starttime, exit_status })
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

/// Whether the numbers of this /proc are those of our own pid namespace. Else a number that means one process to us is another's
/// there: `unshare --pid` without `--mount-proc` leaves it so. Asked once a process.
#[cfg(feature = "monitor")]
pub(crate) fn is_ours() -> bool {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    // A process's number, which is never 0, and the answer. Relaxed: nothing else rides on it.
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let us = u64::from(std::process::id()) << 1;
    let asked = ASKED.load(Relaxed);
    if asked & !1 == us {
        return asked & 1 == 1;
    }
    let ours = stat_self().is_ok_and(|stat| stat.pid == std::process::id());
    ASKED.store(us | u64::from(ours), Relaxed);
    ours
}

/// An error where /proc is another pid namespace's.
#[cfg(feature = "monitor")]
pub(in crate::os) fn must_be_ours() -> io::Result<()> {
    if is_ours() { Ok(()) } else { Err(io::Error::new(io::ErrorKind::Unsupported, "/proc is another pid namespace's")) }
}

/// Of `pid`.
#[cfg(feature = "monitor")]
pub(crate) fn stat(pid: u32) -> io::Result<Stat> {
    must_be_ours()?;
    read(&format!("/proc/{pid}/stat"))
}

/// Every process that can be seen, in the order of /proc. Empty where this /proc is another pid namespace's, whose numbers
/// mean other processes here.
#[cfg(feature = "monitor")]
pub(crate) fn all() -> Vec<Stat> {
    let Some(entries) = is_ours().then(|| fs::read_dir("/proc").ok()).flatten() else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|pid| stat(pid).ok()).collect()
}

/// Who runs the process that has this number now.
#[cfg(feature = "monitor")]
pub(crate) fn uid(pid: u32) -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt;
    must_be_ours()?;
    fs::metadata(format!("/proc/{pid}/stat")).map(|metadata| metadata.uid())
}

/// Real, effective, saved and file system user id of `pid`.
#[cfg(feature = "monitor")]
pub(crate) fn user_ids(pid: u32) -> io::Result<[u32; 4]> {
    must_be_ours()?;
    let status = fs::read(format!("/proc/{pid}/status"))?;
    parse_user_ids(&String::from_utf8_lossy(&status)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Name, the one field that its process chooses, cannot forge a line: the kernel writes its line ends as \n.
#[cfg(feature = "monitor")]
fn parse_user_ids(status: &str) -> Option<[u32; 4]> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let ids: Vec<u32> = line.split_ascii_whitespace().map_while(|id| id.parse().ok()).collect();
    ids.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "monitor")]
    fn the_four_user_ids_are_read_or_nothing_is() {
        assert_eq!(parse_user_ids("Name:\tUid:\\n\nState:\tS\nUid:\t0\t1\t2\t3\nGid:\t9\t9\t9\t9\n"), Some([0, 1, 2, 3]));
        for odd in ["", "Uid:", "Uid:\t0\t0\t0\n", "Uid:\t0\t0\t0\t-1\n", "Uid:\t0\t0\t0\t0\t0\n", "Name:\tUid:\t0\t0\t0\t0\n"] {
            assert_eq!(parse_user_ids(odd), None, "{odd:?}");
        }
        assert_eq!(user_ids(std::process::id()).expect("of ourselves"), [crate::os::file::euid(); 4]);
    }

    #[test]
    fn a_command_name_with_spaces_and_brackets_hides_no_field() {
        let line = "42 (a) b (c)) T 1 43 44 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 304812 2281472 213 18446744073709551615";
        let wanted = Stat { pid: 42, state: 'T', parent: 1, group: 43, session: 44, starttime: 304_812, exit_status: None };
        assert_eq!(parse_stat(line), Some(wanted));
        let whole = format!("{line}{} 9 0", " 0".repeat(26));
        assert_eq!(parse_stat(&whole), Some(Stat { exit_status: Some(9), ..wanted }), "field 52");
    }

    #[test]
    #[cfg(feature = "monitor")]
    fn a_zombie_tells_its_status_in_its_stat() {
        let mut child = std::process::Command::new("sh").args(["-c", "exit 3"]).spawn().expect("spawned");
        let status = loop {
            let stat = stat(child.id()).expect("not reaped");
            if stat.state == 'Z' {
                break stat.exit_status;
            }
            std::thread::yield_now();
        };
        child.wait().expect("reaped");
        assert_eq!(status, Some(3 << 8));
    }

    #[test]
    #[cfg(feature = "monitor")]
    fn all_processes_include_this_one_with_its_parent() {
        let all = all();
        let this = all.iter().find(|stat| stat.pid == std::process::id()).expect("it runs");
        assert_eq!(this.parent, std::os::unix::process::parent_id());
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
