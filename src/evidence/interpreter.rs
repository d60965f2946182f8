//! What a Python worker's interpreter does, as the worker's own watch of it tells (`hangwatch.watch_interpreter`).
//!
//! The watch is a native thread, which needs no interpreter to run. It writes what it saw last into its own name, which every
//! reader of the threads has anyway, `top -H` and gdb too, and which costs the slot no word:
//!
//! ```text
//! hw-py runs 0s       the main thread ran Python, that long ago
//! hw-py in-c 12s      the main thread has not for 12 s, and other threads can
//! hw-py gil 12s       no thread could for 12 s
//! ```

use serde::Serialize;

/// Beginning of the thread's name. `python/src/interpreter.rs` writes it.
const MARK: &str = "hw-py ";
/// The largest age that a name has room for.
const MOST: u32 = 999;

/// What it does. Additive: a reader skips what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InterpreterState {
    /// Its main thread runs Python code.
    Runs,
    /// Its main thread does not, and other threads can: it is in C code that has released the interpreter's lock, or waits there.
    InC,
    /// No thread can run Python: C code holds the interpreter's lock.
    GilHeld,
}

impl InterpreterState {
    /// Its name, everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::InC => "in_c",
            Self::GilHeld => "gil_held",
        }
    }
}

/// The interpreter of a worker, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interpreter {
    /// What it does.
    pub state: InterpreterState,
    /// For how long, in whole seconds; at most 999.
    pub age_s: u32,
    /// The same in words.
    pub reading: String,
}

impl std::fmt::Display for Interpreter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.state.name(), self.reading)
    }
}

/// What the thread of this name tells; `None` where it is no watch's. `claimed_elsewhere`: the main thread is not the one that
/// works.
pub(super) fn told(name: &str, claimed_elsewhere: bool) -> Option<Interpreter> {
    let (word, age) = name.strip_prefix(MARK)?.split_once(' ')?;
    let age_s = age.strip_suffix('s')?.parse().ok().filter(|age| *age <= MOST)?;
    let age = match age_s {
        0 => "less than 1s".into(),
        MOST => format!("{MOST}s or more"),
        age => format!("{age}s"),
    };
    let (state, reading) = match word {
        "runs" => (InterpreterState::Runs, format!("its main thread ran Python {age} ago")),
        "in-c" => {
            let reading = format!(
                "its main thread has run no Python for {age}, others can: it is in C code that has released the GIL, or waits"
            );
            (InterpreterState::InC, reading)
        }
        "gil" => (InterpreterState::GilHeld, format!("no thread of it could run Python for {age}: C code holds the GIL")),
        _ => return None,
    };
    let elsewhere = if claimed_elsewhere { "; the thread that claimed is another one" } else { "" };
    Some(Interpreter { state, age_s, reading: format!("{reading}{elsewhere}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_the_watch_is_another_state_with_its_age() {
        for (name, state, age_s, says) in [
            ("hw-py runs 0s", InterpreterState::Runs, 0, "ran Python less than 1s ago"),
            ("hw-py in-c 12s", InterpreterState::InC, 12, "no Python for 12s, others can"),
            ("hw-py gil 999s", InterpreterState::GilHeld, 999, "for 999s or more: C code holds the GIL"),
        ] {
            let it = told(name, false).unwrap_or_else(|| panic!("{name} is a watch's"));
            assert_eq!((it.state, it.age_s), (state, age_s), "{name}");
            assert!(it.reading.contains(says) && !it.reading.contains("another one"), "{it}");
        }
        let of_another = told("hw-py runs 1s", true).expect("a watch's");
        assert!(of_another.reading.ends_with("; the thread that claimed is another one"), "{of_another}");
    }

    #[test]
    fn a_thread_of_another_name_tells_nothing() {
        for name in
            ["", "python3", "hw-py", "hw-py ", "hw-py runs", "hw-py runs 1", "hw-py runs -1s", "hw-py is 1s", "hw-py gil 1000s"]
        {
            assert_eq!(told(name, false), None, "{name:?}");
        }
    }
}
