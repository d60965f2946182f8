//! The binary and real workers as processes of a test, and what they say: tests wait for events, never for time.
#![allow(dead_code, unused_imports, reason = "each test file is a program of its own and uses its part")]
#![allow(unsafe_code, reason = "signals to children of the test, by their own handles")]

#[path = "../../../tests/common/diary.rs"]
pub(crate) mod diary;
pub(crate) mod languages;
pub(crate) mod logged;
pub(crate) mod monitor;
pub(crate) mod part;
pub(crate) mod places;
pub(crate) mod process;
pub(crate) mod server;
#[path = "../../../tests/common/skipped.rs"]
mod skipped;
pub(crate) mod tail;
#[path = "../../../tests/common/trial.rs"]
pub(crate) mod trial;

pub(crate) use languages::{go_writer, programs, python};
pub(crate) use monitor::Monitor;
pub(crate) use skipped::skip;

use hangwatch::segment::{Geometry, Segment};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A folder of the test's own in a tmpfs, and a segment's path in it.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let made = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        Self(made.expect("a temp dir"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("a file in the scratch folder");
        path
    }

    /// The segment, where a command is to make it.
    pub(crate) fn segment(&self) -> PathBuf {
        self.path().join("segment")
    }

    /// The segment, made.
    pub(crate) fn made(&self) -> Segment {
        self.made_with(Geometry::default().slots)
    }

    /// The same with so many slots.
    pub(crate) fn made_with(&self, slots: u32) -> Segment {
        Segment::open_or_create(&self.segment(), Geometry { slots, ..Geometry::default() }).expect("a segment")
    }
}

/// A command that sees none of hangwatch's variables, nor cargo's search path, which would put an older
/// `libhangwatch.so` before the one that was linked.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HANGWATCH_")) {
        command.env_remove(name);
    }
    command.env_remove("LD_LIBRARY_PATH").env_remove("XDG_RUNTIME_DIR").current_dir(ROOT).stdin(Stdio::null());
    command
}

/// The binary.
pub(crate) fn hangwatch() -> Command {
    let mut command = command(env!("CARGO_BIN_EXE_hangwatch"));
    // Evidence is kept by the tests that are about it.
    command.env("HANGWATCH_EVIDENCE", "none");
    command
}

/// How a command ended and what it said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end.
#[expect(clippy::disallowed_methods, reason = "these end by themselves, or the test is red anyway")]
pub(crate) fn said(command: &mut Command) -> Said {
    let out = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { code: out.status.code(), out: text(out.stdout), err: text(out.stderr) }
}

/// Waits for something that will be, looking again and again; a test in which it never is does not end.
pub(crate) fn until(mut is: impl FnMut() -> bool) {
    while !is() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What cargo builds from the workspace with these arguments: its folder.
pub(crate) fn built(arguments: &[&str]) -> PathBuf {
    // The C API's tests build the same into the same place.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ffi");
    let mut cargo = command(env!("CARGO"));
    cargo.args(["build", "--locked", "--offline", "--target-dir"]).arg(&target).args(arguments);
    let said = said(&mut cargo);
    assert_eq!(said.code, Some(0), "{}", said.err);
    target.join("debug")
}

/// The folder of the C library, built as its users build it.
pub(crate) fn library() -> PathBuf {
    built(&["-p", "hangwatch-ffi"])
}

/// `examples/c_worker.c`, built as its users build it.
pub(crate) fn c_worker() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, program) = BUILT.get_or_init(|| {
        let library = library();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let program = folder.path().join("c_worker");
        let mut gcc = command("gcc");
        gcc.args(["-std=c99", "-I", "ffi/include", "examples/c_worker.c", "-L"]).arg(&library).arg("-lhangwatch");
        let said = said(gcc.arg(format!("-Wl,-rpath,{}", library.display())).arg("-o").arg(&program));
        assert_eq!(said.code, Some(0), "{}", said.err);
        (folder, program)
    });
    program
}

/// `examples/rust_worker.rs`.
pub(crate) fn rust_worker() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| rust_example("rust_worker"))
}

/// An example in Rust, with the features of the C library, so that the two share what is built.
pub(crate) fn rust_example(name: &str) -> PathBuf {
    built(&["-p", "hangwatch", "--no-default-features", "--example", name]).join("examples").join(name)
}

/// A child process, ended and reaped with the test.
pub(crate) struct Held {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
    /// Asked to end before it is killed, since it has children of its own.
    pub(crate) leads: bool,
}

impl Held {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines: Some(lines), leads: false }
    }

    /// One of whose output nothing is read; `leads` where it has children of its own.
    pub(crate) fn quiet(command: &mut Command, leads: bool) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        Self { child, lines: None, leads }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// To its standard input, which was piped.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("piped");
        input.write_all(format!("{line}\n").as_bytes()).and_then(|()| input.flush()).expect("it reads");
    }

    /// Not reaped yet, so the number is still this child's.
    pub(crate) fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.pid()).expect("a pid");
        // SAFETY: kill touches no memory of ours.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "a child that is not reaped can be signalled");
    }

    /// The next line of its output; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.lines.as_mut().expect("its output is read").read_line(&mut line).expect("its output is text");
        (read > 0).then(|| line.trim_end().to_string())
    }

    /// The next line that has `text`.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.line().unwrap_or_else(|| panic!("it ended before it said '{text}'"));
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("ours to reap")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            if self.leads {
                self.signal(libc::SIGCONT);
                self.signal(libc::SIGTERM);
            } else {
                let _ = self.child.kill();
            }
            let _ = self.child.wait();
        }
    }
}

/// To a process that the test knows to be there: one that it, or a command of its own, has started and nobody has reaped.
pub(crate) fn signal(pid: u64, signal: i32) {
    // SAFETY: kill touches no memory of ours.
    assert_eq!(unsafe { libc::kill(i32::try_from(pid).expect("a pid"), signal) }, 0, "pid {pid} can be signalled");
}

/// Whether a process has ended, all its threads with it, reaped or not.
pub(crate) fn has_ended(pid: u64) -> bool {
    every_thread_is(pid, &['Z', 'X'])
}

/// Whether each thread of a process that is still there is in one of these states.
pub(crate) fn every_thread_is(pid: u64, states: &[char]) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    tasks.flatten().all(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(states))
    })
}

/// `status --json` of a segment.
pub(crate) fn status(segment: &Path) -> Value {
    let said = said(hangwatch().args(["status", "--json", "--segment"]).arg(segment));
    serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {} {}", said.out, said.err))
}

/// The monitor's clock, in seconds.
pub(crate) fn clock(segment: &Segment) -> f64 {
    segment.header().peek_monitor().clock_ns as f64 / 1e9
}

/// Waits until the monitor's clock has gone on for so many seconds.
pub(crate) fn let_pass(segment: &Segment, seconds: f64) {
    let to = clock(segment) + seconds;
    until(|| clock(segment) >= to);
}

/// A worker by its environment: into this segment, under this name.
pub(crate) fn worker(program: &Path, segment: &Path, name: &str, flags: &str) -> Held {
    let mut command = command(program);
    command.env("HANGWATCH_SEGMENT", segment).env("HANGWATCH_NAME", name);
    let mut held = Held::start(command.args(flags.split_whitespace()));
    held.line_with(", slot ");
    held
}

/// An age that opened an episode: at the first poll at which it was `budget`, so at most two polls more by the monitor's
/// clock, and two for each gap of its own, whose first poll judges nobody.
pub(crate) fn assert_first_poll(opened: &Value, age: &str, budget: f64, poll: f64, gaps: usize) {
    let number = |name: &str| opened[name].as_f64().unwrap_or_else(|| panic!("{name}: {opened}"));
    let latest = budget + 2.0 * poll * (1 + gaps) as f64;
    assert!((budget..=latest + 0.001).contains(&number("spent_s")), "opened at the first poll past {budget}: {opened}");
    assert!(number(age) >= number("spent_s"), "what a person is told is no less than what was held against it: {opened}");
}
