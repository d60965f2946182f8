//! I1: a report is stores. A process that the kernel kills at its first system call reports a million times and lives.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#![allow(unsafe_code)]

mod common;

use common::{again, given, role, run, scratch, skip};
use hangwatch::{Attach, Total};
use std::time::Duration;

const SEGMENT: &str = "SEGMENT_TEST_SEGMENT";
const LIVED: i32 = 77;
const NO_SECCOMP: i32 = 78;

/// From here on every system call of this thread but exit_group kills the process. `false` where seccomp is refused.
fn forbid_system_calls() -> bool {
    let op = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut filter = [
        // The call's number stands first in what a filter sees.
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter { jf: 1, ..op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_exit_group as u32) },
        op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
        op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: prctl with integers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return false;
    }
    // SAFETY: the program and its instructions live through the call, which copies them.
    (unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) }) == 0
}

fn exit(code: i32) -> ! {
    // SAFETY: ends the process by the one call that is allowed.
    unsafe { libc::_exit(code) }
}

fn report(stamps: bool, forbidden_call: bool) -> ! {
    let attach = Attach::new().segment(given(SEGMENT));
    let attach = if stamps { attach } else { attach.without_stamps() };
    let mut worker = attach.attach().expect("a free slot");
    let helper = worker.helper();
    worker.begin_job("j", "m", Total::Known(1000));
    if !forbid_system_calls() {
        exit(NO_SECCOMP);
    }
    for i in 0..1_000_000 {
        worker.step(i % 1000);
        worker.beat();
        if i % 1000 == 0 {
            helper.alive();
            worker.begin_pass();
            worker.extend(Duration::from_secs(1));
            std::hint::black_box(worker.should_stop());
        }
    }
    if forbidden_call {
        std::hint::black_box(std::process::id());
    }
    exit(LIVED)
}

#[test]
fn a_million_reports_make_no_system_call() {
    const TEST: &str = "a_million_reports_make_no_system_call";
    if let Some(role) = role() {
        report(role != "unstamped", role == "calls");
    }
    let dir = scratch();
    let end = |role: &str| {
        let mut child = again(TEST, role);
        child.env(SEGMENT, dir.path().join("s"));
        run(child).0
    };
    if end("unstamped").code() == Some(NO_SECCOMP) {
        skip("a_million_reports_make_no_system_call: seccomp is refused here");
        return;
    }
    assert_eq!(end("unstamped").code(), Some(LIVED), "I1: a report without stamps is stores");
    assert_eq!(end("stamped").code(), Some(LIVED), "I1: a stamp is read from the vDSO");
    let killed = std::os::unix::process::ExitStatusExt::signal(&end("calls"));
    assert_eq!(killed, Some(libc::SIGSYS), "the filter does kill: one getpid after the reports");
}
