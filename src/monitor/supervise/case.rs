//! One process and all it started, under the ladder: asked, looked at, ended, swept, and what it held given back.

mod act;

use super::evidence::{self, Gathered};
use super::host::Spawner;
use super::mail::Ask;
use super::slots::{Of, Slots};
use super::world::World;
use crate::clock;
use crate::evidence::Moment;
use crate::judge::Verdict;
use crate::layout::word::Owner;
use crate::monitor::report;
use crate::monitor::scan::Judged;
use crate::policy::{Policy, ns};
use crate::recover::{Act, Exit, Ladder, Patience, Tree};
use crate::tell::{Event, EventKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What is left of a tree is looked at again this soon.
const RETRY: Duration = Duration::from_millis(50);
/// The same of what SIGKILL does not end: that may last for days, and each look is one at every process there is.
const RETRY_UNKILLABLE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Case {
    /// Answers of threads name it: unique for a supervisor.
    id: u64,
    of: Of,
    tree: Tree,
    ladder: Ladder,
    hung: Option<Box<Judged>>,
    /// It never claimed its slot, and is ended for that: there is nothing of it that could be judged.
    never_attached: bool,
    exit: Option<Exit>,
    /// It has ended, and its host is asked how.
    untold_since: Option<u64>,
    /// Its slots as they were at its exit, or when its jobs were given up.
    slots: Vec<(u32, Owner)>,
    lost: Option<Vec<String>>,
    log: Option<PathBuf>,
    /// The program that has made it is gone, and what it was given leads there alone.
    is_leftover: bool,
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// It is there, or some of its tree is.
    Going,
    /// All of it has just gone: whoever wants its place says whether what it held must be free first.
    Swept,
    /// Its place can be taken.
    Clear,
}

fn patience(policy: &Policy) -> Patience {
    Patience {
        evidence: ns(policy.evidence_wait),
        grace: ns(policy.grace),
        d_wait: ns(policy.d_wait),
        reclaim: ns(policy.reclaim_wait),
    }
}

impl Case {
    pub(super) fn new(tree: Tree, of: Of, log: Option<PathBuf>, world: &World<'_>) -> Self {
        Self {
            id: world.next_case(),
            of,
            tree,
            ladder: Ladder::new(patience(world.policy)),
            hung: None,
            never_attached: false,
            exit: None,
            untold_since: None,
            slots: Vec::new(),
            lost: None,
            log,
            is_leftover: false,
        }
    }

    /// Of no use any more: it is to go.
    pub(super) fn end_leftover(&mut self, world: &World<'_>) {
        self.is_leftover = true;
        self.end(world);
    }

    pub(super) fn is_leftover(&self) -> bool {
        self.is_leftover
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn pid(&self) -> u32 {
        self.tree.pid()
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Whether it has ended, and its host does not know yet how.
    pub(super) fn is_untold(&self) -> bool {
        self.untold_since.is_some()
    }

    pub(super) fn is_unkillable(&self) -> bool {
        self.ladder.is_unkillable()
    }

    pub(super) fn was_hung(&self) -> bool {
        self.hung.is_some() || self.never_attached
    }

    /// When there is something to do though nothing happened: nothing tells that what is left of a tree has gone.
    pub(super) fn deadline(&self, now: u64) -> Option<u64> {
        if self.untold_since.is_some() && self.exit.is_none() {
            return Some(now.saturating_add(ns(RETRY)));
        }
        match (self.ladder.is_sweeping(), self.ladder.is_unkillable()) {
            (true, true) => Some(now.saturating_add(ns(RETRY_UNKILLABLE))),
            (true, false) => Some(now.saturating_add(ns(RETRY))),
            (false, _) => self.ladder.deadline(),
        }
    }

    /// A thread's answer, if it is about this one.
    pub(super) fn answer(&mut self, ask: &Ask, world: &World<'_>) {
        match ask {
            Ask::Gathered(id, gathered) if *id == self.id => self.gathered(gathered, world),
            Ask::Reclaimed(id) if *id == self.id => self.reclaimed(),
            _ => {}
        }
    }

    /// Whether the slot is one of its own, or was when it exited: until it is buried that is still its to tell of and to free.
    pub(super) fn owns(&self, index: u32, owner: Owner, slots: &Slots) -> bool {
        match self.ladder.awaits_exit() {
            true => slots.is_of(index, owner, self.of, self.pid()),
            false => self.slots.contains(&(index, owner)),
        }
    }

    /// A scan found it hung. Returns whether its recovery begins now.
    pub(super) fn hung(&mut self, judged: &Judged, history: &[Moment], world: &World<'_>) -> bool {
        let Some(act) = self.ladder.begin(world.now, world.gatherer.is_some()) else { return false };
        self.hung = Some(Box::new(judged.clone()));
        // Of what it did before it is asked to stop.
        evidence::gather(self.id, judged, history, &self.tree, self.log.clone(), world);
        self.climb(Some(act), world);
        true
    }

    /// It has not claimed its slot in time. Returns whether its recovery begins now.
    pub(super) fn unclaimed(&mut self, world: &World<'_>) -> bool {
        let Some(act) = self.ladder.begin(world.now, world.gatherer.is_some()) else { return false };
        self.never_attached = true;
        evidence::gather_unclaimed(self.id, self.event(EventKind::Opened, world), &self.tree, self.log.clone(), world);
        self.climb(Some(act), world);
        true
    }

    /// It is to go for another reason.
    pub(super) fn end(&mut self, world: &World<'_>) {
        let act = self.ladder.begin(world.now, false);
        self.climb(act, world);
    }

    /// It is to go, without what is left of the grace.
    pub(super) fn hurry(&mut self, world: &World<'_>) {
        let act = self.ladder.hurry(world.now);
        self.climb(act, world);
    }

    /// What could be seen of it was gathered.
    fn gathered(&mut self, gathered: &Gathered, world: &World<'_>) {
        world.told.tell(self.event(EventKind::Evidence, world).with_detail(gathered.sentence()));
        let act = self.ladder.gathered(world.now);
        self.climb(act, world);
    }

    /// What it held is free again, or that is of no interest.
    pub(super) fn reclaimed(&mut self) {
        self.ladder.reclaimed();
    }

    /// How its leader ended, if it has; its host may have reaped it meanwhile.
    fn exit_of_tree(&mut self, world: &World<'_>) -> Option<Exit> {
        let (exit, pid) = (self.tree.exit()?, self.pid());
        let Some(host) = self.host(world).filter(|_| exit == Exit::Unknown) else { return Some(exit) };
        if let Some(status) = host.ended(pid) {
            return Some(status.into());
        }
        // Whoever has reaped it tells its host next.
        let since = *self.untold_since.get_or_insert(world.now);
        (world.now.saturating_sub(since) >= ns(world.policy.d_wait)).then_some(Exit::Unknown)
    }

    /// Who made it, where that was the program around the monitor.
    fn host<'a>(&self, world: &World<'a>) -> Option<&'a Arc<dyn Spawner>> {
        if self.is_of_others() || self.is_leftover { None } else { world.fleet.host() }
    }

    /// Deadlines that have come, an exit that has happened, what has gone of its tree.
    pub(super) fn advance(&mut self, world: &World<'_>) -> Course {
        self.tree.look_at_leader();
        if self.ladder.awaits_exit()
            && let Some(exit) = self.exit_of_tree(world)
        {
            self.exit = Some(exit);
            // Those that were told lost already are set aside by now, and still its own.
            let now = world.slots.of(self.of, self.pid());
            self.slots.extend(now.into_iter().filter(|slot| !self.slots.contains(slot)).collect::<Vec<_>>());
            self.tell_lost(world);
            let act = self.ladder.exited(world.now);
            self.climb(act, world);
        }
        let mut swept = false;
        if self.ladder.is_sweeping() && self.tree.sweep() == 0 {
            swept = self.ladder.swept(world.now).is_some();
        }
        self.climb(None, world);
        match self.ladder.is_clear() {
            true => Course::Clear,
            false if swept => Course::Swept,
            false => Course::Going,
        }
    }

    /// Does what the ladder asks for, and whatever is due besides.
    fn climb(&mut self, first: Option<Act>, world: &World<'_>) {
        let mut next = first.or_else(|| self.ladder.tick(world.now));
        while let Some(act) = next {
            self.act(act, world);
            next = self.ladder.tick(world.now);
        }
    }

    /// Whether somebody else spawned it.
    fn is_of_others(&self) -> bool {
        matches!(self.of, Of::Other(..))
    }

    /// An event about its slot, with all that was judged, where it was.
    pub(super) fn event(&self, kind: EventKind, world: &World<'_>) -> Event {
        match self.hung.as_deref() {
            None => Event {
                slot: Some(self.of.index()),
                pid: Some(self.pid()),
                verdict: self.never_attached.then_some(Verdict::NeverStarted),
                ..world.event(kind)
            },
            Some(judged) => about(judged, kind, world),
        }
    }

    /// One `lost_job` for each open job of its slots, the hung one marked; once.
    pub(super) fn tell_lost(&mut self, world: &World<'_>) {
        if self.lost.is_some() {
            return;
        }
        if self.slots.is_empty() {
            self.slots = world.slots.of(self.of, self.pid());
        }
        let mut reader = world.slots.reader();
        let mut lost = Vec::new();
        for &(index, owner) in &self.slots {
            let Some(mut event) = world.lost_job(&mut reader, index, owner) else { continue };
            let hung = self.hung.as_deref();
            let of_hung = hung.filter(|judged| judged.observation.index == index);
            event.episode = of_hung.and_then(|judged| judged.episode);
            event.verdict = of_hung.map(|judged| judged.judgement.verdict);
            event.detail = Some(self.why_lost(of_hung, hung));
            // The hung one first: it is the one that a replacement names.
            let at = if of_hung.is_some() { 0 } else { lost.len() };
            event.job.clone().into_iter().for_each(|job| lost.insert(at, job));
            world.told.tell(event);
        }
        self.lost = Some(lost);
    }

    fn why_lost(&self, of_hung: Option<&Judged>, hung: Option<&Judged>) -> String {
        match (of_hung, hung, self.exit) {
            (Some(judged), _, _) => format!("its worker was {}", judged.judgement.verdict),
            (None, Some(judged), _) => {
                format!("in flight beside the {} job of slot {}", judged.judgement.verdict, judged.observation.index)
            }
            (None, None, Some(exit)) => format!("its worker ended with {exit}"),
            (None, None, None) => format!("its worker is {}", Verdict::Unkillable),
        }
    }

    /// Jobs that went with it.
    pub(super) fn lost(&self) -> u64 {
        self.lost.as_ref().map_or(0, |lost| lost.len() as u64)
    }

    /// What a replacement says of it.
    pub(super) fn before(&self) -> Buried {
        Buried { pid: self.pid(), jobs: self.lost.clone().unwrap_or_default(), hung: self.hung.clone() }
    }

    /// Its tree is gone: it is reaped and its slots are freed.
    pub(super) fn bury(self, world: &World<'_>) -> Buried {
        let (before, host) = (self.before(), self.host(world));
        self.tree.reap();
        if let Some(host) = host {
            host.gone(before.pid);
        }
        for slot in self.slots {
            match self.of {
                // Its handle was proven to be the owner's, and has exited, whatever namespace the owner's number is of.
                Of::Other(index, owner) if slot == (index, owner) => drop(world.slots.free(index, owner)),
                _ => drop(world.slots.free_if_dead(slot.0, slot.1)),
            }
        }
        before
    }
}

/// What a replacement says of the process before.
#[derive(Debug)]
pub(super) struct Buried {
    pub(super) pid: u32,
    pub(super) jobs: Vec<String>,
    /// What it was judged to be, if that is why it went.
    pub(super) hung: Option<Box<Judged>>,
}

/// An event about a worker that was judged.
pub(super) fn about(judged: &Judged, kind: EventKind, world: &World<'_>) -> Event {
    let event = report::event(kind, &world.slots.name(), clock::wall(), &judged.observation, judged.judgement.verdict);
    Event { episode: judged.episode, detail: None, ..event }
}
