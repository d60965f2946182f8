//! Which variables of ours a process was started with. `/proc/PID/environ` may block for as long as the process is stuck, so
//! each question is a thread of its own that is left behind if it does not come back; nobody waits for it.

use super::Stat;
use crate::os::time::monotonic_ns;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Threads that may be at it together: so many stuck processes, and nothing more is asked.
const MAX_ASKING: usize = 4;
/// How long an answer is worth waiting for. It is there in microseconds unless the process is stuck, or the machine is so
/// loaded that a thread gets no turn.
const PATIENCE_NS: u64 = 5_000_000_000;
/// How long a process may have no variables at all before it is believed: it shows none in the moment of an exec, and only there,
/// unless it was started without any. Far more than an exec takes on a loaded machine, and far less than our patience.
const EXEC_NS: u64 = 1_000_000_000;
/// What is read at most: more than an environment usually holds; what stands behind that is not seen.
const MAX_LEN: u64 = 1 << 20;
/// Ours begin so.
const PREFIX: &str = "HANGWATCH_";

/// Variables as `NAME=value`, those that begin with our prefix.
type Variables = Vec<String>;

#[derive(Debug)]
enum Answer {
    Asked { at: u64 },
    Here(Variables),
    Refused,
}

/// What is known of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    /// It has all of them.
    Yes,
    /// It has not, or it does not tell, or it has not told within the time that this is worth.
    No,
    /// It has not told yet: ask again.
    NotYet,
}

/// Number and start time name the process.
static ANSWERS: Mutex<Option<HashMap<(u32, u64), Answer>>> = Mutex::new(None);

fn answers() -> MutexGuard<'static, Option<HashMap<(u32, u64), Answer>>> {
    ANSWERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether `process` was started with all of `wanted`, each as `NAME=value`. Never waits.
pub(crate) fn has(process: &Stat, wanted: &[String]) -> Has {
    let key = (process.pid, process.starttime);
    let mut guard = answers();
    let known = guard.get_or_insert_default();
    let now = monotonic_ns();
    match known.get(&key) {
        Some(Answer::Here(variables)) if wanted.iter().all(|variable| variables.contains(variable)) => Has::Yes,
        Some(Answer::Asked { at }) if now.saturating_sub(*at) < PATIENCE_NS => Has::NotYet,
        Some(_) => Has::No,
        None if known.values().filter(|answer| matches!(answer, Answer::Asked { .. })).count() >= MAX_ASKING => Has::No,
        None => {
            known.insert(key, Answer::Asked { at: now });
            let ask = move || {
                let answer = read(key.0, key.1).map_or(Answer::Refused, Answer::Here);
                if let Some(asked) = answers().as_mut().and_then(|known| known.get_mut(&key)) {
                    *asked = answer;
                }
            };
            match std::thread::Builder::new().name("hangwatch-env".into()).spawn(ask) {
                Ok(_) => Has::NotYet,
                Err(_) => {
                    known.remove(&key);
                    Has::No
                }
            }
        }
    }
}

/// Forgets the answers of processes that are no more; a question that is still open is kept, for it is counted.
pub(crate) fn keep(living: &[Stat]) {
    if let Some(known) = answers().as_mut() {
        let lives = |key: &(u32, u64)| living.iter().any(|stat| (stat.pid, stat.starttime) == *key);
        known.retain(|key, answer| matches!(answer, Answer::Asked { .. }) || lives(key));
    }
}

/// May block.
fn read(pid: u32, starttime: u64) -> Option<Variables> {
    use std::io::Read;
    use std::os::unix::fs::FileExt;
    let until = monotonic_ns().saturating_add(EXEC_NS);
    loop {
        let mut bytes = Vec::new();
        // Opened anew each time: what is open is of the program before the exec, and ends where that happens.
        let file = std::fs::File::open(format!("/proc/{pid}/environ")).ok()?;
        (&file).take(MAX_LEN).read_to_end(&mut bytes).ok()?;
        // Of the program after it there is nothing at first.
        let is_whole = !bytes.is_empty() && file.read_at(&mut [0], 0).ok()? == 1;
        // Asked after the file was read: the number was this process's all the while.
        super::stat(pid).ok().filter(|now| now.starttime == starttime && !matches!(now.state, 'Z' | 'X'))?;
        if is_whole || monotonic_ns() >= until {
            return Some(parse(&bytes));
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn parse(bytes: &[u8]) -> Variables {
    let all = bytes.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
    all.filter(|variable| variable.starts_with(PREFIX)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_variables_of_ours_are_kept() {
        assert_eq!(parse(b"A=1\0HANGWATCH_SLOT=1:2\0XHANGWATCH_=\0HANGWATCH_B=\xff\0"), ["HANGWATCH_SLOT=1:2"]);
        assert!(parse(b"").is_empty());
    }

    /// Cause: an orphan that was asked in the moment of its exec showed nothing, was taken for another tree's, and outlived its own.
    #[test]
    fn a_process_in_the_middle_of_an_exec_has_its_variables_still() {
        // Each exec is of the same program with the same words: all that it does is exec.
        let words = ["-c", "exec \"$0\" -c \"$1\" \"$0\" \"$1\"", "sh", "exec \"$0\" -c \"$1\" \"$0\" \"$1\""];
        let mut child = Command::new("sh").args(words).env("HANGWATCH_SLOT", "7:3").spawn().expect("sh");
        let stat = super::super::stat(child.id()).expect("it runs");
        let read: Vec<_> = (0..2000).map(|_| read(stat.pid, stat.starttime)).collect();
        child.kill().expect("ours");
        child.wait().expect("reaped");
        let wrong: Vec<_> = read.iter().filter(|read| read.as_deref() != Some(&["HANGWATCH_SLOT=7:3".to_owned()])).collect();
        assert!(wrong.is_empty(), "{} of {} readings saw another environment: {:?}", wrong.len(), read.len(), wrong[0]);
    }

    #[test]
    fn a_process_has_what_it_was_started_with_and_nothing_else() {
        let mut child = Command::new("sleep").arg("1000").env("HANGWATCH_SLOT", "7:3").spawn().expect("sleep");
        let stat = super::super::stat(child.id()).expect("it runs");
        let ask = |variable: &str| has(&stat, &[variable.to_owned()]);
        ask("");
        let is_open =
            || matches!(answers().as_ref().and_then(|all| all.get(&(stat.pid, stat.starttime))), Some(Answer::Asked { .. }));
        while is_open() {
            std::thread::yield_now();
        }
        let (yes, no) = (ask("HANGWATCH_SLOT=7:3"), ask("HANGWATCH_SLOT=7:30"));
        child.kill().expect("ours");
        child.wait().expect("reaped");
        assert_eq!((yes, no), (Has::Yes, Has::No));
        keep(&[]);
        let known = answers();
        assert!(known.as_ref().is_some_and(|known| !known.contains_key(&(stat.pid, stat.starttime))), "its answer is forgotten");
    }
}
