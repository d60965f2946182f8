//! How a call that can fail says so, and how it fills the caller's structs.

use crate::error::{CError, defect, told};
use crate::{guard, text};
use hangwatch_core::segment::path;
use hangwatch_core::{Error, ErrorKind, Result};
use std::ffi::c_char;
use std::path::PathBuf;

/// What `f` makes, or `None` with `*err` filled; a panic is an error too.
///
/// # Safety
/// `err` is NULL or memory for a `hangwatch_error_t`.
pub(crate) unsafe fn tried<T>(what: &str, f: impl FnOnce() -> Result<T>, err: *mut CError) -> Option<T> {
    let result = guard::or_message(f).unwrap_or_else(|panic| Err(defect(what, &panic)));
    // SAFETY: the caller's contract.
    unsafe { told(result, err) }
}

/// An argument that makes no sense.
pub(crate) fn usage(what: &str, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, what, why)
}

/// A string of the caller's, which must be there and be UTF-8.
///
/// # Safety
/// `text` is NULL or a C string that stays as it is during `'a`.
pub(crate) unsafe fn given<'a>(text: *const c_char, what: &str, name: &str) -> Result<&'a str> {
    // SAFETY: the caller's contract.
    let text = unsafe { text::strict(text) };
    text.map_err(|lossy| usage(what, format!("{name} '{}' is not UTF-8", lossy.escape_debug())))?
        .ok_or_else(|| usage(what, format!("{name} is NULL")))
}

/// Where the segment of that name or path is; NULL reads the environment, else it is the default one.
///
/// # Safety
/// `segment` is NULL or a C string.
pub(crate) unsafe fn place(segment: *const c_char, what: &str) -> Result<PathBuf> {
    if segment.is_null() {
        return path::usual();
    }
    // SAFETY: not NULL, so a C string by the caller's contract.
    path::resolve(unsafe { given(segment, what, "the segment") }?)
}

/// A struct whose first member is its size, by which versions of it are told apart.
///
/// # Safety
/// The type is `repr(C)` and its first member is a `usize`: the size.
pub(crate) unsafe trait Grows: Copy {
    /// The same with another size.
    fn with_size(self, struct_size: usize) -> Self;
}

/// The size that the caller's struct says; an error where it is NULL or smaller than any version was.
///
/// # Safety
/// `at` is NULL or points to a struct whose first member is set.
pub(crate) unsafe fn size_of_theirs<T: Grows>(at: *const T, what: &str, name: &str) -> Result<usize> {
    if at.is_null() {
        return Err(usage(what, format!("{name} is NULL")));
    }
    // SAFETY: not NULL, and every version of the struct begins with its size.
    let struct_size = unsafe { at.cast::<usize>().read() };
    if struct_size < size_of::<T>() {
        let why = format!("{name} has struct_size {struct_size}, expected {} or more", size_of::<T>());
        return Err(usage(what, why).hint(format!("set {name}'s struct_size to its sizeof before the call")));
    }
    Ok(struct_size)
}

/// Writes into the caller's struct what this version knows; what a newer one has besides stays as it is.
///
/// # Safety
/// `at` is NULL or points to a struct of `struct_size` writable bytes, of which only that member need be set.
pub(crate) unsafe fn put<T: Grows>(at: *mut T, value: T, what: &str, name: &str) -> Result<()> {
    // SAFETY: the caller's contract.
    let struct_size = unsafe { size_of_theirs(at, what, name) }?;
    // SAFETY: not NULL, and at least that large by its own word.
    unsafe { at.write(value.with_size(struct_size)) };
    Ok(())
}
