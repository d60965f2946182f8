use super::*;
use crate::layout::word::Tag;
use crate::monitor::supervise::host::{Spawner, Start};
use crate::monitor::supervise::ledger::Ledger;
use crate::monitor::supervise::mail::Mail;
use crate::os::wake::Bell;
use crate::segment::{Geometry, Segment};
use crate::tell::{Event, Teller};
use crate::{Attach, Worker};
use std::cell::RefCell;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel, sync_channel};

const S: u64 = 1_000_000_000;

/// A host that answers when the test does.
#[derive(Debug, Default)]
struct Host(Mutex<Vec<Start>>);

impl Spawner for Host {
    fn start(&self, start: Start) {
        self.0.lock().expect("no test panics with it").push(start);
    }

    fn ended(&self, _: u32) -> Option<ExitStatus> {
        None
    }

    fn gone(&self, _: u32) {}
}

/// A child in a group of its own, ended and reaped with the test.
struct Sleeps(Child);

impl Sleeps {
    fn new() -> Self {
        Self(Command::new("sleep").arg("1000").process_group(0).spawn().expect("sleep"))
    }
}

impl Drop for Sleeps {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One replica of a host, and all that it needs; each turn is at an instant of the test's.
struct Stage {
    _dir: tempfile::TempDir,
    segment: Arc<Segment>,
    host: Arc<Host>,
    fleet: Fleet,
    slots: Slots,
    policy: Policy,
    teller: Teller,
    events: Receiver<Event>,
    ledger: RefCell<Ledger>,
    mail: Mail,
    replica: Replica,
}

impl Stage {
    fn new(policy: Policy, fleet: impl FnOnce(Fleet) -> Fleet) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let segment = Segment::open_or_create(&dir.path().join("s"), Geometry::default()).expect("a segment");
        let segment = Arc::new(segment);
        let slots = Slots::new(Arc::clone(&segment));
        let host = Arc::new(Host::default());
        let (told, events) = channel();
        let teller = Teller::spawn(vec![Box::new(move |event: &Event| drop(told.send(event.clone())))]).expect("a thread");
        let bell = || Arc::new(Bell::new().expect("a descriptor"));
        let mail = Mail { queue: sync_channel(1).0, bell: bell(), stopping: bell() };
        let replica = Replica::new(0, Restart::OnFailure, slots.reserve_any().expect("a slot"));
        let fleet = fleet(Fleet::hosted(Arc::clone(&host) as Arc<dyn Spawner>));
        Self { _dir: dir, segment, host, fleet, slots, policy, teller, events, ledger: RefCell::default(), mail, replica }
    }

    fn at<T>(&mut self, now: u64, turn: impl FnOnce(&mut Replica, &World<'_>) -> T) -> T {
        let world = World {
            now,
            slots: &self.slots,
            policy: &self.policy,
            told: &self.teller.told(),
            fleet: &self.fleet,
            ledger: &self.ledger,
            mail: &self.mail,
            stopping: false,
            held_devices: &[],
            gatherer: None,
        };
        turn(&mut self.replica, &world)
    }

    fn advance(&mut self, now: u64) {
        self.at(now, |replica, world| replica.advance(None, world));
    }

    /// The start that the host was asked for last.
    fn asked(&self) -> Start {
        self.host.0.lock().expect("no test panics with it").pop().expect("it was asked")
    }

    /// The host is asked at `from`, and has made the child at `to`.
    fn started(&mut self, child: &Sleeps, from: u64, to: u64) {
        self.advance(from);
        assert!(self.asked().started(child.0.id(), || true));
        self.advance(to);
        assert!(self.replica.is_up());
    }

    fn hangs(&self) -> u64 {
        self.replica.report().hangs
    }

    /// Whether its slot is set aside for a child of it.
    fn is_reserved(&self) -> bool {
        self.slots.is_unclaimed(self.replica.reserved)
    }

    /// The replica's slot, claimed as its child does.
    fn claimed(&self) -> Worker {
        let reserved = self.replica.reserved;
        self.slots.unreserve(reserved);
        let worker = Attach::new().attach_to(&self.segment).expect("a free slot");
        assert_eq!((worker.slot(), worker.generation()), (Some(reserved.index), reserved.generation.wrapping_add(1)));
        worker
    }

    /// Every event, when all are told.
    fn events(self) -> Vec<Event> {
        drop(self.teller);
        self.events.try_iter().collect()
    }
}

fn attaching(seconds: u64) -> Policy {
    Policy { require_attach: true, starting_timeout: Duration::from_secs(seconds), ..Policy::default() }
}

#[test]
fn a_child_has_all_its_time_to_attach_however_long_its_host_took_to_make_it() {
    let child = Sleeps::new();
    let mut stage = Stage::new(attaching(4), |fleet| fleet);
    stage.started(&child, 0, 3 * S);
    // The scan counts from the reservation.
    stage.at(4 * S, |replica, world| replica.unclaimed(world));
    assert_eq!(stage.hangs(), 0, "it was there for 1 of 4 s");
    assert_eq!(stage.replica.deadline(), Some(7 * S), "it is looked at again when its own time is over");
    stage.advance(7 * S - 1);
    assert_eq!(stage.hangs(), 0);
    stage.advance(7 * S);
    assert_eq!(stage.hangs(), 1, "it never attached");
}

#[test]
fn a_child_that_came_when_the_time_was_over_has_all_its_time_too() {
    let child = Sleeps::new();
    let mut stage = Stage::new(attaching(4), |fleet| fleet);
    stage.advance(0);
    stage.at(4 * S, |replica, world| replica.unclaimed(world));
    assert!(stage.asked().started(child.0.id(), || true));
    stage.advance(5 * S);
    stage.advance(9 * S - 1);
    assert_eq!(stage.hangs(), 0);
    stage.advance(9 * S);
    assert_eq!(stage.hangs(), 1);
}

#[test]
fn nobody_is_ended_for_a_slot_that_was_claimed_or_where_that_is_not_wanted_or_by_one_that_observes() {
    let unwanted = Policy { require_attach: false, ..attaching(4) };
    for (policy, claims, observes) in [(attaching(4), true, false), (unwanted, false, false), (attaching(4), false, true)] {
        let child = Sleeps::new();
        let mut stage = Stage::new(policy, |fleet| if observes { fleet.observe() } else { fleet });
        stage.started(&child, 0, 3 * S);
        stage.at(4 * S, |replica, world| replica.unclaimed(world));
        if claims {
            // As good as claimed: the reservation is not that one any more.
            stage.slots.unreserve(stage.replica.reserved);
        }
        for now in [7 * S, 8 * S] {
            stage.advance(now);
        }
        assert_eq!(stage.hangs(), 0);
        let told: Vec<_> = stage.events().into_iter().map(|event| (event.event, event.verdict)).collect();
        let would = (EventKind::WouldAct, Some(Verdict::NeverStarted));
        assert_eq!(told, if observes { vec![would] } else { vec![] }, "said once, by one that only observes");
    }
}

#[test]
fn a_first_start_that_fails_is_its_end_and_gives_its_slot_back() {
    let mut stage = Stage::new(Policy::default(), |fleet| fleet);
    stage.advance(0);
    stage.asked().failed("no such function");
    stage.advance(S);
    let end = ReplicaEnd::NotStarted("cannot start worker 0: no such function".into());
    assert_eq!(stage.replica.end(), Some(&end));
    assert!(!stage.is_reserved());
    assert!(stage.events().is_empty(), "whoever started it is told by its end");
}

/// A stage in which one child was there, and has failed at `S`; when its next start is due.
fn failed_once(policy: Policy) -> (Stage, u64) {
    let mut child = Sleeps::new();
    let mut stage = Stage::new(policy, |fleet| fleet);
    stage.started(&child, 0, 0);
    child.0.kill().expect("ours");
    // Left to be reaped by whoever looks at it.
    crate::os::wake::wait_readable(&[stage.replica.up().expect("up").tree().as_fd()], None);
    stage.advance(S);
    let due = stage.replica.deadline().expect("it is planned");
    (stage, due)
}

#[test]
fn a_later_start_that_fails_is_told_tried_again_and_keeps_its_slot() {
    let (mut stage, due) = failed_once(Policy::default());
    stage.advance(due);
    let first = stage.replica.reserved;
    stage.asked().failed("no \u{1b}room");
    stage.advance(due + S);
    assert_eq!(stage.replica.end(), None, "what is missing may come back");
    assert!(stage.is_reserved(), "nobody else gets its slot meanwhile");
    let again = stage.replica.deadline().expect("it is planned");
    assert!(again >= due + S + 1_600_000_000, "with the next pause of its plan: {again}");
    let child = Sleeps::new();
    stage.started(&child, again, again);
    assert_ne!(stage.replica.reserved, first, "no straggler of the start before can claim it");
    let told: Vec<_> = stage.events().into_iter().map(|e| (e.event, e.verdict, e.slot, e.detail.unwrap_or_default())).collect();
    let [(opened, verdict, slot, why), (replaced, ..)] = &told[..] else { panic!("{told:#?}") };
    assert_eq!((opened, verdict, slot), (&EventKind::Opened, &Some(Verdict::NeverStarted), &Some(0)));
    assert_eq!((why.as_str(), replaced), ("cannot start worker 0: no \\u{1b}room", &EventKind::Replaced));
}

#[test]
fn a_worker_that_came_when_the_slot_was_free_keeps_it_and_the_replacement_gets_another_one() {
    let (mut stage, due) = failed_once(Policy::default());
    drop(stage.claimed());
    let mut all: Vec<Worker> =
        (0..stage.segment.len()).map(|_| Attach::new().attach_to(&stage.segment).expect("a free slot")).collect();
    all.retain(|worker| worker.slot() == Some(0));
    let [came] = &all[..] else { panic!("one has that of the replica") };
    stage.advance(due);
    stage.advance(due + 10 * S);
    stage.asked().failed("no room");
    let owner = stage.segment.slot(0).expect("inside").peek_owner();
    assert_eq!((owner.tag(), owner.generation()), (Tag::Live, came.generation()), "whoever works there is left alone");
    assert_eq!(stage.replica.reserved.index, 1);
    assert!(stage.events().iter().all(|event| event.event != EventKind::Quarantined));
}

#[test]
fn a_claimer_of_its_own_that_is_not_proven_dead_has_its_slot_set_aside() {
    let (mut stage, due) = failed_once(Policy::default());
    let _lives = stage.claimed();
    stage.advance(due);
    stage.advance(due + 10 * S);
    assert_eq!(stage.segment.slot(0).expect("inside").peek_owner().tag(), Tag::Quarantined);
    assert_eq!(stage.replica.reserved.index, 1);
    assert!(stage.events().iter().any(|event| event.event == EventKind::Quarantined));
}

#[test]
fn one_that_can_never_be_started_again_is_given_up_with_the_reason_and_its_slot_is_free() {
    let (mut stage, mut due) = failed_once(Policy { max_restarts: 2, ..Policy::default() });
    for _ in 0..2 {
        stage.advance(due);
        stage.asked().failed("no room");
        stage.advance(due + 1);
        due = stage.replica.deadline().unwrap_or_default();
    }
    assert_eq!(stage.replica.end(), Some(&ReplicaEnd::GaveUp));
    assert!(!stage.is_reserved());
    assert_eq!(stage.slots.reserve(0).map(|reserved| reserved.index), Some(0), "anybody may have it");
    let told = stage.events();
    let kinds: Vec<EventKind> = told.iter().map(|event| event.event).collect();
    assert_eq!(kinds, [EventKind::Opened, EventKind::Opened, EventKind::GaveUp]);
    let why = told[2].detail.as_deref().unwrap_or_default();
    assert!(why.contains("2 restarts") && why.ends_with("it could not be started: cannot start worker 0: no room"), "{why}");
}
