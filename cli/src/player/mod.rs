//! A worker with a fault, played in this process: the operators' drill, and the demo's cast.
//!
//! | file | holds |
//! |---|---|
//! | `fault` | what can go wrong |
//! | `pace` | when it is over: time, a signal |
//! | `scenes` | the worker's work, and what each fault makes of it |

mod fault;
mod pace;
mod scenes;

use std::time::Duration;

pub(crate) use fault::Fault;
pub(crate) use pace::{End, Pace};
pub(crate) use scenes::play;

/// What is played.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) fault: Fault,
    /// Label of the jobs.
    pub(crate) name: String,
    pub(crate) model: String,
    pub(crate) batch: u64,
    /// Steps of a job.
    pub(crate) steps: u64,
    pub(crate) step_time: Duration,
    /// Between two signs of life of a worker that makes no progress.
    pub(crate) beat_time: Duration,
    /// Percentage at which the fault strikes.
    pub(crate) at: u64,
    /// Jobs in all; a fault that ends the work strikes in the last one.
    pub(crate) jobs: u64,
    /// The timeout that a slow step exceeds by three tenths.
    pub(crate) slow: Duration,
}

impl Script {
    /// The step after which the fault strikes: the first at or past the percentage.
    fn trouble(&self) -> u64 {
        let step = (u128::from(self.steps) * u128::from(self.at.min(100))).div_ceil(100);
        u64::try_from(step).unwrap_or(self.steps)
    }
}
