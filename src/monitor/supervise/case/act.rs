//! What a rung of the ladder does, and what is told of it.

use super::Case;
use crate::error::Error;
use crate::evidence::stuck;
use crate::monitor::report;
use crate::monitor::supervise::world::World;
use crate::policy::Policy;
use crate::recover::Act;
use crate::tell::EventKind;
use crate::tell::text::age;

impl Case {
    pub(super) fn act(&mut self, act: Act, world: &World<'_>) {
        let (pid, policy) = (self.pid(), world.policy);
        let (kind, result, text) = match act {
            // A worker that reads its command word may end its own way before a signal reaches it.
            Act::Ask => return world.slots.ask_to_stop(self.of, pid),
            Act::Sweep | Act::Reclaim => return,
            Act::Terminate => {
                let grace = age(policy.grace.as_secs_f64());
                let then = match () {
                    () if self.is_of_others() => "; who spawned it may start it again",
                    () if self.is_leftover => "; the program that has made it is gone, and another one takes its place",
                    () => "",
                };
                let text = format!("SIGTERM to pid {pid} and its tree, SIGKILL after {grace}{then}");
                (EventKind::Action, self.tree.terminate(), text)
            }
            Act::Kill => {
                let text = format!("SIGKILL to pid {pid} and its tree: still there after SIGTERM");
                (EventKind::Action, self.tree.kill(), text)
            }
            Act::ReportUnkillable => (EventKind::Quarantined, Ok(()), self.unkillable(policy)),
            Act::ReportUnreclaimed => {
                let waited = age(policy.reclaim_wait.as_secs_f64());
                (
                    EventKind::Action,
                    Ok(()),
                    format!("what pid {pid} held is not free {waited} after its end; it is respawned all the same"),
                )
            }
        };
        let mut event = self.event(kind, world);
        let text = if world.stopping && kind == EventKind::Action { format!("stopping: {text}") } else { text };
        report::add_detail(&mut event, text);
        if let Err(e) = result {
            report::add_detail(&mut event, Error::io("the signal failed", &e).to_string());
        }
        world.told.tell(event);
    }

    fn unkillable(&self, policy: &Policy) -> String {
        let (pid, waited) = (self.pid(), age(policy.d_wait.as_secs_f64()));
        let who = match self.exit {
            None => {
                let place = self.tree.handle().ok().and_then(|fd| stuck(pid, &fd));
                let place = place.map_or_else(String::new, |place| format!(", {place}"));
                format!("pid {pid} is still there {waited} after SIGKILL{place}")
            }
            Some(_) => {
                let left: Vec<String> = self.tree.holders().iter().map(u32::to_string).collect();
                format!("pid {pid} has ended, but {} of its tree is still there {waited} after SIGKILL", left.join(", "))
            }
        };
        let then = if self.is_of_others() {
            "nothing more can be done about it from here"
        } else if policy.respawn_unkillable {
            "it is replaced all the same, in another slot"
        } else {
            "it is not replaced while it may hold its device; --respawn-unkillable would"
        };
        format!("{who}: {then}")
    }
}
