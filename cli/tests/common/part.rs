//! Workers that a test plays itself, in a process of its own: the same program again, running the same test alone, with a part
//! in its environment.

use hangwatch::clock::monotonic_ns;
use hangwatch::{Attach, Worker};
use std::io::Write;
use std::time::Duration;

const PART: &str = "GUARD_TEST_PART";

/// What this process plays; `None` in the one that the test runner started.
pub(crate) fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// The command of a worker that plays `part` of `test`. `{i}` stands for the replica's number.
pub(crate) fn playing(test: &str, part: &str) -> Vec<String> {
    let program = std::env::current_exe().expect("own path").into_os_string().into_string().expect("a UTF-8 path");
    ["env".into(), format!("{PART}={part}"), program]
        .into_iter()
        .chain([test, "--exact", "--nocapture", "--test-threads=1"].map(String::from))
        .collect()
}

/// In a part: says a line. The runner's "test … " may stand before it on the same line, so a new one begins.
pub(crate) fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{text}\n").as_bytes()).and_then(|()| out.flush()).expect("the test reads");
}

/// In a part: attaches as its environment says, and says so as the examples do.
pub(crate) fn attached() -> Worker {
    let worker = Attach::new().attach().expect("a slot");
    assert!(worker.is_attached(), "it was started with a segment");
    say(format_args!("attached, slot {}", worker.slot().expect("attached")));
    worker
}

/// In a part: passes time.
pub(crate) fn pass(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// In a part: works until somebody ends this process.
pub(crate) fn steps_for_ever(worker: &mut Worker, ms: u64) -> ! {
    for done in 0.. {
        worker.step(done);
        pass(ms);
    }
    unreachable!("64 bits of steps");
}

/// In a part: uses so much time of a CPU, however long that takes. Returns how long it took.
pub(crate) fn compute(ms: u64) -> Duration {
    let started = monotonic_ns();
    let from = cpu_time();
    while cpu_time() < from + Duration::from_millis(ms) {
        std::hint::spin_loop();
    }
    Duration::from_nanos(monotonic_ns() - started)
}

/// Of the calling thread.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the call to fill.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(u64::try_from(time.tv_sec).expect("not negative"), u32::try_from(time.tv_nsec).expect("below a second"))
}

/// In a part: stays on the first CPU that it may use.
pub(crate) fn share_one_cpu() {
    // SAFETY: cpu_set_t is plain data, for which all zero is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is valid for the call to fill, and its size is given.
    assert_eq!(unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) }, 0);
    // SAFETY: the index is within the set.
    let first = (0..libc::CPU_SETSIZE as usize).find(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).expect("a CPU");
    // SAFETY: the set is valid.
    unsafe { libc::CPU_ZERO(&mut set) };
    // SAFETY: the index is within the set.
    unsafe { libc::CPU_SET(first, &mut set) };
    // SAFETY: the set is valid, and its size is given.
    assert_eq!(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) }, 0);
}

/// In a part: lets any process attach a debugger, where only an ancestor may.
pub(crate) fn allow_debuggers() {
    // SAFETY: this request reads no memory. Where the kernel does not know it, any may attach.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
}

/// In a part: dies with the thread that started it, so that a test that is killed leaves no busy loop behind.
pub(crate) fn die_with_the_test() {
    // SAFETY: this request reads no memory.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }, 0);
}

/// In a part: SIGTERM does nothing to this process.
pub(crate) fn ignore_sigterm() {
    // SAFETY: no handler is installed, and no other thread of this process changes what signals do.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
}
