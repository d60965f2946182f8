//! The clocks of the edge. Judgement never comes here: `now` is an argument there.

/// CLOCK_MONOTONIC_COARSE in ns: the stamp of a worker, advisory.
#[inline]
pub fn coarse_ns() -> u64 {
    crate::os::time::coarse_ns()
}

/// CLOCK_MONOTONIC in ns: what a monitor polls by.
pub fn monotonic_ns() -> u64 {
    crate::os::time::monotonic_ns()
}

/// CLOCK_BOOTTIME in ns: goes on in suspend; claims and job starts carry it.
pub fn boottime_ns() -> u64 {
    crate::os::time::boottime_ns()
}

/// Wall clock, for texts only.
pub fn wall() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
