//! Temp dirs and child processes. A test that needs another process runs itself again: same test, same name, with a role in
//! the environment, so that the environment of the test process is never changed.
#![allow(dead_code, unused_imports, reason = "each test file is a program of its own and uses its part")]

pub(crate) mod bench;
pub(crate) mod diary;
pub(crate) mod fork;
mod skipped;
pub(crate) mod trial;
pub(crate) mod words;

pub(crate) use skipped::skip;

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

const ROLE: &str = "SEGMENT_TEST_ROLE";
const LINE: &str = "child says: ";

/// A temp dir in a tmpfs where there is one: segments live there, and it sees what users see.
pub(crate) fn scratch() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    let made = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
    made.expect("a temp dir")
}

/// What this process is to the test; `None` in the process that the test runner started.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// The value that the parent gave its child under this name.
pub(crate) fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("the parent gives {name}"))
}

/// This program again, running `test` alone, as `role`, with nothing of hangwatch in its environment.
pub(crate) fn again(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HANGWATCH_")) {
        command.env_remove(name);
    }
    command.env_remove("XDG_RUNTIME_DIR");
    command.stdin(Stdio::null());
    command
}

/// From a child: a line for its parent. One write, past the test runner's capture.
pub(crate) fn say(text: impl std::fmt::Display) {
    use std::io::Write;
    let text = text.to_string().replace('\n', "\\n");
    // The runner's "test name ... " stands on the same line: begin a new one.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{LINE}{text}\n").as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
}

/// What `say` said, out of a child's output.
pub(crate) fn said(output: &str) -> Vec<String> {
    output.lines().filter_map(|line| line.strip_prefix(LINE)).map(|text| text.replace("\\n", "\n")).collect()
}

/// Runs a child to its end: its status and what it said.
pub(crate) fn run(mut command: Command) -> (ExitStatus, Vec<String>) {
    let child = command.stdout(Stdio::piped()).spawn().expect("the child starts");
    let output = child.wait_with_output().expect("the child ends");
    (output.status, said(&String::from_utf8_lossy(&output.stdout)))
}

/// Runs a child that must succeed: what it said.
pub(crate) fn run_well(command: Command) -> Vec<String> {
    let (status, said) = run(command);
    assert!(status.success(), "the child ends well, it ended with {status} after saying {said:?}");
    said
}

/// A child that is killed and reaped when the test lets go of it, however the test ends.
pub(crate) struct Held(pub(crate) Child);

impl Held {
    /// Starts it and waits until it has said its first line.
    pub(crate) fn start(mut command: Command) -> (Self, String) {
        use std::io::BufRead;
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the child starts");
        let out = child.stdout.take().expect("piped");
        let held = Self(child);
        let first = std::io::BufReader::new(out).lines().find_map(|line| said(&line.expect("text")).pop());
        (held, first.expect("the child says a line before it ends"))
    }

    pub(crate) fn kill_and_reap(mut self) -> u32 {
        let pid = self.0.id();
        self.0.kill().expect("ours to kill");
        self.0.wait().expect("ours to reap");
        pid
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The error's text, having the house's shape: `what: why`, lower case, no final stop; hints indented by two.
pub(crate) fn shaped(e: &hangwatch::Error) -> String {
    let text = e.to_string();
    let mut lines = text.lines();
    let first = lines.next().expect("a sentence");
    assert_eq!(first, format!("{}: {}", e.what(), e.why()));
    assert!(first.starts_with(char::is_lowercase) && !first.ends_with('.'), "lower case, no final stop: {first}");
    for hint in lines {
        assert!(hint.starts_with("  ") && !hint.starts_with("   "), "a hint is indented by two: {hint}");
        assert!(!hint.ends_with('.'), "no final stop: {hint}");
    }
    text
}

pub(crate) fn c_path(path: &Path) -> std::ffi::CString {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::CString::new(path.as_os_str().as_bytes()).expect("no NUL in a temp path")
}
