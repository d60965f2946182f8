//! Strings from C, and back.

use std::borrow::Cow;
use std::ffi::{CStr, c_char};

/// The string, lossily; empty where it is NULL.
///
/// # Safety
/// `text` is NULL or a C string that stays as it is during `'a`.
pub(crate) unsafe fn lossy<'a>(text: *const c_char) -> Cow<'a, str> {
    if text.is_null() {
        return Cow::Borrowed("");
    }
    // SAFETY: not NULL, so a C string by the caller's contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}

/// The string, if it is not NULL; `Err` holds a lossy form of what is not UTF-8.
///
/// # Safety
/// As for [`lossy`].
pub(crate) unsafe fn strict<'a>(text: *const c_char) -> Result<Option<&'a str>, String> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so a C string by the caller's contract.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|_| text.to_string_lossy().into_owned())
}

/// The bytes of `text` that fit `N` with a NUL after them, cut at a character's border.
pub(crate) fn fitting<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let end = (0..N.min(text.len() + 1)).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
    bytes
}
