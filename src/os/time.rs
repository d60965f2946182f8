//! Clocks. All in nanoseconds.

/// `clock_gettime`, which C's inline functions call through the worker they hold.
pub(crate) type Clock = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int;

/// The C library's, which asks the vDSO.
pub(crate) const CLOCK: Clock = libc::clock_gettime;

#[inline(always)]
fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec for the call to fill.
    let rc = unsafe { libc::clock_gettime(clock, &mut now) };
    if rc == 0 { (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64) } else { 0 }
}

/// CLOCK_MONOTONIC_COARSE: the worker's stamp; about 5 ns, resolution of one tick (4 ms at 250 Hz).
#[inline(always)]
pub(crate) fn coarse_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// CLOCK_MONOTONIC.
pub(crate) fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// CLOCK_BOOTTIME: goes on in suspend.
pub(crate) fn boottime_ns() -> u64 {
    read(libc::CLOCK_BOOTTIME)
}

/// CLOCK_REALTIME, for text only.
pub(crate) fn realtime_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// Whether the kernel maps a vDSO: without one every stamp would be a system call.
pub(crate) fn has_vdso() -> bool {
    // SAFETY: getauxval has no preconditions.
    unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) != 0 }
}
