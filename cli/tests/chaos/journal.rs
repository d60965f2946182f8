//! What a worker of the chaos writes down before it does it, with the kernel's clock: the only thing that the oracle believes.
//!
//! | line, each after its instant in ns | written |
//! |---|---|
//! | `is PID START` | first |
//! | `act …` | before an act that is nobody's business |
//! | `stop-me MS`, `kill-me` | it works on until the test has done so |
//! | `child PID START setsid`, or `group` | once it has a process of its own |
//! | `hang NAME` | before its last sign of life |
//! | `hung` | after it |
//! | `exit CODE` | before it exits |
//! | `late MS` | a healthy worker was not given the machine for so long |

use super::script::Hang;
use hangwatch::clock::monotonic_ns;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(crate) fn path(folder: &Path, replica: u64, life: u64) -> PathBuf {
    folder.join(format!("{replica}.{life}.journal"))
}

/// Stands there once the test has stopped the worker and let it go on.
pub(crate) fn went_on(folder: &Path, replica: u64, life: u64) -> PathBuf {
    folder.join(format!("{replica}.{life}.went-on"))
}

pub(crate) struct Journal(File);

impl Journal {
    /// The replica's next one, and its number.
    pub(crate) fn begin(folder: &Path, replica: u64) -> (Self, u64) {
        for life in 0.. {
            match File::options().append(true).create_new(true).open(path(folder, replica, life)) {
                Ok(file) => return (Self(file), life),
                Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::AlreadyExists, "a journal can be begun"),
            }
        }
        unreachable!("64 bits of lives")
    }

    pub(crate) fn write(&mut self, line: impl std::fmt::Display) {
        self.0.write_all(format!("{} {line}\n", monotonic_ns()).as_bytes()).expect("the journal is written");
    }
}

/// A hang, as it was announced. Instants in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) hang: Hang,
    /// Before its last sign of life.
    pub(crate) since: u64,
    /// After it; `None` where it did not come so far.
    pub(crate) hung: Option<u64>,
}

/// One worker's life, by its journal and by what the test did to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) replica: u64,
    pub(crate) number: u64,
    pub(crate) pid: u32,
    pub(crate) start: u64,
    pub(crate) began: u64,
    pub(crate) hang: Option<Announced>,
    pub(crate) exited: Option<u64>,
    /// Its own processes, and whether each has a session of its own.
    pub(crate) children: Vec<(u32, u64, bool)>,
    pub(crate) acts: Vec<String>,
    pub(crate) late: u64,
    /// When the test killed it.
    pub(crate) killed: Option<u64>,
    /// When the test stopped it.
    pub(crate) stopped: Option<u64>,
}

impl Life {
    /// Takes in one line.
    pub(crate) fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| -> u64 { words[at].parse().unwrap_or_else(|e| panic!("{e}: '{line}'")) };
        let at = number(0);
        match words[1] {
            "is" => (self.began, self.pid, self.start) = (at, number(2) as u32, number(3)),
            "act" => self.acts.push(words[2].into()),
            "stop-me" | "kill-me" => self.acts.push(words[1].into()),
            "child" => self.children.push((number(2) as u32, number(3), words[4] == "setsid")),
            "hang" => {
                let hang = Hang::from_name(words[2]).unwrap_or_else(|| panic!("'{line}'"));
                self.hang = Some(Announced { hang, since: at, hung: None });
            }
            "hung" => self.hang.as_mut().expect("announced before").hung = Some(at),
            "exit" => self.exited = Some(at),
            "late" => self.late = self.late.max(number(2)),
            other => panic!("a journal has no line '{other}'"),
        }
    }
}
