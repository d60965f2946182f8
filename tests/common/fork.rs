//! Parts of a test in forked children.
#![allow(unsafe_code, reason = "fork and what ends a forked child")]

/// Forks, runs `child` there, and returns its exit code. The caller has no other thread at work.
pub(crate) fn in_fork(fork: impl FnOnce() -> libc::pid_t, child: impl FnOnce() -> i32) -> i32 {
    let pid = fork();
    assert!(pid >= 0, "forked");
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(101);
        // SAFETY: ends the forked child without running the parent's exit handlers.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is valid for the call to fill; the child is ours.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "the child ended by itself: {status:#x}");
    libc::WEXITSTATUS(status)
}

pub(crate) fn fork() -> libc::pid_t {
    // SAFETY: the child calls what a forked child of a process with one thread at work may call, and ends by _exit.
    unsafe { libc::fork() }
}
