//! Drivers of the operations, and the walk through one of them.

use crate::common;
use crate::state::{Copy, State, Words, wrong_with};
use crate::tracer::{Stop, Traced, stop_here};
use hangwatch::layout::phase::Class;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, ErrorKind, Outcome, Phase, Total};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const ONE: Geometry = Geometry { slots: 1, slot_size: 1024 };

/// What does the operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    /// The Rust library as this test is built, in a forked child.
    Rust,
    /// A C program with the release library: Rust but for the inline step and beat.
    Linked,
    /// The same program with nothing but the header.
    HeaderOnly,
}

/// The C program against the release library, or against nothing; each compiled once.
fn program(driver: Driver) -> &'static Path {
    static LINKED: OnceLock<PathBuf> = OnceLock::new();
    static HEADER_ONLY: OnceLock<PathBuf> = OnceLock::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let out = folder.join(format!("kill-points-{driver:?}"));
    // Several tests may compile it at once: it gets its name when it is whole.
    let made = folder.join(format!("kill-points-{driver:?}-{}", std::process::id()));
    let mut gcc = clean("gcc");
    gcc.args(["-std=c99", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-I", "ffi/include", "tests/kill_points/child.c", "-o"]);
    gcc.arg(&made);
    let built = if driver == Driver::HeaderOnly { &HEADER_ONLY } else { &LINKED };
    built.get_or_init(|| {
        if driver == Driver::HeaderOnly {
            gcc.args(["-DHANGWATCH_IMPLEMENTATION", "-lpthread"]);
        } else {
            let target = folder.join("ffi");
            let mut cargo = clean(env!("CARGO"));
            cargo.args(["build", "--locked", "--offline", "--release", "-p", "hangwatch-ffi", "--target-dir"]).arg(&target);
            run_well(cargo);
            gcc.arg(target.join("release/libhangwatch.a")).args(["-lpthread", "-ldl", "-lm"]);
        }
        run_well(gcc);
        std::fs::rename(made, &out).expect("beside each other");
        out
    })
}

/// With nothing of hangwatch in its environment, nor cargo's search path.
fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in ["SEGMENT", "SLOT", "DEVICE", "NAME", "DIR", "SLOTS", "SLOT_SIZE", "ALLOWED_UIDS"] {
        command.env_remove(format!("HANGWATCH_{name}"));
    }
    command.env_remove("LD_LIBRARY_PATH").current_dir(ROOT);
    command
}

fn run_well(mut command: Command) {
    let status = command.status().unwrap_or_else(|e| panic!("{command:?}, which this test needs: {e}"));
    assert!(status.success(), "{command:?} ended with {status}");
}

impl Driver {
    /// A child that stands before the operation.
    pub(crate) fn start(self, operation: &str, segment: &Path, template: &Path) -> Traced {
        let mut traced = match self {
            Self::Linked | Self::HeaderOnly => Traced::spawn(clean(program(self)).arg(operation).arg(segment).arg(template)),
            Self::Rust => {
                let (operation, segment) = (operation.to_owned(), segment.to_owned());
                Traced::fork(move || in_rust(&operation, &segment))
            }
        };
        traced.run();
        traced
    }
}

/// The same operations as in child.c.
fn in_rust(operation: &str, segment: &Path) {
    let attach = || Attach::new().segment(segment.to_str().expect("text")).name("killed").attach().expect("a free slot");
    if matches!(operation, "claim" | "create") {
        stop_here();
        let worker = attach();
        stop_here();
        drop(worker);
        return;
    }
    let mut worker = attach();
    worker.begin_job("old", "old-model", Total::Known(50));
    worker.note(&"old note".repeat(12));
    worker.step(3);
    let long = "NEW NOTE".repeat(12);
    stop_here();
    match operation {
        "step" => worker.step(4),
        "fall" => worker.step(2),
        "beat" => worker.beat(),
        "note" => worker.note(&long),
        "begin_job" => worker.begin_job(&long, &long, Total::Known(60)),
        "end_job" => worker.end_job(Outcome::Ok),
        "phase" => worker.phase_total(Phase::Loading, Total::Known(7)),
        "register" => drop(worker.register_phase("upscale", Class::Work, Duration::from_secs(30))),
        "release" => worker.detach(),
        other => panic!("no operation is called '{other}'"),
    }
    stop_here();
}

/// What a walk through an operation found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Instructions: at each of them the child could have been killed.
    pub(crate) points: u64,
    /// Of them those after which another word stood in the segment.
    pub(crate) states: u64,
    pub(crate) killed: u64,
    pub(crate) wrong: Vec<String>,
}

struct Place {
    folder: tempfile::TempDir,
    copy: Copy,
}

impl Place {
    fn new() -> Self {
        let folder = common::scratch();
        let copy = Copy::new(&folder.path().join("copy"), ONE);
        Self { folder, copy }
    }

    fn segment(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// A good segment of other words, for a child that wants to copy one.
    fn template(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    fn renew(&self) -> Arc<Segment> {
        for entry in std::fs::read_dir(self.folder.path()).expect("ours").map(|e| e.expect("an entry").path()) {
            if !entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with("copy")) {
                std::fs::remove_file(entry).expect("ours");
            }
        }
        Arc::new(Segment::create(&self.segment(), ONE).expect("a segment"))
    }
}

/// Steps through an operation on a slot, and then kills a child at up to `kills` of its states.
pub(crate) fn walk(driver: Driver, operation: &str, kills: u64) -> Found {
    let place = Place::new();
    let mut found = Found::default();
    drop(place.renew());
    let words = Words::of(&place.segment());
    let mut child = driver.start(operation, &place.segment(), &place.template());
    let (mut now, mut states) = (Vec::new(), Vec::new());
    words.take(&mut now);
    states.push((0, now.clone()));
    while child.step() == Stop::Stepped {
        found.points += 1;
        if words.take(&mut now) {
            states.push((found.points, now.clone()));
        }
    }
    let pid = child.pid();
    child.kill();
    let seen: Vec<State> = states.iter().map(|(_, words)| place.copy.read(words)).collect();
    let (before, after) = (&seen[0], &seen[seen.len() - 1]);
    for ((at, words), state) in states.iter().zip(&seen) {
        let _ = place.copy.read(words);
        let wrong = wrong_with(state, before, after, pid).or_else(|| place.copy.succeed().err());
        found.wrong.extend(wrong.map(|wrong| format!("after {at} instructions: {wrong}")));
    }
    found.states = states.len() as u64;
    let edges = if kills > 0 { edges_before(&place, driver, operation) } else { 0 };
    for kill in 0..kills.min(found.states) {
        let at = kill * (found.states - 1) / kills.min(found.states - 1).max(1);
        found.killed += 1;
        found.wrong.extend(
            kill_at(&place, driver, operation, at, if at == 0 { 0 } else { edges })
                .map(|wrong| format!("killed at state {at}: {wrong}")),
        );
    }
    found
}

/// Edges of system calls that the operation passes before it changes a word: no step is needed up to there.
fn edges_before(place: &Place, driver: Driver, operation: &str) -> u64 {
    drop(place.renew());
    let words = Words::of(&place.segment());
    let mut child = driver.start(operation, &place.segment(), &place.template());
    let mut now = Vec::new();
    words.take(&mut now);
    let mut edges = 0;
    while child.pass_an_edge() == Stop::Stepped && !words.take(&mut now) {
        edges += 1;
    }
    // The edge after the change was not counted, and the one before it may be the beginning of a call that makes it.
    child.kill();
    edges
}

/// Kills a child when the segment has changed `changes` times, and lets a successor prove its death.
fn kill_at(place: &Place, driver: Driver, operation: &str, changes: u64, edges: u64) -> Option<String> {
    let segment = place.renew();
    let words = Words::of(&place.segment());
    let mut child = driver.start(operation, &place.segment(), &place.template());
    let mut now = Vec::new();
    words.take(&mut now);
    for _ in 0..edges {
        assert_eq!(child.pass_an_edge(), Stop::Stepped, "the operation is the same each time");
    }
    let mut left = changes - u64::from(words.take(&mut now));
    while left > 0 && child.step() == Stop::Stepped {
        left -= u64::from(words.take(&mut now));
    }
    child.kill();
    let snapshot = now.clone();
    if words.take(&mut now) {
        return Some(format!("a kill changes words: {:?} were {:?}", differences(&now, &snapshot), changes));
    }
    let before = segment.slot(0).expect("inside").peek_owner();
    match Attach::new().name("successor").attach_to(&segment) {
        Err(e) => Some(format!("its slot is lost: {before:?}: {e}")),
        Ok(successor) if successor.generation() != before.generation().wrapping_add(1) => {
            Some(format!("generation {} after {before:?}", successor.generation()))
        }
        Ok(_) => None,
    }
}

fn differences(now: &[u64], before: &[u64]) -> Vec<usize> {
    now.iter().zip(before).enumerate().filter(|(_, (now, before))| now != before).map(|(at, _)| 8 * at).collect()
}

/// Steps through an attach to a segment that is not there: its name leads to nothing, or to a whole segment.
pub(crate) fn walk_creation(driver: Driver, operation: &str, kills: u64) -> Found {
    let place = Place::new();
    let mut found = Found::default();
    let path = place.segment();
    let mut child = start_creation(&place, driver, operation);
    let mut looked = Looked::default();
    while child.step() == Stop::Stepped {
        found.points += 1;
        if let Some(wrong) = looked.look(&path) {
            found.wrong.push(format!("after {} instructions: {wrong}", found.points));
        }
    }
    child.kill();
    found.states = looked.states;
    if looked.words.is_none() {
        found.wrong.push("the operation ended, and there is no segment".into());
    }
    // A child is killed at so many edges of its system calls: only a call can make or name a file.
    let edges = edges_of(&place, driver, operation);
    for kill in 0..kills.min(edges) {
        let at = kill * edges / kills.min(edges);
        found.killed += 1;
        found.wrong.extend(kill_creation_at(&place, driver, operation, at).map(|wrong| format!("killed at edge {at}: {wrong}")));
    }
    found
}

/// A child before the operation, and nothing where the segment is to be.
fn start_creation(place: &Place, driver: Driver, operation: &str) -> Traced {
    drop(place.renew());
    std::fs::remove_file(place.segment()).expect("ours");
    driver.start(operation, &place.segment(), &place.template())
}

/// Edges of system calls from the operation's beginning to its end.
fn edges_of(place: &Place, driver: Driver, operation: &str) -> u64 {
    let mut child = start_creation(place, driver, operation);
    let mut edges = 0;
    while child.pass_an_edge() == Stop::Stepped {
        edges += 1;
    }
    edges
}

/// What was seen of a segment at the last look.
#[derive(Default)]
struct Looked {
    words: Option<Words>,
    now: Vec<u64>,
    states: u64,
}

impl Looked {
    /// Opens it as an observer does, whenever a word has changed.
    fn look(&mut self, path: &Path) -> Option<String> {
        if self.words.is_none() {
            std::fs::symlink_metadata(path).ok()?;
        }
        let changed = match &self.words {
            Some(words) => words.take(&mut self.now),
            None => true,
        };
        if !changed {
            return None;
        }
        self.states += 1;
        match Segment::open_read_only(path) {
            Err(e) => Some(format!("I12: a name that leads to no segment: {e}")),
            Ok(_) => {
                self.words.get_or_insert_with(|| Words::of(path));
                None
            }
        }
    }
}

fn kill_creation_at(place: &Place, driver: Driver, operation: &str, edges: u64) -> Option<String> {
    let path = place.segment();
    let mut child = start_creation(place, driver, operation);
    for _ in 0..edges {
        if child.pass_an_edge() == Stop::Asked {
            break;
        }
    }
    child.kill();
    match Segment::open_read_only(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Some(format!("I12: {e}")),
        _ => {}
    }
    let left: Vec<String> = std::fs::read_dir(place.folder.path())
        .expect("ours")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with("copy") && !matches!(name.as_str(), "s" | "s.liveness"))
        .collect();
    if !left.is_empty() {
        return Some(format!("it leaves {left:?}"));
    }
    Attach::new().segment(path.to_str().expect("text")).attach().err().map(|e| format!("no successor: {e}"))
}
