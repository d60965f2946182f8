//! Whether a worker's reports carry the coarse clock, and making them do so where attaching turned it off.
#![allow(unsafe_code)]

use crate::{Kind, c};
use hangwatch::worker::abi;

type Clock = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int;

/// A worker of either language: C's begins with the Rust one.
pub trait Stamped {
    /// Where it begins.
    fn start(&mut self) -> *mut u8;
}

impl Stamped for hangwatch::Worker {
    fn start(&mut self) -> *mut u8 {
        std::ptr::from_mut(self).cast()
    }
}

impl Stamped for c::Worker {
    fn start(&mut self) -> *mut u8 {
        self.0.cast()
    }
}

fn clock(worker: &mut impl Stamped) -> &mut Option<Clock> {
    // SAFETY: that far into a worker it holds its clock.
    let clock = unsafe { worker.start().add(abi::CLOCK) }.cast::<Option<Clock>>();
    // SAFETY: of this type, and the worker is borrowed meanwhile.
    unsafe { &mut *clock }
}

/// Whether they are on.
pub fn are_on(worker: &mut impl Stamped) -> bool {
    clock(worker).is_some()
}

/// Turns them on for a worker of the stamped kind, vDSO or not: valgrind hides it.
pub fn force(worker: &mut impl Stamped, kind: Kind) {
    *clock(worker) = (kind == Kind::Stamped).then_some(libc::clock_gettime);
}
