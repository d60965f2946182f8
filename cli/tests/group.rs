//! Group mode as commands see it, by real users: what each may do to whose workers, whoever may only read, and monitors without
//! rights of their own. It takes root to become others.
#![allow(unsafe_code, reason = "a member of a group that does its worst")]

mod common;

use common::places::{forbidden, hangwatch_in, placed};
use common::{Held, Monitor, Scratch, assert_first_poll, c_worker, command, said, skip, until};
use hangwatch::layout::word::Tag;
use serde_json::Value;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

const ALLOWED: &str = "HANGWATCH_ALLOWED_UIDS";
/// No account needs to have these numbers.
const ALICE: &str = "61001";
const BOB: &str = "61002";
const STRANGER: &str = "61003";
const GROUP: u32 = 61_010;
const ACT: &str = "--mode act --inference-step-timeout 500ms --poll 50ms --grace 300ms";
const HANGS: &str = "--hang-at 25 --steps 4 --step-ms 20";
const HEALTHY: &str = "--steps 1000000 --step-ms 20";

/// Words that make a command a user's, in the group and without any capability.
fn user(uid: &'static str) -> Vec<&'static str> {
    vec!["setpriv", "--reuid", uid, "--regid", uid, "--groups", "61010", "--inh-caps=-all", "--bounding-set=-all"]
}

/// Why nobody else can be played here, if that is so.
fn no_users() -> Option<String> {
    let tried = [hangwatch_in(&user(ALICE)).arg("--version"), placed(&user(ALICE), c_worker()).arg("--help")].map(said);
    let failed = tried.into_iter().find(|tried| tried.code != Some(0))?;
    Some(format!("another user cannot run what is tested: {}", failed.err.trim()))
}

/// A folder of the group in a tmpfs, and a segment's path in it.
fn shared() -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    std::fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).expect("ours");
    let folder = scratch.path().join("shared");
    std::fs::create_dir(&folder).expect("ours");
    chown(&folder, None, Some(GROUP)).expect("root may");
    std::fs::set_permissions(&folder, Permissions::from_mode(0o2775)).expect("ours");
    let path = folder.join("train");
    (scratch, path)
}

fn listed(command: &mut Command, list: &str) -> Held {
    let mut held = Held::start(command.env(ALLOWED, list));
    held.line_with(", slot ");
    held
}

/// A user's worker in the group's segment.
fn worker_of(place: &[&str], segment: &Path, list: &str, flags: &str) -> Held {
    let mut command = placed(place, c_worker());
    listed(command.env("HANGWATCH_SEGMENT", segment).args(flags.split_whitespace()), list)
}

/// A user's monitor of it.
fn watch_of(place: &[&str], segment: &Path, list: &str, flags: &str) -> Monitor {
    let mut command = hangwatch_in(place);
    command.args(["watch", "--events", "-", "--segment"]).arg(segment).args(flags.split_whitespace()).env(ALLOWED, list);
    let monitor = Monitor::start(&mut command);
    let words = || std::fs::read(segment).map(|bytes| bytes[0x100..0x108].to_owned()).unwrap_or_default();
    until(|| words().first().is_some_and(|count| *count > 0));
    monitor
}

fn tag(segment: &Path, slot: u64) -> Tag {
    let file = std::fs::File::open(segment).expect("root may");
    let mut word = [0; 8];
    file.read_exact_at(&mut word, 4096 + slot * 1024 + 0x80).expect("inside");
    hangwatch::layout::word::Owner(u64::from_ne_bytes(word)).tag()
}

#[test]
fn in_a_group_a_monitor_ends_its_own_users_workers_and_tells_of_the_others() {
    const TEST: &str = "in_a_group_a_monitor_ends_its_own_users_workers_and_tells_of_the_others";
    if let Some(why) = no_users() {
        return skip(&format!("{TEST}: {why}"));
    }
    let (_scratch, path) = shared();
    let list = format!("{ALICE},{BOB}");
    // A monitor without a single capability.
    let mut watch = watch_of(&user(ALICE), &path, &list, ACT);
    let mut of_alice = worker_of(&user(ALICE), &path, &list, HANGS);
    watch.next("lost_job");
    of_alice.wait();
    until(|| tag(&path, 0) == Tag::Free);
    let mut of_bob = worker_of(&user(BOB), &path, &list, HANGS);
    let opened = watch.next("opened");
    assert_first_poll(&opened, "heartbeat_age_s", 0.5, 0.05, watch.of_kind("monitor_gap").len());
    let would = watch.next("would_act");
    let why = "its process runs as another user than this monitor";
    assert!(would["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{would}");
    of_bob.signal(libc::SIGKILL);
    of_bob.wait();
    let lost = watch.next("lost_job");
    assert_eq!(lost["pid"], of_bob.pid(), "whose end needs no right to be seen");
    until(|| tag(&path, 1) == Tag::Free);
    assert_eq!(watch.stop(), Some(0));
    let ended = watch.of_kind("action");
    assert!(!ended.is_empty() && ended.iter().all(|action| action["slot"] == 0), "{:#?}", watch.events);
}

#[test]
fn root_watches_a_groups_workers_and_ends_nobody() {
    const TEST: &str = "root_watches_a_groups_workers_and_ends_nobody";
    if let Some(why) = no_users() {
        return skip(&format!("{TEST}: {why}"));
    }
    let (_scratch, path) = shared();
    let mut of_alice = worker_of(&user(ALICE), &path, "0", HANGS);
    let refused = said(common::hangwatch().args(["watch", "--segment"]).arg(&path));
    assert_eq!(refused.code, Some(4), "{}", refused.err);
    assert!(refused.err.contains(ALLOWED) && refused.err.contains("it belongs to uid 61001"), "{}", refused.err);
    let mut watch = watch_of(&[], &path, ALICE, ACT);
    let would = watch.next("would_act");
    let why = "its process runs as another user than this monitor";
    assert!(would["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{would}");
    assert_eq!(watch.stop(), Some(0));
    assert!(of_alice.is_alive() && watch.of_kind("action").is_empty(), "root may, and does not: {:#?}", watch.events);
}

#[test]
fn a_run_in_a_group_replaces_its_own_and_keeps_its_own_files_to_itself() {
    const TEST: &str = "a_run_in_a_group_replaces_its_own_and_keeps_its_own_files_to_itself";
    if let Some(why) = no_users() {
        return skip(&format!("{TEST}: {why}"));
    }
    let (_scratch, path) = shared();
    let list = format!("{ALICE},{BOB}");
    let run_of = |uid: &'static str| {
        let mut command = hangwatch_in(&user(uid));
        command.args(["run", "--events", "-", "--segment"]).arg(&path).env("HANGWATCH_BACKOFF", "10ms").env(ALLOWED, &list);
        command.args("--inference-step-timeout 500ms --poll 50ms --grace 300ms --max-restarts 100 --".split(' '));
        command.arg(c_worker()).args(HANGS.split(' '));
        command
    };
    let mut run = Monitor::start(&mut run_of(ALICE));
    run.next("replaced");
    let folder = path.parent().expect("a folder");
    let about = |name: &str| {
        let about = std::fs::metadata(folder.join(name)).expect("there");
        (about.mode() & 0o7777, about.uid().to_string())
    };
    for shared in ["train", "train.monitor", "train.liveness"] {
        assert_eq!(about(shared), (0o660, ALICE.into()), "{shared} is the group's");
    }
    assert_eq!(about("train.children"), (0o600, ALICE.into()), "whom she may end is nobody's to write");
    // Another member sees it, and cannot be its monitor while it lives.
    let seen = said(hangwatch_in(&user(BOB)).args(["status", "--json", "--segment"]).arg(&path).env(ALLOWED, &list));
    let status: Value = serde_json::from_str(&seen.out).unwrap_or_else(|e| panic!("{e}: {} {}", seen.out, seen.err));
    assert_eq!(status["monitor"]["alive"], true);
    let held = said(run_of(BOB).arg("--steps").arg("1"));
    assert!(held.code == Some(4) && held.err.contains("another monitor is alive"), "{}", held.err);
    // Killed, it leaves its list: who is no owner of it starts no workers beside those.
    run.held.signal(libc::SIGKILL);
    run.held.wait();
    let refused = said(&mut run_of(BOB));
    assert_eq!(refused.code, Some(4), "{}", refused.err);
    let why = format!("it is of uid {ALICE}, whose workers may run still; this process is uid {BOB}");
    assert!(refused.err.contains(&why), "{}", refused.err);
    let mut successor = Monitor::start(&mut run_of(ALICE));
    successor.next("adopted");
    assert_eq!(successor.stop(), Some(0));
    assert!(!path.exists(), "it ended well");
}

/// Bob's process, which writes where he may, for ever: every slot, and the header behind what was validated. It names `victims`
/// in what it writes.
fn does_its_worst() {
    let path = std::env::var("GROUP_TEST_SEGMENT").expect("given");
    let victims: Vec<u64> =
        std::env::var("GROUP_TEST_VICTIMS").expect("given").split(',').map(|pid| pid.parse().expect("a pid")).collect();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("a member may write it");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let _ = std::io::stdout().lock().write_all(b"\nat its worst\n");
    loop {
        let mut bytes = vec![0; 64 * 1024];
        bytes.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&random().to_ne_bytes()));
        for slot in 0..64 {
            // A live owner of a generation that fits its beat: one that will be called hung.
            let generation = u64::from(random() as u16);
            let owner = generation << 48 | 2 << 40 | victims[random() as usize % victims.len()];
            let at = slot * 1024;
            bytes[at + 0x80..at + 0x88].copy_from_slice(&owner.to_ne_bytes());
            bytes[at..at + 8].copy_from_slice(&(generation << 48 | 1).to_ne_bytes());
            if slot % 2 == 0 {
                // At the first of four steps of a job in inference, without a stamp, under no lease.
                let words = [1, 0x0007_0031_0000_0003, 0, 0, 1 << 32, 0, 4, generation << 48, 0, 0];
                let words: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_ne_bytes()).collect();
                bytes[at + 8..at + 8 + words.len()].copy_from_slice(&words);
                // An inode that no process has would be the end of its owner.
                bytes[at + 0x90..at + 0x98].fill(0);
            }
        }
        file.write_all_at(&bytes, 4096).expect("a member may");
        let mut header = vec![0; 4096 - 0x100];
        header.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&random().to_ne_bytes()));
        file.write_all_at(&header, 0x100).expect("a member may");
        // What stands for a while is judged; what changes all the time is read all the time.
        std::thread::sleep(std::time::Duration::from_millis(random() % 1200));
    }
}

#[test]
fn a_member_that_writes_whatever_it_can_has_nobody_killed_and_no_monitor_fall() {
    const TEST: &str = "a_member_that_writes_whatever_it_can_has_nobody_killed_and_no_monitor_fall";
    if std::env::var_os("GROUP_TEST_SEGMENT").is_some() {
        return does_its_worst();
    }
    if let Some(why) = no_users() {
        return skip(&format!("{TEST}: {why}"));
    }
    let (_scratch, path) = shared();
    let list = format!("{ALICE},{BOB}");
    let mut workers = [worker_of(&user(ALICE), &path, &list, HEALTHY), worker_of(&user(BOB), &path, &list, HEALTHY)];
    let mut bystander = Held::start(placed(&user(ALICE), "sh").args(["-c", "echo here; exec sleep 1000000"]));
    bystander.line_with("here");
    let mut watch = watch_of(&user(ALICE), &path, &list, ACT);
    let victims = [workers[0].pid(), workers[1].pid(), bystander.pid(), watch.held.pid(), std::process::id(), 1, 2];
    let victims = victims.map(|pid| pid.to_string()).join(",");
    let mut worst = placed(&user(BOB), std::env::current_exe().expect("own path"));
    worst.args([TEST, "--exact", "--nocapture", "--test-threads=1"]);
    let mut worst = Held::start(worst.env("GROUP_TEST_SEGMENT", &path).env("GROUP_TEST_VICTIMS", victims));
    worst.line_with("at its worst");
    // Many slots are called hung, and many owners dead, by words that are nobody's.
    for _ in 0..20 {
        watch.next("would_act");
    }
    worst.signal(libc::SIGKILL);
    worst.wait();
    let status = said(hangwatch_in(&user(ALICE)).args(["status", "--json", "--segment"]).arg(&path).env(ALLOWED, &list));
    assert!(status.code.is_some_and(|code| code < 2), "garbage is shown, and nothing falls: {}", status.err);
    assert_eq!(watch.stop(), Some(0), "the monitor lives");
    assert!(watch.of_kind("action").is_empty(), "nobody is signalled: {:#?}", watch.of_kind("action"));
    assert!(bystander.is_alive() && workers.iter_mut().all(Held::is_alive), "garbage kills nobody");
}

#[test]
fn who_may_only_read_sees_the_status_and_the_monitor_and_is_told_what_he_cannot_do() {
    const TEST: &str = "who_may_only_read_sees_the_status_and_the_monitor_and_is_told_what_he_cannot_do";
    if let Some(why) = no_users() {
        return skip(&format!("{TEST}: {why}"));
    }
    let (_scratch, path) = shared();
    let _worker = worker_of(&user(ALICE), &path, "", HEALTHY);
    let mut watch = watch_of(&user(ALICE), &path, "", "--poll 50ms");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("root may");
    let observer =
        |arguments: &[&str]| said(hangwatch_in(&user(STRANGER)).args(arguments).arg("--segment").arg(&path).env(ALLOWED, ALICE));
    let seen = observer(&["status", "--json"]);
    let status: Value = serde_json::from_str(&seen.out).unwrap_or_else(|e| panic!("{e}: {} {}", seen.out, seen.err));
    assert_eq!(status["monitor"]["alive"], true, "by its polls, for its lock file is closed to him: {status}");
    assert_eq!(status["workers"][0]["verdict"], "ok");
    assert!(status["workers"][0]["heartbeat_age_s"].is_number(), "{status}");
    assert_eq!(observer(&["inspect"]).code, Some(0));
    let refused = observer(&["watch"]);
    assert_eq!(refused.code, Some(4));
    let why = "this process may not write it: uid 61001, gid ";
    assert!(refused.err.contains(why) && refused.err.contains("to read is enough for 'hangwatch status'"), "{}", refused.err);
    assert_eq!(watch.stop(), Some(0));
    until(|| {
        let status: Value = serde_json::from_str(&observer(&["status", "--json"]).out).expect("JSON");
        status["monitor"]["alive"] == false
    });
}

#[test]
fn a_mount_that_is_read_only_is_enough_for_status_and_no_place_for_a_monitor() {
    const TEST: &str = "a_mount_that_is_read_only_is_enough_for_status_and_no_place_for_a_monitor";
    let script = "mount --bind \"$DIR\" \"$DIR\" && mount -o remount,bind,ro \"$DIR\" && exec \"$0\" \"$@\"";
    let read_only = |segment: &Path, arguments: &[&str]| {
        let mut command = command("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(common::hangwatch().get_program()).args(arguments);
        said(command.arg("--segment").arg(segment).env("DIR", segment.parent().expect("a folder")))
    };
    if let Some(why) = forbidden(&["unshare", "--mount"]) {
        return skip(&format!("{TEST}: {why}"));
    }
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _worker = common::worker(c_worker(), segment.path(), "w", HEALTHY);
    let watch = Monitor::watch(&segment, "--poll 50ms");
    let seen = read_only(segment.path(), &["status", "--json"]);
    let status: Value = serde_json::from_str(&seen.out).unwrap_or_else(|e| panic!("{e}: {} {}", seen.out, seen.err));
    assert_eq!((&status["monitor"]["alive"], &status["workers"][0]["verdict"]), (&true.into(), &"ok".into()));
    assert_eq!(read_only(segment.path(), &["inspect"]).code, Some(0));
    drop(watch);
    let refused = read_only(segment.path(), &["watch"]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.err.contains("its file system is mounted read-only here\n  workers and monitors write;"), "{}", refused.err);
}

#[test]
fn a_monitor_that_cannot_see_into_proc_judges_by_reports_alone() {
    const TEST: &str = "a_monitor_that_cannot_see_into_proc_judges_by_reports_alone";
    let (hides, none) = ("mount -t proc -o hidepid=2 proc /proc", "mount -t tmpfs none /proc");
    if let Some(why) = no_users().or_else(|| forbidden(&["unshare", "--mount", "sh", "-c", hides])) {
        return skip(&format!("{TEST}: {why}"));
    }
    let hidden = common::places::linux() < (6, 13);
    let list = format!("{ALICE},{BOB}");
    for (proc, why) in [
        // Where the handle does not tell either (before Linux 6.13) it is hidden.
        (hides, if hidden { "hides its process from this user" } else { "runs as another user than this monitor" }),
        (none, "/proc is not mounted for this pid namespace, so its user cannot be asked for"),
    ] {
        let (_scratch, path) = shared();
        let mut of_bob = worker_of(&user(BOB), &path, &list, HANGS);
        let script = format!("{proc} && exec \"$@\"");
        let mut place = vec!["unshare", "--mount", "sh", "-c", script.as_str(), "sh"];
        let alice = user(ALICE);
        place.extend(&alice);
        let mut watch = watch_of(&place, &path, &list, ACT);
        let opened = watch.next("opened");
        assert_eq!(opened["verdict"], "silent", "{proc}: {opened}");
        assert_first_poll(&opened, "heartbeat_age_s", 0.5, 0.05, watch.of_kind("monitor_gap").len());
        let would = watch.next("would_act");
        assert!(would["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{proc}: {would}");
        let segment_clock = || std::fs::read(&path).map(|bytes| bytes[0x140..0x148].to_owned()).expect("root may");
        let before = segment_clock();
        until(|| segment_clock() != before);
        assert!(of_bob.is_alive());
        assert_eq!(watch.verdicts(), ["silent"], "neither dead nor without its thread: {proc}: {:#?}", watch.events);
        // A handle needs no /proc: a number will do, and without one the inode.
        if proc == hides || common::places::linux() >= (6, 14) {
            of_bob.signal(libc::SIGKILL);
            of_bob.wait();
            watch.next("lost_job");
            until(|| tag(&path, 0) == Tag::Free);
        }
        assert_eq!(watch.stop(), Some(0), "{proc}");
    }
}

#[test]
fn root_of_a_user_namespace_is_its_user_outside() {
    const TEST: &str = "root_of_a_user_namespace_is_its_user_outside";
    let inside = |uid| {
        let mut place = user(uid);
        place.extend(["unshare", "--user", "--map-root-user"]);
        place
    };
    if let Some(why) = no_users().or_else(|| forbidden(&inside(ALICE))) {
        return skip(&format!("{TEST}: {why}"));
    }
    let owner = |path: &Path| std::fs::metadata(path).expect("made").uid().to_string();
    // The worker inside, where it is root, makes the segment; its user outside watches, and may end it.
    let (_scratch, path) = shared();
    let mut held = worker_of(&inside(ALICE), &path, "", HANGS);
    assert_eq!(owner(&path), ALICE, "as it is seen from outside");
    let mut watch = watch_of(&user(ALICE), &path, "", ACT);
    watch.next("lost_job");
    held.wait();
    assert_eq!(watch.stop(), Some(0));
    // The other way round.
    let (_scratch, path) = shared();
    let mut held = worker_of(&user(ALICE), &path, "", HANGS);
    let mut watch = watch_of(&inside(ALICE), &path, "", ACT);
    watch.next("lost_job");
    held.wait();
    assert_eq!(watch.stop(), Some(0));
    // Another user has no number inside.
    let (_scratch, path) = shared();
    let _held = worker_of(&user(BOB), &path, ALICE, HEALTHY);
    let refused = said(hangwatch_in(&inside(ALICE)).args(["status", "--segment"]).arg(&path).env(ALLOWED, BOB));
    assert_eq!(refused.code, Some(4));
    let says = "it belongs to uid 65534, this process is uid 0";
    assert!(refused.err.contains(says), "{}", refused.err);
    assert!(refused.err.contains("in a user namespace 65534 is whoever has no number there"), "{}", refused.err);
}

#[test]
fn an_unprivileged_monitor_ends_its_users_worker_in_a_container() {
    const TEST: &str = "an_unprivileged_monitor_ends_its_users_worker_in_a_container";
    // As one without a daemon is made: its user is root in there.
    let mut container = user(ALICE);
    container.extend(["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if let Some(why) = no_users().or_else(|| forbidden(&container)) {
        return skip(&format!("{TEST}: {why}"));
    }
    let (_scratch, path) = shared();
    let mut held = worker_of(&container, &path, "", HANGS);
    let mut healthy = worker_of(&container, &path, "", HEALTHY);
    let mut watch = watch_of(&user(ALICE), &path, "", ACT);
    let opened = watch.next("opened");
    assert_eq!((&opened["pid"], &opened["verdict"]), (&1.into(), &"silent".into()), "process 1 of its namespace: {opened}");
    watch.next("lost_job");
    held.wait();
    until(|| tag(&path, 0) == Tag::Free);
    assert_eq!(watch.stop(), Some(0));
    assert!(healthy.is_alive());
}
