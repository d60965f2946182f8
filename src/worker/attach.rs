//! Attaching: which segment, which slot, and the claim.

use super::report::Worker;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::claim::{Freed, Identity};
use crate::layout::hot::Pen;
use crate::layout::info::{Info, NO_DEVICE};
use crate::layout::phase::Phase;
use crate::layout::word::{Kind, Owner, Tag};
use crate::os::identity::{self, Myself};
use crate::os::liveness::Hold;
use crate::os::{canary, file, time};
use crate::segment::{Geometry, Segment, SlotHandle, death, env, path};
use crate::sync::Ordering::Relaxed;
use std::sync::Arc;

/// The environment's name of the segment: a name or a path.
pub const ENV_SEGMENT: &str = "HANGWATCH_SEGMENT";
/// The slot that a supervisor reserved, `index:generation`.
pub const ENV_SLOT: &str = "HANGWATCH_SLOT";
/// The device number that a supervisor assigned.
pub const ENV_DEVICE: &str = "HANGWATCH_DEVICE";
/// Names the models that keep hanging, one a line; a supervisor sets it for whoever chooses what a worker is to load.
pub const ENV_QUARANTINED_MODELS: &str = "HANGWATCH_QUARANTINED_MODELS";
/// The worker's label, where the program gives none.
pub const ENV_NAME: &str = "HANGWATCH_NAME";

pub use crate::segment::{ENV_ALLOWED_UIDS, ENV_SLOT_SIZE, ENV_SLOTS};

/// Attaches under `name`, as the environment says: with `HANGWATCH_SEGMENT` unset the handle is detached.
pub fn attach(name: &str) -> Result<Worker> {
    Attach::new().name(name).attach()
}

/// How to attach; everything not said is taken from the environment.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    segment: Option<String>,
    name: Option<String>,
    device: Option<u32>,
    stamps_off: bool,
    geometry: Option<Geometry>,
}

impl Attach {
    /// As the environment says.
    pub fn new() -> Self {
        Self::default()
    }

    /// Into this segment: a name, or a path (with a slash). It is made if it is absent.
    #[must_use]
    pub fn segment(mut self, name_or_path: impl Into<String>) -> Self {
        self.segment = Some(name_or_path.into());
        self
    }

    /// Under this label (up to 40 bytes). Labels may repeat; the slot is the key.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// On this device.
    #[must_use]
    pub fn device(mut self, device: u32) -> Self {
        self.device = Some(device);
        self
    }

    /// Without the coarse clock in each report (about 5 ns less a step; a reader without a live monitor sees no age then).
    #[must_use]
    pub fn without_stamps(mut self) -> Self {
        self.stamps_off = true;
        self
    }

    /// The geometry of the segment, if this worker is the one that makes it; else it is as [`ENV_SLOTS`] and [`ENV_SLOT_SIZE`]
    /// say.
    #[must_use]
    pub fn geometry(mut self, geometry: Geometry) -> Self {
        self.geometry = Some(geometry);
        self
    }

    /// Attaches. With no segment given here or in the environment, the handle is detached and everything on it a no-op.
    pub fn attach(&self) -> Result<Worker> {
        let from_env = env::text(ENV_SEGMENT)?;
        let Some(wanted) = self.segment.as_ref().or(from_env.as_ref()) else { return Ok(Worker::detached()) };
        let path = path::resolve(wanted)?;
        // A reserved slot is one of the environment's segment.
        let same_as_env = match &from_env {
            Some(name) => path::resolve(name)? == path,
            None => false,
        };
        let reserved = if same_as_env { env::text(ENV_SLOT)?.map(|text| parse_slot(&text)).transpose()? } else { None };
        let geometry = self.geometry.map_or_else(Geometry::from_env, Ok)?;
        let segment = Arc::new(Segment::open_or_create(&path, geometry)?);
        self.claim_in(&segment, reserved)
    }

    /// Attaches to a segment that is already mapped (for one, through the `shmem` door).
    pub fn attach_to(&self, segment: &Arc<Segment>) -> Result<Worker> {
        self.claim_in(segment, None)
    }

    fn claim_in(&self, segment: &Arc<Segment>, reserved: Option<(u32, u16)>) -> Result<Worker> {
        let device = match self.device {
            Some(device) => Some(device),
            None => env::text(ENV_DEVICE)?.map(|text| parse_device(&text)).transpose()?,
        };
        let name = match &self.name {
            Some(name) => name.clone(),
            None => env::text(ENV_NAME)?.unwrap_or_default(),
        };
        let info = Info { name, device: device.map_or(NO_DEVICE, u64::from), ..Info::default() };
        claim(segment, Kind::Worker, reserved, info, !self.stamps_off)
    }
}

/// A lane beside `worker`, in a slot of its own.
pub(super) fn lane(segment: &Arc<Segment>, worker: &Worker, name: &str) -> Result<Worker> {
    let base = &worker.rest.info;
    let info = Info { name: base.name.clone(), device: base.device, lane: name.into(), ..Info::default() };
    claim(segment, Kind::Lane, None, info, worker.is_stamped())
}

/// A GPU lane's device: the one that its worker named.
const OWN_DEVICE: u32 = u32::MAX;

/// A slot beside `worker` that `device` writes while a kernel runs; it begins idle, for a device has nothing to start.
pub(super) fn gpu_lane(segment: &Arc<Segment>, worker: &Worker, name: &str, device: u32) -> Result<Worker> {
    if !segment.has_slot_pages() {
        let what = format!("cannot make a GPU lane in segment '{}'", segment.path().display());
        let why = format!("its slots are {} bytes apart, expected 4096: a device needs a page", segment.fixed().slot_size);
        return Err(Error::new(ErrorKind::Usage, what, why)
            .hint("a segment that exists cannot change: remove it where nobody uses it, and make it anew")
            .hint(
                "with --slot-size 4096 for 'hangwatch run' or 'watch', or HANGWATCH_SLOT_SIZE=4096 for whoever attaches first",
            ));
    }
    let base = &worker.rest.info;
    let device = if device == OWN_DEVICE { base.device } else { device.into() };
    let info = Info { name: base.name.clone(), device, lane: name.into(), ..Info::default() };
    // Unstamped: a device has another clock, and a stamp of the host's would say nothing of it.
    let mut lane = claim(segment, Kind::Gpu, None, info, false)?;
    lane.phase(Phase::Idle);
    Ok(lane)
}

fn parse_slot(text: &str) -> Result<(u32, u16)> {
    let parsed = text.split_once(':').and_then(|(index, generation)| Some((index.parse().ok()?, generation.parse().ok()?)));
    parsed.ok_or_else(|| {
        env::wrong(ENV_SLOT, text, "expected 'index:generation', such as '3:7'")
            .hint("'hangwatch run' sets it; unset it otherwise")
    })
}

/// The first number of `0`, `0,1` or `cuda:0`; a device that has no number is not one of ours to name.
fn parse_device(text: &str) -> Result<u32> {
    let first = text.split(',').next().unwrap_or_default();
    let digits = first.rsplit(':').next().unwrap_or_default().trim();
    digits.parse().map_err(|_| env::wrong(ENV_DEVICE, text, "expected a device number, such as '0'"))
}

fn claim(segment: &Arc<Segment>, kind: Kind, reserved: Option<(u32, u16)>, info: Info, stamps: bool) -> Result<Worker> {
    let what = || format!("cannot attach to segment '{}'", segment.path().display());
    if !segment.is_writable() {
        return Err(Error::new(ErrorKind::Usage, what(), "it is mapped read-only"));
    }
    let me = identity::myself();
    let canary = canary::current()
        .map_err(|e| Error::io(what(), &e).hint("the fork canary needs MADV_WIPEONFORK (Linux 4.14 or newer)"))?;
    let stamped = stamps && segment.fixed().stamp_clock == 1 && time::has_vdso();
    let sub = if info.device == NO_DEVICE { 0 } else { info.device as u32 };
    let claimer = Claimer { segment, kind, me, sub, info: &info };
    let (index, owner) = claimer.find(reserved).ok_or_else(|| {
        let why = format!("all {} slots are taken and no owner is proven dead", segment.len());
        Error::new(ErrorKind::Full, what(), why)
            .hint(format!("see who has them with 'hangwatch status --segment {}'", segment.path().display()))
            .hint("a segment with more is made with --slots; one that exists cannot grow")
    })?;
    let info = Info { generation: owner.generation(), ..info };
    let handle = SlotHandle::new(segment, index, canary)
        .ok_or_else(|| Error::new(ErrorKind::System, what(), format!("slot {index} is past its end")))?;
    let mut worker = Worker::on(handle, Pen::new(owner.generation()), stamped, owner, index, info);
    // Without it a monitor that did not spawn this process only observes it: no reason to fail.
    worker.rest.hold = Hold::take(&file::sidecar(segment.path(), path::LIVENESS), index, segment.access()).ok();
    Ok(worker)
}

struct Claimer<'a> {
    segment: &'a Segment,
    kind: Kind,
    me: Myself,
    sub: u32,
    info: &'a Info,
}

impl Claimer<'_> {
    fn find(&self, reserved: Option<(u32, u16)>) -> Option<(u32, Owner)> {
        let first = self.segment.is_first_claim();
        self.reserved_slot(reserved)
            .or_else(|| self.left_by_exec(reserved, first))
            .or_else(|| self.free_slot())
            .or_else(|| self.dead_slot())
    }

    fn claim(&self, index: u32, expected: Owner) -> Option<(u32, Owner)> {
        let identity = Identity {
            starttime: self.me.starttime,
            pidfd_ino: self.me.pidfd_ino,
            pid_namespace: self.me.pidns_ino as u32,
            time_namespace: self.me.timens_ino as u32,
            tid: self.me.tid,
            sub: self.sub,
            claimed_boottime_ns: time::boottime_ns(),
        };
        let slot = self.segment.slot(index)?;
        let named = |slot: &crate::layout::Slot, generation| slot.publish_info(&Info { generation, ..self.info.clone() });
        slot.claim(expected, self.kind, self.me.pid, &identity, named).ok().map(|owner| (index, owner))
    }

    fn reserved_slot(&self, reserved: Option<(u32, u16)>) -> Option<(u32, Owner)> {
        let (index, generation) = reserved?;
        let owner = self.segment.slot(index)?.peek_owner();
        if owner.tag() == Tag::Reserved && owner.generation() == generation { self.claim(index, owner) } else { None }
    }

    /// After exec the process is the same and its handles are gone: its slots are its own to take over or to free.
    fn left_by_exec(&self, reserved: Option<(u32, u16)>, first: bool) -> Option<(u32, Owner)> {
        if !first || self.kind != Kind::Worker {
            return None;
        }
        let (device, inode) = self.segment.file_id()?;
        let mut mine: Vec<(u32, Owner)> =
            self.segment.slots().filter_map(|(i, slot)| Some((i, self.own_identity(slot)?))).collect();
        if mine.is_empty() || identity::mapped_elsewhere(device, inode, 1) {
            return None;
        }
        // The reserved slot first: the supervisor knows this worker by it.
        mine.sort_by_key(|(index, _)| Some(*index) != reserved.map(|(index, _)| index));
        let mut mine = mine.into_iter();
        let taken = mine.next().and_then(|(index, owner)| self.claim(index, owner));
        for (index, owner) in mine {
            if let Some(slot) = self.segment.slot(index) {
                slot.release(owner);
            }
        }
        taken
    }

    fn own_identity(&self, slot: &crate::layout::Slot) -> Option<Owner> {
        // Process 1 of another container has the same number: without any name of the kernel's for us no slot is known for ours.
        let is_known = self.me.pidfd_ino != 0 || (self.me.pidns_ino != 0 && self.me.starttime != 0);
        if !is_known || slot.peek_owner().pid() != self.me.pid {
            return None;
        }
        let (owner, identity) = slot.read_identity()?;
        let same = identity.starttime == self.me.starttime
            && identity.pidfd_ino == self.me.pidfd_ino
            && identity.pid_namespace == self.me.pidns_ino as u32
            && identity.time_namespace == self.me.timens_ino as u32;
        (owner.pid() == self.me.pid && same).then_some(owner)
    }

    fn free_slot(&self) -> Option<(u32, Owner)> {
        let hint = &self.segment.header().claim_hint;
        // Relaxed: a hint. It walks on, so that a freed slot is the last to be given again.
        let start = hint.load(Relaxed) % u64::from(self.segment.len());
        (0..u64::from(self.segment.len())).find_map(|i| {
            let index = ((start + i) % u64::from(self.segment.len())) as u32;
            let owner = self.segment.slot(index)?.peek_owner();
            let taken = if owner.tag() == Tag::Free { self.claim(index, owner) } else { None };
            if taken.is_some() {
                hint.store(u64::from(index) + 1, Relaxed);
            }
            taken
        })
    }

    /// No slot is free: one whose owner is proven dead will do, where no monitor has reclaimed it.
    fn dead_slot(&self) -> Option<(u32, Owner)> {
        self.segment.slots().find_map(|(index, slot)| {
            let dead = death::proven(self.segment, slot, self.me.pidns_ino)?;
            if slot.reclaim(dead, Freed::Free) { self.claim(index, dead.freed()) } else { None }
        })
    }
}
