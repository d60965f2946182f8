//! What a thread has allocated: an allocator for the program that wants to know.
#![allow(unsafe_code, reason = "an allocator is unsafe to write; this one hands everything to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

/// Bytes that `f` held at once on this thread, at most. 0 where [`Counting`] is not the program's allocator.
pub fn most_of<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.get();
    MOST.set(before);
    let made = f();
    (made, MOST.get().saturating_sub(before))
}

/// The system's allocator, with a count a thread.
#[derive(Debug)]
pub struct Counting;

// What another thread frees is counted there: a count may be too high here, and never wraps.
fn took(bytes: usize) {
    let now = NOW.get().saturating_add(bytes);
    NOW.set(now);
    MOST.set(MOST.get().max(now));
}

fn gave(bytes: usize) {
    NOW.set(NOW.get().saturating_sub(bytes));
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory but the thread's own cells, which are
// there without an allocation for as long as the thread is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        gave(layout.size());
        // SAFETY: `at` came from the system's allocator, with this layout.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size);
        gave(layout.size());
        // SAFETY: as for `dealloc`; the size is the caller's.
        unsafe { System.realloc(at, layout, size) }
    }
}
