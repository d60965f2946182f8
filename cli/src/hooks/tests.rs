//! The queue of a hook, with a receiver that the test holds; and hooks that take the place of others.

use super::queue::pause;
use super::*;
use hangwatch::policy::Origin;
use hangwatch::tell::EventKind;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::UNIX_EPOCH;

/// Says each message's id, and answers as it is told; an answer that nobody gives any more is well.
struct Held {
    met: Sender<String>,
    answers: Receiver<std::result::Result<(), Failure>>,
}

impl Deliver for Held {
    fn deliver(&mut self, message: &Message, _within: Duration) -> std::result::Result<(), Failure> {
        let _ = self.met.send(message.id.clone());
        self.answers.recv().unwrap_or(Ok(()))
    }
}

struct Stage {
    queue: Queue,
    leaving: Arc<Leaving>,
    met: Receiver<String>,
    answers: SyncSender<std::result::Result<(), Failure>>,
    all_ended: Receiver<()>,
}

fn spec(queue: usize) -> Spec {
    Spec { queue, retries: 3, ..Spec::new(Origin::Flag("--hook".into()), Target::shell("true")) }
}

fn stage(queue: usize) -> Stage {
    let leaving = Arc::new(Leaving::new().expect("a pipe"));
    let ((says, met), (answers, answered), (alive, all_ended)) = (channel(), sync_channel(64), channel());
    let deliver = Box::new(Held { met: says, answers: answered });
    let queue = Queue::start(spec(queue), "hook".into(), deliver, Arc::clone(&leaving), alive).expect("a thread");
    Stage { queue, leaving, met, answers, all_ended }
}

fn message(number: u64) -> Arc<Message> {
    Arc::new(Message::new(&Event::new(EventKind::Opened, "/x", UNIX_EPOCH), number).expect("an event"))
}

fn id(number: u64) -> String {
    message(number).id.clone()
}

#[test]
fn what_does_not_fit_the_queue_is_dropped_and_nobody_waits_for_it() {
    let stage = stage(2);
    stage.queue.put(&message(0));
    assert_eq!(stage.met.recv(), Ok(id(0)), "the first is being delivered, and the queue is empty");
    for number in 1..=5 {
        // The receiver does not answer: a put that waited would never come back.
        stage.queue.put(&message(number));
    }
    drop(stage.answers);
    drop(stage.queue);
    assert_eq!(stage.met.iter().collect::<Vec<_>>(), [id(1), id(2)], "the newest are dropped, the others come in order");
}

#[test]
fn a_lasting_failure_is_not_tried_again_and_the_next_event_is_delivered() {
    let stage = stage(2);
    stage.answers.send(Err(Failure::Lasting("status 404".into()))).expect("it listens");
    stage.queue.put(&message(0));
    stage.queue.put(&message(1));
    drop((stage.answers, stage.queue));
    assert_eq!(stage.met.iter().collect::<Vec<_>>(), [id(0), id(1)]);
}

#[test]
fn the_end_cuts_a_pause_short_and_what_waited_has_its_last_try() {
    let stage = stage(2);
    for _ in 0..2 {
        stage.answers.send(Err(Failure::Passing("status 500".into()))).expect("it listens");
    }
    stage.queue.put(&message(0));
    stage.queue.put(&message(1));
    assert_eq!(stage.met.recv(), Ok(id(0)));
    stage.leaving.begin(Duration::from_secs(600));
    drop((stage.answers, stage.queue));
    let met: Vec<_> = stage.met.iter().collect();
    assert_eq!(met, [id(0), id(1)], "one more try, and none after it though retries were left");
    assert!(stage.all_ended.recv().is_err(), "the thread is gone");
}

#[test]
fn with_no_time_left_what_is_queued_is_given_up() {
    let stage = stage(2);
    stage.queue.put(&message(0));
    assert_eq!(stage.met.recv(), Ok(id(0)));
    stage.queue.put(&message(1));
    stage.leaving.begin(Duration::ZERO);
    drop((stage.answers, stage.queue));
    assert_eq!(stage.met.iter().next(), None, "nothing is begun after the end");
}

#[test]
fn pauses_double_up_to_the_longest_within_a_fifth() {
    let pauses = [0, 1, 2, 5, 6, 40].map(|retries| pause(retries, 0.5).as_secs());
    assert_eq!(pauses, [1, 2, 4, 32, 60, 60]);
    assert_eq!([pause(0, 0.0), pause(0, 1.0)], [Duration::from_millis(800), Duration::from_millis(1200)]);
}

fn places(hooks: &Hooks) -> Vec<String> {
    lock(&hooks.0.queues).iter().map(|queue| queue.spec.place.to_string()).collect()
}

#[test]
fn hooks_that_stay_keep_their_queue_and_one_that_is_bad_changes_nothing() {
    let of = |line: u64, target: Target| Spec::new(Origin::File("f".into(), Some(line)), target);
    let bad = Target::Webhook { url: Secret("ftp://example.org".into()), headers: Vec::new() };
    let hooks = Hooks::start(&HookArgs::default(), &[of(1, Target::shell("a")), of(2, Target::shell("b"))]).expect("good ones");
    let refused = hooks.replace(&[of(1, Target::shell("a")), of(3, bad)]).expect_err("one is bad");
    assert_eq!(refused.what(), "cannot read policy 'f:3'");
    assert_eq!(places(&hooks), ["f:1", "f:2"]);
    hooks.replace(&[of(4, Target::shell("c")), of(2, Target::shell("b")), of(2, Target::shell("b"))]).expect("good ones");
    assert_eq!(places(&hooks), ["f:2", "f:4"]);
    hooks.replace(&[]).expect("none is fine");
    assert!(places(&hooks).is_empty());
    hooks.end();
    hooks.replace(&[of(1, Target::shell("a"))]).expect("too late is no error");
    assert!(places(&hooks).is_empty(), "nothing starts after the end");
}
