//! What a segment holds after an instruction, and what a reader and a successor make of it.
#![allow(unsafe_code, reason = "the words of a segment, as the one who traces its writer sees them")]

use hangwatch::layout::HotWords;
use hangwatch::layout::UserPhase;
use hangwatch::layout::info::Info;
use hangwatch::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use hangwatch::layout::word::{Owner, Tag};
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Total};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SLOT: usize = 4096 / 8;
pub(crate) const OWNER: usize = SLOT + 0x80 / 8;
pub(crate) const EPOCH: usize = SLOT + 0x28 / 8;
pub(crate) const INFO_SEQ: usize = SLOT + 0xb8 / 8;
/// From the monitor's words on: what a segment of the same geometry can take over.
const SHARED: usize = 0x100 / 8;

/// A segment's words, mapped for as long as this lives.
pub(crate) struct Words(memmap2::MmapRaw);

impl Words {
    pub(crate) fn of(path: &Path) -> Self {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("a segment's file");
        Self(memmap2::MmapRaw::map_raw(&file).expect("a mapping"))
    }

    pub(crate) fn all(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned and lives as long as self; everybody touches it by atomics only, and nobody cuts it.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast::<AtomicU64>(), self.0.len() / 8) }
    }

    /// Whether a word differs from `before`, which then holds them all. Who writes them stands still.
    pub(crate) fn take(&self, before: &mut Vec<u64>) -> bool {
        let all = self.all();
        // Asked after every instruction: a loop of this test's unoptimised code would be most of the time.
        // SAFETY: both ranges have as many bytes; a traced child that stands still writes none of them.
        let same =
            before.len() == all.len() && unsafe { libc::memcmp(all.as_ptr().cast(), before.as_ptr().cast(), 8 * all.len()) } == 0;
        if !same {
            before.clear();
            before.extend(all.iter().map(|word| word.load(Relaxed)));
        }
        !same
    }
}

/// What a reader reads of slot 0.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) owner: Owner,
    pub(crate) hot: Option<HotWords>,
    /// Start time, inode, namespaces, thread, device, instant.
    pub(crate) identity: Option<[u64; 6]>,
    pub(crate) info: Option<Info>,
    pub(crate) phase: Option<UserPhase>,
}

/// A segment of the same geometry, into which the words of another one are copied: everything is tried on it.
pub(crate) struct Copy {
    words: Words,
    segment: Arc<Segment>,
}

impl Copy {
    pub(crate) fn new(path: &Path, geometry: Geometry) -> Self {
        let segment = Arc::new(Segment::create(path, geometry).expect("a segment"));
        Self { words: Words::of(path), segment }
    }

    /// Takes the words over, and reads what a reader would.
    pub(crate) fn read(&self, words: &[u64]) -> State {
        assert_eq!(words.len(), self.words.all().len(), "of the same geometry");
        for (to, from) in self.words.all().iter().zip(words).skip(SHARED) {
            to.store(*from, Relaxed);
        }
        let slot = self.segment.slot(0).expect("inside");
        State {
            owner: slot.peek_owner(),
            hot: slot.read_hot().ok(),
            identity: slot.read_identity().map(|(_, i)| {
                let namespaces = u64::from(i.pid_namespace) << 32 | u64::from(i.time_namespace);
                [i.starttime, i.pidfd_ino, namespaces, i.tid.into(), i.sub.into(), i.claimed_boottime_ns]
            }),
            info: slot.read_info(),
            phase: self.segment.user_phase(0),
        }
    }

    /// After its writer's proven death: a successor claims the slot, and is read as it reports. What is wrong, if anything is.
    pub(crate) fn succeed(&self) -> Result<(), String> {
        let slot = self.segment.slot(0).expect("inside");
        let dead = slot.peek_owner();
        self.words.all()[OWNER].store(dead.freed().0, Relaxed);
        let mut successor = Attach::new().name("successor").attach_to(&self.segment).map_err(|e| format!("no successor: {e}"))?;
        if successor.slot() != Some(0) || successor.generation() != dead.generation().wrapping_add(1) {
            return Err(format!("generation {} after {}", successor.generation(), dead.generation()));
        }
        successor.begin_job("next", "next-model", Total::Known(9));
        successor.step(1);
        successor.note("its note");
        let (hot, info) = (slot.read_hot().map_err(|e| format!("{e:?}"))?, slot.read_info().ok_or("no record")?);
        let said = (hot.progress, hot.total, &*info.name, &*info.job_id, &*info.detail, info.generation);
        let right = said == (1, 9, "successor", "next", "its note", successor.generation());
        if right { Ok(()) } else { Err(format!("of a successor: {said:?}")) }
    }
}

/// What is wrong with a state in the middle of an operation of process `pid`, between the state before it and the one after it.
pub(crate) fn wrong_with(state: &State, before: &State, after: &State, pid: u32) -> Option<String> {
    let (owner, tag) = (state.owner, state.owner.tag());
    let known = match tag {
        Tag::Free => owner.pid() == 0,
        Tag::Claiming | Tag::Live => owner.pid() == pid,
        _ => false,
    };
    if !known || ![before.owner.generation(), after.owner.generation()].contains(&owner.generation()) {
        return Some(format!("I3: {owner:?} names nobody who can be proven dead"));
    }
    if tag == Tag::Live && (state.hot.is_none() || state.identity.is_none()) {
        return Some("I3: a LIVE slot cannot be read".into());
    }
    let whose = if owner == before.owner { before } else { after };
    if tag == Tag::Live && whose.owner == owner && state.identity != whose.identity {
        return Some(format!("I2: an identity of two owners: {:?}", state.identity));
    }
    if state.info.is_none() || state.info != before.info && state.info != after.info {
        return Some(format!("I2: a record that nobody published: {:?}", state.info));
    }
    if state.phase.is_some() && state.phase != after.phase {
        return Some(format!("a phase that nobody registered: {:?}", state.phase));
    }
    let hot = state.hot.as_ref()?;
    (!belongs(hot, before.hot.as_ref(), after.hot.as_ref())).then(|| format!("I2, I5: counts of two epochs: {hot:?}"))
}

/// Whether the count is the epoch's and the phase's, or nobody's; and not older than the beat.
fn belongs(hot: &HotWords, before: Option<&HotWords>, after: Option<&HotWords>) -> bool {
    let is_of = |one: &HotWords| (one.owner, one.epoch.job(), one.phase) == (hot.owner, hot.epoch.job(), hot.phase);
    let counts =
        |one: &HotWords| [one.progress, NO_PROGRESS].contains(&hot.progress) && [one.total, TOTAL_NONE].contains(&hot.total);
    let of_before = before.is_some_and(|before| is_of(before) && counts(before));
    let of_after = after.is_some_and(|after| is_of(after) && counts(after));
    // The count that follows is stored before the phase that it belongs to, and both after the epoch.
    let between = before.is_some_and(|before| before.phase == hot.phase && before.epoch.job() != hot.epoch.job());
    let is_new = |after: &HotWords| hot.owner == after.owner && hot.beat == after.beat;
    let new_beat = after.is_some_and(|after| is_new(after) && before.is_none_or(|before| before.beat != after.beat));
    let is_whole = after.is_some_and(|after| (hot.progress, hot.total, hot.epoch) == (after.progress, after.total, after.epoch));
    let nobodys = hot.progress == NO_PROGRESS && hot.total == TOTAL_NONE;
    (of_before || of_after || (between && nobodys)) && (!new_beat || is_whole)
}
