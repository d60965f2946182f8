//! From a worker to its evidence, and back.

use super::case::about;
use super::mail::Ask;
use super::world::World;
use crate::evidence::{Moment, Outcome, Subject};
use crate::judge::Verdict;
use crate::monitor::scan::Judged;
use crate::os::pidfd::PidFd;
use crate::recover::Tree;
use crate::tell::{Event, EventKind};
use std::path::PathBuf;

/// What came of it.
#[derive(Debug)]
pub(super) struct Gathered(Outcome);

impl Gathered {
    /// `futex wait: thread 4821 in S …; kept in '/var/…'`.
    pub(super) fn sentence(&self) -> String {
        let cause = self.0.cause.as_ref().map_or_else(|| "what it waits for is not known".into(), ToString::to_string);
        match &self.0.bundle {
            Ok(path) => format!("{cause}; kept in '{}'", path.display()),
            Err(e) => format!("{cause}; it could not be kept: {e}"),
        }
    }
}

/// Starts gathering of a worker that is to be ended; the answer comes by mail, at `evidence_wait` at the latest.
pub(super) fn gather(case: u64, judged: &Judged, history: &[Moment], tree: &Tree, log: Option<PathBuf>, world: &World<'_>) {
    let leader = || tree.handle().ok().map(|fd| (tree.pid(), 0, fd));
    start(judged, history.to_vec(), worker(judged, world).or_else(leader), log, world, by_mail(case, world));
}

/// The same of one that never claimed its slot: of the leader of its tree.
pub(super) fn gather_unclaimed(case: u64, event: Event, tree: &Tree, log: Option<PathBuf>, world: &World<'_>) {
    let Some(gatherer) = world.gatherer else { return };
    let (pid, fd, verdict, answer) = (tree.pid(), tree.handle().ok(), Verdict::NeverStarted, by_mail(case, world));
    let subject = Subject { event, pid, tid: 0, fd, history: Vec::new(), log, verdict };
    gatherer.gather(subject, world.policy.evidence_wait, move |outcome| answer(Gathered(outcome)));
}

/// The same of one that is left alone: it is told as an event when it is there.
pub(super) fn gather_observed(judged: &Judged, history: Vec<Moment>, world: &World<'_>) {
    let (told, event) = (world.told.clone(), about(judged, EventKind::Evidence, world));
    start(judged, history, worker(judged, world), None, world, move |gathered| {
        told.tell(event.with_detail(gathered.sentence()));
    });
}

fn by_mail(case: u64, world: &World<'_>) -> impl FnOnce(Gathered) + Send + use<> {
    let mail = world.mail.clone();
    move |gathered| {
        mail.send(Ask::Gathered(case, Box::new(gathered)));
    }
}

fn start(
    judged: &Judged,
    history: Vec<Moment>,
    worker: Option<(u32, u32, PidFd)>,
    log: Option<PathBuf>,
    world: &World<'_>,
    done: impl FnOnce(Gathered) + Send + 'static,
) {
    let Some(gatherer) = world.gatherer else { return };
    let (event, verdict) = (about(judged, EventKind::Opened, world), judged.judgement.verdict);
    let (pid, tid, fd) = worker.map_or((judged.observation.owner.pid(), 0, None), |(pid, tid, fd)| (pid, tid, Some(fd)));
    let subject = Subject { event, pid, tid, fd, history, log, verdict };
    gatherer.gather(subject, world.policy.evidence_wait, move |outcome| done(Gathered(outcome)));
}

/// The process and the thread that claimed the slot, which need not be the leader of its tree. `None` where it is not proven
/// to be the one that claimed.
fn worker(judged: &Judged, world: &World<'_>) -> Option<(u32, u32, PidFd)> {
    let (owner, identity) = world.slots.slot(judged.observation.index)?.read_identity()?;
    if owner != judged.observation.owner || !world.slots.is_here(&identity) {
        return None;
    }
    let fd = PidFd::open(owner.pid()).ok()?;
    (identity.pidfd_ino != 0 && fd.inode() == identity.pidfd_ino).then_some((owner.pid(), identity.tid, fd))
}
