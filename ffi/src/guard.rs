//! Every exported function does its work in here: a panic is a defect of ours and must not become the host's end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `f` returns, or `fallback` where it panics. Inlined, so that a linked step costs one call and not three.
#[inline(always)]
pub(crate) fn or<T>(fallback: T, f: impl FnOnce() -> T) -> T {
    // A worker that panicked halfway holds plain words, each of them valid: going on with it is safe.
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(fallback)
}

/// What `f` returns, or the panic's message.
pub(crate) fn or_message<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let known = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    known.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".into())
}
