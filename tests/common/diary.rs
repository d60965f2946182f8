//! What a worker of a trial writes down of itself, in a file of its own outside the segment, and the lives that are read from
//! such files. Lines are appended with one write each, so what a killed worker leaves is whole up to its last line.
//!
//! | line | written |
//! |---|---|
//! | `is PID START` | first: who writes; the start is the kernel's, in ticks |
//! | `try` | before it attaches |
//! | `own SLOT GENERATION NS alone` | once it is attached, and alone in holding the slot's lock file; else `shared` |
//! | `jobs FIRST LAST` | before it does these |
//! | `job ID`, `open ID` | before a job begins, and once it has begun |
//! | `end ID`, `ended ID` | before it ends, and once it has ended |
//! | `leave NS` | before it gives the slot back |
//! | `left` | once it has |

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file of a process that writes.
pub(crate) struct Diary {
    file: File,
    folder: PathBuf,
}

/// The kernel's start time of a process, in ticks: with the number it names the process.
pub(crate) fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

pub(crate) fn path(folder: &Path, pid: u32) -> PathBuf {
    folder.join(format!("{pid}.diary"))
}

impl Diary {
    /// This process's, in `folder`.
    pub(crate) fn begin(folder: &Path) -> Self {
        let pid = std::process::id();
        let file = File::options().append(true).create_new(true).open(path(folder, pid)).expect("a diary of its own");
        let mut diary = Self { file, folder: folder.into() };
        diary.write(format_args!("is {pid} {}", start_of(pid).expect("it lives")));
        diary
    }

    pub(crate) fn write(&mut self, line: impl std::fmt::Display) {
        self.file.write_all(format!("{line}\n").as_bytes()).expect("the diary is written");
    }

    /// Writes that the slot is ours. The lock is the kernel's word, not the segment's, on how many think so; it is to be let
    /// go before the slot is.
    pub(crate) fn write_own(&mut self, slot: u32, generation: u16) -> File {
        let lock = File::options().append(true).create(true).open(self.folder.join(format!("{slot}.lock"))).expect("a lock file");
        #[allow(clippy::incompatible_msrv, reason = "tests are built by what builds the binary, which needs 1.89")]
        let is_alone = lock.try_lock().is_ok();
        let now = hangwatch::clock::monotonic_ns();
        self.write(format_args!("own {slot} {generation} {now} {}", if is_alone { "alone" } else { "shared" }));
        lock
    }
}

/// A slot that a worker held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) slot: u32,
    pub(crate) generation: u16,
    pub(crate) from: u64,
    /// When it was about to give it back; `None` where it held it for as long as it lived.
    pub(crate) until: Option<u64>,
    pub(crate) is_alone: bool,
}

/// The job of a worker when its life ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Job {
    #[default]
    None,
    /// It was beginning or ending it.
    Maybe(String),
    Open(String),
}

/// One process, by its own account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) pid: u32,
    pub(crate) start: u64,
    pub(crate) claims: Vec<Claim>,
    /// It was attaching when its life ended: it may have had a slot and had no time to say so.
    pub(crate) is_trying: bool,
    /// Jobs of its last claim, of which it was at one.
    pub(crate) jobs: (u32, u32),
    pub(crate) job: Job,
    /// An instant at which it had not been killed yet; `None` where it was not.
    pub(crate) killed_at: Option<u64>,
}

impl Life {
    /// From a diary's text. What stands after the last line break was not written to its end.
    pub(crate) fn read(text: &str) -> Self {
        let mut life = Self::default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for line in whole.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| -> u64 { words[at].parse().unwrap_or_else(|e| panic!("{e}: '{line}'")) };
            match words[0] {
                "is" => (life.pid, life.start) = (number(1) as u32, number(2)),
                "try" => life.is_trying = true,
                "own" => {
                    (life.is_trying, life.jobs) = (false, (1, 0));
                    let (slot, generation, is_alone) = (number(1) as u32, number(2) as u16, words[4] == "alone");
                    life.claims.push(Claim { slot, generation, from: number(3), until: None, is_alone });
                }
                "jobs" => life.jobs = (number(1) as u32, number(2) as u32),
                "job" | "end" => life.job = Job::Maybe(words[1].into()),
                "open" => life.job = Job::Open(words[1].into()),
                "ended" => life.job = Job::None,
                "leave" => life.claims.last_mut().expect("it owns what it leaves").until = Some(number(1)),
                "left" => {}
                other => panic!("a diary has no line '{other}'"),
            }
        }
        life
    }

    /// Whether a slot may show this job as its last: the one that was announced, or the one before it.
    pub(crate) fn may_show_job(&self, job: u32) -> bool {
        let (first, last) = self.jobs;
        (first.saturating_sub(1)..=last).contains(&job)
    }
}

/// What cannot be true of the owners of a segment's slots. `at_the_end` is the one that got every slot once all were dead.
///
/// A claim that was made and could not be written down leaves a generation that nobody owned, and so does a reservation that
/// is made anew because nobody claimed it: each needs a worker that was killed while it was attaching.
pub(crate) fn wrong_with_owners(lives: &[Life], slots: u32, at_the_end: &Life) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut unclaimed = 0;
    for slot in 0..slots {
        let all = lives.iter().chain([at_the_end]);
        let claims = all.flat_map(|life| life.claims.iter().map(move |claim| (claim, life.pid, life.killed_at)));
        let mut claims: Vec<_> = claims.filter(|(claim, ..)| claim.slot == slot).collect();
        claims.sort_by_key(|(claim, ..)| claim.from);
        let mut last: Option<(u16, u32, u64)> = None;
        for (claim, pid, killed_at) in claims {
            let generation = claim.generation;
            if !claim.is_alone {
                wrong.push(format!(
                    "slot {slot}: pid {pid} got generation {generation} while another process held the slot's lock"
                ));
            }
            let skipped = generation.wrapping_sub(last.map_or(0, |(generation, ..)| generation)).wrapping_sub(1);
            // More than a few is a step back.
            if skipped > u16::MAX / 2 {
                wrong.push(format!("slot {slot}: pid {pid} got generation {generation} after {last:?}: one more a claim"));
            } else {
                unclaimed += usize::from(skipped);
            }
            if let Some((before, other, until)) = last.filter(|(_, _, until)| *until > claim.from) {
                let early = until - claim.from;
                wrong.push(format!(
                    "slot {slot}: pid {pid} had generation {generation} {early} ns before pid {other} lost {before}: two live owners"
                ));
            }
            last = Some((generation, pid, claim.until.or(killed_at).unwrap_or(u64::MAX)));
        }
        if at_the_end.claims.iter().filter(|claim| claim.slot == slot).count() != 1 {
            wrong.push(format!("slot {slot}: it leaked, nobody could get it once all were dead"));
        }
    }
    let killed_while_trying = lives.iter().filter(|life| life.is_trying && life.killed_at.is_some()).count();
    if unclaimed > killed_while_trying {
        wrong.push(format!(
            "{unclaimed} generations were nobody's, and {killed_while_trying} workers were killed while attaching"
        ));
    }
    wrong
}
