//! I15, for the C that a host compiles into itself: a worker of the header alone attaches to whatever a file holds without a fault that
//! a sanitizer sees, and leaves what a worker of the library leaves.

use hangwatch::layout::phase::Class;
use hangwatch::{Attach, ErrorKind, Outcome, Phase, Total};
use hangwatch_oracle::{check_text, segment_file};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What became of an attach and of a lane beside it: the codes of hangwatch.h, the slots or -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcomes([i64; 4]);

fn code(kind: ErrorKind) -> i64 {
    match kind {
        ErrorKind::Usage => 1,
        ErrorKind::NotFound => 2,
        ErrorKind::BadSegment => 3,
        ErrorKind::Denied => 4,
        ErrorKind::Full => 5,
        ErrorKind::Held => 6,
        _ => 7,
    }
}

/// The same as worker.c does, with the library.
fn in_rust(path: &Path) -> Outcomes {
    let mut worker = match Attach::new().segment(path.to_str().expect("text")).name("hostile").attach() {
        Err(e) => return Outcomes([code(e.kind()), -1, 0, -1]),
        Ok(worker) => worker,
    };
    worker.begin_job("a job", "a model", Total::Known(50));
    worker.step(3);
    worker.step(2);
    let phase = worker.register_phase("upscale", Class::Work, Duration::from_secs(30)).unwrap_or(Phase::Unknown(u16::MAX));
    worker.phase_total(phase, Total::Known(9));
    worker.extend(Duration::from_secs(1));
    worker.note("a note");
    worker.alive();
    let (lane_code, mut lane) = match worker.lane("a lane") {
        Ok(lane) => (0, Some(lane)),
        Err(e) => (code(e.kind()), None),
    };
    if let Some(lane) = &mut lane {
        lane.begin_job("another", "", Total::Unknown);
        lane.step(7);
    }
    let slot = |worker: Option<u32>| worker.map_or(-1, i64::from);
    let outcomes = Outcomes([0, slot(worker.slot()), lane_code, slot(lane.as_ref().and_then(|lane| lane.slot()))]);
    worker.end_job(Outcome::Ok);
    drop(lane);
    worker.detach();
    outcomes
}

/// The program, built with what finds a fault where it happens.
fn program(dir: &Path) -> PathBuf {
    let out = dir.join("worker");
    let mut gcc = Command::new("gcc");
    gcc.args([
        "-std=c99",
        "-O1",
        "-g",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ]);
    gcc.args(["-DHANGWATCH_IMPLEMENTATION", "-I", "ffi/include", "fuzz/oracle/tests/worker.c", "-o"]).arg(&out);
    assert!(gcc.current_dir(ROOT).status().expect("gcc is there").success());
    out
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("room for it");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("ours");
}

/// What is left of a file, without what says who wrote and when. `None` where it was replaced, which is another segment each time.
fn left(path: &Path, before: &[u8], slots: [i64; 2]) -> Option<Vec<u64>> {
    let bytes = std::fs::read(path).expect("there");
    let same = bytes.len() >= 4096 && bytes.len() == before.len() && bytes[0x50..0x70] == before[0x50..0x70];
    let mut words: Vec<u64> = bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().expect("8 bytes"))).collect();
    if !same {
        return None;
    }
    let (slot_size, slots_off) = (words[4] as usize, words[6] as usize);
    for slot in slots.into_iter().filter_map(|slot| usize::try_from(slot).ok()) {
        for at in [0x18, 0x30, 0x88, 0x90, 0x98, 0xa0, 0xa8, 0x108, 0x288] {
            words[(slots_off + slot * slot_size + at) / 8] = 0;
        }
    }
    Some(words)
}

#[test]
fn a_worker_of_the_header_alone_meets_any_file_as_one_of_the_library_does() {
    let dir = std::path::Path::new("/dev/shm");
    let dir = if dir.is_dir() { tempfile::tempdir_in(dir) } else { tempfile::tempdir() }.expect("a temp dir");
    let program = program(dir.path());
    let count = if std::env::var_os("TRIALS").is_some_and(|size| size == "full") { 50_000 } else { 1000 };
    let mut runner = TestRunner::new(Config::default());
    let drawn = prop::collection::vec(any::<u8>(), 0..600);
    let (mut attached, mut refused, mut compared) = (0, 0, 0);
    for round in 0..count / 500 {
        let folders = ["c", "rust"].map(|name| dir.path().join(format!("{name}-{round}")));
        folders.iter().for_each(|folder| std::fs::create_dir(folder).expect("ours"));
        let files: Vec<Vec<u8>> =
            (0..500).map(|_| segment_file(&drawn.new_tree(&mut runner).expect("bytes").current())).collect();
        for (i, bytes) in files.iter().enumerate() {
            folders.iter().for_each(|folder| write(&folder.join(i.to_string()), bytes));
        }
        let mut command = Command::new(&program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HANGWATCH_")) {
            command.env_remove(name);
        }
        let child = command.arg(&folders[0]).arg("500").stdout(Stdio::piped()).spawn().expect("it starts");
        let out = child.wait_with_output().expect("it ends");
        let text = String::from_utf8(out.stdout).expect("numbers");
        let at = text.lines().count();
        assert!(out.status.success() && at == 500, "file {at} of '{}' ended it with {}", folders[0].display(), out.status);
        for (i, line) in text.lines().enumerate() {
            let mut words = line.split(' ');
            let c = Outcomes(std::array::from_fn(|_| words.next().and_then(|word| word.parse().ok()).expect("a number")));
            for message in words {
                let hex = message.trim_start_matches('-').as_bytes().chunks(2);
                let bytes = hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex"));
                let message = String::from_utf8(bytes.collect()).expect("I15: a message is UTF-8");
                message.split('\n').for_each(|line| check_text(line, 512));
            }
            let rust = in_rust(&folders[1].join(i.to_string()));
            assert_eq!(c, rust, "file {i}: the header alone and the library: [code, slot, lane's code, lane's slot]");
            (attached, refused) = (attached + u64::from(c.0[0] == 0), refused + u64::from(c.0[0] != 0));
            let [by_c, by_rust] = [0, 1].map(|one| left(&folders[one].join(i.to_string()), &files[i], [c.0[1], c.0[3]]));
            compared += u64::from(by_c.is_some());
            let differs = by_c.iter().flatten().zip(by_rust.iter().flatten()).position(|(c, rust)| c != rust);
            assert_eq!(differs.map(|word| format!("{:#x}", 8 * word)), None, "file {i}: they leave the same words");
        }
        folders.iter().for_each(|folder| std::fs::remove_dir_all(folder).expect("ours"));
    }
    let reached = [attached, refused, compared].into_iter().all(|n| n > count / 10);
    assert!(reached, "files that reach nothing prove nothing: {attached} attached, {refused} refused, {compared} compared");
}
