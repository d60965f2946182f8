//! Where in the kernel a thread waits, by the name of the function, and what that means.

use super::cause::CauseKind::{self, DiskWait, DriverWait, FutexWait, NetworkWait, PipeWait, Sleeping, Stopped};
use crate::os::proc::syscall::{For, named};

/// Beginnings of the names of functions. Names come and go with kernels; what none of them covers is left to the system call.
const PLACES: &[(&str, CauseKind)] = &[
    ("futex_", FutexWait),
    ("nvidia", DriverWait),
    ("nvkms", DriverWait),
    ("nv_", DriverWait),
    ("uvm_", DriverWait),
    ("amdgpu", DriverWait),
    ("kfd_", DriverWait),
    ("svm_range", DriverWait),
    ("drm_", DriverWait),
    ("ttm_", DriverWait),
    ("dma_fence", DriverWait),
    ("dma_resv", DriverWait),
    ("i915_", DriverWait),
    ("xe_", DriverWait),
    ("hl_", DriverWait),
    ("io_schedule", DiskWait),
    ("bit_wait_io", DiskWait),
    ("folio_wait", DiskWait),
    ("wait_on_page", DiskWait),
    ("wait_on_buffer", DiskWait),
    ("filemap_", DiskWait),
    ("percpu_rwsem_wait", DiskWait),
    ("sb_start_write", DiskWait),
    ("submit_bio", DiskWait),
    ("bio_", DiskWait),
    ("blk_", DiskWait),
    ("blkdev_", DiskWait),
    ("iomap_", DiskWait),
    ("balance_dirty", DiskWait),
    ("writeback_", DiskWait),
    ("wb_wait", DiskWait),
    ("inode_wait", DiskWait),
    ("jbd2_", DiskWait),
    ("wait_transaction", DiskWait),
    ("ext4_", DiskWait),
    ("xfs_", DiskWait),
    ("btrfs_", DiskWait),
    ("f2fs_", DiskWait),
    ("ovl_", DiskWait),
    ("fuse_", DiskWait),
    ("request_wait_answer", DiskWait),
    ("flock_lock", DiskWait),
    ("locks_lock", DiskWait),
    ("swap_", DiskWait),
    ("nvme_", DiskWait),
    ("scsi_", DiskWait),
    ("sk_", NetworkWait),
    ("skb_", NetworkWait),
    ("tcp_", NetworkWait),
    ("udp_", NetworkWait),
    ("inet_", NetworkWait),
    ("unix_", NetworkWait),
    ("rpc_", NetworkWait),
    ("nfs", NetworkWait),
    ("ceph_", NetworkWait),
    ("cifs_", NetworkWait),
    ("smb2_", NetworkWait),
    ("pipe_", PipeWait),
    ("anon_pipe_", PipeWait),
    ("wait_for_partner", PipeWait),
    ("do_poll", PipeWait),
    ("do_sys_poll", PipeWait),
    ("poll_schedule", PipeWait),
    ("do_select", PipeWait),
    ("ep_poll", PipeWait),
    ("do_epoll", PipeWait),
    ("eventfd_", PipeWait),
    ("n_tty_", PipeWait),
    ("io_cqring", PipeWait),
    ("hrtimer_nanosleep", Sleeping),
    ("do_nanosleep", Sleeping),
    ("common_nsleep", Sleeping),
    ("do_sigtimedwait", Sleeping),
    ("sigsuspend", Sleeping),
    // Version 2 of cgroups freezes where a signal would be taken.
    ("get_signal", Stopped),
    ("refrigerator", Stopped),
    ("do_freezer_trap", Stopped),
    ("do_signal_stop", Stopped),
    ("ptrace_stop", Stopped),
];

/// Modules whose every function waits for a device.
const DRIVERS: &[&str] = &["nvidia", "amdgpu", "i915", "xe", "habanalabs", "drm"];

/// What it means to wait in this function.
pub(super) fn place(function: &str) -> Option<CauseKind> {
    let function = function.trim_start_matches('_');
    let begins = |(beginning, _): &&(&str, CauseKind)| function.starts_with(beginning);
    PLACES.iter().find(begins).map(|(_, kind)| *kind).or_else(|| function.contains("ioctl").then_some(DriverWait))
}

/// The first frame that is a driver's: `[<0>] uvm_ioctl+0x12/0x30 [nvidia_uvm]`.
pub(super) fn driver_frame(stack: &str) -> Option<&str> {
    stack
        .lines()
        .map(frame)
        .find(|(function, module)| {
            let function = function.trim_start_matches('_');
            let of_driver = PLACES.iter().filter(|(_, kind)| *kind == DriverWait).any(|(it, _)| function.starts_with(it));
            of_driver
                || DRIVERS.iter().any(|it| module.strip_prefix(it).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
        })
        .map(|(function, _)| function)
}

/// What the innermost frame that means something means.
pub(super) fn of_stack(stack: &str) -> Option<CauseKind> {
    stack.lines().find_map(|line| place(frame(line).0))
}

/// A frame's function and its module, empty for the kernel itself.
fn frame(line: &str) -> (&str, &str) {
    let line = line.trim_start_matches("[<0>]").trim();
    let function = line.split(['+', ' ']).next().unwrap_or_default();
    let module = line.rsplit_once('[').map_or("", |(_, module)| module.trim_end_matches(']'));
    (function, module)
}

/// What a thread waits for that has stopped in this call; `blocked`: in uninterruptible sleep.
pub(super) fn of_call(number: i64, blocked: bool) -> Option<CauseKind> {
    match named(number)?.1 {
        For::Futex => Some(FutexWait),
        For::Driver => Some(DriverWait),
        For::File if blocked => Some(DiskWait),
        For::File | For::Poll => Some(PipeWait),
        For::Disk => Some(DiskWait),
        For::Network => Some(NetworkWait),
        For::Time => Some(Sleeping),
        For::Other => None,
    }
}
