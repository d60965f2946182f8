//! Many slots of one segment, each with a job in flight, and a monitor that is polled by hand.

use hangwatch::monitor::Scanner;
use hangwatch::policy::Policy;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Total, Worker};
use std::path::Path;
use std::sync::Arc;

/// From one poll to the next, by the clock that the monitor is told.
const INTERVAL_NS: u64 = 1_000_000_000;
/// Polls after which a quiet worker is due to report: long before any budget or learnt threshold looks at it.
const QUIET_POLLS: u64 = 20;

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
    /// Fills a new segment at `path`.
    pub fn new(path: &Path, slots: u32) -> Self {
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
        // Twice, so that what a monitor learns of a worker's first steps is learnt.
        for _ in 0..2 {
            crowd.report();
            crowd.settle();
        }
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

    /// Whether the next poll finds all workers as the last one did, and within every budget.
    pub fn stays_quiet(&self) -> bool {
        self.now - self.reported < QUIET_POLLS * INTERVAL_NS
    }

    /// The monitor polls, an interval after its last poll. How many slots it judged.
    pub fn poll(&mut self) -> u64 {
        self.now += INTERVAL_NS;
        let poll = self.scanner.poll(self.now);
        assert!(poll.events.is_empty() && !poll.lost, "nothing is wrong with anybody");
        poll.judged.len() as u64
    }

    /// Polls until nothing is left to judge: a slot that changed is judged once more.
    pub fn settle(&mut self) {
        while self.poll() != 0 {
            assert!(self.stays_quiet(), "workers that report nothing become quiet");
        }
    }
}
