//! The reclaim gate: a command of the operator that succeeds once what a worker held, such as its GPU's memory, is free again.

use super::mail::{Ask, Mail};
use crate::clock;
use crate::helper;
use crate::os::wake::wait_readable;
use crate::policy::ns;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// What is asked.
pub(super) struct Probe {
    pub(super) argv: Vec<OsString>,
    pub(super) variables: Vec<(String, String)>,
    /// In all.
    pub(super) wait: Duration,
}

/// Asks on a thread of its own, again and again, until the answer is yes, the time is over or the supervisor is
/// to end; then tells by mail.
pub(super) fn ask(case: u64, probe: Probe, mail: Mail) -> Option<JoinHandle<()>> {
    let until_free = move || {
        let deadline = clock::monotonic_ns().saturating_add(ns(probe.wait));
        loop {
            let left = Duration::from_nanos(deadline.saturating_sub(clock::monotonic_ns()));
            if left.is_zero() {
                // The case's own deadline says so.
                return;
            }
            let [program, arguments @ ..] = probe.argv.as_slice() else { return };
            let mut command = Command::new(program);
            command.args(arguments).envs(probe.variables.iter().map(|(name, value)| (name, value)));
            match helper::run_unless(mail.stopping.as_fd(), command, b"", left, 4096) {
                Ok(finished) if finished.is_success() => {
                    mail.send(Ask::Reclaimed(case));
                    return;
                }
                Ok(finished) => tracing::debug!("the reclaim probe ended with {}", finished.end),
                Err(e) => tracing::warn!("cannot run the reclaim probe '{}': {e}", program.to_string_lossy()),
            }
            let pause = PAUSE.min(Duration::from_nanos(deadline.saturating_sub(clock::monotonic_ns())));
            if wait_readable(&[mail.stopping.as_fd()], Some(pause))[0] {
                return;
            }
        }
    };
    let spawned = std::thread::Builder::new().name("hangwatch-reclaim".into()).spawn(until_free);
    spawned.inspect_err(|e| tracing::warn!("cannot ask whether what a worker held is free: {e}")).ok()
}
