//! What a case and a replica need of their supervisor.

use super::fleet::Fleet;
use super::ledger::Ledger;
use super::mail::Mail;
use super::slots::{Reserved, Slots};
use crate::clock;
use crate::evidence::Gatherer;
use crate::layout::fnv1a64_of_bytes;
use crate::layout::word::{Owner, Tag};
use crate::monitor::report;
use crate::monitor::scan::Judged;
use crate::policy::Policy;
use crate::reader::Reader;
use crate::tell::text::{age, escaped};
use crate::tell::{Event, EventKind, Told};
use std::cell::RefCell;
use std::os::unix::ffi::OsStrExt;

pub(super) struct World<'a> {
    /// Monotonic, of this turn.
    pub(super) now: u64,
    pub(super) slots: &'a Slots,
    pub(super) policy: &'a Policy,
    pub(super) told: &'a Told,
    pub(super) fleet: &'a Fleet,
    pub(super) ledger: &'a RefCell<Ledger>,
    pub(super) mail: &'a Mail,
    pub(super) stopping: bool,
    /// Devices that processes hold which cannot be ended.
    pub(super) held_devices: &'a [String],
    pub(super) gatherer: Option<&'a Gatherer>,
}

impl World<'_> {
    pub(super) fn event(&self, kind: EventKind) -> Event {
        Event::new(kind, self.slots.name(), clock::wall())
    }

    pub(super) fn next_case(&self) -> u64 {
        self.ledger.borrow_mut().next_case()
    }

    /// A recovery begins: of which model, and whether that model hangs too often.
    pub(super) fn hung(&self, judged: &Judged) {
        let model = judged.observation.info.as_ref().map(|info| escaped(&info.model)).filter(|model| !model.is_empty());
        let mut ledger = self.ledger.borrow_mut();
        ledger.hung(model.as_deref());
        let Some(model) = model else { return };
        if let Some(hangs) = ledger.models.hung(&model, self.now, self.policy) {
            let window = age(self.policy.model_window.as_secs_f64());
            let detail = format!("{hangs} hangs in {window}; workers that are started from now on are told so");
            self.told.tell(Event { model: Some(model), ..self.event(EventKind::Quarantined) }.with_detail(detail));
        }
    }

    /// A slot whose owner died while nobody watched: its job is told lost.
    pub(super) fn bury_owner(&self, index: u32) {
        let Some(slot) = self.slots.slot(index).filter(|slot| slot.peek_owner().tag() == Tag::Live) else { return };
        let Some(dead) = self.slots.proven_dead(slot) else { return };
        if let Some(event) = self.lost_job(&mut self.slots.reader(), index, dead) {
            self.told.tell(event.with_detail("its worker ended while no supervisor was there"));
        }
    }

    /// The open job of this owner of a slot, as one that is lost: it is counted, and still to be told. `None` where none is open.
    pub(super) fn lost_job(&self, reader: &mut Reader, index: u32, owner: Owner) -> Option<Event> {
        let snapshot = reader.read(index).filter(|snapshot| snapshot.owner == owner)?;
        let event = report::open_job(EventKind::LostJob, &self.slots.name(), clock::wall(), &snapshot)?;
        self.ledger.borrow_mut().lost(event.model.as_deref());
        Some(event)
    }

    /// The name of a cgroup that no other start has.
    pub(super) fn cgroup(&self, reserved: Reserved) -> String {
        let segment = fnv1a64_of_bytes(self.slots.segment.path().as_os_str().as_bytes().iter().copied());
        format!("hangwatch-{segment:016x}-{}-{}", reserved.index, reserved.generation)
    }
}
