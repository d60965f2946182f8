//! What C holds: a boxed worker, whose first members the header's inline functions use.

use hangwatch_core::Worker;
use hangwatch_core::worker::Helper;
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_long};

/// `hangwatch_worker_t`. The worker belongs to one thread at a time; the helper beside it may be used from any.
#[repr(C)]
#[derive(Debug)]
pub struct Handle {
    // The inline functions write its first members while no Rust reference to it exists.
    worker: UnsafeCell<Worker>,
    // Apart from the worker, so that `alive` on another thread never touches what the working thread holds `&mut`.
    helper: Helper,
}

impl Handle {
    pub(crate) fn into_raw(worker: Worker) -> *mut Self {
        let helper = worker.helper();
        Box::into_raw(Box::new(Self { worker: UnsafeCell::new(worker), helper }))
    }
}

/// The worker behind `w`, or `None` for NULL.
///
/// # Safety
/// `w` is NULL or came from [`Handle::into_raw`] and was not detached; no other thread reports through it during `'a`, and
/// the caller holds no other reference to its worker.
pub(crate) unsafe fn worker<'a>(w: *const Handle) -> Option<&'a mut Worker> {
    // SAFETY: NULL or a live handle by the caller's contract; shared, since a helper thread may be in `helper`.
    let handle = unsafe { w.as_ref() }?;
    // SAFETY: the caller is the only one with this worker.
    Some(unsafe { &mut *handle.worker.get() })
}

/// The helper behind `w`, or `None` for NULL.
///
/// # Safety
/// `w` is NULL or came from [`Handle::into_raw`] and is not detached during `'a`.
pub(crate) unsafe fn helper<'a>(w: *const Handle) -> Option<&'a Helper> {
    // SAFETY: NULL or a live handle by the caller's contract.
    unsafe { w.as_ref() }.map(|handle| &handle.helper)
}

/// Frees the handle, and its slot where it is ours.
///
/// # Safety
/// `w` is NULL or came from [`Handle::into_raw`], was not detached before, and nobody uses it any more.
pub(crate) unsafe fn free(w: *mut Handle) {
    if !w.is_null() {
        // SAFETY: the box that `into_raw` gave away, taken back once.
        drop(unsafe { Box::from_raw(w) });
    }
}

/// `clock_gettime`; the header writes `struct timespec` out as two longs.
type Clock = unsafe extern "C" fn(c_int, *mut [c_long; 2]) -> c_int;

/// `struct hangwatch_worker` as the header writes it out.
#[repr(C)]
struct Prefix {
    canary: *const u8,
    slot: *mut u64,
    segment: *mut u8,
    local: u64,
    last: u64,
    next_mark: u64,
    epoch: u64,
    clock: Option<Clock>,
}

const _: () = {
    use core::mem::offset_of;
    use hangwatch_core::worker::abi;
    assert!(offset_of!(Handle, worker) == 0);
    assert!(offset_of!(Prefix, canary) == abi::CANARY && offset_of!(Prefix, slot) == abi::SLOT);
    assert!(offset_of!(Prefix, segment) == 2 * size_of::<*const u8>());
    assert!(offset_of!(Prefix, local) == abi::LOCAL && offset_of!(Prefix, last) == abi::LAST);
    assert!(offset_of!(Prefix, next_mark) == abi::NEXT_MARK && offset_of!(Prefix, epoch) == abi::EPOCH);
    assert!(offset_of!(Prefix, clock) == abi::CLOCK);
    assert!(abi::TIME == size_of::<[c_long; 2]>() && abi::TIME_NS == size_of::<c_long>() && abi::COARSE == 6);
    // The numbers that the header asserts on 64-bit machines.
    assert!(size_of::<usize>() != 8 || (abi::CANARY == 0 && abi::SLOT == 8 && abi::LOCAL == 24 && abi::LAST == 32));
    assert!(size_of::<usize>() != 8 || (abi::NEXT_MARK == 40 && abi::EPOCH == 48 && abi::CLOCK == 56));
};
