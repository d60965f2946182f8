//! `hangwatch watch --mode act` on real workers that others spawned: it ends those that hang and are proven, and nobody else.
#![allow(unsafe_code, reason = "a worker that gives up its user; a process's handle")]

mod common;

use common::{Held, Monitor, Scratch, c_worker, command, let_pass, said, skip, until, worker};
use hangwatch::layout::word::Tag;
use hangwatch::policy::Policy;
use hangwatch::segment::Segment;
use hangwatch::tell::EventKind;
use hangwatch::{Attach, Total};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const ACT: &str = "--mode act --inference-step-timeout 500ms --poll 50ms --grace 300ms";
/// One worker that hangs, and is soon called so.
const HANGS: &str = "--hang-at 25 --steps 4 --step-ms 20";
const ROLE: &str = "ACT_TEST_ROLE";
const SEGMENT: &str = "ACT_TEST_SEGMENT";
const WORKER: &str = "ACT_TEST_WORKER";

fn owner(segment: &Segment, slot: u32) -> hangwatch::layout::word::Owner {
    segment.slot(slot).expect("inside").peek_owner()
}

/// Words that stand before a worker's program and run it.
fn through(wrapper: &[&str], segment: &Path, flags: &str) -> Held {
    let mut command = command(wrapper[0]);
    command.args(&wrapper[1..]).arg(c_worker()).args(flags.split_whitespace()).env("HANGWATCH_SEGMENT", segment);
    let mut held = Held::start(&mut command);
    held.line_with(", slot ");
    held
}

/// Every act but the end of an episode, in order.
fn acts(watch: &Monitor) -> Vec<&str> {
    watch.acts().into_iter().filter_map(|event| event["event"].as_str()).collect()
}

#[test]
fn a_hung_worker_that_a_shell_spawned_is_ended_its_job_is_told_and_nothing_is_started() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, ACT);
    let healthy = worker(c_worker(), segment.path(), "healthy", "--steps 1000000 --step-ms 20");
    let mut shell = through(&["sh", "-c", "\"$0\" \"$@\"; echo its end was $?"], segment.path(), HANGS);
    let opened = watch.next("opened");
    let lost = watch.next("lost_job");
    assert_eq!((&lost["job"], &lost["slot"], &lost["episode"]), (&opened["job"], &1.into(), &opened["episode"]));
    assert_eq!(shell.line_with("its end was"), "its end was 143", "by SIGTERM, within the grace; the shell goes on");
    until(|| owner(&segment, 1).tag() == Tag::Free);
    let_pass(&segment, 1.0);
    assert_eq!(watch.stop(), Some(0));
    assert_eq!(acts(&watch), ["action", "lost_job"], "each once, and nothing is started again: {:#?}", watch.events);
    let detail = watch.of_kind("action")[0]["detail"].as_str().expect("an act says what is done");
    assert!(detail.contains(&format!("SIGTERM to pid {}", opened["pid"])), "{detail}");
    assert_eq!(owner(&segment, 0).pid(), healthy.pid(), "the healthy worker is left alone, also when the monitor ends");
}

#[test]
fn a_hung_worker_that_ignores_sigterm_is_killed_after_the_grace() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, ACT);
    let mut held = worker(c_worker(), segment.path(), "", &format!("{HANGS} --ignore-term"));
    watch.next("lost_job");
    assert_eq!(held.wait().signal(), Some(libc::SIGKILL));
    assert_eq!(watch.stop(), Some(0));
    assert_eq!(acts(&watch), ["action", "action", "lost_job"], "{:#?}", watch.events);
}

/// The one `would_act` of an episode: it says `why`, and nothing was done to anybody a second later.
fn spares(segment: &Segment, watch: &mut Monitor, why: &str) {
    let would = watch.next("would_act");
    let detail = would["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(why), "it says why, expected '{why}': {would}");
    let_pass(segment, 1.0);
    assert_eq!(watch.stop(), Some(0));
    assert_eq!(acts(watch), ["would_act"], "told once an episode, and nothing is done: {:#?}", watch.events);
}

#[test]
fn a_hung_worker_without_its_lock_is_told_of_with_the_way_out_and_left_alone() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut held = worker(c_worker(), segment.path(), "", HANGS);
    // As one leaves it that attached with a library that takes no locks.
    let liveness = scratch.path().join("segment.liveness");
    std::fs::remove_file(&liveness).expect("the lock file");
    std::fs::write(&liveness, "").expect("another of its name");
    let mut watch = Monitor::watch(&segment, ACT);
    spares(&segment, &mut watch, "holds no lock on its byte of '<segment>.liveness': it attached with an older hangwatch");
    assert!(held.is_alive(), "no proof, no signal");
}

/// Writes a word of a slot where it stands in the file, as whoever may open it can.
fn write_word(segment: &Segment, slot: u64, offset: u64, word: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(segment.path()).expect("ours");
    let at = segment.fixed().slots_off + slot * segment.fixed().slot_size + offset;
    file.write_all_at(&word.to_ne_bytes(), at).expect("written");
}

/// The inode of a process's pidfd.
fn pidfd_inode(pid: u32) -> u64 {
    // SAFETY: it takes two numbers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let metadata = std::fs::metadata(format!("/proc/self/fd/{fd}")).expect("opened");
    // SAFETY: the descriptor was made above and is nobody else's.
    unsafe { libc::close(fd as libc::c_int) };
    std::os::unix::fs::MetadataExt::ino(&metadata)
}

fn start_time(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let after_name = stat.rsplit(')').next().expect("fields");
    after_name.split_ascii_whitespace().nth(19).and_then(|field| field.parse().ok()).expect("field 22")
}

/// Offsets of words in a slot.
const OWNER: u64 = 0x80;
const STARTTIME: u64 = 0x88;
const PIDFD_INODE: u64 = 0x90;

#[test]
fn an_innocent_whose_every_word_was_forged_into_a_hung_slot_gets_no_signal() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut held = worker(c_worker(), segment.path(), "", HANGS);
    let mut innocent = Held::start(command("sleep").arg("1000000"));
    let forged = owner(&segment, 0).0 >> 32 << 32 | u64::from(innocent.pid());
    write_word(&segment, 0, STARTTIME, start_time(innocent.pid()));
    write_word(&segment, 0, PIDFD_INODE, pidfd_inode(innocent.pid()));
    write_word(&segment, 0, OWNER, forged);
    assert_eq!(owner(&segment, 0).pid(), innocent.pid());
    let mut watch = Monitor::watch(&segment, ACT);
    spares(&segment, &mut watch, "the pid in its slot is not the one that holds the slot's lock");
    assert!(innocent.is_alive(), "a pid in shared memory authorises nothing");
    assert!(held.is_alive(), "nor does a lock without words that fit it");
}

/// In a role: a job in each slot that goes no further.
fn hang<const N: usize>(mut slots: [hangwatch::Worker; N]) -> ! {
    for worker in &mut slots {
        worker.begin_job("a1b2", "m", Total::Known(4));
        worker.step(1);
    }
    let _ = std::io::stdout().lock().write_all(b"\nit hangs now\n");
    loop {
        std::thread::park();
    }
}

/// This test in a role in which it hangs.
fn hanging(test: &str, segment: &Segment) -> Held {
    let mut held = Held::start(again(&[], test).env(SEGMENT, segment.path()));
    held.line_with("it hangs now");
    held
}

#[test]
fn a_process_that_hangs_in_two_slots_is_ended_once() {
    const TEST: &str = "a_process_that_hangs_in_two_slots_is_ended_once";
    if std::env::var_os(ROLE).is_some() {
        // SAFETY: nobody else's handler is replaced.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        let worker = Attach::new().segment(std::env::var(SEGMENT).expect("given")).attach().expect("a slot");
        let lane = worker.lane("second").expect("another");
        hang([worker, lane]);
    }
    for has_inodes in [true, false] {
        let scratch = Scratch::new();
        let segment = scratch.made();
        let _held = hanging(TEST, &segment);
        // Were all frozen together, one recovery would be all that may begin.
        let _healthy = worker(c_worker(), segment.path(), "healthy", "--steps 1000000 --step-ms 20");
        if !has_inodes {
            // As a kernel before 6.9 has it.
            (0..2).for_each(|slot| write_word(&segment, slot, PIDFD_INODE, 0));
        }
        let mut watch = Monitor::watch(&segment, ACT);
        watch.next("lost_job");
        watch.next("lost_job");
        assert_eq!(watch.stop(), Some(0));
        assert_eq!([watch.of_kind("action").len(), watch.of_kind("lost_job").len()], [2, 2], "{:#?}", watch.events);
    }
}

#[test]
fn a_hung_worker_that_went_to_another_user_is_only_told_of() {
    const TEST: &str = "a_hung_worker_that_went_to_another_user_is_only_told_of";
    if std::env::var_os(ROLE).is_some() {
        let worker = Attach::new().segment(std::env::var(SEGMENT).expect("given")).attach().expect("a slot");
        // SAFETY: it takes three numbers.
        assert_eq!(unsafe { libc::setresuid(65534, 65534, 65534) }, 0);
        hang([worker]);
    }
    if !is_root() {
        return skip(&format!("{TEST}: it takes root to become another user"));
    }
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut other = hanging(TEST, &segment);
    let mut watch = Monitor::watch(&segment, ACT);
    spares(&segment, &mut watch, "runs as another user than this monitor");
    assert!(other.is_alive(), "root may, and does not");
}

#[test]
fn a_monitor_in_a_workers_own_process_ends_another_and_spares_itself() {
    let scratch = Scratch::new();
    let segment = Arc::new(scratch.made());
    let mut own = Attach::new().attach_to(&segment).expect("a slot");
    own.begin_job("own", "m", Total::Known(4));
    own.step(1);
    let mut held = worker(c_worker(), segment.path(), "", &format!("{HANGS} --ignore-term"));
    let budget = Duration::from_millis(500);
    let policy = Policy {
        poll_interval: Duration::from_millis(50),
        heartbeat_timeout: budget,
        progress_timeout: budget,
        grace: budget,
        ..Policy::default()
    };
    let (tell, events) = std::sync::mpsc::channel();
    let monitor = hangwatch::monitor::Monitor::builder(Arc::clone(&segment))
        .policy(policy)
        .without_log()
        .act_on_others()
        .on_event(move |event| drop(tell.send(event.clone())))
        .spawn()
        .expect("a monitor");
    let (mut spared, mut lost) = (false, false);
    while !(spared && lost) {
        let event = events.recv().expect("it goes on");
        match event.event {
            EventKind::WouldAct => {
                let detail = event.detail.unwrap_or_default();
                assert!(event.slot == Some(0) && detail.contains("this very process"), "{detail}");
                spared = true;
            }
            EventKind::Action => assert_eq!(event.slot, Some(1)),
            EventKind::LostJob => {
                assert_eq!(event.slot, Some(1));
                lost = true;
            }
            _ => {}
        }
    }
    assert_eq!(held.wait().signal(), Some(libc::SIGKILL));
    drop(monitor);
    assert!(own.is_attached());
}

fn is_root() -> bool {
    // SAFETY: it has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// This test in a role, through `wrapper` if there is one.
fn again(wrapper: &[&str], test: &str) -> Command {
    let program = std::env::current_exe().expect("own path").display().to_string();
    let words: Vec<&str> = wrapper.iter().copied().chain([program.as_str()]).collect();
    let mut command = command(words[0]);
    command.args(&words[1..]).args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, "other");
    command
}

const IN_A_NAMESPACE: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// Why no pid namespace can be made here, if none can.
fn no_namespace() -> Option<String> {
    let tried = said(command(IN_A_NAMESPACE[0]).args(&IN_A_NAMESPACE[1..]).arg("true"));
    (tried.code != Some(0)).then(|| tried.err.trim().to_owned())
}

#[test]
fn a_hung_worker_that_is_process_1_of_its_own_namespace_is_proven_from_outside_and_ended() {
    const TEST: &str = "a_hung_worker_that_is_process_1_of_its_own_namespace_is_proven_from_outside_and_ended";
    if let Some(why) = no_namespace() {
        return skip(&format!("{TEST}: {why}"));
    }
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut held = through(&IN_A_NAMESPACE, segment.path(), HANGS);
    assert_eq!(owner(&segment, 0).pid(), 1, "as it sees itself");
    let mut watch = Monitor::watch(&segment, ACT);
    let lost = watch.next("lost_job");
    assert_eq!(lost["pid"], 1);
    held.wait();
    until(|| owner(&segment, 0).tag() == Tag::Free);
    assert_eq!(watch.stop(), Some(0));
    // The first process of a namespace has no default actions: SIGTERM does nothing to it.
    assert_eq!(acts(&watch), ["action", "action", "lost_job"], "{:#?}", watch.events);
    for action in watch.of_kind("action") {
        let detail = action["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("to pid ") && !detail.contains("to pid 1 "), "the number that it has here: {detail}");
    }
}

/// A process that has this number, which nobody has.
fn innocent_with(pid: u32) -> Held {
    loop {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("ours to set in our own namespace");
        let mut innocent = Held::start(command("sleep").arg("1000000"));
        if innocent.pid() == pid {
            assert!(innocent.is_alive());
            return innocent;
        }
    }
}

fn kill_and_reap(held: &mut Held) -> u32 {
    held.signal(libc::SIGKILL);
    held.wait();
    held.pid()
}

/// In a namespace of our own: the worker hangs, the monitor has sent SIGTERM and is about to send SIGKILL, and by then the
/// number is an innocent's.
fn a_number_that_changes_hands_under_the_ladder(program: &Path) {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, "--mode act --inference-step-timeout 500ms --poll 50ms --grace 2s");
    let mut held = worker(program, segment.path(), "", &format!("{HANGS} --ignore-term"));
    watch.next("action");
    watch.held.signal(libc::SIGSTOP);
    let mut innocent = innocent_with(kill_and_reap(&mut held));
    // The grace ends while the monitor is held.
    assert!(command("sleep").arg("3").status().expect("it runs").success());
    watch.held.signal(libc::SIGCONT);
    watch.next("lost_job");
    let_pass(&segment, 1.0);
    assert!(innocent.is_alive(), "the handle is on the process and not on its number");
    assert_eq!(watch.stop(), Some(0));
    assert!(innocent.is_alive());
}

/// The worker died before there was a monitor, on a kernel that has no pidfd inodes to tell the two apart.
fn a_number_that_changed_hands_before_the_monitor_came(program: &Path) {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut held = worker(program, segment.path(), "", HANGS);
    until(|| segment.slot(0).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.progress == 1)));
    write_word(&segment, 0, PIDFD_INODE, 0);
    let mut innocent = innocent_with(kill_and_reap(&mut held));
    let mut watch = Monitor::watch(&segment, ACT);
    spares(&segment, &mut watch, "its process holds no lock");
    assert!(innocent.is_alive(), "the lock went with the worker");
}

#[test]
fn an_innocent_that_was_given_a_hung_workers_number_gets_no_signal() {
    const TEST: &str = "an_innocent_that_was_given_a_hung_workers_number_gets_no_signal";
    const END: &str = "the innocents live";
    if std::env::var_os(ROLE).is_some() {
        assert_eq!(std::process::id(), 1, "numbers are forced in a namespace of our own alone");
        let program = std::env::var_os(WORKER).expect("given");
        a_number_that_changes_hands_under_the_ladder(program.as_ref());
        a_number_that_changed_hands_before_the_monitor_came(program.as_ref());
        let _ = std::io::stdout().lock().write_all(format!("\n{END}\n").as_bytes());
        return;
    }
    if let Some(why) = no_namespace() {
        return skip(&format!("{TEST}: {why}"));
    }
    let said = said(again(&IN_A_NAMESPACE, TEST).env(WORKER, c_worker()));
    assert!(said.code == Some(0) && said.out.contains(END), "{}\n{}", said.out, said.err);
}
