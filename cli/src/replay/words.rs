//! What a worker of a recorded session would have written into its slot: rows in, words out.

use super::names::Names;
use super::session::{Key, Then};
use hangwatch::Phase;
use hangwatch::layout::HotWords;
use hangwatch::layout::UserPhase;
use hangwatch::layout::info::Info;
use hangwatch::layout::phase::Class;
use hangwatch::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use hangwatch::layout::word::{Beat, Epoch, Kind, Lease, Owner, PhaseWord, Tag};
use hangwatch::snapshot::{Probe, SlotSnapshot};
use std::sync::Arc;

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    State,
    Step,
    Alive,
    End,
}

/// A row of a worker's own.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) at: u64,
    pub(super) life: String,
    pub(super) phase: String,
    pub(super) job: Option<u64>,
    pub(super) model: String,
    pub(super) step: u64,
    pub(super) total: u64,
    pub(super) event: Event,
    pub(super) size: u64,
    pub(super) batch: u64,
}

/// Phases that the table has no row for: a worker registers them, with inference's budget of the policy that is replayed.
const USER_PHASES: [&str; 8] = ["text_encode", "denoise", "vae_decode", "prefill", "decode", "train", "eval", "between"];
const USER_BUDGET_NS: u64 = 600_000_000_000;

/// Names of the rows that are a phase of the table under another name.
const RENAMED: [(&str, &str); 5] = [
    ("start_up", "starting"),
    ("model_load", "loading"),
    ("download", "downloading"),
    ("lora_load", "downloading_aux"),
    ("post_process", "post_processing"),
];

/// A phase by the name that rows have for it.
fn phase(name: &str) -> Option<(Phase, &str)> {
    let name = RENAMED.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours);
    let name = if name == "shutdown" { "ending" } else { name };
    let user = || USER_PHASES.iter().position(|user| *user == name).map(|index| Phase::User(index as u8));
    Phase::from_name(name).or_else(user).map(|phase| (phase, name))
}

/// The hand that writes one slot.
#[derive(Debug)]
pub(super) struct Hand {
    index: u32,
    name: String,
    life: String,
    owner: Owner,
    hot: Option<HotWords>,
    info: Arc<Info>,
    user_phase: Option<UserPhase>,
    job: Option<u64>,
    last: u64,
}

impl Hand {
    pub(super) fn new(index: u32, name: &str) -> Self {
        Self {
            index,
            name: name.to_owned(),
            life: String::new(),
            owner: Owner::new(0, Tag::Free, Kind::Worker, 0),
            hot: None,
            info: Arc::default(),
            user_phase: None,
            job: None,
            last: 0,
        }
    }

    /// Which of the worker's lives it writes for; empty between two.
    pub(super) fn life(&self) -> &str {
        if self.hot.is_some() { &self.life } else { "" }
    }

    pub(super) fn snapshot(&self, probe: Probe) -> SlotSnapshot {
        SlotSnapshot {
            index: self.index,
            owner: self.owner,
            hot: self.hot,
            info: self.hot.map(|_| Arc::clone(&self.info)),
            user_phase: self.user_phase.clone().filter(|_| self.hot.is_some()).map(Into::into),
            probe,
        }
    }

    /// The worker gives its slot back.
    pub(super) fn leave(&mut self) -> Then {
        self.owner = self.owner.freed();
        self.hot = None;
        Then { working: false, left: true, key: Key::default(), steady: false }
    }

    fn claim(&mut self, life: &str) -> HotWords {
        life.clone_into(&mut self.life);
        let generation = self.owner.generation().wrapping_add(1);
        self.owner = Owner::new(generation, Tag::Live, Kind::Worker, 1000 * (self.index + 1) + u32::from(generation));
        self.job = None;
        self.last = 0;
        HotWords {
            owner: self.owner,
            beat: Beat::start(generation),
            epoch: Epoch::default(),
            phase: PhaseWord::default(),
            progress: NO_PROGRESS,
            total: TOTAL_NONE,
            lease: Lease::default(),
            alive: Beat::start(generation),
            stamp_ns: 0,
            progress_stamp_ns: 0,
        }
    }

    /// Takes a row in. `None` for a helper's beat; else what the silence after it is. An unknown phase is an error.
    pub(super) fn take(&mut self, row: &Row, names: &mut Names) -> Result<Option<Then>, String> {
        let (phase, name) = phase(&row.phase).ok_or_else(|| format!("unknown phase '{}'", row.phase))?;
        let mut hot = match self.hot.filter(|_| self.life == row.life) {
            Some(hot) => hot,
            None => self.claim(&row.life),
        };
        if row.event == Event::Alive {
            hot.alive = Beat(hot.alive.0 + 1);
            self.hot = Some(hot);
            return Ok(None);
        }
        hot.beat = Beat(hot.beat.0 + 1);
        hot.stamp_ns = row.at;
        let working = !matches!(phase, Phase::Idle | Phase::Ending | Phase::Ended);
        match row.event {
            Event::State => {
                if working && row.job.is_some() && row.job != self.job {
                    hot.epoch = hot.epoch.next_job();
                    self.job = row.job;
                }
                let flags = if working && row.job.is_some() { PhaseWord::JOB_OPEN } else { 0 };
                hot.phase = PhaseWord::new(phase.id(), flags, hot.phase.entry().wrapping_add(1));
                (hot.progress, hot.total, self.last) = (NO_PROGRESS, row.total, 0);
                self.user_phase = match phase {
                    Phase::User(index) => {
                        Some(UserPhase { index, class: Class::Work, budget_ns: USER_BUDGET_NS, name: name.to_owned() })
                    }
                    _ => None,
                };
            }
            Event::Step => {
                if row.step < self.last {
                    hot.epoch = hot.epoch.next_fall();
                }
                if hot.progress == NO_PROGRESS || row.step > hot.progress {
                    hot.progress_stamp_ns = row.at;
                }
                (hot.progress, hot.total, self.last) = (row.step, row.total, row.step);
            }
            Event::End => hot.phase = PhaseWord::new(hot.phase.id(), 0, hot.phase.entry()),
            Event::Alive => {}
        }
        self.hot = Some(hot);
        self.describe(row, hot.epoch.job());
        let is_step = row.event == Event::Step;
        let key = Key { model: names.id(&row.model), phase: names.id(name), rest: is_step };
        let steady = is_step && (row.total == 0 || row.step < row.total) && matches!(name, "denoise" | "decode" | "train");
        Ok(Some(Then { working: working && row.event != Event::End, left: false, key, steady }))
    }

    fn describe(&mut self, row: &Row, job: u32) {
        let info = Info {
            generation: self.owner.generation(),
            job,
            batch: row.batch,
            size: row.size,
            job_id: row.job.map(|job| job.to_string()).unwrap_or_default(),
            model: row.model.trim_matches('-').to_owned(),
            name: self.name.clone(),
            ..Info::default()
        };
        if *self.info != info {
            self.info = Arc::new(info);
        }
    }
}
