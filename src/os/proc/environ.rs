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
    let mut bytes = Vec::new();
    std::fs::File::open(format!("/proc/{pid}/environ")).ok()?.take(MAX_LEN).read_to_end(&mut bytes).ok()?;
    // Asked after the file was read: the number was this process's all the while.
    (super::stat(pid).ok()?.starttime == starttime).then(|| parse(&bytes))
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
