//! A C program that calls what it is told to, one call at a time.

use crate::build::command;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running `ffi/tests/script.c`.
#[derive(Debug)]
pub(crate) struct Script {
    child: Child,
    /// `None` once it was told that nothing more comes.
    calls: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Script {
    pub(crate) fn start(program: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = command(program);
        command.envs(environment.iter().copied());
        Self::run(command)
    }

    /// Starts it by a command that is the script, or becomes it.
    pub(crate) fn run(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let calls = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, calls, answers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// It ends by itself, with nothing given back, and is reaped.
    pub(crate) fn end(&mut self) {
        self.calls = None;
        assert!(self.child.wait().unwrap().success());
    }

    /// Makes the call; returns once it is done, with what it said.
    pub(crate) fn call(&mut self, line: &str) -> String {
        writeln!(self.calls.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "the script ended at '{line}'");
        answer.pop();
        answer
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // A child of ours, and not yet reaped: this ends nobody else.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
