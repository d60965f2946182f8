//! The worker's side: attach, and report. It lives inside other people's processes, so a report cannot fail, block,
//! allocate on the way of a step, panic or signal, and on a detached handle it does nothing.

mod attach;
mod helper;
mod job;
mod report;
mod sections;
#[cfg(test)]
mod tests;

pub use crate::os::quiet::without_signals;
pub use attach::{
    Attach, ENV_ALLOWED_UIDS, ENV_DEVICE, ENV_NAME, ENV_QUARANTINED_MODELS, ENV_SEGMENT, ENV_SLOT, ENV_SLOT_SIZE, ENV_SLOTS,
    attach,
};
pub use helper::Helper;
pub use job::{Job, Outcome, Total};
pub use report::Worker;
pub use sections::Section;

/// Where C's inline functions find what they need in a [`Worker`]; the header asserts the same numbers.
#[doc(hidden)]
pub mod abi {
    use super::Worker;
    use crate::layout::hot::Pen;
    use crate::segment;
    use core::mem::offset_of;
    use libc::timespec;

    /// `const uint8_t *canary`.
    pub const CANARY: usize = offset_of!(Worker, handle) + segment::CANARY_OFFSET;
    /// `uint64_t *slot`.
    pub const SLOT: usize = offset_of!(Worker, handle) + segment::SLOT_OFFSET;
    /// `uint64_t local`.
    pub const LOCAL: usize = offset_of!(Worker, pen) + offset_of!(Pen, local);
    /// `uint64_t last`.
    pub const LAST: usize = offset_of!(Worker, pen) + offset_of!(Pen, last);
    /// `uint64_t next_mark`.
    pub const NEXT_MARK: usize = offset_of!(Worker, pen) + offset_of!(Pen, next_mark);
    /// `uint64_t epoch`.
    pub const EPOCH: usize = offset_of!(Worker, pen) + offset_of!(Pen, epoch);
    /// `int (*clock)(int, struct hangwatch_time_ *)`.
    pub const CLOCK: usize = offset_of!(Worker, clock);
    /// Size of `struct hangwatch_time_`.
    pub const TIME: usize = size_of::<timespec>();
    /// Where its nanoseconds are.
    pub const TIME_NS: usize = offset_of!(timespec, tv_nsec);
    /// The clock that the inline functions ask for.
    pub const COARSE: i32 = libc::CLOCK_MONOTONIC_COARSE;
}
