//! Programs that look into the worker from outside. What they do to it is undone: one that is killed in the middle of its work
//! may leave the worker stopped.

use super::gatherer::left_until;
use super::settings::Dumper;
use crate::helper::{self, End};
use crate::os::pidfd::PidFd;
use crate::os::proc::detail;
use crate::os::proc::task::Task;
use crate::os::proc::text::Text;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Command;

/// Of a program's output.
const MAX_OUTPUT: usize = 512 * 1024;

/// Whom they look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) pid: u32,
    pub(super) fd: &'a PidFd,
    /// It was stopped before anybody looked.
    pub(super) was_stopped: bool,
}

impl Dumper {
    /// Its name, and that of its file.
    pub(super) fn name(&self, number: usize) -> String {
        match self {
            Self::PySpy => "py-spy".into(),
            Self::Gdb => "gdb".into(),
            Self::Command(_) => format!("dumper-{number}"),
        }
    }

    /// Program first.
    pub(super) fn words(&self) -> Vec<OsString> {
        let words = match self {
            // Without holding the worker up: a hung one hardly moves, and a py-spy that is killed while it holds its target
            // leaves it stopped. No locals, which may be anybody's prompt.
            Self::PySpy => ["py-spy", "dump", "--nonblocking", "--pid", "{pid}"].as_slice(),
            // No init files and no scripts of the worker's libraries; names of functions and no values, which may be a prompt.
            Self::Gdb => &[
                "gdb",
                "-nx",
                "-batch",
                "-iex",
                "set auto-load off",
                "-iex",
                "set print frame-arguments none",
                "-p",
                "{pid}",
                "-ex",
                "thread apply all bt 64",
            ],
            Self::Command(words) => return words.clone(),
        };
        words.iter().map(OsString::from).collect()
    }
}

/// The word with every `{pid}` replaced.
fn with_pid(word: &OsStr, pid: u32) -> OsString {
    let (mut rest, mut out) = (word.as_bytes(), Vec::new());
    const NAME: &[u8] = b"{pid}";
    while let Some(at) = rest.windows(NAME.len()).position(|it| it == NAME) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(pid.to_string().as_bytes());
        rest = &rest[at + NAME.len()..];
    }
    out.extend_from_slice(rest);
    OsString::from_vec(out)
}

/// What came of one: its output where there is any, and what is to be said of it where not all went well.
#[derive(Debug, Default)]
pub(super) struct Dump {
    pub(super) output: Option<Vec<u8>>,
    pub(super) said: Option<String>,
}

/// Runs it until `until_ns` at most, and a second more if not even SIGKILL ends it.
pub(super) fn dump(words: &[OsString], target: Target<'_>, until_ns: u64) -> Dump {
    let said = |said: String| Dump { output: None, said: Some(said) };
    let Some(left) = left_until(until_ns) else { return said("no time was left for it".into()) };
    let [program, arguments @ ..] = words else { return said("it names no program".into()) };
    let mut command = Command::new(program);
    command.args(arguments.iter().map(|word| with_pid(word, target.pid)));
    // gdb would ask a server for symbols, and wait for it.
    command.env_remove("DEBUGINFOD_URLS");
    let finished = match helper::run(command, b"", left, MAX_OUTPUT) {
        Ok(finished) => finished,
        Err(e) => return said(format!("cannot start {}: {e}", program.display())),
    };
    let looked_at_it = arguments.iter().any(|word| with_pid(word, target.pid) != **word);
    let resumed = let_go(target, looked_at_it && !matches!(finished.end, End::Code(_)));
    if target.fd.has_exited() {
        return said("the worker ended meanwhile; its output may be another process's and was thrown away".into());
    }
    let mut words: Vec<String> = Vec::new();
    words.extend((!finished.is_success()).then(|| finished.end.to_string()));
    words.extend(finished.is_cut.then(|| format!("its output is cut at {MAX_OUTPUT} bytes")));
    words.extend(resumed);
    Dump { output: (!finished.output.is_empty()).then_some(finished.output), said: (!words.is_empty()).then(|| words.join("; ")) }
}

/// Lets the worker go on if the dumper has left it stopped, or may have (`was_ended` at its work): a stop may still be on its
/// way then, and SIGCONT takes that back.
fn let_go(target: Target<'_>, was_ended: bool) -> Option<String> {
    if target.was_stopped || !(was_ended || is_stopped(target.pid)) {
        return None;
    }
    match target.fd.signal(libc::SIGCONT, false) {
        Ok(()) if is_stopped(target.pid) => Some("it has left the worker stopped".into()),
        Ok(()) => Some("the worker was sent SIGCONT after it".into()),
        Err(e) => Some(format!("it may have left the worker stopped, which cannot be sent SIGCONT: {e}")),
    }
}

/// Whether a thread of it is stopped, by a signal or by a tracer.
fn is_stopped(pid: u32) -> bool {
    let mut text = Text::default();
    let stopped = |tid: u32| Task { pid, tid }.status(&mut text).is_ok_and(|it| matches!(it.state, 'T' | 't'));
    detail::threads(pid).unwrap_or_default().into_iter().any(stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_stands_wherever_it_is_named() {
        let with = |word: &str| with_pid(word.as_ref(), 42).into_string().expect("text");
        assert_eq!([with("{pid}"), with("/proc/{pid}/x{pid}"), with("{pi"), with("")], ["42", "/proc/42/x42", "{pi", ""]);
    }
}
