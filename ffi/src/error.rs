//! `hangwatch_error_t`: a code and a message, in the caller's memory.

use crate::text::fitting;
use hangwatch_core::{Error, ErrorKind};

/// `HANGWATCH_OK`; the other codes are the numbers of [`ErrorKind`].
const OK: i32 = 0;

/// `hangwatch_error_t`.
#[repr(C)]
#[derive(Debug)]
pub struct CError {
    code: i32,
    message: [u8; 512],
}

impl CError {
    fn new(code: i32, message: &str) -> Self {
        Self { code, message: fitting(message) }
    }
}

/// A panic, said as an error.
pub(crate) fn defect(what: &str, panic: &str) -> Error {
    Error::new(ErrorKind::System, what, format!("a defect in hangwatch: {panic}"))
}

/// Says in `*err` how it went, and returns the value if it went well.
///
/// # Safety
/// `err` is NULL or points to memory for a `hangwatch_error_t`, which need not be initialised.
pub(crate) unsafe fn told<T>(result: hangwatch_core::Result<T>, err: *mut CError) -> Option<T> {
    let said = match &result {
        Ok(_) => CError::new(OK, ""),
        Err(e) => CError::new(e.kind() as i32, &e.to_string()),
    };
    if !err.is_null() {
        // SAFETY: not NULL, so writable memory of that type by the caller's contract; nothing is read or dropped there.
        unsafe { err.write(said) };
    }
    result.ok()
}
