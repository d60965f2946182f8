//! What the benches share: workers in Rust and in C, and the loops in which they report.

pub mod c;
pub mod crowd;
pub mod rust;
pub mod stamps;

use std::time::Duration;

/// The kinds of worker that are measured, by name.
pub const KINDS: [(&str, Kind); 3] = [("unstamped", Kind::Unstamped), ("stamped", Kind::Stamped), ("detached", Kind::Detached)];

/// A kind of worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Attached, without the coarse clock in its reports.
    Unstamped,
    /// Attached, with it.
    Stamped,
    /// Attached to nothing.
    Detached,
}

/// How long `run` takes.
#[expect(clippy::disallowed_methods, reason = "a bench is about the clock")]
pub fn timed(run: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    run();
    start.elapsed()
}

/// The compiler knows nothing of `value` from here on: between two reports lies a user's step.
#[inline(always)]
#[allow(unsafe_code)]
pub fn between<T>(value: &mut T) {
    // `black_box` would do, at the cost of a store and a load of its own, which is most of what is measured here.
    // SAFETY: no instruction; it may be thought to write through the pointer that it is given, and does not.
    unsafe { core::arch::asm!("/* {0} */", in(reg) std::ptr::from_mut(value), options(nostack, preserves_flags)) };
}
