//! A hook that is a command: the event on its standard input, a few of its fields in its environment.

use super::leaving::Leaving;
use super::message::Message;
use super::queue::{Deliver, Failure};
use hangwatch::helper::{self, End, Finished};
use hangwatch::tell::text;
use std::io;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Kept of what it says, in bytes: its last line is shown if it fails.
const OUTPUT: usize = 4096;
/// Shown of that line, in characters.
const SHOWN: usize = 200;

/// Runs one command again and again, each time in a process group of its own.
#[derive(Debug)]
pub(crate) struct Runner {
    words: Vec<String>,
    leaving: Arc<Leaving>,
}

impl Runner {
    pub(crate) fn new(words: Vec<String>, leaving: Arc<Leaving>) -> Self {
        Self { words, leaving }
    }

    /// Once, within that time; it is ended sooner if the process is to end.
    pub(crate) fn run(&self, input: &[u8], variables: &[(String, Option<String>)], within: Duration) -> Result<(), Failure> {
        let (program, arguments) = self.words.split_first().ok_or_else(|| Failure::Lasting("it has no program".into()))?;
        let mut command = Command::new(program);
        command.args(arguments);
        for (name, value) in variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        match helper::run_unless(self.leaving.as_fd(), command, input, within, OUTPUT) {
            Ok(finished) if finished.is_success() => Ok(()),
            Ok(finished) => Err(Failure::Passing(why(&finished))),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
                Err(Failure::Lasting(format!("it cannot be started: {e}")))
            }
            Err(e) => Err(Failure::Passing(format!("it cannot be started: {e}"))),
        }
    }
}

impl Deliver for Runner {
    fn deliver(&mut self, message: &Message, within: Duration) -> Result<(), Failure> {
        self.run(&message.body, &message.variables, within)
    }
}

fn why(finished: &Finished) -> String {
    let said = String::from_utf8_lossy(&finished.output);
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    match (finished.end, last) {
        (End::Code(_), Some(last)) => {
            format!("{}: {}", finished.end, text::escaped(last).chars().take(SHOWN).collect::<String>())
        }
        (end, _) => end.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn sh(line: &str) -> Runner {
        let leaving = Arc::new(Leaving::new().expect("a pipe"));
        Runner::new(["sh", "-c", line].map(String::from).to_vec(), leaving)
    }

    #[test]
    fn another_code_than_zero_is_a_failure_that_says_its_last_line() {
        assert_eq!(sh("grep -q event").run(b"{\"event\":1}", &[], LONG), Ok(()));
        let failed = sh("echo first; printf 'no\\033 pager\\n\\n' >&2; exit 3").run(b"", &[], LONG);
        assert_eq!(failed, Err(Failure::Passing(r"exit code 3: no\u{1b} pager".into())));
    }

    #[test]
    fn a_program_that_is_not_there_is_not_tried_again() {
        let leaving = Arc::new(Leaving::new().expect("a pipe"));
        let failed = Runner::new(vec!["/no/such/program".into()], leaving).run(b"", &[], LONG);
        assert!(matches!(&failed, Err(Failure::Lasting(why)) if why.starts_with("it cannot be started: ")), "{failed:?}");
    }

    #[test]
    fn a_variable_of_an_older_event_is_not_handed_on() {
        let variables = [("HOME".to_string(), None), ("HANGWATCH_EVENT_SLOT".to_string(), Some("3".to_string()))];
        assert_eq!(sh("test -z \"${HOME+set}\" && test \"$HANGWATCH_EVENT_SLOT\" = 3").run(b"", &variables, LONG), Ok(()));
    }

    #[test]
    fn the_end_of_hangwatch_ends_a_command_that_still_runs() {
        let leaving = Arc::new(Leaving::new().expect("a pipe"));
        leaving.end();
        let words = ["sleep", "1000"].map(String::from).to_vec();
        let failed = Runner::new(words, leaving).run(b"", &[], LONG);
        assert_eq!(failed, Err(Failure::Passing(End::TimedOut.to_string())));
    }
}
