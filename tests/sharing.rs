//! Group mode: users of a list share a segment, and nobody else does. And what the environment says of a segment's size. Each
//! user is a process of its own.
#![allow(unsafe_code, reason = "processes that become other users")]

mod common;

use common::{Held, again, given, role, run_well, say, scratch, shaped, skip};
use hangwatch::segment::{Geometry, Segment};
use hangwatch::worker::{ENV_ALLOWED_UIDS, ENV_SLOT_SIZE, ENV_SLOTS};
use hangwatch::{Attach, ErrorKind};
use std::fs::{Permissions, metadata, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

const PATH: &str = "SEGMENT_TEST_PATH";
/// Uid, gid, and one more group.
const USER: &str = "SEGMENT_TEST_USER";
/// Two users and the group that they share; no account needs to have these numbers.
const ALICE: u32 = 61_001;
const BOB: u32 = 61_002;
const STRANGER: u32 = 61_003;
const GROUP: u32 = 61_010;

fn is_root() -> bool {
    // SAFETY: it has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// `test` again in `role` as this user, whose own group is another than the one that all share.
fn as_user(uid: u32, test: &str, role: &str, path: &Path, allowed: &str) -> Command {
    let mut child = again(test, role);
    child.env(PATH, path).env(USER, uid.to_string()).env(ENV_ALLOWED_UIDS, allowed);
    child
}

/// In a role: gives root up, for good.
fn become_user() {
    let uid: libc::uid_t = given(USER).parse().expect("a number");
    // As services run: what it makes is open to its owner alone.
    // SAFETY: umask takes a number and cannot fail.
    unsafe { libc::umask(0o077) };
    // SAFETY: the list has the one entry that it is said to have.
    assert_eq!(unsafe { libc::setgroups(1, &GROUP) }, 0);
    // SAFETY: it takes three numbers.
    assert_eq!(unsafe { libc::setresgid(uid, uid, uid) }, 0);
    // SAFETY: it takes three numbers.
    assert_eq!(unsafe { libc::setresuid(uid, uid, uid) }, 0);
}

/// A folder in which the group makes its files: those of all members have its group.
fn shared() -> (tempfile::TempDir, PathBuf) {
    let dir = scratch();
    set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("ours");
    let shared = dir.path().join("shared");
    std::fs::create_dir(&shared).expect("ours");
    chown(&shared, None, Some(GROUP)).expect("root may");
    set_permissions(&shared, Permissions::from_mode(0o2770)).expect("ours");
    (dir, shared)
}

fn mode(path: &Path) -> (u32, u32, u32) {
    let about = metadata(path).expect("there");
    (about.mode() & 0o7777, about.uid(), about.gid())
}

/// Attaches where it is told to, says how that went, and holds its slot until it is killed.
fn attach_and_hold() {
    become_user();
    match Attach::new().segment(given(PATH)).attach() {
        Ok(worker) => {
            say(format!("slot {}", worker.slot().expect("attached")));
            loop {
                std::thread::park();
            }
        }
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Denied);
            say(shaped(&e));
        }
    }
}

#[test]
fn users_of_a_list_share_a_segment_and_its_locks_whatever_their_umask() {
    const TEST: &str = "users_of_a_list_share_a_segment_and_its_locks_whatever_their_umask";
    if role().is_some() {
        return attach_and_hold();
    }
    if !is_root() {
        return skip(&format!("{TEST}: it takes root to become two users"));
    }
    let (_dir, shared) = shared();
    let path = shared.join("train");
    let list = format!("{ALICE},{BOB}");
    let (alice, said) = Held::start(as_user(ALICE, TEST, "member", &path, &list));
    assert_eq!(said, "slot 0", "she makes the segment");
    let (bob, said) = Held::start(as_user(BOB, TEST, "member", &path, &list));
    assert_eq!(said, "slot 1", "he finds it");
    let liveness = shared.join("train.liveness");
    assert_eq!(mode(&path), (0o660, ALICE, GROUP), "its group may write it, others may not read it");
    assert_eq!(mode(&liveness), (0o660, ALICE, GROUP), "and so it is with the locks");
    for (slot, held) in [(0, &alice), (1, &bob)] {
        assert_eq!(holder(&liveness, slot), held.0.id(), "each holds the byte of its slot, whoever made the file");
    }
    let pid = bob.kill_and_reap();
    assert_ne!(holder(&liveness, 1), pid, "and his end lets it go");
}

/// Who holds a byte; 0 is nobody.
fn holder(liveness: &Path, slot: i64) -> u32 {
    use std::os::fd::AsRawFd;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(liveness).expect("the lock file");
    // SAFETY: flock is a struct of integers, for which all zero is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    (lock.l_start, lock.l_len) = (slot, 1);
    // SAFETY: the descriptor is open, `lock` is valid for the call to fill.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut lock) }, 0);
    if i32::from(lock.l_type) == libc::F_UNLCK { 0 } else { lock.l_pid as u32 }
}

#[test]
fn without_the_list_or_from_outside_of_it_a_segment_is_refused_with_the_way_out() {
    const TEST: &str = "without_the_list_or_from_outside_of_it_a_segment_is_refused_with_the_way_out";
    if role().is_some() {
        return attach_and_hold();
    }
    if !is_root() {
        return skip(&format!("{TEST}: it takes root to become two users"));
    }
    let (_dir, shared) = shared();
    let path = shared.join("train");
    let (_alice, _) = Held::start(as_user(ALICE, TEST, "member", &path, &format!("{BOB}")));
    let refused = |uid, list: &str| run_well(as_user(uid, TEST, "refused", &path, list)).concat();
    let open = format!("cannot open segment '{}'", path.display());
    let of_alice = |uid: u32| format!("{open}: it belongs to uid {ALICE}, this process is uid {uid}");
    let group = format!("or share it with a group: name the users that may own it in {ENV_ALLOWED_UIDS}, such as '1000,1001'");
    assert_eq!(refused(BOB, ""), format!("{}\n  run this side as the same user as the workers\n  {group}", of_alice(BOB)));
    let unnamed =
        format!("{}\n  {ENV_ALLOWED_UIDS} does not name {ALICE}: add it, if that user may share it", of_alice(STRANGER));
    assert_eq!(refused(STRANGER, &BOB.to_string()), unnamed, "a list names whom one trusts, each for himself");
    let writable = format!("{open}: others may write it: mode 0660, expected 0600");
    assert_eq!(
        refused(ALICE, ""),
        format!("{writable}\n  'chmod 600 {}' if you trust what is in it\n  {group}", path.display()),
        "a group's segment is no private one, not even its owner's"
    );
    set_permissions(&path, Permissions::from_mode(0o666)).expect("root may");
    let anybody = format!("{open}: anybody may write it: mode 0666, expected 0660");
    let hint = format!("'chmod o-w {}' if you trust what is in it", path.display());
    assert_eq!(refused(BOB, &ALICE.to_string()), format!("{anybody}\n  {hint}"), "a group is not everybody");
    set_permissions(&path, Permissions::from_mode(0o600)).expect("root may");
    let said = refused(BOB, &ALICE.to_string());
    assert!(said.starts_with(&format!("{open}: this process may not write it: uid {ALICE}, gid {GROUP}, mode 0600; ")), "{said}");
    assert!(said.contains("a group in which all of them are"), "what a group's segment looks like: {said}");
}

#[test]
fn a_folder_that_is_made_for_a_group_is_its_own_and_one_that_anybody_may_write_is_refused() {
    const TEST: &str = "a_folder_that_is_made_for_a_group_is_its_own_and_one_that_anybody_may_write_is_refused";
    if role().is_some() {
        return attach_and_hold();
    }
    if !is_root() {
        return skip(&format!("{TEST}: it takes root to become two users"));
    }
    let (dir, shared) = shared();
    let list = format!("{ALICE},{BOB}");
    let named = |uid, folder: &Path| {
        let mut child = as_user(uid, TEST, "member", Path::new("train"), &list);
        child.env("HANGWATCH_DIR", folder);
        child
    };
    let made = shared.join("made/deep");
    let (_alice, said) = Held::start(named(ALICE, &made));
    assert_eq!(said, "slot 0");
    for folder in [&made, &shared.join("made")] {
        assert_eq!(mode(folder), (0o2770, ALICE, GROUP), "open to its group, which its files get");
    }
    let (_bob, said) = Held::start(named(BOB, &made));
    assert_eq!(said, "slot 1", "he uses the folder that she made");
    let refused = |folder: &Path| run_well(named(BOB, folder)).concat();
    let what = |folder: &Path| format!("cannot use segment directory '{}'", folder.display());
    let said = refused(&shared);
    assert!(said.starts_with(&format!("{}: it belongs to uid 0, this process is uid {BOB}\n", what(&shared))), "{said}");
    assert!(said.contains(&format!("{ENV_ALLOWED_UIDS} does not name 0: add it")), "{said}");
    // As an orchestrator makes it: everybody's.
    let open = dir.path().join("open");
    std::fs::create_dir(&open).expect("ours");
    chown(&open, Some(ALICE), Some(GROUP)).expect("root may");
    set_permissions(&open, Permissions::from_mode(0o2777)).expect("ours");
    let said = refused(&open);
    assert!(said.starts_with(&format!("{}: anybody may write it: mode 2777, expected 2770\n", what(&open))), "{said}");
    let (_carol, said) = Held::start(named(BOB, &open.join("hangwatch")));
    assert_eq!(said, "slot 0", "the way out that it names: a folder in it");
}

#[test]
fn who_may_only_read_a_segment_observes_it_and_does_nothing_else() {
    const TEST: &str = "who_may_only_read_a_segment_observes_it_and_does_nothing_else";
    if let Some(role) = role() {
        if role == "member" {
            return attach_and_hold();
        }
        become_user();
        let path = PathBuf::from(given(PATH));
        let segment = match Segment::open_read_only(&path) {
            Ok(segment) => segment,
            Err(e) => return say(shaped(&e)),
        };
        assert!(!segment.is_writable());
        let owner = segment.slot(0).expect("inside").peek_owner();
        say(format!("{:?} of pid {}", owner.tag(), owner.pid()));
        return say(shaped(&Segment::open(&path).expect_err("to write it is another thing")));
    }
    if !is_root() {
        return skip(&format!("{TEST}: it takes root to become two users"));
    }
    let (_dir, shared) = shared();
    set_permissions(&shared, Permissions::from_mode(0o2775)).expect("ours");
    let path = shared.join("train");
    let (alice, _) = Held::start(as_user(ALICE, TEST, "member", &path, ""));
    let observe = |list: &str| run_well(as_user(STRANGER, TEST, "observer", &path, list));
    let alone = observe(&ALICE.to_string()).concat();
    let what = format!("cannot open segment '{}'", path.display());
    let may_not = |verb| format!("{what}: this process may not {verb} it: uid {ALICE}, gid {GROUP}, mode ");
    assert!(alone.starts_with(&may_not("read")), "mode 0600 is its owner's alone: {alone}");
    set_permissions(&path, Permissions::from_mode(0o644)).expect("root may");
    let seen = format!("Live of pid {}", alice.0.id());
    let said = observe(&ALICE.to_string());
    assert_eq!(said[0], seen, "to read is enough to observe");
    assert!(said[1].starts_with(&may_not("write")), "{}", said[1]);
    let enough = "workers and monitors write; to read is enough for 'hangwatch status', 'inspect' and 'explain'";
    assert!(said[1].contains(enough), "the error says which: {}", said[1]);
    let unlisted = observe("").concat();
    assert!(
        unlisted.contains(ENV_ALLOWED_UIDS) && unlisted.contains("it belongs to uid"),
        "whom one reads one names: {unlisted}"
    );
}

#[test]
fn the_environment_says_how_large_a_segment_is_that_a_worker_makes() {
    const TEST: &str = "the_environment_says_how_large_a_segment_is_that_a_worker_makes";
    if let Some(role) = role() {
        let attach = Attach::new().segment(given(PATH));
        let attach = if role == "own" { attach.geometry(Geometry { slots: 2, slot_size: 1024 }) } else { attach };
        return match attach.attach() {
            Ok(worker) => {
                let segment = worker.segment().expect("attached");
                say(format!("{} slots of {}", segment.len(), segment.fixed().slot_size));
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Usage);
                say(shaped(&e));
            }
        };
    }
    let dir = scratch();
    let mut made = 0;
    let mut made_with = |role: &str, slots: &str, size: &str| {
        made += 1;
        let mut child = again(TEST, role);
        child.env(PATH, dir.path().join(format!("s{made}"))).env(ENV_SLOTS, slots).env(ENV_SLOT_SIZE, size);
        run_well(child).concat()
    };
    assert_eq!(made_with("env", "8", ""), "8 slots of 1024");
    assert_eq!(made_with("env", "", "4096"), "64 slots of 4096");
    assert_eq!(made_with("env", "3", "1024"), "3 slots of 1024");
    assert_eq!(made_with("own", "8", "4096"), "2 slots of 1024", "what the program says goes before");
    for odd in ["0", "-1", "+8", "8 ", "x", "1048577", "99999999999999999999"] {
        let said = made_with("env", odd, "");
        assert_eq!(said, format!("cannot use {ENV_SLOTS}={odd}: expected a number of slots, 1 to 1048576"));
    }
    for odd in ["0", "2048", "1k", "+1024"] {
        let said = made_with("env", "", odd);
        assert_eq!(
            said,
            format!("cannot use {ENV_SLOT_SIZE}={odd}: expected the size of a slot: 1024, or 4096 for device slots")
        );
    }
}

#[test]
fn a_list_that_is_none_is_an_error_that_names_it_and_none_where_nobody_watches() {
    const TEST: &str = "a_list_that_is_none_is_an_error_that_names_it_and_none_where_nobody_watches";
    if role().is_some() {
        return match Attach::new().attach() {
            Ok(worker) => say(if worker.is_attached() { "attached" } else { "detached" }),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Usage);
                say(shaped(&e));
            }
        };
    }
    let dir = scratch();
    let with = |segment: &Path, list: &str| {
        let mut child = again(TEST, "listed");
        child.env("HANGWATCH_SEGMENT", segment).env(ENV_ALLOWED_UIDS, list);
        run_well(child).concat()
    };
    let path = dir.path().join("s");
    for odd in ["alice", "1000,", "1000 1001", "4294967295", "-1"] {
        let expected = "expected user numbers with commas between them, such as '1000,1001'";
        assert_eq!(with(&path, odd), format!("cannot use {ENV_ALLOWED_UIDS}={odd}: {expected}"));
        assert_eq!(with(Path::new(""), odd), "detached", "what nobody asks for harms nobody");
    }
    assert!(!path.exists(), "nothing is made");
    assert_eq!(with(&path, "4294967294"), "attached");
}
