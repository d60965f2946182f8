//! The fork canary: one private page a process, 1 while the process that made it reads it, 0 in a forked child.
//!
//! `pthread_atfork` misses raw clone, and a shared file mapping cannot be wiped on fork; a private anonymous page can.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering::*};

/// The canary of handles that never lived.
pub(crate) static DEAD: AtomicU8 = AtomicU8::new(0);

static CURRENT: AtomicPtr<AtomicU8> = AtomicPtr::new(ptr::null_mut());

const PAGE: usize = 4096;

/// Tells the process that something was made in from its forked children: no system call, no lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(&'static AtomicU8);

impl Process {
    /// The calling process.
    pub(crate) fn this() -> io::Result<Self> {
        current().map(Self)
    }

    /// Whether the caller is in that process, and not in a forked child of it.
    pub(crate) fn is_this(self) -> bool {
        self.0.load(Relaxed) == 1 // Relaxed: the kernel wiped it before the child ran
    }
}

/// This process's canary: reads 1 here and 0 in any child forked from here. Pages are never unmapped, so the reference
/// holds for ever; there is one a process that attaches, and a forked child makes its own.
pub(crate) fn current() -> io::Result<&'static AtomicU8> {
    let known = CURRENT.load(Acquire);
    // SAFETY: a non-null CURRENT points to a page that is never unmapped.
    if let Some(known) = unsafe { known.as_ref() }
        && known.load(Relaxed) == 1
    {
        return Ok(known);
    }
    // Null, or the parent's page, wiped: the parent's handles must stay dead here, so it is not written but replaced.
    let fresh = new_page()?;
    match CURRENT.compare_exchange(known, fresh, AcqRel, Acquire) {
        // SAFETY: `fresh` was mapped above and is never unmapped.
        Ok(_) => Ok(unsafe { &*fresh }),
        Err(other) => {
            // SAFETY: nobody else has seen `fresh`; it is unmapped once.
            unsafe { libc::munmap(fresh.cast(), PAGE) };
            // SAFETY: as above; another thread of this process stored it.
            Ok(unsafe { &*other })
        }
    }
}

fn new_page() -> io::Result<*mut AtomicU8> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing of ours.
    let page = unsafe {
        libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the range is the mapping just made.
    if unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) } != 0 {
        let error = io::Error::last_os_error();
        // SAFETY: the same range; nobody has seen it.
        unsafe { libc::munmap(page, PAGE) };
        return Err(error);
    }
    let canary = page.cast::<AtomicU8>();
    // SAFETY: the page is mapped, writable, zeroed and aligned for a byte.
    unsafe { &*canary }.store(1, Release);
    Ok(canary)
}
