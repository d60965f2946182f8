//! What a segment says, monitor or not. What each function does stands in the header.

use crate::call::{Grows, place, put, tried, usage};
use crate::error::CError;
use crate::guard;
use crate::snapshot::{CSnapshot, NS_UNKNOWN};
use hangwatch_core::Result;
use hangwatch_core::monitor::{Viewer, status};
use hangwatch_core::policy::PolicySet;
use hangwatch_core::segment::{Presence, Segment, survive_truncation};
use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::Arc;

/// `hangwatch_reader_t`. It belongs to one thread at a time.
#[derive(Debug)]
pub struct Handle {
    viewer: Viewer,
    path: CString,
    /// The defaults: a reader knows no monitor's policy.
    policies: PolicySet,
}

/// `hangwatch_segment_status_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CSegmentStatus {
    struct_size: usize,
    presence: u32,
    monitor_alive: i32,
    monitor_pid: u32,
    slots: u32,
    slot_size: u32,
    reserved: u32,
    interval_ns: u64,
    worst_case_detection_ns: u64,
}

const _: () = assert!(size_of::<usize>() != 8 || size_of::<CSegmentStatus>() == 48);

// SAFETY: it is repr(C), and its size is its first member.
unsafe impl Grows for CSegmentStatus {
    fn with_size(self, struct_size: usize) -> Self {
        Self { struct_size, ..self }
    }
}

pub(crate) fn presence_number(presence: Presence) -> u32 {
    match presence {
        Presence::Present => 1,
        Presence::Unlinked => 2,
        Presence::Replaced => 3,
        Presence::Truncated => 4,
        Presence::Superseded => 5,
        Presence::Erased => 6,
    }
}

/// The reader behind `r`; an error for NULL.
///
/// # Safety
/// `r` is NULL or a reader that is not closed, used by this thread alone during `'a`.
unsafe fn reader<'a>(r: *mut Handle, what: &str) -> Result<&'a mut Handle> {
    // SAFETY: the caller's contract.
    unsafe { r.as_mut() }.ok_or_else(|| usage(what, "the reader is NULL"))
}

/// `hangwatch_reader_open`.
///
/// # Safety
/// `segment` is NULL or a C string, `err` is NULL or memory for a `hangwatch_error_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_reader_open(segment: *const c_char, err: *mut CError) -> *mut Handle {
    guard::or(ptr::null_mut(), || {
        let what = "cannot open a segment";
        let open = || {
            // SAFETY: the caller's contract.
            let path = unsafe { place(segment, what) }?;
            let segment = Segment::open_read_only(&path)?;
            let path = CString::new(segment.path().as_os_str().as_bytes()).unwrap_or_default();
            Ok(Handle { viewer: Viewer::new(Arc::new(segment)), path, policies: PolicySet::default() })
        };
        // SAFETY: the caller's contract.
        unsafe { tried(what, open, err) }.map_or(ptr::null_mut(), |handle| Box::into_raw(Box::new(handle)))
    })
}

/// `hangwatch_reader_path`.
///
/// # Safety
/// `r` is NULL or a reader that is not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_reader_path(r: *const Handle) -> *const c_char {
    guard::or(c"".as_ptr(), || {
        // SAFETY: the caller's contract.
        unsafe { r.as_ref() }.map_or(c"".as_ptr(), |r| r.path.as_ptr())
    })
}

/// `hangwatch_reader_status`.
///
/// # Safety
/// `r` is NULL or a reader that is not closed, used by this thread alone; `status` is NULL or a struct whose size is set; `err` is
/// NULL or memory for a `hangwatch_error_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_reader_status(r: *mut Handle, status: *mut CSegmentStatus, err: *mut CError) -> c_int {
    guard::or(0, || {
        let what = "cannot tell a segment's status";
        let tell = || {
            // SAFETY: the caller's contract.
            let viewer = &mut unsafe { reader(r, what) }?.viewer;
            let segment = Arc::clone(viewer.segment());
            let presence = segment.presence();
            // Only then may the header be touched.
            let words = presence.is_readable().then(|| {
                viewer.look_anew();
                viewer.monitor_words()
            });
            let words = words.flatten();
            let told = CSegmentStatus {
                struct_size: 0,
                presence: presence_number(presence),
                monitor_alive: words.is_some().into(),
                monitor_pid: words.and_then(|_| status::monitor_of(&segment)).unwrap_or(0),
                slots: segment.len(),
                slot_size: segment.fixed().slot_size as u32,
                reserved: 0,
                interval_ns: words.map_or(NS_UNKNOWN, |words| words.interval_ns),
                worst_case_detection_ns: words.map_or(NS_UNKNOWN, |words| words.worst_case_detection_ns),
            };
            // SAFETY: the caller's contract.
            unsafe { put(status, told, what, "the status") }
        };
        // SAFETY: the caller's contract.
        unsafe { tried(what, tell, err) }.is_some().into()
    })
}

/// `hangwatch_reader_read`.
///
/// # Safety
/// As for [`hangwatch_reader_status`], with a snapshot in the status' place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_reader_read(r: *mut Handle, slot: u32, snapshot: *mut CSnapshot, err: *mut CError) -> c_int {
    guard::or(0, || {
        let what = "cannot read a slot";
        let read = || {
            // SAFETY: the caller's contract.
            let Handle { viewer, policies, .. } = unsafe { reader(r, what) }?;
            // A reader knows no monitor's policy, and so no budget.
            let told = CSnapshot::new(&viewer.read(slot, policies)?, &[]);
            // SAFETY: the caller's contract.
            unsafe { put(snapshot, told, what, "the snapshot") }
        };
        // SAFETY: the caller's contract.
        unsafe { tried(what, read, err) }.is_some().into()
    })
}

/// `hangwatch_reader_next`.
///
/// # Safety
/// As for [`hangwatch_reader_read`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_reader_next(r: *mut Handle, from: u32, snapshot: *mut CSnapshot, err: *mut CError) -> c_int {
    guard::or(0, || {
        let what = "cannot read slots";
        let read = || {
            // SAFETY: the caller's contract.
            let Handle { viewer, policies, .. } = unsafe { reader(r, what) }?;
            let Some(view) = viewer.next(from, policies)? else { return Ok(false) };
            let told = CSnapshot::new(&view, &[]);
            // SAFETY: the caller's contract.
            unsafe { put(snapshot, told, what, "the snapshot") }.map(|()| true)
        };
        // SAFETY: the caller's contract.
        unsafe { tried(what, read, err) }.unwrap_or(false).into()
    })
}

/// `hangwatch_reader_close`.
///
/// # Safety
/// `r` is NULL or a reader that was not closed before and that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_reader_close(r: *mut Handle) {
    guard::or((), || {
        if !r.is_null() {
            // SAFETY: the box that `hangwatch_reader_open` gave away, taken back once.
            drop(unsafe { Box::from_raw(r) });
        }
    });
}

/// `hangwatch_survive_truncation`.
///
/// # Safety
/// `err` is NULL or memory for a `hangwatch_error_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_survive_truncation(err: *mut CError) -> c_int {
    guard::or(0, || {
        // SAFETY: the caller's contract.
        unsafe { tried("cannot handle SIGBUS", survive_truncation, err) }.is_some().into()
    })
}
