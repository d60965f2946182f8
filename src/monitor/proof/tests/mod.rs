//! On real processes. A worker of another process is this test program again, running the same test in a role.

mod anything;

use super::{Proven, Prover, Unproven};
use crate::layout::Slot;
use crate::layout::claim::Identity;
use crate::layout::word::{Kind, Owner};
use crate::os::access::Access;
use crate::os::file;
use crate::os::tests::{Subject, skip};
use crate::segment::{Geometry, Segment};
use crate::sync::Ordering::Relaxed;
use crate::{Attach, Worker};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const ROLE: &str = "PROOF_TEST_ROLE";
const SEGMENT: &str = "PROOF_TEST_SEGMENT";
const ATTACHED: &str = "it is attached";

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temp dir"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("s")
    }

    fn liveness(&self) -> PathBuf {
        self.0.path().join("s.liveness")
    }

    fn segment(&self) -> Arc<Segment> {
        Arc::new(Segment::open_or_create(&self.path(), Geometry { slots: 4, slot_size: 1024 }).expect("a segment"))
    }
}

/// A worker of another process, ended with this.
struct Other(Child);

impl Other {
    /// This program again, in `role`, through `wrapper` if there is one; it has attached when this returns.
    fn attached(test: &str, role: &str, scratch: &Scratch, wrapper: &[&str]) -> Self {
        let program = std::env::current_exe().expect("own path");
        let words: Vec<&str> = wrapper.iter().copied().chain([program.to_str().expect("a UTF-8 path")]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args([&format!("monitor::proof::tests::{test}"), "--exact", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, role).env(SEGMENT, scratch.path()).stdout(Stdio::piped());
        let mut other = Self(command.spawn().expect("it starts"));
        let lines = BufReader::new(other.0.stdout.take().expect("piped")).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains(ATTACHED)), "it attaches");
        other
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What this process is to the test, if it is not the test itself.
fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

fn attach(path: &Path) -> Worker {
    Attach::new().segment(path.to_string_lossy()).attach().expect("a free slot")
}

fn given() -> PathBuf {
    std::env::var_os(SEGMENT).expect("given").into()
}

fn stay(worker: Worker) -> ! {
    let _ = std::io::stdout().lock().write_all(format!("\n{ATTACHED}\n").as_bytes());
    loop {
        std::thread::park();
        assert!(worker.is_attached());
    }
}

fn stay_if_other() {
    if role().is_some() {
        stay(attach(&given()));
    }
}

fn owner(segment: &Segment, index: u32) -> Owner {
    segment.slot(index).expect("inside").peek_owner()
}

/// As a monitor asks: for the owner that it read.
fn prove(segment: &Segment, index: u32) -> Result<u32, Unproven> {
    Prover::new().prove(segment, index, owner(segment, index)).map(|Proven { pid, .. }| pid)
}

fn is_root() -> bool {
    file::euid() == 0
}

#[test]
fn a_worker_that_holds_its_slots_lock_is_proven_until_it_ends() {
    const TEST: &str = "a_worker_that_holds_its_slots_lock_is_proven_until_it_ends";
    stay_if_other();
    let scratch = Scratch::new();
    let segment = scratch.segment();
    let mut other = Other::attached(TEST, "worker", &scratch, &[]);
    assert_eq!(prove(&segment, 0), Ok(other.pid()));
    let mut prover = Prover::new();
    let live = owner(&segment, 0);
    let first = prover.prove(&segment, 0, live).expect("proven");
    let again = prover.prove(&segment, 0, live).expect("and again");
    assert_eq!(first.fd.inode(), again.fd.inode());
    assert_eq!(prover.prove(&segment, 4, live).err(), Some(Unproven::Changed), "there is no such slot");
    let before = Owner::new(live.generation().wrapping_sub(1), live.tag(), live.kind(), live.pid());
    assert_eq!(prover.prove(&segment, 0, before).err(), Some(Unproven::Changed), "that was another owner");
    first.fd.signal(libc::SIGKILL, false).expect("ours");
    while !first.fd.has_exited() {
        std::thread::yield_now();
    }
    assert_eq!(prover.prove(&segment, 0, live).err(), Some(Unproven::NotHeld), "a zombie holds no lock");
    other.0.wait().expect("reaped");
    assert_eq!(prover.prove(&segment, 0, live).err(), Some(Unproven::NotHeld), "its number may be anybody's");
}

/// Writes other words where an owner's are, as whoever maps the segment can.
fn forge(slot: &Slot, pid: u32, change: impl Fn(&mut Identity)) {
    let (live, mut identity) = slot.read_identity().expect("live");
    change(&mut identity);
    slot.starttime.store(identity.starttime, Relaxed);
    slot.pidfd_ino.store(identity.pidfd_ino, Relaxed);
    slot.namespaces.store(u64::from(identity.pid_namespace) << 32 | u64::from(identity.time_namespace), Relaxed);
    slot.owner.store(Owner::new(live.generation(), live.tag(), live.kind(), pid).0, Relaxed);
}

#[test]
fn words_that_name_another_process_than_the_locks_holder_prove_nobody() {
    const TEST: &str = "words_that_name_another_process_than_the_locks_holder_prove_nobody";
    stay_if_other();
    let scratch = Scratch::new();
    let segment = scratch.segment();
    let other = Other::attached(TEST, "worker", &scratch, &[]);
    let slot = segment.slot(0).expect("inside");
    let (_, true_words) = slot.read_identity().expect("live");
    let innocent = Subject::sleeping();
    let forged = |pid: u32, change: &dyn Fn(&mut Identity)| {
        forge(slot, pid, change);
        let found = prove(&segment, 0);
        forge(slot, other.pid(), |identity| *identity = true_words);
        found
    };
    assert_eq!(forged(innocent.pid(), &|_| {}), Err(Unproven::OtherPid));
    let all = |identity: &mut Identity| {
        identity.pidfd_ino = innocent.inode();
        identity.starttime = crate::os::proc::stat(innocent.pid()).expect("there").starttime;
    };
    assert_eq!(forged(innocent.pid(), &all), Err(Unproven::OtherPid), "all that can be known of an innocent, and no lock");
    let elsewhere = |identity: &mut Identity| identity.pid_namespace += 1;
    assert_eq!(forged(innocent.pid(), &elsewhere), Err(Unproven::OtherPid), "its number in a namespace that it is not in");
    assert_eq!(forged(1, &|_| {}), Err(Unproven::OtherPid));
    assert_eq!(forged(std::process::id(), &|_| {}), Err(Unproven::OtherPid));
    if true_words.pidfd_ino == 0 {
        skip(&format!("part of {TEST}: pidfds have no inodes here"));
    } else {
        assert_eq!(forged(other.pid(), &|identity| identity.pidfd_ino += 1), Err(Unproven::OtherProcess));
    }
    let without_inode = |starttime: u64, time_namespace: u32| {
        forged(other.pid(), &|identity| {
            (identity.pidfd_ino, identity.starttime) = (0, starttime);
            identity.time_namespace = time_namespace;
        })
    };
    let (began, time) = (true_words.starttime, true_words.time_namespace);
    assert_eq!(without_inode(began, time), Ok(other.pid()), "the start time speaks where no inode is known");
    assert_eq!(without_inode(began + 1, time), Err(Unproven::OtherProcess));
    assert_eq!(without_inode(began, time.wrapping_add(1)), Err(Unproven::Incomparable), "its start time is of other clocks");
    assert_eq!(prove(&segment, 0), Ok(other.pid()), "the true words prove it still");
}

#[test]
fn a_slot_whose_lock_nobody_holds_proves_nobody() {
    const TEST: &str = "a_slot_whose_lock_nobody_holds_proves_nobody";
    if role().as_deref() == Some("closes") {
        // As another copy of the library in the process does, when its last worker detaches.
        let worker = attach(&given());
        drop(File::open(file::sidecar(&given(), "liveness")).expect("there"));
        stay(worker);
    }
    stay_if_other();
    let scratch = Scratch::new();
    let segment = scratch.segment();
    let innocent = Subject::sleeping();
    let identity = Identity { pidfd_ino: innocent.inode(), ..Identity::default() };
    let slot = segment.slot(3).expect("inside");
    slot.claim(slot.peek_owner(), Kind::Worker, innocent.pid(), &identity, |_, _| {}).expect("free");
    assert_eq!(prove(&segment, 3), Err(Unproven::NoFile), "as an older library leaves it");
    let _closes = Other::attached(TEST, "closes", &scratch, &[]);
    assert_eq!(prove(&segment, 0), Err(Unproven::NotHeld), "the safe side");
    let holds = Other::attached(TEST, "worker", &scratch, &[]);
    assert_eq!(prove(&segment, 1), Ok(holds.pid()));
    assert_eq!(prove(&segment, 3), Err(Unproven::NotHeld), "an innocent in a slot beside it");
    let aside = scratch.path().with_file_name("aside");
    fs::rename(scratch.liveness(), &aside).expect("moved");
    assert_eq!(prove(&segment, 1), Err(Unproven::NoFile));
    std::os::unix::fs::symlink(&aside, scratch.liveness()).expect("planted");
    assert_eq!(prove(&segment, 1), Err(Unproven::NoFile), "no link is followed");
    fs::remove_file(scratch.liveness()).expect("ours");
    drop(file::open_sidecar(&scratch.liveness(), &Access::default()).expect("made"));
    assert_eq!(prove(&segment, 1), Err(Unproven::NotHeld), "another file of the same name has none of the locks");
}

#[test]
fn a_lock_of_another_kind_proves_nobody() {
    let scratch = Scratch::new();
    let segment = scratch.segment();
    let innocent = Subject::sleeping();
    let slot = segment.slot(0).expect("inside");
    slot.claim(slot.peek_owner(), Kind::Worker, innocent.pid(), &Identity::default(), |_, _| {}).expect("free");
    let theirs = file::open_sidecar(&scratch.liveness(), &Access::default()).expect("made");
    crate::os::tests::lock_description(&theirs);
    assert_eq!(prove(&segment, 0), Err(Unproven::Strange));
    drop(theirs);
    assert_eq!(prove(&segment, 0), Err(Unproven::NotHeld));
}

/// The bytes of the file that this process holds, as the kernel lists them.
fn held_by_us(path: &Path) -> Vec<(u64, u64)> {
    let inode = fs::metadata(path).expect("there").ino();
    let locks = fs::read_to_string("/proc/locks").expect("the kernel's list");
    let ours = locks.lines().filter_map(|line| {
        // 1: POSIX  ADVISORY  WRITE 4821 00:1a:42 0 0
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_ours = fields[1] == "POSIX" && fields[4] == std::process::id().to_string();
        (is_ours && fields[5].ends_with(&format!(":{inode}"))).then(|| (fields[6].parse().ok(), fields[7].parse().ok()))
    });
    let mut ours: Vec<(u64, u64)> = ours.map(|(from, to)| (from.expect("a number"), to.expect("a number"))).collect();
    ours.sort_unstable();
    ours
}

#[test]
fn a_monitor_in_a_workers_process_spares_it_and_takes_no_lock_of_its_away() {
    const TEST: &str = "a_monitor_in_a_workers_process_spares_it_and_takes_no_lock_of_its_away";
    stay_if_other();
    let scratch = Scratch::new();
    let segment = scratch.segment();
    let mut prover = Prover::new();
    let own = attach(&scratch.path());
    let other = Other::attached(TEST, "worker", &scratch, &[]);
    assert_eq!(prover.prove(&segment, 0, owner(&segment, 0)).err(), Some(Unproven::Ourselves));
    assert_eq!(prover.prove(&segment, 1, owner(&segment, 1)).map(|proven| proven.pid).ok(), Some(other.pid()));
    drop(prover);
    assert_eq!(held_by_us(&scratch.liveness()), [(0, 0)], "to ask and to stop asking lets go of nothing");
    let mut prover = Prover::new();
    assert!(prover.prove(&segment, 1, owner(&segment, 1)).is_ok());
    drop(own);
    assert_eq!(held_by_us(&scratch.liveness()), [], "the worker's part is over, the monitor's goes on");
    assert!(prover.prove(&segment, 1, owner(&segment, 1)).is_ok());
    let _own = attach(&scratch.path());
    assert_eq!(held_by_us(&scratch.liveness()).len(), 1, "a worker that comes after the monitor holds its byte");
}

#[test]
fn a_worker_that_went_to_another_user_is_not_ours_to_signal() {
    const TEST: &str = "a_worker_that_went_to_another_user_is_not_ours_to_signal";
    if role().is_some() {
        let worker = attach(&given());
        crate::os::tests::become_user(65534);
        stay(worker);
    }
    if !is_root() {
        return skip(&format!("{TEST}: it takes root to become another user"));
    }
    let scratch = Scratch::new();
    let segment = scratch.segment();
    let _other = Other::attached(TEST, "worker", &scratch, &[]);
    assert_eq!(prove(&segment, 0), Err(Unproven::OtherUser), "though it holds its lock and every word is true");
}

#[test]
fn a_worker_that_is_process_1_of_a_namespace_below_is_proven_from_above_and_never_from_inside() {
    const TEST: &str = "a_worker_that_is_process_1_of_a_namespace_below_is_proven_from_above_and_never_from_inside";
    match role().as_deref() {
        None => {}
        Some("asks") => {
            let segment = Segment::open(&given()).expect("there");
            let found = prove(&segment, 0);
            assert_eq!((owner(&segment, 0).pid(), found), (1, Err(Unproven::Init)));
            return;
        }
        Some(_) => {
            let worker = attach(&given());
            let mut inside = Command::new(std::env::current_exe().expect("own path"));
            inside.args([&format!("monitor::proof::tests::{TEST}"), "--exact", "--nocapture"]).env(ROLE, "asks");
            assert!(inside.stdout(Stdio::null()).status().expect("it runs").success(), "its own namespace needs it");
            stay(worker);
        }
    }
    if !is_root() {
        return skip(&format!("{TEST}: it takes root to make a pid namespace"));
    }
    let scratch = Scratch::new();
    let segment = scratch.segment();
    let wrapper = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let other = Other::attached(TEST, "worker", &scratch, &wrapper);
    assert_eq!(owner(&segment, 0).pid(), 1, "as it sees itself");
    let found = prove(&segment, 0).expect("the lock names it as we see it");
    let parent = fs::read_to_string(format!("/proc/{found}/stat")).expect("there");
    let parent = parent.rsplit(')').next().and_then(|rest| rest.split_ascii_whitespace().nth(1)).map(str::to_owned);
    assert_eq!(parent, Some(other.pid().to_string()), "unshare's child and nobody else");
}
