//! Some slots on the heap, an engine over them, and a time that passes only when it is told to.

use crate::engine::{Engine, Findings, Judged};
use crate::judge::Verdict;
use crate::layout::Slot;
use crate::layout::claim::Identity;
use crate::layout::hot::{Count, Pen};
use crate::layout::info::Info;
use crate::layout::phase::Phase;
use crate::layout::word::{Beat, Epoch, Kind, Lease, PhaseWord};
use crate::policy::{Policy, PolicySet};
use crate::snapshot::{HostSnapshot, Probe, Process, SlotSnapshot};
use std::sync::Arc;
use std::time::Duration;

pub(super) const S: u64 = 1_000_000_000;

/// One slot and the hand that writes it.
pub(super) struct Hand {
    pub(super) slot: Box<Slot>,
    pen: Pen,
    phase: PhaseWord,
    lease: Lease,
    alive: u64,
    pub(super) info: Arc<Info>,
    pub(super) probe: Probe,
}

impl Hand {
    pub(super) fn new(model: &str, name: &str) -> Self {
        Self::of(Kind::Worker, model, name)
    }

    pub(super) fn of(kind: Kind, model: &str, name: &str) -> Self {
        let slot = Box::new(Slot::zeroed());
        let owner = slot.claim(slot.peek_owner(), kind, 4821, &Identity::default(), |_, _| {}).expect("a free slot");
        let info = Arc::new(Info { model: model.into(), name: name.into(), ..Info::default() });
        let probe = Probe { process: Process::Running, ..Probe::default() };
        let pen = Pen::new(owner.generation());
        Self { slot, pen, phase: PhaseWord::default(), lease: Lease::default(), alive: 0, info, probe }
    }

    pub(super) fn enter(&mut self, phase: Phase, total: u64) {
        self.boundary(Epoch(self.pen.epoch), phase, 0, total);
    }

    pub(super) fn begin_job(&mut self, total: u64) {
        let epoch = Epoch(self.pen.epoch).next_job();
        let job = epoch.job();
        self.info = Arc::new(Info { job, job_id: format!("job-{job}"), ..(*self.info).clone() });
        self.boundary(epoch, Phase::Inference, PhaseWord::JOB_OPEN, total);
    }

    pub(super) fn end_job(&mut self) {
        self.enter(Phase::Idle, 0);
    }

    fn boundary(&mut self, epoch: Epoch, phase: Phase, flags: u16, total: u64) {
        self.phase = PhaseWord::new(phase.id(), flags, self.phase.entry().wrapping_add(1));
        self.pen.boundary(&self.slot, epoch, self.phase, Count::fresh(total));
        self.beat();
    }

    pub(super) fn beat(&mut self) {
        self.pen.beat(&self.slot, None);
    }

    pub(super) fn step(&mut self, done: u64) {
        self.pen.step(&self.slot, done, None);
    }

    pub(super) fn alive(&mut self) {
        self.alive += 1;
        self.slot.publish_alive(Beat(Beat::start(self.pen.generation()).0 + self.alive));
    }

    pub(super) fn extend(&mut self, seconds: u64) {
        self.lease = Lease::new(self.lease.seq().wrapping_add(1), seconds * 1000);
        self.slot.publish_lease(self.lease);
        self.beat();
    }

    pub(super) fn leave(&mut self) {
        self.slot.release(self.slot.peek_owner());
    }

    pub(super) fn snapshot(&self, index: u32) -> SlotSnapshot {
        let hot = self.slot.read_hot().ok();
        let owner = self.slot.peek_owner();
        SlotSnapshot { index, owner, hot, info: Some(Arc::clone(&self.info)), user_phase: None, probe: self.probe }
    }
}

/// Polls a second apart unless a test says otherwise.
pub(super) struct Stage {
    pub(super) hands: Vec<Hand>,
    pub(super) engine: Engine,
    pub(super) host: HostSnapshot,
    /// Takes all slots at every poll, not only those that changed or are due.
    pub(super) everything: bool,
    seen: Vec<Option<SlotSnapshot>>,
    pub(super) judged: Vec<Option<Judged>>,
}

pub(super) fn policy() -> Policy {
    let s = Duration::from_secs;
    Policy { heartbeat_timeout: s(20), progress_timeout: s(30), process_timeout: s(12), ..Policy::default() }
}

impl Stage {
    pub(super) fn new(hands: Vec<Hand>, policies: impl Into<PolicySet>) -> Self {
        let n = hands.len();
        let mut stage = Self {
            hands,
            engine: Engine::new(n, policies.into(), 0),
            host: HostSnapshot { monotonic_ns: 1000 * S, boottime_ns: 0, cpu_pressure_us: None },
            everything: false,
            seen: vec![None; n],
            judged: vec![None; n],
        };
        stage.poll();
        stage
    }

    /// A poll at the present instant.
    pub(super) fn poll(&mut self) -> Findings {
        self.engine.begin(&self.host);
        for index in 0..self.hands.len() {
            let snapshot = self.hands[index].snapshot(index as u32);
            let changed = self.seen[index].as_ref() != Some(&snapshot);
            if changed || self.everything || self.engine.is_due(index as u32) {
                self.seen[index] = Some(snapshot.clone());
                self.engine.take(snapshot);
            }
        }
        let findings = self.engine.finish();
        for judged in &findings.judged {
            self.judged[judged.observation.index as usize] = Some(judged.clone());
        }
        findings
    }

    /// Lets seconds pass, with `act` before each poll; what all of them found.
    pub(super) fn live(&mut self, seconds: u64, mut act: impl FnMut(&mut Vec<Hand>, u64)) -> Vec<Findings> {
        (0..seconds)
            .map(|second| {
                self.host.monotonic_ns += S;
                act(&mut self.hands, second);
                self.poll()
            })
            .collect()
    }

    pub(super) fn verdict(&self, index: usize) -> Option<Verdict> {
        self.judged[index].as_ref().map(|judged| judged.judgement.verdict)
    }
}
