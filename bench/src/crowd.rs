//! Many slots of one segment, each with a job in flight, and a monitor that is polled by hand.

use hangwatch::monitor::Scanner;
use hangwatch::policy::Policy;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Total, Worker};
use std::path::Path;
use std::sync::Arc;

/// From one poll to the next, by the clock that the monitor is told.
const INTERVAL_NS: u64 = 1_000_000_000;
/// The same where workers are quiet. So short that no budget's clock is due: a slot that is looked at for one is not quiet.
const QUIET_NS: u64 = 1_000_000;
/// From one report of a quiet worker to the next: what a monitor learns to expect of it.
const RHYTHM_NS: u64 = 200 * QUIET_NS;

/// A worker and its lanes, and who watches them.
#[derive(Debug)]
pub struct Crowd {
    workers: Vec<Worker>,
    scanner: Scanner,
    done: u64,
    now: u64,
    reported: u64,
}

impl Crowd {
    /// Fills a new segment at `path` with workers that report in the rhythm of [`Crowd::report_in_rhythm`].
    pub fn quiet(path: &Path, slots: u32) -> Self {
        let mut crowd = Self::new(path, slots);
        (0..4).for_each(|_| crowd.report_in_rhythm());
        crowd
    }

    /// The same with workers that report between any two polls.
    pub fn active(path: &Path, slots: u32) -> Self {
        let mut crowd = Self::new(path, slots);
        for _ in 0..4 {
            crowd.report();
            crowd.poll();
        }
        crowd
    }

    fn new(path: &Path, slots: u32) -> Self {
        let geometry = Geometry { slots, ..Geometry::default() };
        let segment = Arc::new(Segment::create(path, geometry).expect("room for the segment"));
        let first = Attach::new().name("bench").attach_to(&segment).expect("a free slot");
        let mut workers = vec![first];
        for i in 1..slots {
            let lane = workers[0].lane(&i.to_string()).expect("a free slot");
            workers.push(lane);
        }
        for (i, worker) in workers.iter_mut().enumerate() {
            worker.begin_job(&i.to_string(), "model", Total::Unknown);
        }
        let scanner = Scanner::new(segment, Policy::default()).expect("a segment that nobody watches");
        let mut crowd = Self { workers, scanner, done: 0, now: INTERVAL_NS, reported: 0 };
        assert_eq!(crowd.poll(), u64::from(slots), "a slot that is new is judged");
        crowd
    }

    /// Slots.
    pub fn len(&self) -> u64 {
        self.workers.len() as u64
    }

    /// Never: there is a worker at least.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Every worker steps.
    pub fn report(&mut self) {
        self.done += 1;
        self.reported = self.now;
        for worker in &mut self.workers {
            worker.step(self.done);
        }
    }

    /// Whether the next poll finds all workers as the last one did, and expects nothing else of them.
    pub fn stays_quiet(&self) -> bool {
        self.now - self.reported < RHYTHM_NS / 2
    }

    /// Every worker steps when it is expected to, and all are quiet after it.
    pub fn report_in_rhythm(&mut self) {
        while self.now - self.reported < RHYTHM_NS {
            self.poll_soon();
        }
        self.report();
        self.settle();
    }

    /// The monitor polls, an interval after its last poll. How many slots it judged.
    pub fn poll(&mut self) -> u64 {
        self.poll_after(INTERVAL_NS)
    }

    /// The monitor polls, a moment after its last poll. How many slots it judged.
    pub fn poll_soon(&mut self) -> u64 {
        self.poll_after(QUIET_NS)
    }

    fn poll_after(&mut self, ns: u64) -> u64 {
        self.now += ns;
        let poll = self.scanner.poll(self.now);
        assert!(poll.events.is_empty() && !poll.lost, "nothing is wrong with anybody");
        poll.judged.len() as u64
    }

    /// Polls until nothing is left to judge: a slot that changed is judged once more.
    fn settle(&mut self) {
        while self.poll_soon() != 0 {
            assert!(self.stays_quiet(), "workers that report nothing become quiet");
        }
    }
}
