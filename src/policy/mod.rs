//! What is expected of a worker: budgets, intervals, limits. Plain data; where a value came from is the caller's to keep.
//!
//! Layers: defaults < profile < file < environment < flags. A policy that does not hold together is refused as a whole, and
//! the one in force stays.

use std::time::Duration;

/// The policy in force. Durations are of the monitor's accumulated clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Time between two polls.
    pub poll_interval: Duration,
    /// Inference: how long neither beat, step nor alive may be seen.
    pub heartbeat_timeout: Duration,
    /// Inference: how long progress may stay at its mark.
    pub progress_timeout: Duration,
    /// All of this long silent together: one event about the host.
    pub process_timeout: Duration,
    /// From the claim to the first beat, and `starting`.
    pub starting_timeout: Duration,
    /// `received`.
    pub received_timeout: Duration,
    /// `downloading`.
    pub downloading_timeout: Duration,
    /// `downloading_aux`.
    pub downloading_aux_timeout: Duration,
    /// `loading`.
    pub loading_timeout: Duration,
    /// `compiling`.
    pub compiling_timeout: Duration,
    /// `post_processing`, for a batch of none.
    pub post_processing_timeout: Duration,
    /// What each item of the batch adds to it.
    pub post_processing_per_batch: Duration,
    /// The batch that is assumed where a job says none.
    pub max_batch: u64,
    /// `safety`.
    pub safety_timeout: Duration,
    /// `ending`.
    pub ending_timeout: Duration,
    /// User phases that name no budget, and phases that this version does not know.
    pub other_phase_timeout: Duration,
    /// A phase other than inference may last this many budgets in all, signs of life or not.
    pub max_phase_factor: f64,
    /// The longest lease that is honoured.
    pub max_lease: Duration,
    /// Leases in sum between two advances.
    pub max_lease_sum: Duration,
    /// Passes of one job that restart the progress clock.
    pub max_passes: u64,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// From SIGKILL to `unkillable`.
    pub d_wait: Duration,
    /// The first pause before a respawn.
    pub backoff: Duration,
    /// The longest: pauses double up to it.
    pub backoff_max: Duration,
    /// Restarts of one worker within `restart_window` before hangwatch gives up.
    pub max_restarts: u64,
    /// See `max_restarts`.
    pub restart_window: Duration,
    /// From the opening of an episode to its first reminder; the next come at doubling distances.
    pub reminder: Duration,
    /// Polls that a freed slot rests.
    pub cooldown_polls: u64,
    /// A slot that is reserved and never claimed counts as a worker that never started.
    pub require_attach: bool,
    /// End when a replacement fails.
    pub exit_on_unhandled_faults: bool,
}

impl Default for Policy {
    fn default() -> Self {
        use crate::layout::phase::Phase;
        let budget = |phase: Phase| Duration::from_secs(phase.row().map_or(0, |row| row.budget_s));
        let inference = budget(Phase::Inference);
        Self {
            poll_interval: Duration::from_secs(1),
            heartbeat_timeout: inference,
            progress_timeout: inference,
            process_timeout: Duration::from_secs(300),
            starting_timeout: budget(Phase::Starting),
            received_timeout: budget(Phase::Received),
            downloading_timeout: budget(Phase::Downloading),
            downloading_aux_timeout: budget(Phase::DownloadingAux),
            loading_timeout: budget(Phase::Loading),
            compiling_timeout: budget(Phase::Compiling),
            post_processing_timeout: budget(Phase::PostProcessing),
            post_processing_per_batch: Duration::from_secs(3),
            max_batch: 1,
            safety_timeout: budget(Phase::Safety),
            ending_timeout: budget(Phase::Ending),
            other_phase_timeout: inference,
            max_phase_factor: 10.0,
            max_lease: Duration::from_secs(30 * 60),
            max_lease_sum: Duration::from_secs(60 * 60),
            max_passes: 16,
            grace: Duration::from_secs(10),
            d_wait: Duration::from_secs(10),
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
            max_restarts: 5,
            restart_window: Duration::from_secs(600),
            reminder: Duration::from_secs(60),
            cooldown_polls: 2,
            require_attach: false,
            exit_on_unhandled_faults: false,
        }
    }
}

use crate::layout::phase::Phase;
use crate::layout::user_phase::UserPhase;

impl Policy {
    /// The budget of a phase other than inference; `None` where none runs.
    pub fn phase_budget(&self, phase: Phase, batch: u64, user: Option<&UserPhase>) -> Option<Duration> {
        let batch = u32::try_from(if batch == 0 { self.max_batch } else { batch }.min(1024)).unwrap_or(1024);
        match phase {
            Phase::Starting => Some(self.starting_timeout),
            Phase::Received => Some(self.received_timeout),
            Phase::Downloading => Some(self.downloading_timeout),
            Phase::DownloadingAux => Some(self.downloading_aux_timeout),
            Phase::Loading => Some(self.loading_timeout),
            Phase::Compiling => Some(self.compiling_timeout),
            Phase::PostProcessing => Some(self.post_processing_timeout + self.post_processing_per_batch * batch),
            Phase::Safety => Some(self.safety_timeout),
            Phase::Ending => Some(self.ending_timeout),
            Phase::Idle | Phase::Ended | Phase::Inference => None,
            Phase::User(_) => match user {
                Some(user) if user.budget_ns == 0 => None,
                Some(user) => Some(Duration::from_nanos(user.budget_ns).max(self.poll_interval * 2)),
                None => Some(self.other_phase_timeout),
            },
            Phase::Unknown(_) => Some(self.other_phase_timeout),
        }
    }
}
