//! Group mode and what other users meet, by the header alone as by the library: each case is run by either, as a user who is not
//! root, and what is said and what is left on disk is compared.

use crate::build::{C99, Link, Scratch, command, output, program};
use crate::script::Script;
use crate::skipped::skip;
use hangwatch::segment::{Geometry, Segment};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ALICE: u32 = 12_345;
const BOB: u32 = 12_346;
const GROUP: u32 = 23_456;
const LIST: &str = "12345,12346";

/// The script in both forms, where every user may run it; `None`, said aloud, where users cannot be changed.
fn forms(test: &str) -> Option<(Scratch, tempfile::TempDir, [PathBuf; 2])> {
    let scratch = Scratch::new();
    let open = tempfile::tempdir().unwrap();
    mode(open.path(), 0o755);
    if !output(&mut as_user(ALICE, Path::new("true"))).status.success() {
        skip(&format!("{test}: only root can become another user, and by setpriv"));
        return None;
    }
    let built = [Link::Shared, Link::Header].map(|link| {
        let program = program(&scratch, "ffi/tests/script.c", C99, link);
        let copy = open.path().join(format!("{link:?}"));
        std::fs::copy(program, &copy).unwrap();
        copy
    });
    let is_reached = |program: &PathBuf| output(as_user(ALICE, program).stdin(Stdio::null())).status.success();
    if !built.iter().all(is_reached) {
        skip(&format!("{test}: other users cannot reach what is built here"));
        return None;
    }
    Some((scratch, open, built))
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A command that becomes `program` as this user in the group, with the umask of most.
fn as_user(uid: u32, program: &Path) -> Command {
    let mut run = command("setpriv");
    run.args([
        "--reuid",
        &uid.to_string(),
        "--regid",
        &GROUP.to_string(),
        "--clear-groups",
        "sh",
        "-c",
        "umask 022; exec \"$0\"",
    ]);
    run.arg(program).current_dir("/");
    run
}

/// Owner, group and mode of each file in a folder, and of the folder.
fn left(dir: &Path) -> Vec<(String, u32, u32, u32)> {
    let of = |name: String, path: &Path| {
        let about = std::fs::symlink_metadata(path).unwrap();
        (name, about.uid(), about.gid(), about.mode() & 0o7777)
    };
    let mut all = vec![of(".".into(), dir)];
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        all.push(of(entry.file_name().into_string().unwrap(), &entry.path()));
    }
    all.sort();
    all
}

#[test]
fn users_of_a_list_share_what_either_form_makes() {
    let Some((_scratch, open, programs)) = forms("users_of_a_list_share_what_either_form_makes") else { return };
    let mut seen = Vec::new();
    for first in &programs {
        for second in &programs {
            let shared = open.path().join("shared");
            std::fs::create_dir(&shared).unwrap();
            chown(&shared, Some(ALICE), Some(GROUP)).unwrap();
            mode(&shared, 0o2770);
            let dir = shared.join("a/b");
            let named = dir.join("s");
            let start = |uid, program: &Path, list: &str| {
                let mut run = as_user(uid, program);
                run.env("HANGWATCH_DIR", &dir).env("HANGWATCH_ALLOWED_UIDS", list);
                Script::run(run)
            };
            let mut alice = start(ALICE, first, LIST);
            let mut bob = start(BOB, second, LIST);
            let said = [alice.call("attach s x"), bob.call("attach s x")];
            assert_eq!(said, ["slot 0", "slot 1"], "{first:?}, {second:?}");
            let segment = Segment::open(&named).map(drop).unwrap_err().to_string();
            assert!(segment.contains("HANGWATCH_ALLOWED_UIDS"), "without the list the way out is named: {segment}");
            let locks = std::fs::read_to_string("/proc/locks").unwrap();
            let inode = std::fs::metadata(dir.join("s.liveness")).unwrap().ino().to_string();
            let held = locks.lines().filter(|line| line.contains(&format!(":{inode} "))).count();
            assert_eq!(held, 2, "each holds its byte of the one file:\n{locks}");
            let alone = start(BOB, second, "").call(&format!("attach {} x", named.display()));
            let unnamed = start(BOB, second, "12346,7").call("attach s x");
            drop((alice, bob));
            seen.push((alone, unnamed, left(&dir), left(dir.parent().unwrap())));
            std::fs::remove_dir_all(&shared).unwrap();
        }
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
    assert_eq!(seen[0].2[0], (".".into(), ALICE, GROUP, 0o2770), "a folder hands its group on, whatever the umask");
    assert!(seen[0].2[1..].iter().all(|(_, uid, gid, mode)| (*uid, *gid, *mode) == (ALICE, GROUP, 0o660)), "{:?}", seen[0].2);
}

#[test]
fn what_another_user_may_not_touch_is_said_by_the_header_as_by_rust() {
    let Some((_scratch, open, programs)) = forms("what_another_user_may_not_touch_is_said_by_the_header_as_by_rust") else {
        return;
    };
    let made = |dir: &Path, uid: u32, gid: u32, bits: u32| {
        let path = dir.join("s");
        drop(Segment::create(&path, Geometry { slots: 2, slot_size: 1024 }).unwrap());
        chown(&path, Some(uid), Some(gid)).unwrap();
        mode(&path, bits);
    };
    // The segment's owner, group and mode; the folder's mode; the list.
    let cases: [(u32, u32, u32, u32, &str); 12] = [
        (0, 0, 0o600, 0o755, ""),
        (0, 0, 0o644, 0o755, ""),
        (0, 0, 0o600, 0o755, LIST),
        (BOB, GROUP, 0o660, 0o755, ""),
        (BOB, GROUP, 0o660, 0o755, LIST),
        (BOB, 0, 0o660, 0o755, LIST),
        (BOB, 0, 0o664, 0o755, LIST),
        (BOB, GROUP, 0o662, 0o755, LIST),
        (ALICE, GROUP, 0o660, 0o755, ""),
        (ALICE, GROUP, 0o400, 0o755, LIST),
        (ALICE, GROUP, 0o000, 0o755, ""),
        (ALICE, GROUP, 0o600, 0o700, ""),
    ];
    for (uid, gid, bits, folder, list) in cases {
        let dir = open.path().join("case");
        let [library, header] = [&programs[0], &programs[1]].map(|program| {
            std::fs::create_dir(&dir).unwrap();
            made(&dir, uid, gid, bits);
            mode(&dir, folder);
            let mut run = as_user(ALICE, program);
            run.env("HANGWATCH_ALLOWED_UIDS", list);
            let said = Script::run(run).call(&format!("attach {}/s x", dir.display()));
            // And where it has to be made.
            std::fs::remove_file(dir.join("s")).unwrap();
            let mut run = as_user(ALICE, program);
            run.env("HANGWATCH_ALLOWED_UIDS", list).env("HANGWATCH_DIR", &dir);
            let absent = Script::run(run).call("attach s x");
            std::fs::remove_dir_all(&dir).unwrap();
            (said, absent)
        });
        assert_eq!(library, header, "uid {uid}, gid {gid}, mode {bits:o} in {folder:o}, list '{list}'");
        assert!(library.0 == "slot 0" || library.0.starts_with("error 4 "), "{library:?}");
    }
}
