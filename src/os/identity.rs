//! Who this process is, in words that another process can check.

use super::pidfd::PidFd;
use super::{proc, time};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// What the calling process says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Myself {
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) starttime: u64,
    pub(crate) pidfd_ino: u64,
    pub(crate) pidns_ino: u64,
    pub(crate) timens_ino: u64,
}

fn inode_of(path: &str) -> u64 {
    fs::metadata(path).map_or(0, |m| m.ino())
}

/// Inode of the calling process's pid namespace; 0 where /proc does not say.
pub(crate) fn pid_namespace() -> u64 {
    inode_of("/proc/self/ns/pid")
}

/// Whether a pid namespace with this inode is the first one, in which every process of the machine can be seen. The number is
/// the kernel's own (PROC_PID_INIT_INO) and no other namespace's.
pub(crate) const fn sees_all_processes(pid_namespace: u64) -> bool {
    pid_namespace == 0xefff_fffc
}

/// Inode of the calling process's time namespace; 0 where the kernel has none.
pub(crate) fn time_namespace() -> u64 {
    inode_of("/proc/self/ns/time")
}

/// Reads all of it. What /proc does not say is 0, and proves nothing to anybody.
pub(crate) fn myself() -> Myself {
    let pid = std::process::id();
    // SAFETY: gettid has no preconditions and cannot fail.
    let tid = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
    Myself {
        pid,
        tid,
        starttime: proc::stat_self().map_or(0, |stat| stat.starttime),
        pidfd_ino: PidFd::open(pid).map_or(0, |fd| fd.inode()),
        pidns_ino: pid_namespace(),
        timens_ino: time_namespace(),
    }
}

/// The boot's id as two words; the same in every namespace. Both are 0 where it cannot be read, as in a sandbox without
/// /proc/sys.
pub(crate) fn boot_id() -> [u64; 2] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let word = |range: std::ops::Range<usize>| digits.get(range).and_then(|d| u64::from_str_radix(d, 16).ok()).unwrap_or(0);
    [word(0..16), word(16..32)]
}

/// Whether `device:inode` may be mapped more than `own` times in this process image. Exec drops mappings, so another mapping
/// means that another copy of hangwatch in this image holds slots there. Fewer than `own` means that the file system shows
/// other numbers in maps than in stat (overlays, btrfs), so nothing is known and the answer is the careful one.
pub(crate) fn mapped_elsewhere(device: u64, inode: u64, own: usize) -> bool {
    let wanted = format!("{:02x}:{:02x}", libc::major(device), libc::minor(device));
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else {
        // Unknown: the careful answer, since the other one takes slots over.
        return true;
    };
    let count = maps
        .lines()
        .filter(|line| {
            let mut fields = line.split_ascii_whitespace().skip(3);
            fields.next() == Some(wanted.as_str()) && fields.next().and_then(|i| i.parse().ok()) == Some(inode)
        })
        .count();
    count != own
}

/// Wall clock, for the header's display field.
pub(crate) fn created_stamps() -> (u64, u64) {
    (time::boottime_ns(), time::realtime_ns())
}
