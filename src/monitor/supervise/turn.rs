//! One turn's questions, and what is done about each.

use super::case::about;
use super::children::Children;
use super::evidence;
use super::mail::Ask;
use super::replica::Replica;
use super::wards::Wards;
use super::world::World;
use crate::evidence::Moment;
use crate::monitor::proof::Unproven;
use crate::monitor::scan::Judged;
use crate::recover::Cap;
use crate::tell::EventKind;

/// Why a monitor that neither spawns nor acts does nothing.
pub(in crate::monitor) const OBSERVES: &str =
    "this monitor observes only; one in mode 'act' ends whom it can prove, and 'hangwatch run' replaces whom it spawns";

pub(super) const OBSERVES_RUN: &str = "this run observes only";

/// What a turn changes.
pub(super) struct Parts<'a> {
    pub(super) replicas: &'a mut Vec<Replica>,
    pub(super) wards: Option<&'a mut Wards>,
    pub(super) children: Option<&'a Children>,
    pub(super) told_would: &'a mut Vec<u64>,
    pub(super) cap: &'a mut Cap,
}

impl Parts<'_> {
    pub(super) fn answer(&mut self, ask: Ask, world: &World<'_>) {
        match ask {
            Ask::Policy(_) | Ask::Segment(_) => {}
            Ask::Hung(judged, history) => self.hung(&judged, history, world),
            Ask::Unclaimed(reserved) => {
                let replica = self.replicas.iter_mut().find(|replica| replica.reserved() == reserved);
                replica.into_iter().for_each(|replica| replica.unclaimed(world));
            }
            Ask::Advanced(index) => {
                let replica = self.replicas.iter_mut().find(|replica| replica.reserved().index == index);
                replica.into_iter().for_each(|replica| replica.advanced(world.now, world.policy));
            }
            ask @ (Ask::Gathered(..) | Ask::Reclaimed(_)) => {
                // One about a process that has gone meanwhile is about nobody.
                let wards = self.wards.iter_mut().flat_map(|wards| wards.cases_mut());
                self.replicas.iter_mut().filter_map(Replica::up_mut).chain(wards).for_each(|case| case.answer(&ask, world));
            }
        }
    }

    fn hung(&mut self, judged: &Judged, history: Vec<Moment>, world: &World<'_>) {
        let (index, owner) = (judged.observation.index, judged.observation.owner);
        match self.replicas.iter_mut().find(|replica| replica.owns(index, owner, world.slots)) {
            // A judgement of a former owner is about nobody who is here now.
            Some(replica) if world.slots.slot(index).is_some_and(|slot| slot.peek_owner() == owner) => {
                if judged.judgement.verdict.is_death() {
                    // Its exit is ours to see, through its pidfd.
                } else if world.fleet.acts {
                    // It is asked again at the next poll, while it stands.
                    let may = !judged.frozen_with_all || self.cap.allows(world.now, world.policy);
                    if may && replica.hung(judged, &history, world) {
                        self.cap.begun(world.now);
                    }
                } else {
                    self.would_act(judged, history, world, OBSERVES_RUN);
                }
            }
            Some(_) => {}
            None => self.not_ours(judged, history, world),
        }
    }

    /// A worker that others spawned: the dead give their slot back. The living are ended where this monitor may, and else it is
    /// said what would be done.
    fn not_ours(&mut self, judged: &Judged, history: Vec<Moment>, world: &World<'_>) {
        let (o, verdict) = (&judged.observation, judged.judgement.verdict);
        // One that was replaced though it could not be ended is no stranger: its job was told lost.
        let had = self.replicas.iter().any(|replica| replica.had(o.index, o.owner, world.slots));
        if had || self.wards.as_ref().is_some_and(|wards| wards.has(o.index, o.owner, world.slots)) {
            return;
        }
        if verdict.is_death() {
            // The scan has seen it exit through a handle. Where the process is of a namespace below and was reaped, nothing shows
            // it now but in the first namespace.
            let freed = world.slots.free_if_dead(o.index, o.owner) || world.slots.free(o.index, o.owner);
            if freed && o.job.is_some() {
                world.told.tell(about(judged, EventKind::LostJob, world).with_detail("its process ended with the job open"));
            }
            return;
        }
        let Some(wards) = self.wards.as_mut() else {
            let why = if self.replicas.is_empty() {
                OBSERVES
            } else {
                "it is no child of this monitor, which acts on its own children only"
            };
            return self.would_act(judged, history, world, why);
        };
        if world.stopping || judged.frozen_with_all && !self.cap.allows(world.now, world.policy) {
            return;
        }
        match wards.hung(judged, &history, world) {
            Ok(true) => self.cap.begun(world.now),
            Ok(false) => {}
            // It is judged anew, as what it is by now.
            Err(Unproven::Changed | Unproven::Exited) => {}
            Err(why) => self.would_act(judged, history, world, &format!("its identity is not proven: {why}")),
        }
    }

    /// Says once an episode what would be done, and why it is not; and keeps what can be seen.
    fn would_act(&mut self, judged: &Judged, history: Vec<Moment>, world: &World<'_>, why: &str) {
        let (index, owner) = (judged.observation.index, judged.observation.owner);
        // Since it was judged it has left its slot, by its own end or by ours: nobody is there to be acted on.
        if world.slots.slot(index).is_some_and(|slot| slot.peek_owner() != owner) {
            return;
        }
        let Some(told) = self.told_would.get_mut(index as usize) else { return };
        let episode = judged.episode.unwrap_or(0);
        if *told != episode {
            *told = episode;
            world.told.tell(about(judged, EventKind::WouldAct, world).with_detail(why));
            evidence::gather_observed(judged, history, world);
        }
    }
}
