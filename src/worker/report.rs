//! The worker's handle and its vocabulary.

use super::helper::{Helper, Shared};
use super::job::{Job, Outcome, Total};
use super::sections::{Outer, Replaced, Sections};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::hot::{Count, Pen};
use crate::layout::info::{Info, NO_DEVICE};
use crate::layout::phase::{Class, Phase};
use crate::layout::user_phase::NAME_MAX;
use crate::layout::word::{Epoch, Kind, Lease, Owner, PhaseWord};
use crate::os::liveness::Hold;
use crate::os::time;
use crate::segment::{Segment, SlotHandle};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A worker's slot. `step` and `beat` belong to the thread that works: the type is `Send`, not `Sync`.
///
/// On a detached handle, and on one inherited through `fork`, every method does nothing. Dropping it frees the slot.
#[derive(Debug)]
#[repr(C)]
pub struct Worker {
    /// What `step` and `beat` go through: C's inline functions know it. Mute on a GPU lane, whose progress and beats are the
    /// device's.
    pub(super) handle: SlotHandle,
    pub(super) pen: Pen,
    /// Present where each report carries a coarse clock. C's inline functions call it; here a direct call is as quick.
    pub(super) clock: Option<time::Clock>,
    /// What all else goes through.
    pub(super) host: SlotHandle,
    pub(super) rest: Box<Rest>,
    pub(super) not_sync: PhantomData<Cell<()>>,
}

/// What no step touches.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) owner: Owner,
    pub(super) index: u32,
    /// Proof for a monitor that did not spawn this process; `None` where it could not be had.
    pub(super) hold: Option<Hold>,
    pub(super) phase: PhaseWord,
    pub(super) sections: Sections,
    /// What the phase that was entered last took the place of, until anything else begins or ends.
    pub(super) replaced: Option<Replaced>,
    pub(super) job_total: Total,
    pub(super) lease: Lease,
    pub(super) info: Info,
    pub(super) failed: u32,
    pub(super) cancelled: u32,
    pub(super) jobs_ok: u64,
    pub(super) shared: Arc<Shared>,
}

impl Worker {
    /// A handle on which everything is a no-op: for programs that go on when attaching fails.
    pub fn detached() -> Self {
        Self::on(SlotHandle::detached(), Pen::dead(), false, Owner(0), 0, Info::default())
    }

    pub(super) fn on(handle: SlotHandle, pen: Pen, stamped: bool, owner: Owner, index: u32, info: Info) -> Self {
        let shared = Arc::new(Shared::new(pen.generation()));
        let rest = Rest {
            owner,
            index,
            hold: None,
            phase: PhaseWord::default(),
            sections: Sections::new(),
            replaced: None,
            job_total: Total::None,
            lease: Lease::default(),
            info,
            failed: 0,
            cancelled: 0,
            jobs_ok: 0,
            shared,
        };
        let host = handle.clone();
        let handle = if owner.kind() == Kind::Gpu { handle.muted() } else { handle };
        Self { handle, pen, clock: stamped.then_some(time::CLOCK), host, rest: Box::new(rest), not_sync: PhantomData }
    }

    /// Whether a report reaches a slot. On a GPU lane it goes on from what the device has reported.
    fn begin_report(&mut self) -> bool {
        let Some(slot) = self.host.live() else { return false };
        if self.is_gpu() {
            self.pen.resync(slot);
        }
        true
    }

    fn is_gpu(&self) -> bool {
        self.rest.owner.kind() == Kind::Gpu
    }

    /// The stamp, where stamps are on.
    #[inline(always)]
    fn now(&self) -> Option<u64> {
        self.is_stamped().then(time::coarse_ns)
    }

    /// `done` units of this count are done. Two stores and a private branch; with stamps one coarse clock more.
    /// Progress that falls back is no progress. `u64::MAX` means "none yet" and is not for callers.
    #[inline(always)]
    pub fn step(&mut self, done: u64) {
        let Some(slot) = self.handle.live() else { return };
        // Two calls, each with a constant: stamps are asked for once, not at every store.
        if self.is_stamped() {
            self.pen.step(slot, done, Some(time::coarse_ns()));
        } else {
            self.pen.step(slot, done, None);
        }
    }

    /// The working thread lives, without progress.
    #[inline(always)]
    pub fn beat(&mut self) {
        let Some(slot) = self.handle.live() else { return };
        if self.is_stamped() {
            self.pen.beat(slot, Some(time::coarse_ns()));
        } else {
            self.pen.beat(slot, None);
        }
    }

    /// Some helper thread lives. At most a sign that the process runs; use [`Worker::helper`] on that thread.
    pub fn alive(&self) {
        self.rest.shared.say_alive(&self.host);
    }

    /// A handle for helper threads; it outlives the worker harmlessly.
    pub fn helper(&self) -> Helper {
        Helper { handle: self.host.clone(), shared: Arc::clone(&self.rest.shared) }
    }

    /// Enters a phase, in place of all sections that are open; inside a job its count starts anew, and inference gets its own
    /// count back when the job returns to it.
    pub fn phase(&mut self, phase: Phase) {
        self.phase_total(phase, Total::None);
    }

    /// Enters a phase that counts `total` units (a load's bytes).
    pub fn phase_total(&mut self, phase: Phase, total: Total) {
        let Some(shown) = self.shown() else { return };
        let job_open = shown.word.job_open();
        let sections = &mut self.rest.sections;
        let replaced = Replaced { sections: sections.clone(), shown };
        sections.replace(shown);
        let back = if job_open && phase == Phase::Inference { sections.take_inference() } else { None };
        let (flags, count) = match back {
            Some(inference) => (inference.word.flags(), inference.count),
            None if job_open && phase == Phase::Inference => {
                (sections.next_flags(job_open), Count::fresh(self.rest.job_total.word()))
            }
            None => (sections.next_flags(job_open), Count::fresh(total.word())),
        };
        self.show(Epoch(self.pen.epoch), phase.id(), flags, count, false);
        self.rest.replaced = Some(replaced);
    }

    /// Enters a section within the phase or section that is open: a load or a compile in the middle of a job, with a count
    /// and a budget of its own. When it is left, the one around it goes on with its count and the budget that it had left.
    ///
    /// Eight are open at most, the phase that they are in among them; one more changes nothing, nor does leaving it. `phase`,
    /// `begin_job` and `end_job` end all of them. [`Worker::section`] leaves by itself.
    pub fn enter(&mut self, phase: Phase, total: Total) {
        let Some(shown) = self.shown() else { return };
        if self.rest.sections.push(shown) {
            let flags = self.rest.sections.next_flags(shown.word.job_open());
            self.show(Epoch(self.pen.epoch), phase.id(), flags, Count::fresh(total.word()), false);
        }
    }

    /// Leaves the section entered last; without one it does nothing.
    pub fn leave(&mut self) {
        if !self.begin_report() {
            return;
        }
        if let Some(outer) = self.rest.sections.pop() {
            self.show(Epoch(self.pen.epoch), outer.word.id(), outer.word.flags(), outer.count, false);
        }
    }

    /// The phase that the slot shows; `None` where reports reach none.
    pub fn shows(&self) -> Option<Phase> {
        self.host.live().map(|_| Phase::from_id(self.rest.phase.id()))
    }

    /// What the slot shows; `None` where reports reach none.
    pub(super) fn shown(&mut self) -> Option<Outer> {
        if !self.begin_report() {
            return None;
        }
        Some(Outer { word: self.rest.phase, count: self.pen.count(self.host.live()?) })
    }

    /// Registers a phase of your own, with its budget (`Duration::ZERO`: none), or finds it by name.
    pub fn register_phase(&self, name: &str, class: Class, budget: Duration) -> Result<Phase> {
        let what = || format!("cannot register phase '{}'", name.escape_default());
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(Error::new(
                ErrorKind::Usage,
                what(),
                format!("its name has {} bytes, expected 1 to {NAME_MAX}", name.len()),
            ));
        }
        if let Some(known) = Phase::from_name(name) {
            return Ok(known);
        }
        let (Some(segment), Some(_)) = (self.host.segment(), self.host.live()) else { return Ok(Phase::Unknown(u16::MAX)) };
        let budget_ns = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
        segment.register_phase(name, class, budget_ns).map(Phase::User).ok_or_else(|| {
            Error::new(ErrorKind::Full, what(), "all 48 user phases of the segment are taken")
                .hint("reuse a name; a phase may carry on under its old one, work goes on either way")
        })
    }

    /// Begins a job: enters `inference`, with counts and clocks of its own.
    pub fn begin_job(&mut self, id: &str, model: &str, total: Total) {
        self.begin_job_with(&Job::new(id).model(model).total(total));
    }

    /// Begins a job of which more is known.
    pub fn begin_job_with(&mut self, job: &Job<'_>) {
        if !self.begin_report() {
            return;
        }
        // A GPU lane is its device's, whatever the job runs on besides.
        let device = if self.is_gpu() { None } else { job.device };
        let epoch = Epoch(self.pen.epoch).next_job();
        self.rest.job_total = job.total;
        self.rest.sections.clear();
        let flags = self.rest.sections.next_flags(true);
        let info = &mut self.rest.info;
        info.job = epoch.job();
        info.job_start_boottime_ns = time::boottime_ns();
        info.deadline_ns = job.deadline.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX).max(1));
        info.batch = job.batch;
        info.size = job.size;
        info.device = device.map_or(info.device, u64::from);
        info.job_id = job.id.into();
        info.model = job.model.into();
        info.detail.clear();
        self.show(epoch, Phase::Inference.id(), flags, Count::fresh(job.total.word()), true);
    }

    /// A legitimate restart of the count within the job (a second pass at higher resolution). The phase goes on, and so
    /// does a lease: a pass is no entry.
    pub fn begin_pass(&mut self) {
        let now = self.now();
        self.begin_report();
        let Some(slot) = self.host.live() else { return };
        let total = self.pen.count(slot).total;
        self.rest.sections.begin_counts_again();
        self.rest.replaced = None;
        self.pen.boundary(slot, Epoch(self.pen.epoch).next_pass(), self.rest.phase, Count::fresh(total));
        self.pen.beat(slot, now);
    }

    /// Ends the job and enters `idle`. Without an open job nothing is counted: an error path may end it a second time.
    pub fn end_job(&mut self, outcome: Outcome) {
        self.begin_report();
        let rest = &mut self.rest;
        let Some(slot) = self.host.live() else { return };
        match outcome {
            _ if !rest.phase.job_open() => {}
            Outcome::Ok => rest.jobs_ok += 1,
            Outcome::Failed => rest.failed = rest.failed.wrapping_add(1),
            Outcome::Cancelled => rest.cancelled = rest.cancelled.wrapping_add(1),
        }
        slot.publish_jobs(rest.jobs_ok, rest.failed, rest.cancelled);
        let info = &mut rest.info;
        (info.job_start_boottime_ns, info.deadline_ns, info.batch, info.size) = (0, 0, 0, 0);
        info.job_id.clear();
        rest.sections.clear();
        let flags = rest.sections.next_flags(false);
        self.show(Epoch(self.pen.epoch), Phase::Idle.id(), flags, Count::fresh(Total::None.word()), true);
    }

    /// Everything that starts another count goes through here.
    pub(super) fn show(&mut self, epoch: Epoch, phase: u16, flags: u16, count: Count, publish_info: bool) {
        let now = self.now();
        let Some(slot) = self.host.live() else { return };
        let next = PhaseWord::new(phase, flags, self.rest.phase.entry().wrapping_add(1));
        self.rest.replaced = None;
        if self.rest.lease.ms() != 0 {
            self.rest.lease = Lease::new(self.rest.lease.seq().wrapping_add(1), 0);
            slot.publish_lease(self.rest.lease);
        }
        self.pen.boundary(slot, epoch, next, count);
        self.rest.phase = next;
        if publish_info {
            slot.publish_info(&self.rest.info);
        }
        self.pen.beat(slot, now);
    }

    /// "I may be silent this long from now": a compile, a graph capture, a checkpoint. The newest lease replaces the one
    /// before; `Duration::ZERO` ends it. It suspends the heartbeat, progress and phase clocks, never a job's deadline.
    pub fn extend(&mut self, silence: Duration) {
        let now = self.now();
        self.begin_report();
        let Some(slot) = self.host.live() else { return };
        // Rounded up: a lease must not end before what was asked for.
        let ms = u64::try_from(silence.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        self.rest.lease = Lease::new(self.rest.lease.seq().wrapping_add(1), ms);
        slot.publish_lease(self.rest.lease);
        self.pen.beat(slot, now);
    }

    /// Free text beside the job (up to 96 bytes): shown in events and `inspect`.
    pub fn note(&mut self, text: &str) {
        if let Some(slot) = self.host.live() {
            self.rest.info.detail = text.into();
            slot.publish_info(&self.rest.info);
        }
    }

    /// Whether a monitor asks this worker to stop: finish or abandon the job and end. One load.
    pub fn should_stop(&self) -> bool {
        self.host.live().is_some_and(|slot| slot.peek_stop(self.pen.generation()))
    }

    /// A further slot for a job in flight beside this one's, so that one wedged job is not masked by healthy ones.
    pub fn lane(&self, name: &str) -> Result<Self> {
        match (self.host.segment(), self.host.live()) {
            (Some(segment), Some(_)) => super::attach::lane(segment, self, name),
            _ => Ok(Self::detached()),
        }
    }

    /// A slot that a device writes itself, on a page of its own: while a kernel runs, its progress and beats are the device's;
    /// between kernels this handle sets phases, begins and ends jobs. `step` and `beat` on it do nothing. It begins idle.
    /// Its host's own slot goes on beside it, so a kernel that never returns is found though its host thread still beats.
    ///
    /// Begin a job before the kernel is launched, end it once you have waited for its end. `device` is the number that people
    /// know it by, `u32::MAX` the one that this worker named. Fails where the segment's slots
    /// are not 4096 bytes apart. The device's side is `hangwatch_cuda.cuh`.
    pub fn gpu_lane(&self, name: &str, device: u32) -> Result<Self> {
        match (self.host.segment(), self.host.live()) {
            (Some(segment), Some(_)) => super::attach::gpu_lane(segment, self, name, device),
            _ => Ok(Self::detached()),
        }
    }

    /// Gives the slot back. Dropping does the same.
    pub fn detach(self) {}

    /// Whether reports reach a slot: false when detached, and in a forked child.
    pub fn is_attached(&self) -> bool {
        self.host.live().is_some()
    }

    /// The slot's index, if attached.
    pub fn slot(&self) -> Option<u32> {
        self.host.live().map(|_| self.rest.index)
    }

    /// How often the slot was claimed, this time included, modulo 2^16.
    pub fn generation(&self) -> u16 {
        self.pen.generation()
    }

    /// The segment it reports into, if attached.
    pub fn segment(&self) -> Option<&Segment> {
        self.host.live().and(self.host.segment()).map(Arc::as_ref)
    }

    /// Whether each report carries a coarse clock.
    #[inline(always)]
    pub fn is_stamped(&self) -> bool {
        self.clock.is_some()
    }

    /// The device that was named at attach or by the job.
    pub fn device(&self) -> Option<u32> {
        (self.rest.info.device != NO_DEVICE).then_some(self.rest.info.device as u32)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.rest.shared.attached.store(false, Relaxed);
        // In a forked child the handle is not live: the parent's slot stays the parent's.
        self.begin_report();
        if let Some(slot) = self.host.live() {
            // A monitor looks for change in the line of the beats first: a last one tells it to look at the owner too.
            self.pen.beat(slot, None);
            // Before the slot is free: the next owner is to find its byte free too.
            self.rest.hold = None;
            slot.release(self.rest.owner);
        }
    }
}
