use super::*;
use crate::evidence::threads::Grew;

const BETWEEN: u64 = 250_000_000;
const PID: u32 = 4800;

/// A thread called `worker` that waits and is read in full.
fn thread(tid: u32, state: char) -> Thread {
    let now = Detail {
        tid,
        own_tid: tid,
        name: "worker".into(),
        state,
        wchan: None,
        syscall: None,
        stack: None,
        cpu: Some(0),
        user_ticks: 0,
        system_ticks: 0,
        major_faults: 0,
        on_cpu_ns: Some(0),
        run_delay_ns: Some(0),
        voluntary_switches: 0,
        involuntary_switches: 0,
        io_bytes: None,
        disk_bytes: None,
        pending_signals: 0,
        sched: None,
    };
    Thread { claimed: false, first_state: state, now, grew: Grew::default() }
}

fn waits(state: char, wchan: &str, call: i64) -> Thread {
    let mut it = thread(4821, state);
    it.now.wchan = (!wchan.is_empty()).then(|| wchan.into());
    it.now.syscall = Some(format!("{call} 0x1 0x2 0x3 0x4 0x5 0x6 0x7ffd 0x7f00"));
    it
}

fn runs(cpu_ms: u64, delay_ms: u64, first_state: char, state: char) -> Thread {
    let mut it = thread(4821, state);
    it.first_state = first_state;
    it.now.syscall = Some("running".into());
    it.grew = Grew { cpu_ns: cpu_ms * 1_000_000, run_delay_ns: Some(delay_ms * 1_000_000), ..Grew::default() };
    it
}

fn with_stack(mut thread: Thread, stack: &str) -> Thread {
    thread.now.stack = Some(stack.into());
    thread
}

fn of(threads: Vec<Thread>, claiming: Claiming) -> Cause {
    cause(&Threads { pid: PID, claiming, between_ns: BETWEEN, threads, left_out: 0 })
}

fn of_one(thread: Thread) -> Cause {
    let tid = thread.now.tid;
    of(vec![thread], Claiming::Thread(tid))
}

#[test]
fn every_wait_is_known_by_the_name_of_its_place_or_else_by_its_system_call() {
    use CauseKind::*;
    let nothing = -2;
    for (state, wchan, call, kind) in [
        ('S', "futex_wait_queue", libc::SYS_futex, FutexWait),
        ('S', "futex_do_wait", nothing, FutexWait),
        ('S', "", libc::SYS_futex, FutexWait),
        ('S', "nvidia_poll", libc::SYS_ppoll, DriverWait),
        ('D', "uvm_va_space_down_read", nothing, DriverWait),
        ('D', "", libc::SYS_ioctl, DriverWait),
        ('S', "drm_syncobj_array_wait_timeout", libc::SYS_ioctl, DriverWait),
        ('D', "__drm_sched_wait", libc::SYS_ioctl, DriverWait),
        ('D', "percpu_rwsem_wait", libc::SYS_write, DiskWait),
        ('D', "folio_wait_bit_common", -1, DiskWait),
        ('D', "rwsem_down_write_slowpath", libc::SYS_openat, DiskWait),
        ('D', "", libc::SYS_read, DiskWait),
        ('D', "", libc::SYS_fsync, DiskWait),
        ('D', "rpc_wait_bit_killable", libc::SYS_read, NetworkWait),
        ('S', "tcp_recvmsg", nothing, NetworkWait),
        ('S', "__skb_wait_for_more_packets", libc::SYS_recvfrom, NetworkWait),
        ('S', "wait_woken", libc::SYS_recvfrom, NetworkWait),
        ('S', "anon_pipe_read", libc::SYS_read, PipeWait),
        ('S', "do_poll", libc::SYS_ppoll, PipeWait),
        ('S', "ep_poll", libc::SYS_epoll_pwait, PipeWait),
        ('S', "", libc::SYS_read, PipeWait),
        ('S', "hrtimer_nanosleep", libc::SYS_clock_nanosleep, Sleeping),
        ('S', "do_wait", libc::SYS_wait4, Sleeping),
        ('S', "do_freezer_trap", nothing, Stopped),
        ('D', "rwsem_down_read_slowpath", -1, Unknown),
        ('S', "", nothing, Unknown),
        ('T', "do_signal_stop", libc::SYS_futex, Stopped),
        ('t', "ptrace_stop", libc::SYS_futex, Stopped),
        ('Z', "", nothing, Exited),
    ] {
        assert_eq!(of_one(waits(state, wchan, call)).kind, kind, "state {state}, wchan {wchan:?}, system call {call}");
    }
}

#[test]
fn the_line_names_the_reading_that_it_rests_on() {
    let it = of_one(waits('S', "futex_wait_queue", libc::SYS_futex));
    let number = libc::SYS_futex;
    assert_eq!(
        it.to_string(),
        format!("futex_wait: thread 4821 (worker) in S, wchan futex_wait_queue, syscall {number} (futex), no CPU time in 250 ms")
    );
    let faults = of_one(waits('D', "folio_wait_bit_common", -1));
    assert!(faults.reading.contains("in a fault, outside of any system call"), "{faults}");
}

#[test]
fn a_driver_anywhere_in_the_stack_is_what_it_waits_for() {
    let stack = "[<0>] futex_wait_queue+0x1/0x2\n[<0>] _nv012345rm+0x10/0x20 [nvidia]\n[<0>] do_syscall_64+0x5/0x9";
    let it = of_one(with_stack(waits('D', "", -2), stack));
    assert_eq!(it.kind, CauseKind::DriverWait);
    assert!(it.reading.contains("stack with _nv012345rm"), "{it}");
    let other = "[<0>] nvme_wait_reset+0x1/0x2 [nvme_core]\n[<0>] do_syscall_64+0x5/0x9";
    assert_eq!(of_one(with_stack(waits('D', "", -2), other)).kind, CauseKind::DiskWait, "a disk's driver is a disk");
    let plain = "[<0>] hrtimer_nanosleep+0x1/0x2\n[<0>] do_syscall_64+0x5/0x9";
    assert_eq!(of_one(with_stack(waits('S', "", -2), plain)).kind, CauseKind::Sleeping, "where wchan is not told, frames are");
}

#[test]
fn time_on_a_cpu_tells_a_busy_loop_from_one_that_is_given_none() {
    use CauseKind::*;
    for (cpu, delay, first, state, kind) in [
        (250, 0, 'R', 'R', BusyLoop),
        (130, 0, 'S', 'S', BusyLoop),
        (60, 190, 'R', 'R', BusyLoop),
        (5, 240, 'R', 'R', Starved),
        (0, 0, 'R', 'R', Starved),
        (5, 0, 'S', 'R', Unknown),
        (40, 0, 'R', 'R', BusyLoop),
    ] {
        let it = of_one(runs(cpu, delay, first, state));
        assert_eq!(it.kind, kind, "{cpu} ms on a CPU, {delay} ms waiting for one, {first} then {state}");
    }
    let mut now_and_then = runs(40, 5, 'R', 'R');
    now_and_then.grew.voluntary_switches = 1;
    assert_eq!(of_one(now_and_then).kind, Unknown, "it gave its CPU up in between");
    assert!(of_one(runs(5, 240, 'R', 'R')).reading.contains("waited 240 ms for a CPU"));
}

#[test]
fn a_kernel_that_counts_ticks_alone_tells_a_busy_loop_too() {
    let mut it = runs(240, 0, 'R', 'R');
    it.grew.run_delay_ns = None;
    assert_eq!(of_one(it).kind, CauseKind::BusyLoop);
}

#[test]
fn an_idle_thread_that_claimed_gives_way_to_the_first_and_then_to_the_busiest() {
    let idle = waits('S', "do_poll", libc::SYS_ppoll);
    let claimed = Claiming::Thread(4821);
    let mut first = waits('D', "percpu_rwsem_wait", libc::SYS_write);
    first.now.tid = PID;
    let mut busy = runs(250, 0, 'R', 'R');
    busy.now.tid = 4900;
    let it = of(vec![idle.clone(), first.clone(), busy.clone()], claimed);
    assert_eq!(it.kind, CauseKind::DiskWait);
    assert!(it.reading.starts_with("thread 4800") && it.reading.ends_with("; thread 4821 (worker) is idle"), "{it}");
    assert_eq!(of(vec![idle.clone(), busy.clone()], claimed).kind, CauseKind::BusyLoop);
    let mut sleeper = waits('S', "futex_wait_queue", libc::SYS_futex);
    sleeper.now.tid = PID;
    assert_eq!(of(vec![idle, sleeper], claimed).kind, CauseKind::PipeWait, "one idle thread is no reason for another");
}

#[test]
fn a_thread_in_a_futex_wait_decides_and_one_that_waits_for_no_thread_is_named_besides() {
    let mut driver = waits('D', "uvm_va_space_down_read", -2);
    driver.now.tid = 4901;
    let mut busy = runs(250, 0, 'R', 'R');
    busy.now.tid = 4900;
    let waits = waits('S', "futex_wait_queue", libc::SYS_futex);
    let it = of(vec![waits.clone(), busy.clone()], Claiming::Thread(4821));
    assert_eq!(it.kind, CauseKind::FutexWait);
    assert!(it.reading.contains("; besides, thread 4900 (worker) in R"), "{it}");
    let it = of(vec![waits, busy, driver], Claiming::Thread(4821));
    assert!(it.reading.contains("; besides, thread 4901 (worker) in D"), "{it}");
}

#[test]
fn what_is_not_known_is_said() {
    let mut first = waits('S', "hrtimer_nanosleep", libc::SYS_nanosleep);
    first.now.tid = PID;
    let unknown = of(vec![first.clone()], Claiming::Unknown);
    assert!(unknown.reading.starts_with("the thread that claimed is not known; thread 4800"), "{unknown}");
    let ended = of(vec![first], Claiming::Ended(7));
    assert!(ended.reading.starts_with("the thread that claimed, 7 to itself, has ended; thread 4800"), "{ended}");
    let gone = of(vec![], Claiming::Unknown);
    assert_eq!(gone.kind, CauseKind::Exited, "{gone}");
}

#[test]
fn what_the_watch_of_an_interpreter_tells_stands_behind_the_cause() {
    let mut watch = waits('S', "futex_wait_queue", libc::SYS_futex);
    (watch.now.tid, watch.now.name) = (4903, "hw-py gil 12s".into());
    let mut first = waits('S', "hrtimer_nanosleep", libc::SYS_nanosleep);
    first.now.tid = PID;
    let it = of(vec![first.clone(), watch.clone()], Claiming::Thread(PID));
    assert_eq!(it.kind, CauseKind::Sleeping, "the kernel's word is its own");
    assert!(
        it.to_string().ends_with("; interpreter gil_held: no thread of it could run Python for 12s: C code holds the GIL"),
        "{it}"
    );
    let mut works = waits('S', "futex_wait_queue", libc::SYS_futex);
    works.now.tid = 4821;
    let it = of(vec![first.clone(), works, watch], Claiming::Thread(4821));
    assert!(it.to_string().ends_with("; the thread that claimed is another one"), "{it}");
    assert_eq!(of(vec![first], Claiming::Thread(PID)).interpreter, None, "without a watch nothing is known of it");
}

proptest::proptest! {
    #[test]
    fn any_reading_has_a_cause_and_never_a_panic(
        state in proptest::char::any(), wchan in ".{0,20}", syscall in ".{0,20}", stack in "(.{0,30}\n){0,4}", cpu in proptest::num::u64::ANY,
        between in proptest::num::u64::ANY,
    ) {
        let mut it = thread(4821, state);
        (it.now.wchan, it.now.syscall, it.now.stack) = (Some(wchan), Some(syscall), Some(stack));
        it.grew.cpu_ns = cpu;
        let threads = Threads { pid: PID, claiming: Claiming::Unknown, between_ns: between, threads: vec![it], left_out: 0 };
        proptest::prop_assert!(!cause(&threads).reading.is_empty());
    }
}
