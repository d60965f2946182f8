//! One case's folder, segment and writer. The slot is read from the segment's file while the writer waits for a call; what a
//! supervisor or a monitor would write is written there at the same time.

use super::seen::{Seen, WORDS, fail};
use super::{Halt, Proof, World};
use crate::config::env::of_process;
use hangwatch::helper::{Dialogue, End};
use hangwatch::layout::header::Fixed;
use hangwatch::layout::info::Info;
use hangwatch::layout::slot::FIELDS;
use hangwatch::layout::word::{Beat, Cmd, Command as Asked, Epoch, Kind, Lease, Owner, PhaseWord, Tag};
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Error, ErrorKind, clock};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Slots of a stage's segment.
pub(super) const SLOTS: u32 = 4;
/// The one that is reserved for the writer, and how often it was claimed before.
pub(super) const RESERVED: (u32, u16) = (2, 6);
/// The generation of the writer's claim.
pub(super) const GENERATION: u16 = RESERVED.1 + 1;
/// What a supervisor names it.
pub(super) const NAME: &str = "conform";
/// The device that it gives it.
pub(super) const DEVICE: u64 = 3;

/// How late a signal to stop is noticed, and a writer's deadline.
const TURN: Duration = Duration::from_millis(100);

/// Which variables the writer finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// As `hangwatch run` sets them.
    All,
    /// The segment, and no slot.
    Segment,
    /// None.
    Nothing,
}

/// How a stage is set up.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) told: Told,
    /// Bytes from one slot to the next.
    pub(super) slot_size: u32,
    /// Changes the words of the segment before the writer is started: the header's, with its check made right again, and the
    /// slots'. The file is then as long as they are.
    pub(super) forge: Option<fn(&mut Vec<u64>)>,
    /// Changes the file after that.
    pub(super) spoil: Option<fn(&Path) -> io::Result<()>>,
    /// Further variables.
    pub(super) variables: &'static [(&'static str, &'static str)],
}

impl Default for Setup {
    fn default() -> Self {
        Self { told: Told::All, slot_size: 1024, forge: None, spoil: None, variables: &[] }
    }
}

/// A folder that goes with the stage.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() { shm.into() } else { std::env::temp_dir() };
        let number = COUNT.fetch_add(1, Relaxed);
        let path = parent.join(format!("hangwatch-conformance-{}-{number}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
pub(super) struct Stage<'a> {
    world: &'a World,
    // Before the folder: it ends first.
    writer: Dialogue,
    folder: Folder,
    path: PathBuf,
    /// The segment as it was when the writer was started, whatever becomes of its name.
    file: File,
    slots_off: u64,
    slot_size: u64,
    index: u32,
    last: String,
}

pub(super) fn broken(what: &str, e: &io::Error) -> Halt {
    Halt::Broken(Error::io(what, e))
}

/// A slot's words in a segment's file.
pub(super) fn read(file: &File, at: u64, after: &str) -> Result<Seen, Halt> {
    let mut bytes = [0; WORDS * 8];
    file.read_exact_at(&mut bytes, at).map_err(|e| broken("cannot read the slot", &e))?;
    let word = |i: usize| bytes[8 * i..8 * i + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    Ok(Seen { words: std::array::from_fn(word), after: after.into() })
}

/// What the owner before the writer left in the slot: nothing of it may be taken for the writer's.
fn left_behind(slot: &mut [u64]) {
    let generation = RESERVED.1;
    let mut set = |name: &str, word: u64| {
        if let Some((_, at)) = FIELDS.iter().find(|(field, _)| *field == name) {
            slot[at / 8] = word;
        }
    };
    for (name, word) in [
        ("beat", Beat::start(generation).0 + 1234),
        ("progress", 77),
        ("phase", PhaseWord::new(7, PhaseWord::flags_of(true, 2, 9), 41).0),
        ("stamp_ns", 1),
        ("lease", Lease::new(5, 60_000).0),
        ("epoch", Epoch::new(8, 3, 2).0),
        ("progress_stamp_ns", 1),
        ("alive", Beat::start(generation).0 + 99),
        ("total", 100),
        ("jobs_ok", 7),
        ("jobs_bad", 3 << 32 | 2),
        ("starttime", 1),
        ("pidfd_ino", 1),
        ("namespaces", 1 << 32 | 1),
        ("tid", 1 << 32 | 1),
        ("claimed_boottime_ns", 1),
        ("cmd", Cmd::new(generation, Asked::Stop, 0).0),
        ("info_seq", 5),
        ("seen_beat", Beat::start(generation).0 + 1234),
        ("beat_at", 11),
        ("verdict", 12),
        ("restarts", 13),
        ("high_mark", 14),
        ("progress_at", 15),
        ("epoch_seen", 16),
        ("episode", 17),
    ] {
        set(name, word);
    }
    let info = Info {
        generation,
        job: 8,
        job_id: "before".into(),
        model: "before".into(),
        name: "before".into(),
        lane: "before".into(),
        detail: "before".into(),
        ..Info::default()
    };
    slot[FIELDS.len() + 48..WORDS].copy_from_slice(&info.to_words());
}

/// The words of a segment with these slots, of which one is left behind by an owner before and reserved.
fn words(path: &Path, setup: &Setup) -> hangwatch::Result<Vec<u64>> {
    let segment = Segment::create(path, Geometry { slots: SLOTS, slot_size: setup.slot_size })?;
    let mut words = vec![0; segment.fixed().total_len as usize / 8];
    let bytes = fs::read(path).map_err(|e| Error::io("cannot read the segment", &e))?;
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    let at = (segment.fixed().slots_off as usize + RESERVED.0 as usize * setup.slot_size as usize) / 8;
    left_behind(&mut words[at..at + WORDS]);
    let tag = if setup.told == Told::All { Tag::Reserved } else { Tag::Free };
    let pid = if tag == Tag::Reserved { std::process::id() } else { 0 };
    words[at + OWNER] = Owner::new(RESERVED.1, tag, Kind::Worker, pid).0;
    if let Some(forge) = setup.forge {
        forge(&mut words);
    }
    Ok(words)
}

/// Word of a slot.
pub(super) const OWNER: usize = 0x80 / 8;

impl<'a> Stage<'a> {
    pub(super) fn set(world: &'a World, setup: Setup) -> Result<Self, Halt> {
        let folder = Folder::make().map_err(|e| broken("cannot make a scratch folder", &e))?;
        let path = folder.0.join("segment");
        let words = words(&path, &setup).map_err(Halt::Broken)?;
        let at = |i: usize| words.get(i).copied().unwrap_or(0);
        let (slots_off, slot_size) = (at(6), at(4));
        let what = "cannot write the segment";
        let file = File::options().read(true).write(true).open(&path).map_err(|e| broken(what, &e))?;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        file.write_all_at(&bytes, 0).map_err(|e| broken(what, &e))?;
        file.set_len(bytes.len() as u64).map_err(|e| broken(what, &e))?;
        if let Some(spoil) = setup.spoil {
            spoil(&path).map_err(|e| broken(what, &e))?;
        }
        let writer = Dialogue::start(command(world, &setup, &path)).map_err(|e| {
            let program = world.writer.first().map_or_else(String::new, |program| program.display().to_string());
            let why = Error::io("", &e).why().to_owned();
            let e = Error::new(ErrorKind::Usage, format!("cannot start the writer '{program}'"), why);
            Halt::Broken(e.hint("it is the command after '--', and reads calls from its standard input"))
        })?;
        let index = RESERVED.0;
        Ok(Self { world, writer, folder, path, file, slots_off, slot_size, index, last: String::new() })
    }

    /// Makes a call: its answer.
    pub(super) fn call(&mut self, call: &str) -> Result<String, Halt> {
        self.last = call.into();
        match self.answer(call) {
            _ if self.world.is_stopped() => Err(Halt::Stopped),
            Ok(answer) if answer == "unsupported" => Err(Halt::Unsupported(format!("'{call}' is not supported"))),
            Ok(answer) => match answer.strip_prefix("unsupported ") {
                Some(why) => Err(Halt::Unsupported(format!("'{call}' is not supported: {why}"))),
                None => Ok(answer),
            },
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                fail(format!("'{call}' was not answered within {:?}", self.world.deadline))
            }
            Err(e) if e.kind() == io::ErrorKind::InvalidData => fail(format!("the answer to '{call}' is no UTF-8")),
            Err(e) => fail(format!("the writer ended, or closed its side, at '{call}': {e}")),
        }
    }

    fn answer(&mut self, call: &str) -> io::Result<String> {
        self.writer.say(call)?;
        let deadline = clock::monotonic_ns().saturating_add(u64::try_from(self.world.deadline.as_nanos()).unwrap_or(u64::MAX));
        loop {
            let left = Duration::from_nanos(deadline.saturating_sub(clock::monotonic_ns()));
            match self.writer.hear(left.min(TURN)) {
                Err(e) if e.kind() == io::ErrorKind::TimedOut && !left.is_zero() && !self.world.is_stopped() => {}
                other => return other,
            }
        }
    }

    /// Makes a call that must be answered so.
    pub(super) fn expect(&mut self, call: &str, expected: &str) -> Proof {
        let answer = self.call(call)?;
        if answer == expected { Ok(()) } else { fail(format!("'{call}' was answered '{answer}', expected '{expected}'")) }
    }

    /// Makes a call that has nothing to say.
    pub(super) fn tell(&mut self, call: &str) -> Proof {
        self.expect(call, "ok")
    }

    /// A call that may be refused, with a code and a sentence, and with nothing else.
    pub(super) fn refused(&mut self, call: &str) -> Result<u32, Halt> {
        let answer = self.call(call)?;
        let error = answer.strip_prefix("error ").and_then(|rest| rest.split_once(' '));
        match error.map(|(code, why)| (code.parse(), why)) {
            Some((Ok(code), why)) if code != 0 && !why.is_empty() => Ok(code),
            _ => fail(format!("'{call}' was answered '{answer}', expected 'error CODE WHY'")),
        }
    }

    /// The slot's number in an answer.
    pub(super) fn slot_of(&mut self, call: &str) -> Result<u32, Halt> {
        let answer = self.call(call)?;
        match answer.strip_prefix("slot ").and_then(|number| number.parse().ok()) {
            Some(slot) => Ok(slot),
            None => fail(format!("'{call}' was answered '{answer}', expected 'slot N'")),
        }
    }

    /// Attaches as the environment says, to the slot that is reserved.
    pub(super) fn attach(&mut self) -> Proof {
        self.expect("attach - -", &format!("slot {}", RESERVED.0))
    }

    /// Attaches where no slot is reserved: to whichever is found, which is the one that is looked at from here on.
    pub(super) fn attach_anywhere(&mut self) -> Result<u32, Halt> {
        self.index = self.slot_of("attach - -")?;
        Ok(self.index)
    }

    fn at(&self, slot: u32) -> u64 {
        self.slots_off + u64::from(slot) * self.slot_size
    }

    /// The writer's slot.
    pub(super) fn seen(&self) -> Result<Seen, Halt> {
        self.seen_at(self.index)
    }

    pub(super) fn seen_at(&self, slot: u32) -> Result<Seen, Halt> {
        read(&self.file, self.at(slot), &self.last)
    }

    /// Every byte of the segment.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Halt> {
        let failed = |e| broken("cannot read the segment", &e);
        let mut bytes = vec![0; self.file.metadata().map_err(failed)?.len() as usize];
        self.file.read_exact_at(&mut bytes, 0).map_err(failed)?;
        Ok(bytes)
    }

    /// Writes a word of a slot, as a monitor or another owner would. The writer waits for a call meanwhile.
    pub(super) fn write(&self, slot: u32, name: &str, word: u64) -> Proof {
        let at = FIELDS.iter().find(|(field, _)| *field == name).map_or(0, |(_, at)| *at);
        let at = self.at(slot) + at as u64;
        self.file.write_all_at(&word.to_le_bytes(), at).map_err(|e| broken("cannot write the slot", &e))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder.0
    }

    pub(super) fn writer(&self) -> &Dialogue {
        &self.writer
    }

    /// The process's own file in /proc, while it waits for a call.
    pub(super) fn proc(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.writer.pid()).into()
    }

    /// Closes the writer's input: it must end, and well. What it left stays readable for as long as the file is.
    pub(super) fn end(self) -> Result<(File, Vec<PathBuf>), Halt> {
        let Self { world, writer, folder, file, .. } = self;
        match writer.end(world.deadline) {
            Ok(End::Code(0)) => {}
            Ok(end) => return fail(format!("the writer ended with {end} when its input was closed, expected exit code 0")),
            Err(_) => return fail(format!("the writer did not end within {:?} after its input was closed", world.deadline)),
        }
        let left = fs::read_dir(&folder.0).map_err(|e| broken("cannot read the scratch folder", &e))?;
        Ok((file, left.filter_map(|entry| Some(entry.ok()?.path())).collect()))
    }
}

fn command(world: &World, setup: &Setup, path: &Path) -> Command {
    let mut words = world.writer.iter();
    let mut command = Command::new(words.next().map_or_else(Default::default, Clone::clone));
    command.args(words);
    for (name, _) in of_process() {
        command.env_remove(name);
    }
    let (index, generation) = RESERVED;
    // So that no name of a segment leads out of the folder.
    command.env("HANGWATCH_DIR", path.parent().unwrap_or(path));
    if setup.told != Told::Nothing {
        command.env("HANGWATCH_SEGMENT", path).env("HANGWATCH_NAME", NAME).env("HANGWATCH_DEVICE", DEVICE.to_string());
    }
    if setup.told == Told::All {
        command.env("HANGWATCH_SLOT", format!("{index}:{generation}"));
    }
    command.envs(setup.variables.iter().copied());
    command
}

/// The check of a header whose words were changed, made right again.
pub(super) fn seal(words: &mut [u64]) {
    let fixed: [u64; 32] = std::array::from_fn(|i| words.get(i).copied().unwrap_or(0));
    words[31] = hangwatch::layout::header::check(&fixed);
}

/// Changes the fixed part of a header, and makes its check right again.
pub(super) fn refit(words: &mut [u64], change: impl FnOnce(&mut Fixed)) {
    let mut fixed = Fixed::from_words(&std::array::from_fn(|i| words[i]));
    change(&mut fixed);
    words[..32].copy_from_slice(&fixed.words());
}
