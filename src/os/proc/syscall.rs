//! System calls by the numbers of this machine, which are the worker's too: the handful in which programs wait.

/// What a call may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Another thread.
    Futex,
    /// A driver.
    Driver,
    /// A file system; a pipe, a terminal or a socket too where it reads or writes.
    File,
    /// A file system alone.
    Disk,
    /// A socket.
    Network,
    /// Any of several descriptors.
    Poll,
    /// A timer, a signal, a child.
    Time,
    /// Nothing in particular.
    Other,
}

macro_rules! calls {
    ($($name:ident: $for:ident $(on $($arch:literal)+)?),* $(,)?) => {
        /// The number, the name, what it waits for. Machines of 32 bits have other calls; there, numbers stay numbers.
        #[cfg(target_pointer_width = "64")]
        const CALLS: &[(libc::c_long, &str, For)] = &[$(
            $(#[cfg(any($(target_arch = $arch),+))])?
            (libc::$name, stringify!($name), For::$for),
        )*];
        #[cfg(not(target_pointer_width = "64"))]
        const CALLS: &[(libc::c_long, &str, For)] = &[];
    };
}

calls! {
    SYS_futex: Futex, SYS_futex_waitv: Futex,
    SYS_ioctl: Driver,
    SYS_read: File, SYS_write: File, SYS_readv: File, SYS_writev: File,
    SYS_pread64: Disk, SYS_pwrite64: Disk, SYS_preadv: Disk, SYS_pwritev: Disk,
    SYS_fsync: Disk, SYS_fdatasync: Disk, SYS_sync: Disk, SYS_syncfs: Disk, SYS_msync: Disk,
    SYS_openat: Disk, SYS_close: Disk, SYS_statx: Disk, SYS_newfstatat: Disk on "x86_64" "aarch64",
    SYS_getdents64: Disk, SYS_unlinkat: Disk, SYS_ftruncate: Disk, SYS_fallocate: Disk, SYS_flock: Disk, SYS_io_getevents: Disk,
    SYS_open: Disk on "x86_64", SYS_stat: Disk on "x86_64", SYS_unlink: Disk on "x86_64",
    SYS_accept: Network on "x86_64" "aarch64", SYS_accept4: Network, SYS_connect: Network,
    SYS_recvfrom: Network, SYS_recvmsg: Network, SYS_recvmmsg: Network,
    SYS_sendto: Network, SYS_sendmsg: Network, SYS_sendmmsg: Network,
    SYS_ppoll: Poll, SYS_pselect6: Poll, SYS_epoll_pwait: Poll, SYS_epoll_pwait2: Poll, SYS_io_uring_enter: Poll,
    SYS_poll: Poll on "x86_64", SYS_select: Poll on "x86_64", SYS_epoll_wait: Poll on "x86_64",
    SYS_nanosleep: Time, SYS_clock_nanosleep: Time, SYS_rt_sigtimedwait: Time, SYS_rt_sigsuspend: Time, SYS_wait4: Time,
    SYS_waitid: Time, SYS_pause: Time on "x86_64",
    SYS_mmap: Other, SYS_munmap: Other, SYS_madvise: Other, SYS_sched_yield: Other, SYS_restart_syscall: Other,
}

/// The call's name and what it waits for; `None` for one that is not in the table.
pub(crate) fn named(number: i64) -> Option<(&'static str, For)> {
    #[allow(clippy::useless_conversion, reason = "a long has 32 bits on some machines")]
    let call = CALLS.iter().find(|(it, _, _)| i64::from(*it) == number)?;
    Some((&call.1["SYS_".len()..], call.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_one_number_and_one_name() {
        for (i, (number, name, _)) in CALLS.iter().enumerate() {
            assert!(CALLS[..i].iter().all(|(n, it, _)| n != number && it != name), "{name} stands twice");
        }
        assert_eq!(named(libc::SYS_futex), Some(("futex", For::Futex)));
        assert_eq!(named(-1), None, "outside of any call");
    }
}
