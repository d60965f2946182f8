//! What the machine asks for the parts of a report, and for what others use in its place.
#![allow(unsafe_code)]

use crate::measure;
use criterion::Criterion;
use hangwatch_bench::between;
use std::hint::black_box;
use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU8, AtomicU64};

/// The least that a reporter owns: whether it is on, and its count.
#[repr(C)]
struct Private {
    on: &'static AtomicU8,
    words: &'static Words,
    count: u64,
}

/// The least that it shares, on a cache line.
#[repr(C, align(64))]
#[derive(Default)]
struct Words {
    beat: AtomicU64,
    progress: AtomicU64,
    stamp: AtomicU64,
}

static ON: AtomicU8 = AtomicU8::new(1);

pub(crate) fn measure_all(criterion: &mut Criterion) {
    let mut me = Private { on: &ON, words: shared(), count: 0 };
    measure(criterion, "floor", "two_stores", |from, n| two_stores(me.words, from, n));
    measure(criterion, "floor", "stores_and_branch", |from, n| stores_and_branch(&mut me, from, n));
    measure(criterion, "floor", "coarse_clock", |_, n| clocks(libc::CLOCK_MONOTONIC_COARSE, n));
    measure(criterion, "floor", "stores_and_coarse_clock", |from, n| stores_and_clock(&mut me, from, n));
    measure(criterion, "floor", "beat_store_and_coarse_clock", |_, n| beat_and_clock(&mut me, n));
    measure(criterion, "peer", "monotonic_clock", |_, n| clocks(libc::CLOCK_MONOTONIC, n));
    measure(criterion, "peer", "fetch_add", |_, n| fetch_adds(me.words, n));
    measure(criterion, "peer", "system_call", |_, n| system_calls(n));
}

/// Shared memory, as a segment is; never given back.
fn shared() -> &'static Words {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping, of nothing that exists.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Words>(), access, kind, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED, "a page of memory");
    // SAFETY: page-aligned, zeroed, of at least that size, and never unmapped.
    unsafe { &*page.cast::<Words>() }
}

/// The stores alone, the count in a register: what no reporter in real code gets.
#[inline(never)]
fn two_stores(words: &'static Words, from: u64, n: u64) {
    for done in from..from + n {
        words.progress.store(done, Relaxed);
        words.beat.store(done, Release);
    }
}

/// Two stores, with the private state of anything that can be switched off and that lives from one call to the next.
#[inline(never)]
fn stores_and_branch(me: &mut Private, from: u64, n: u64) {
    for done in from..from + n {
        if me.on.load(Relaxed) != 0 {
            me.words.progress.store(done, Relaxed);
            me.count += 1;
            me.words.beat.store(me.count, Release);
        }
        between(me);
    }
}

/// The same with a stamp.
#[inline(never)]
fn stores_and_clock(me: &mut Private, from: u64, n: u64) {
    for done in from..from + n {
        if me.on.load(Relaxed) != 0 {
            let now = clock_ns(libc::CLOCK_MONOTONIC_COARSE);
            me.words.progress.store(done, Relaxed);
            me.words.stamp.store(now, Relaxed);
            me.count += 1;
            me.words.beat.store(me.count, Release);
        }
        between(me);
    }
}

/// The same without progress.
#[inline(never)]
fn beat_and_clock(me: &mut Private, n: u64) {
    for _ in 0..n {
        if me.on.load(Relaxed) != 0 {
            me.words.stamp.store(clock_ns(libc::CLOCK_MONOTONIC_COARSE), Relaxed);
            me.count += 1;
            me.words.beat.store(me.count, Release);
        }
        between(me);
    }
}

#[inline(always)]
fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec for the call to fill.
    let failed = unsafe { libc::clock_gettime(clock, &mut now) };
    if failed == 0 { now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64 } else { 0 }
}

#[inline(never)]
fn clocks(clock: libc::clockid_t, n: u64) {
    for _ in 0..n {
        black_box(clock_ns(clock));
    }
}

#[inline(never)]
fn fetch_adds(words: &'static Words, n: u64) {
    for _ in 0..n {
        words.beat.fetch_add(1, SeqCst);
    }
}

#[inline(never)]
fn system_calls(n: u64) {
    for _ in 0..n {
        // SAFETY: getppid has no preconditions.
        black_box(unsafe { libc::getppid() });
    }
}
