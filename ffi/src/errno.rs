//! `errno` is the host's: a function that makes system calls leaves it as it was. Reports make none.

use std::ffi::c_int;

unsafe extern "C" {
    /// The calling thread's, in glibc and in musl.
    safe fn __errno_location() -> *mut c_int;
}

/// What `f` returns.
pub(crate) fn kept<T>(f: impl FnOnce() -> T) -> T {
    let errno = __errno_location();
    // SAFETY: it points to this thread's own integer for as long as the thread lives.
    let before = unsafe { errno.read() };
    let result = f();
    // SAFETY: the same.
    unsafe { errno.write(before) };
    result
}
