//! What a poll looks at first: one cache line of each slot, against 32 bytes of the monitor's own. A slot in which neither
//! changed, and that is not due, is quiet, and costs no more.

use crate::layout::Slot;

/// Owner words looked at in one poll besides: an owner that goes without a last beat is seen when its turn comes.
const OWNERS: usize = 256;

/// What was there at the last look.
#[derive(Debug, Clone, Copy)]
struct Glance {
    beat: u64,
    alive: u64,
    owner: u64,
    /// The monitor's clock from which it is read though nothing changed.
    due: u64,
}

/// All slots' glances.
#[derive(Debug)]
pub(super) struct Glances {
    slots: Vec<Glance>,
    turn: usize,
}

impl Glances {
    pub(super) fn new(slots: u32) -> Self {
        let unknown = Glance { beat: u64::MAX, alive: u64::MAX, owner: u64::MAX, due: 0 };
        Self { slots: vec![unknown; slots as usize], turn: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// A poll begins: other owner words have their turn.
    pub(super) fn begin(&mut self) {
        self.turn = (self.turn + OWNERS) % self.slots.len().max(1);
    }

    /// Whether the slot is to be read at this poll; if so, whether it reported.
    pub(super) fn look(&mut self, index: usize, slot: &Slot, now: u64) -> Option<bool> {
        let (beat, alive) = (slot.peek_beat().0, slot.peek_alive().0);
        let ahead = if index >= self.turn { index - self.turn } else { index + self.slots.len() - self.turn };
        let glance = self.slots.get_mut(index)?;
        let changed = glance.beat != beat || glance.alive != alive;
        let wanted = changed || glance.due <= now || (ahead < OWNERS && slot.peek_owner().0 != glance.owner);
        if changed {
            (glance.beat, glance.alive) = (beat, alive);
        }
        wanted.then_some(changed)
    }

    /// It was read: whose it is, and when it is due. One that reported is read once more at the next poll, for a last beat
    /// comes just before the slot is given back.
    pub(super) fn read(&mut self, index: usize, owner: u64, reported: bool, due: u64) {
        if let Some(glance) = self.slots.get_mut(index) {
            glance.owner = owner;
            glance.due = if reported { 0 } else { due };
        }
    }

    /// It is read at the next poll, whatever its words say.
    pub(super) fn want(&mut self, index: usize) {
        if let Some(glance) = self.slots.get_mut(index) {
            glance.due = 0;
        }
    }

    /// The same for all.
    pub(super) fn want_all(&mut self) {
        self.slots.iter_mut().for_each(|glance| glance.due = 0);
    }
}
