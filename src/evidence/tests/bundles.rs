//! Bundles on disk: whole or not there, bounded, and nothing else touched.

use super::{LONG, Scratch, event, json, nobody, of_process, read};
use crate::evidence::folder::Folder;
use crate::evidence::{Moment, Subject};
use crate::os::tests::skip;
use crate::tell::Event;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};

fn moment(beat: u64) -> Moment {
    Moment {
        at_s: 1.5,
        beat,
        alive: 2,
        phase: "infer\u{1b}[2Jence".into(),
        job: Some(7),
        pass: 1,
        falls: 2,
        done: Some(21),
        total: Some(50),
    }
}

#[test]
fn a_bundle_is_for_its_owner_alone_and_holds_what_it_says() {
    let scratch = Scratch::new();
    let log = scratch.path("log");
    fs::write(&log, "line\n\x1b[2J\n").expect("written");
    let subject = Subject { history: vec![moment(9)], log: Some(log), ..of_process(std::process::id(), 0) };
    let bundle = scratch.gathered(subject, LONG).bundle.expect("written");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!((mode(&scratch.settings.directory), mode(&bundle)), (0o700, 0o700));
    let json = json(&bundle);
    assert_eq!(
        (&json["schema_version"], &json["event"]["episode"], &json["verdict"]),
        (&1.into(), &17.into(), &"stalled".into())
    );
    assert_eq!((&json["history"][0]["beat"], &json["history"][0]["total"]), (&9.into(), &50.into()));
    assert!(json["machine"]["meminfo"].is_string() && json["process"]["limits"].is_string(), "{json:#}");
    let mut files: Vec<String> = json["files"].as_array().expect("names").iter().map(|it| it.as_str().unwrap().into()).collect();
    files.push("evidence.json".into());
    files.sort();
    let mut there: Vec<String> = Vec::new();
    for entry in fs::read_dir(&bundle).expect("a folder").flatten() {
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        there.push(entry.file_name().into_string().expect("text"));
    }
    there.sort();
    assert_eq!(files, there, "it names all of its files");
    assert_eq!(read(&bundle, "log-tail.txt"), "line\n\\u{1b}[2J\n");
    let summary = read(&bundle, "summary.txt");
    assert!(summary.contains("beat 9, alive 2, infer\\u{1b}[2Jence, job #7, at 42% (21/50), pass 1, 2 falls"), "{summary}");
    assert!(!summary.contains('\u{1b}'), "no terminal obeys it");
}

#[test]
fn hostile_names_stay_in_the_folder() {
    let scratch = Scratch::new();
    let hostile = "../../../etc/x\u{1b}[2J\n/..";
    let event = Event {
        segment: hostile.into(),
        worker: Some(hostile.into()),
        model: Some(hostile.into()),
        job: Some(hostile.into()),
        ..event()
    };
    let bundle = scratch.gathered(Subject { event, ..nobody() }, LONG).bundle.expect("written");
    assert_eq!(bundle.parent(), Some(&*scratch.settings.directory));
    assert_eq!(scratch.names().len(), 1, "{:?}", scratch.names());
    assert_eq!(json(&bundle)["event"]["job"], hostile, "in JSON it is what it was");
}

#[test]
fn the_oldest_bundles_go_and_nothing_that_is_not_one() {
    let mut scratch = Scratch::new();
    scratch.settings.max_bundles = 3;
    let directory = scratch.settings.directory.clone();
    let first = scratch.gathered(nobody(), LONG).bundle.expect("written");
    let ours = first.file_name().expect("named").to_str().expect("text").to_owned();
    let old = |prefix: &str| format!("{prefix}{}", &ours[8..]);
    // Older than all by their names: a link to a folder elsewhere, a folder that holds one, and others' things.
    let elsewhere = scratch.path("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    fs::write(elsewhere.join("file"), "precious").expect("written");
    symlink(&elsewhere, directory.join(old("19700101"))).expect("linked");
    fs::create_dir_all(directory.join(old("19700102")).join("inner")).expect("made");
    fs::create_dir(directory.join("photos")).expect("made");
    fs::write(directory.join(old("19700103")), "a file").expect("written");
    // Of ours, with a link in it.
    let leads_out = directory.join(old("19700104"));
    fs::create_dir(&leads_out).expect("made");
    symlink(elsewhere.join("file"), leads_out.join("log-tail.txt")).expect("linked");
    let last: Vec<_> = (0..4).map(|_| scratch.gathered(nobody(), LONG).bundle.expect("written")).collect();
    assert!(!first.exists() && !leads_out.exists(), "the oldest have gone: {:?}", scratch.names());
    assert_eq!(fs::read_to_string(elsewhere.join("file")).expect("still there"), "precious");
    for other in [&old("19700101"), &old("19700102"), &old("19700103"), "photos"] {
        assert!(fs::symlink_metadata(directory.join(other)).is_ok(), "{other} is none of ours: {:?}", scratch.names());
    }
    assert_eq!(last.iter().filter(|it| it.exists()).count(), 3, "{:?}", scratch.names());
    scratch.settings.max_bytes = 1;
    let newest = scratch.gathered(nobody(), LONG).bundle.expect("written");
    assert!(newest.exists() && last.iter().all(|it| !it.exists()), "the newest stays: {:?}", scratch.names());
    let of_a_clock_ahead = directory.join(old("29990101"));
    fs::rename(&newest, &of_a_clock_ahead).expect("renamed");
    let newest = scratch.gathered(nobody(), LONG).bundle.expect("written");
    assert!(newest.exists() && !of_a_clock_ahead.exists(), "whatever the names say: {:?}", scratch.names());
}

#[test]
fn what_a_killed_gathering_has_left_is_no_bundle_and_goes_and_one_at_work_is_left_alone() {
    let scratch = Scratch::new();
    let directory = &scratch.settings.directory;
    let folder = Folder::open(directory).expect("made");
    let at_work = folder.begin().expect("begun");
    at_work.write("summary.txt", b"text").expect("written");
    let name = scratch.names().pop().expect("it is there");
    let left = directory.join(format!("{}0", &name[..name.len() - 1]));
    let left = if left.exists() { directory.join(format!("{}1", &name[..name.len() - 1])) } else { left };
    fs::create_dir(&left).expect("made");
    fs::write(left.join("summary.txt"), "half a li").expect("written");
    let bundle = scratch.gathered(nobody(), LONG).bundle.expect("written");
    assert!(!left.exists() && directory.join(&name).exists(), "{:?}", scratch.names());
    assert_eq!(read(&directory.join(&name), "summary.txt"), "text");
    drop(at_work);
    assert_eq!(scratch.names(), [bundle.file_name().expect("named").to_str().expect("text")], "given up, it is gone");
}

/// Where this test's other process writes bundles without end.
const WRITES_TO: &str = "HANGWATCH_TEST_WRITES_TO";

#[test]
fn a_gathering_that_is_killed_leaves_whole_bundles_and_nothing_that_looks_like_one() {
    let mut scratch = Scratch::new();
    if let Some(directory) = std::env::var_os(WRITES_TO) {
        scratch.settings.directory = directory.into();
        loop {
            let subject = Subject { history: (0..1024).map(moment).collect(), ..nobody() };
            scratch.gathered(subject, LONG).bundle.expect("written");
        }
    }
    let folder = Folder::open(&scratch.settings.directory).expect("made");
    let name = "evidence::tests::bundles::a_gathering_that_is_killed_leaves_whole_bundles_and_nothing_that_looks_like_one";
    for _ in 0..20 {
        let mut writer = Command::new(std::env::current_exe().expect("this test"));
        writer.args(["--exact", name]).env(WRITES_TO, &scratch.settings.directory).stdout(Stdio::null());
        let mut writer = writer.spawn().expect("spawned");
        // In the middle of one, after another was whole.
        while !scratch.names().iter().any(|name| name.starts_with('.')) || scratch.names().len() < 2 {
            std::thread::yield_now();
        }
        writer.kill().expect("ours");
        writer.wait().expect("reaped");
        folder.tidy().expect("tidied");
    }
    let names = scratch.names();
    assert!(!names.is_empty() && names.iter().all(|name| crate::evidence::name::is_bundle(name)), "{names:?}");
    for name in names {
        let bundle = scratch.settings.directory.join(name);
        assert_eq!(json(&bundle)["history"].as_array().expect("moments").len(), 1024, "{}", bundle.display());
        assert!(read(&bundle, "summary.txt").contains("beat 1023"), "{}", bundle.display());
    }
}

#[test]
fn a_folder_that_is_a_link_or_anothers_or_open_to_others_or_no_folder_is_refused() {
    let mut scratch = Scratch::new();
    let real = scratch.path("real");
    fs::create_dir(&real).expect("made");
    symlink(&real, scratch.path("link")).expect("linked");
    fs::write(scratch.path("file"), "").expect("written");
    fs::create_dir(scratch.path("open")).expect("made");
    fs::set_permissions(scratch.path("open"), fs::Permissions::from_mode(0o777)).expect("ours");
    let mut cases = vec!["link", "file", "open"];
    fs::create_dir(scratch.path("others")).expect("made");
    match std::os::unix::fs::chown(scratch.path("others"), Some(1), None) {
        Ok(()) => cases.push("others"),
        Err(e) => skip(&format!("a_folder_that_is_a_link_or_anothers_or_open_to_others_or_no_folder_is_refused, anothers: {e}")),
    }
    for case in cases {
        scratch.settings.directory = scratch.path(case);
        let outcome = scratch.gathered(nobody(), LONG);
        let e = outcome.bundle.expect_err(case).to_string();
        assert!(e.starts_with(&format!("cannot use '{}'", scratch.path(case).display())), "{e}");
    }
    assert!(fs::read_dir(&real).expect("there").next().is_none(), "nothing went through the link");
}

/// A file system of this much room, gone with this.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn new(at: std::path::PathBuf, options: &str) -> Result<Self, String> {
        fs::create_dir(&at).map_err(|e| e.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(&at).stderr(Stdio::null());
        match mount.status() {
            Ok(status) if status.success() => Ok(Self(at)),
            Ok(status) => Err(format!("mount ended with {status}")),
            Err(e) => Err(e.to_string()),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_and_one_that_cannot_be_written_are_errors_and_leave_nothing() {
    const TEST: &str = "a_full_disk_and_one_that_cannot_be_written_are_errors_and_leave_nothing";
    let mut scratch = Scratch::new();
    for (name, options, why) in [("full", "size=16k,mode=0700", "No space left"), ("fixed", "ro,mode=0700", "Read-only")] {
        let mounted = match Mounted::new(scratch.path(name), options) {
            Ok(mounted) => mounted,
            Err(why) => return skip(&format!("{TEST}: {why}")),
        };
        scratch.settings.directory = mounted.0.clone();
        let e = scratch.gathered(of_process(std::process::id(), 0), LONG).bundle.expect_err("no room").to_string();
        assert!(e.starts_with(&format!("cannot write to '{}'", mounted.0.display())) && e.contains(why), "{e}");
        assert_eq!(scratch.names(), Vec::<String>::new(), "half a bundle is none");
    }
}

/// Threads of this process, more than are read, until all have met.
fn many_threads() -> (Arc<Barrier>, Vec<std::thread::JoinHandle<()>>) {
    const MANY: usize = 300;
    let gate = Arc::new(Barrier::new(MANY + 1));
    let waits = |gate: &Arc<Barrier>| {
        let gate = Arc::clone(gate);
        std::thread::spawn(move || {
            gate.wait();
        })
    };
    let threads = (0..MANY).map(|_| waits(&gate)).collect();
    (gate, threads)
}

#[test]
fn a_bundle_of_many_threads_and_long_texts_keeps_to_its_bytes() {
    let mut scratch = Scratch::new();
    scratch.settings.max_bytes = 256 * 1024;
    scratch.settings.log_tail = 1024 * 1024;
    let log = scratch.path("log");
    fs::write(&log, "\x1b\n".repeat(1024 * 1024)).expect("written");
    let history = (0..100_000).map(moment).collect();
    let (gate, threads) = many_threads();
    let subject = Subject { history, log: Some(log), ..of_process(std::process::id(), 0) };
    let bundle = scratch.gathered(subject, LONG).bundle.expect("written");
    gate.wait();
    threads.into_iter().for_each(|it| it.join().expect("it ends"));
    let bytes: u64 = fs::read_dir(&bundle).expect("there").map(|it| it.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= scratch.settings.max_bytes, "{bytes} bytes");
    let json = json(&bundle);
    assert_eq!(json["history"].as_array().expect("moments").last().expect("one")["beat"], 99_999, "the newest are kept");
    let (told, left_out) = (json["threads"].as_array().expect("threads").len() as u64, json["threads_left_out"].as_u64());
    assert!(told < 256 && told + left_out.expect("a number") > 300, "{told} threads, {left_out:?} left out");
}
