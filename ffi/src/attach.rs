//! Where a worker comes from and goes to. What each function does stands in the header.

use crate::error::{CError, defect, told};
use crate::handle::{Handle, free, worker};
use crate::{guard, text};
use hangwatch_core::{Attach, Error, ErrorKind, Result, Worker};
use std::ffi::{c_char, c_int};
use std::ptr;

/// `hangwatch_attach`.
///
/// # Safety
/// The strings are NULL or C strings, `err` is NULL or memory for a `hangwatch_error_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_attach(segment: *const c_char, name: *const c_char, err: *mut CError) -> *mut Handle {
    guard::or(ptr::null_mut(), || {
        // SAFETY: the caller's contract, word for word.
        let attach = || unsafe { attached(segment, name) };
        // SAFETY: the same.
        unsafe { made("cannot attach", attach, err) }
    })
}

/// # Safety
/// The strings are NULL or C strings.
unsafe fn attached(segment: *const c_char, name: *const c_char) -> Result<Worker> {
    let mut attach = Attach::new();
    // SAFETY: the caller's contract.
    let segment = unsafe { text::strict(segment) };
    let not_utf8 = |lossy: String| Error::new(ErrorKind::Usage, format!("cannot attach to segment '{lossy}'"), "it is not UTF-8");
    if let Some(segment) = segment.map_err(not_utf8)? {
        attach = attach.segment(segment);
    }
    if !name.is_null() {
        // SAFETY: the caller's contract.
        attach = attach.name(unsafe { text::lossy(name) });
    }
    attach.attach()
}

/// The handle of what `make` makes, or NULL with `*err` filled.
///
/// # Safety
/// `err` is NULL or memory for a `hangwatch_error_t`.
unsafe fn made(what: &str, make: impl FnOnce() -> Result<Worker>, err: *mut CError) -> *mut Handle {
    let result = guard::or_message(make).unwrap_or_else(|panic| Err(defect(what, &panic)));
    // SAFETY: the caller's contract.
    unsafe { told(result, err) }.map_or(ptr::null_mut(), Handle::into_raw)
}

/// `hangwatch_lane`.
///
/// # Safety
/// As for [`hangwatch_attach`], and `w` is NULL or a worker that is not detached, used by this thread alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_lane(w: *mut Handle, name: *const c_char, err: *mut CError) -> *mut Handle {
    guard::or(ptr::null_mut(), || {
        // SAFETY: the caller's contract.
        let name = unsafe { text::lossy(name) };
        // SAFETY: the caller's contract.
        let worker = unsafe { worker(w) };
        let make = || worker.map_or_else(|| Ok(Worker::detached()), |w| w.lane(&name));
        // SAFETY: the caller's contract.
        unsafe { made("cannot make a lane", make, err) }
    })
}

/// `hangwatch_gpu_lane`.
///
/// # Safety
/// As for [`hangwatch_lane`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_gpu_lane(w: *mut Handle, name: *const c_char, device: u32, err: *mut CError) -> *mut Handle {
    guard::or(ptr::null_mut(), || {
        // SAFETY: the caller's contract.
        let name = unsafe { text::lossy(name) };
        // SAFETY: the caller's contract.
        let worker = unsafe { worker(w) };
        let make = || worker.map_or_else(|| Ok(Worker::detached()), |w| w.gpu_lane(&name, device));
        // SAFETY: the caller's contract.
        unsafe { made("cannot make a GPU lane", make, err) }
    })
}

/// `hangwatch_detach`.
///
/// # Safety
/// `w` is NULL or a worker that was not detached before and that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_detach(w: *mut Handle) {
    guard::or((), || {
        // SAFETY: the caller's contract.
        unsafe { free(w) }
    });
}

/// `hangwatch_is_attached`.
///
/// # Safety
/// `w` is NULL or a worker that is not detached, used by this thread alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_is_attached(w: *const Handle) -> c_int {
    guard::or(0, || {
        // SAFETY: the caller's contract.
        unsafe { worker(w) }.is_some_and(|w| w.is_attached()).into()
    })
}

/// `hangwatch_slot`.
///
/// # Safety
/// As for [`hangwatch_is_attached`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_slot(w: *const Handle) -> i32 {
    guard::or(-1, || {
        // SAFETY: the caller's contract.
        let slot = unsafe { worker(w) }.and_then(|w| w.slot());
        slot.and_then(|index| i32::try_from(index).ok()).unwrap_or(-1)
    })
}

/// `hangwatch_version`.
#[unsafe(no_mangle)]
pub extern "C" fn hangwatch_version() -> *const c_char {
    guard::or(c"".as_ptr(), || concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast())
}
