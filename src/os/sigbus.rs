//! A file that is cut short takes its pages out of every mapping: the next touch is a SIGBUS. Where a program asked for it,
//! such a touch of a segment finds zeroes instead, and the mapping says so.
//!
//! The handler may run at any instruction of any thread, so it reads a static table of atomics, makes one system call, and
//! takes no lock. Everything else of the process's SIGBUS goes where it went before.
//!
//! | word of an entry | written by | read by the handler |
//! |---|---|---|
//! | `seq` | whoever maps: `4n` free, `4n+1` being written, `4n+2` in force | Acquire before the others, and again after them: unequal is skipped |
//! | `start`, `len` | whoever maps, while `seq` is `4n+1` | which mapping an address lies in |
//! | `replaced` | the handler, once it has put zeroes there | - |
//!
//! An entry that is being changed is never the one that was touched: whoever touches a mapping holds it, and it is registered
//! before it is handed out and until after its last holder has let go.

use super::checked;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering::*, fence};
use std::sync::{Mutex, PoisonError};

/// Mappings that can be registered: a monitor has one or two, a worker one. One that finds no entry is as it was without all
/// this.
const CAPACITY: usize = 64;

static TABLE: [Entry; CAPACITY] = [const { Entry::free() }; CAPACITY];

/// Where a SIGBUS went before: a handler's address or `SIG_DFL` or `SIG_IGN`, and its flags.
static BEFORE: (AtomicUsize, AtomicI32) = (AtomicUsize::new(libc::SIG_DFL), AtomicI32::new(0));

static INSTALLED: Mutex<bool> = Mutex::new(false);

#[derive(Debug)]
struct Entry {
    seq: AtomicU64,
    start: AtomicUsize,
    len: AtomicUsize,
    replaced: AtomicBool,
}

impl Entry {
    const fn free() -> Self {
        Self { seq: AtomicU64::new(0), start: AtomicUsize::new(0), len: AtomicUsize::new(0), replaced: AtomicBool::new(false) }
    }

    fn take(&self, start: usize, len: usize) -> bool {
        let seq = self.seq.load(Relaxed);
        // Acquire: what its last holder did with it comes before.
        if !seq.is_multiple_of(4) || self.seq.compare_exchange(seq, seq + 1, Acquire, Relaxed).is_err() {
            return false;
        }
        // Release: a handler that sees the words below sees that they are being written.
        fence(Release);
        self.start.store(start, Relaxed);
        self.len.store(len, Relaxed);
        self.replaced.store(false, Relaxed);
        // Release: pairs with the Acquire in `covers`.
        self.seq.store(seq + 2, Release);
        true
    }

    /// Where its mapping is, if `address` lies in it.
    fn covers(&self, address: usize) -> Option<(usize, usize)> {
        // Acquire: pairs with the Release in `take`.
        let seq = self.seq.load(Acquire);
        let (start, len) = (self.start.load(Relaxed), self.len.load(Relaxed));
        // Acquire: orders the two loads before the second one of `seq`; pairs with the fence in `take`.
        fence(Acquire);
        let is_whole = seq % 4 == 2 && self.seq.load(Relaxed) == seq;
        (is_whole && address.wrapping_sub(start) < len).then_some((start, len))
    }
}

/// A mapping's place in the table. To be dropped before the mapping is unmapped: another one may come to lie there.
#[derive(Debug)]
pub(crate) struct Registered(Option<&'static Entry>);

impl Registered {
    /// Registers `len` bytes at `start`; a handful of atomics. Where all entries are taken, it is not.
    pub(crate) fn new(start: *const u8, len: usize) -> Self {
        Self(TABLE.iter().find(|entry| entry.take(start.addr(), len)))
    }

    /// Whether zeroes took the place of what was mapped, because the file was cut short. For ever, if so.
    pub(crate) fn is_replaced(&self) -> bool {
        // Relaxed: the handler that set it ran in the thread that asks, or the asker comes at its next poll.
        self.0.is_some_and(|entry| entry.replaced.load(Relaxed))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(entry) = self.0 {
            // Release: pairs with the Acquire of the next taker.
            entry.seq.fetch_add(2, Release);
        }
    }
}

/// From now on, a touch of a registered mapping beyond its file's end finds zeroes. What SIGBUS did before it does still, for
/// all other addresses and for those that were sent. A second call changes nothing.
pub(crate) fn install() -> io::Result<()> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        return Ok(());
    }
    // Remembered before it is replaced: another thread may be struck in between.
    let before = action(None)?;
    BEFORE.0.store(before.sa_sigaction, Relaxed);
    BEFORE.1.store(before.sa_flags, Relaxed);
    let ours: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
    action(Some(&libc::sigaction {
        sa_sigaction: ours as libc::sighandler_t,
        // SA_ONSTACK: the thread may be near the end of its stack, and the handler before may want it so. Not SA_NODEFER: a
        // SIGBUS of the handler itself is to end the process, and not to come back here without end.
        sa_flags: libc::SA_SIGINFO | libc::SA_ONSTACK,
        // The handler before runs in ours, with what it wanted blocked.
        sa_mask: before.sa_mask,
        sa_restorer: None,
    }))?;
    *installed = true;
    Ok(())
}

/// Sets what SIGBUS does, if asked, and says what it did.
fn action(new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    // SAFETY: sigaction is a struct of integers and an optional function pointer, for which all zero is a value.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both pointers are null or valid; a handler that is set is `on_sigbus`, which may run anywhere.
    checked(unsafe { libc::sigaction(libc::SIGBUS, new, &mut before) })?;
    Ok(before)
}

extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: a thread's own errno is always there.
    let errno_at = unsafe { libc::__errno_location() };
    // SAFETY: it is valid, and this thread's alone.
    let errno = unsafe { *errno_at };
    // SAFETY: with SA_SIGINFO the kernel gives a valid siginfo.
    let what = unsafe { &*info };
    let code = what.si_code;
    // SAFETY: a SIGBUS of the kernel's carries an address; of one that was sent it is garbage, and not used.
    let address = unsafe { what.si_addr() }.addr();
    if code != libc::BUS_ADRERR || !replace(address) {
        pass_on(signal, info, context, code);
    }
    // SAFETY: as above.
    unsafe { *errno_at = errno };
}

/// Puts zeroes in the place of the mapping that `address` lies in: all of it, so that its magic is gone and everybody who
/// reads it agrees. `false` where it is none of the registered ones.
fn replace(address: usize) -> bool {
    for entry in &TABLE {
        let Some((start, len)) = entry.covers(address) else { continue };
        let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: the range is a mapping of ours, which the thread that was struck here holds; it is reached through atomics
        // only, for which zeroes are values.
        let mapped =
            unsafe { libc::mmap(ptr::without_provenance_mut(start), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if mapped == libc::MAP_FAILED {
            return false;
        }
        entry.replaced.store(true, Relaxed);
        return true;
    }
    false
}

/// What the SIGBUS would have done without us.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void, code: libc::c_int) {
    let (handler, flags) = (BEFORE.0.load(Relaxed), BEFORE.1.load(Relaxed));
    // One of a touch strikes again when this returns; one that was sent does not.
    let was_sent = code <= 0;
    match handler {
        libc::SIG_IGN if was_sent => {}
        // The kernel does not let a touch be ignored either.
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: all zero is a value, and means the default.
            let default: libc::sigaction = unsafe { std::mem::zeroed() };
            // Then the touch strikes again, and a core dump names its true place.
            let _ = action(Some(&default));
            if was_sent {
                // SAFETY: it touches no memory; blocked until this returns.
                unsafe { libc::raise(signal) };
            }
        }
        handler => {
            if flags & libc::SA_RESETHAND != 0 {
                BEFORE.0.store(libc::SIG_DFL, Relaxed);
            }
            if flags & libc::SA_SIGINFO != 0 {
                type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
                // SAFETY: it was installed with SA_SIGINFO, so it is a function of this type.
                let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
                handler(signal, info, context);
            } else {
                // SAFETY: it was installed without SA_SIGINFO, so it is a function of this type.
                let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
                handler(signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covering(address: usize) -> usize {
        TABLE.iter().filter(|entry| entry.covers(address).is_some()).count()
    }

    #[test]
    fn an_address_is_covered_from_its_mappings_first_byte_to_its_last_for_as_long_as_it_is_registered() {
        // Addresses that nobody in this process has.
        let at = |address: usize| ptr::without_provenance::<u8>(address);
        let first = Registered::new(at(0x1000), 0x2000);
        let second = Registered::new(at(0x3000), 0x1000);
        assert_eq!([0xfff, 0x1000, 0x2fff, 0x3000, 0x3fff, 0x4000].map(covering), [0, 1, 1, 1, 1, 0]);
        drop(first);
        assert_eq!([0x1000, 0x2fff, 0x3000].map(covering), [0, 0, 1], "what was unregistered is nobody's");
        let third = Registered::new(at(0x2000), 0x1000);
        assert_eq!([0x1fff, 0x2000, 0x3000].map(covering), [0, 1, 1], "its entry serves another one");
        drop((second, third));
        assert_eq!([0x2000, 0x3000].map(covering), [0, 0]);
    }

    #[test]
    fn an_entry_that_is_being_written_covers_nothing() {
        let entry = Entry::free();
        assert!(entry.take(0x1000, 0x1000) && !entry.take(0x9000, 0x1000), "one that is in force is not taken");
        assert_eq!(entry.covers(0x1800), Some((0x1000, 0x1000)));
        entry.seq.fetch_sub(1, Relaxed);
        assert_eq!(entry.covers(0x1800), None, "its words may be of two mappings");
    }

    #[test]
    fn more_mappings_than_entries_are_not_registered_and_harm_none() {
        let table: Vec<_> = (0..CAPACITY).map(|_| Entry::free()).collect();
        let take = |i: usize| table.iter().find(|entry| entry.take(0x1000 * (i + 1), 0x1000)).is_some();
        assert!((0..CAPACITY).all(take) && !take(CAPACITY));
        assert!(!Registered(None).is_replaced());
    }
}
