//! Bytes as a script: what hostile writers do to a segment between the polls of a monitor, while workers of this build attach to it.
//!
//! The first byte is the geometry. Then a step a byte: words, records and phases that lie, polls at any distance, observers, workers
//! that attach and report, and monitors that take over from what stands in the header.

use crate::Tally;
use crate::draw::Draw;
use crate::place::{self, HEADER_WORDS, Words, at};
use crate::show::{check_event, check_segment};
use hangwatch::judge::Severity;
use hangwatch::layout::phase::Class;
use hangwatch::layout::word::{Beat, Epoch, Kind, Owner, PhaseWord, Tag};
use hangwatch::monitor::{Poll, Scanner};
use hangwatch::policy::{Adaptive, Policy, PolicySet};
use hangwatch::segment::Segment;
use hangwatch::{Attach, Job, Outcome, Phase, Total, Worker};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const SLOTS: usize = 4;
/// Words of a slot that mean something.
const SLOT_WORDS: usize = 128;
const MAX_STEPS: usize = 256;
const MAX_POLLS: u64 = 64;
const MAX_OBSERVERS: usize = 8;
const MAX_WORKERS: usize = 16;

/// Budgets that a few polls spend.
pub(crate) fn policies() -> PolicySet {
    let budget = Duration::from_secs(3);
    PolicySet::uniform(Policy {
        heartbeat_timeout: budget,
        progress_timeout: budget,
        process_timeout: budget,
        starting_timeout: budget,
        received_timeout: budget,
        downloading_timeout: budget,
        downloading_aux_timeout: budget,
        loading_timeout: budget,
        compiling_timeout: budget,
        post_processing_timeout: budget,
        safety_timeout: budget,
        ending_timeout: budget,
        other_phase_timeout: budget,
        reminder: Duration::from_secs(1),
        max_lease: Duration::from_secs(10),
        max_lease_sum: Duration::from_secs(20),
        adaptive: Adaptive::Act,
        ..Policy::default()
    })
}

pub(crate) fn run(data: &[u8]) -> Tally {
    place::with(|place| {
        let mut draw = Draw(data);
        let slot_size = [1024, 4096][draw.below(2)];
        let words = place.segment(SLOTS as u64, slot_size as u64);
        let segment = Arc::new(Segment::open(&place.path()).expect("its header is good"));
        let stride = slot_size / 8;
        let mut script = Script {
            words: &words,
            stride,
            segment,
            scanner: None,
            workers: Vec::new(),
            now: 1_000_000_000,
            tally: Tally { opened: 1, ..Tally::default() },
        };
        let (mut observers, mut attached) = (0, 0);
        for _ in 0..MAX_STEPS {
            if draw.is_over() {
                break;
            }
            match draw.byte() % 16 {
                0..=2 => script.set_a_word(&mut draw),
                3 => script.fill(&mut draw),
                4 => script.set_a_word_of_the_header(&mut draw),
                5 => script.register_a_lie(&mut draw),
                6 => script.publish_a_lie(&mut draw),
                7 | 8 => script.own(&mut draw),
                9 | 10 => script.poll(&mut draw),
                11 if observers < MAX_OBSERVERS => {
                    observers += 1;
                    check_segment(&script.segment, &policies(), &mut script.tally);
                }
                12 if attached < MAX_WORKERS => {
                    attached += 1;
                    script.attach(&mut draw);
                }
                13 => script.report(&mut draw),
                14 => script.scanner = None,
                15 => drop(script.workers.pop()),
                _ => {}
            }
        }
        check_segment(&script.segment, &policies(), &mut script.tally);
        // What stands there at the end is judged until every budget is spent.
        for _ in 0..6 {
            script.poll(&mut Draw(&[1]));
        }
        script.tally
    })
}

struct Script<'a> {
    words: &'a Words,
    stride: usize,
    segment: Arc<Segment>,
    scanner: Option<Scanner>,
    workers: Vec<Worker>,
    now: u64,
    tally: Tally,
}

impl Script<'_> {
    // Relaxed, in all of these: a hostile writer orders nothing.
    fn set(&self, slot: usize, word: usize, value: u64) {
        self.words.all()[HEADER_WORDS + slot * self.stride + word].store(value, Relaxed);
    }

    fn get(&self, slot: usize, word: usize) -> u64 {
        self.words.all()[HEADER_WORDS + slot * self.stride + word].load(Relaxed)
    }

    fn set_a_word(&self, draw: &mut Draw<'_>) {
        let (slot, word) = (draw.below(SLOTS), draw.below(SLOT_WORDS));
        let now = self.get(slot, word);
        let value = match draw.byte() % 4 {
            0 => draw.word(),
            1 => now.wrapping_add(1),
            2 => now.wrapping_sub(1),
            _ => now ^ draw.raw(),
        };
        self.set(slot, word, value);
    }

    /// Any words, one after the other, over the end of the slot too.
    fn fill(&self, draw: &mut Draw<'_>) {
        let (slot, first) = (draw.below(SLOTS), draw.below(SLOT_WORDS));
        for word in 0..draw.below(SLOT_WORDS) {
            let at = HEADER_WORDS + slot * self.stride + first + word;
            if let Some(word) = self.words.all().get(at) {
                word.store(draw.raw(), Relaxed);
            }
        }
    }

    /// The monitor's words, the segment's state, the hint; sometimes the fixed words, which nobody believes twice.
    fn set_a_word_of_the_header(&self, draw: &mut Draw<'_>) {
        let at = match draw.byte() {
            0..8 => draw.below(32),
            8..64 => 0x180 / 8,
            _ => 0x100 / 8 + draw.below(10),
        };
        self.words.all()[at].store(draw.word(), Relaxed);
    }

    /// A user phase: any first word, budget and name.
    fn register_a_lie(&self, draw: &mut Draw<'_>) {
        let at = 0x400 / 8 + 8 * draw.below(48);
        let entry = &self.words.all()[at..at + 8];
        entry[1].store(draw.word(), Relaxed);
        for word in &entry[2..] {
            word.store(draw.raw(), Relaxed);
        }
        let first = [2 | u64::from(draw.byte()) << 8, draw.raw()][draw.below(2)];
        entry[0].store(first, Relaxed);
    }

    /// An info record that is taken for the owner's, of any lengths and bytes.
    fn publish_a_lie(&self, draw: &mut Draw<'_>) {
        let slot = draw.below(SLOTS);
        let sequence = self.get(slot, at::INFO_SEQ).wrapping_add(1);
        let record = at::INFO[sequence as usize & 1];
        let (owner, epoch) = (Owner(self.get(slot, at::OWNER)), Epoch(self.get(slot, at::EPOCH)));
        self.set(slot, record, u64::from(owner.generation()) << 32 | u64::from(epoch.job()));
        for word in 1..8 {
            self.set(slot, record + word, draw.word());
        }
        let (text, start) = (draw.below(40), 8 + draw.below(40));
        for word in start..(start + text).min(48) {
            self.set(slot, record + word, draw.raw());
        }
        self.set(slot, at::INFO_SEQ, sequence);
    }

    /// A slot that looks owned and at work.
    fn own(&self, draw: &mut Draw<'_>) {
        let slot = draw.below(SLOTS);
        let before = Owner(self.get(slot, at::OWNER));
        let pid = match draw.byte() % 8 {
            0 => 0,
            1 => 1,
            2 => std::process::id(),
            3 => u32::MAX,
            4 => 1 << 22,
            5 => draw.raw() as u32,
            _ => before.pid(),
        };
        let tag = [Tag::Live, Tag::Live, Tag::Claiming, Tag::Reserved, Tag::Quarantined, Tag::Free, Tag::Unknown(9), Tag::Live];
        let kind = [Kind::Worker, Kind::Lane, Kind::Gpu, Kind::Unknown(77)][draw.below(4)];
        let generation = before.generation().wrapping_add(u16::from(draw.byte() & 1));
        self.set(slot, at::BEAT, Beat::start(generation).0 | u64::from(draw.byte()));
        let flags = PhaseWord::flags_of(draw.byte() & 1 == 1, u16::from(draw.byte() & 7), u16::from(draw.byte()));
        let phase = [7, 7, u16::from(draw.byte()) % 13, 256 + u16::from(draw.byte())][draw.below(4)];
        self.set(slot, at::PHASE, PhaseWord::new(phase, flags, u32::from(draw.byte())).0);
        self.set(slot, at::EPOCH, Epoch::new(u32::from(draw.byte()), u16::from(draw.byte() & 1), u16::from(draw.byte())).0);
        self.set(slot, at::PROGRESS, draw.word());
        self.set(slot, at::TOTAL, draw.word());
        self.set(slot, at::OWNER, Owner::new(generation, tag[draw.below(8)], kind, pid).0);
    }

    fn poll(&mut self, draw: &mut Draw<'_>) {
        if self.tally.polls >= MAX_POLLS {
            return;
        }
        let scanner = self.scanner.get_or_insert_with(|| {
            Scanner::new(Arc::clone(&self.segment), policies()).expect("nobody else holds the lock, whatever the header says")
        });
        let passed = [0, 1_000_000_000, 1_000_000_000, 1_000_000_000, 1_000_000, 2_500_000_000, 1 << 62, draw.raw()];
        self.now = self.now.saturating_add(passed[draw.below(8)]);
        if draw.byte() & 0x80 != 0 {
            scanner.look_at_everything();
        }
        let poll = scanner.poll(self.now);
        self.tally.polls += 1;
        self.check(&poll);
    }

    fn check(&mut self, poll: &Poll) {
        assert!(poll.judged.len() <= SLOTS && poll.unclaimed.len() <= SLOTS, "I15: a slot is judged once a poll");
        // An episode's end, its successor's beginning, a lost job and a reservation: a slot has no more to tell at one poll.
        assert!(poll.events.len() <= 8 * SLOTS, "I15: what is told is bounded: {} events of {SLOTS} slots", poll.events.len());
        for judged in &poll.judged {
            let o = &judged.observation;
            assert_eq!(o.owner.tag(), Tag::Live, "nobody is judged who does not own a slot");
            assert!(o.ages.heartbeat.real <= poll.tick.now && o.ages.phase.real <= poll.tick.now, "no age exceeds the clock");
            let acts = judged.judgement.severity == Severity::Acting;
            assert!(!acts || !poll.tick.gap || !judged.opened_acting, "I16: the first poll after a gap accuses nobody");
            self.tally.acting += u64::from(acts);
        }
        for event in &poll.events {
            check_event(event, &mut self.tally);
        }
    }

    /// A worker of this build attaches to what it finds; where it cannot, it says so.
    fn attach(&mut self, draw: &mut Draw<'_>) {
        let name = String::from_utf8_lossy(draw.bytes(8)).into_owned();
        match Attach::new().name(name).attach_to(&self.segment) {
            Ok(worker) => {
                assert!(worker.slot().is_some_and(|slot| slot < SLOTS as u32), "I15: no slot is outside");
                self.tally.claims += 1;
                self.workers.push(worker);
            }
            Err(error) => crate::show::check_lines(&error.to_string(), &mut self.tally),
        }
    }

    /// It reports, whatever its slot holds by now.
    fn report(&mut self, draw: &mut Draw<'_>) {
        let Some(worker) = self.workers.last_mut() else { return };
        let text = String::from_utf8_lossy(draw.bytes(6)).into_owned();
        match draw.byte() % 8 {
            0 => worker.begin_job_with(&Job::new(&text).model(&text).total(Total::from_word(draw.word())).batch(draw.word())),
            1 => worker.step(draw.word()),
            2 => worker.phase_total(Phase::from_id(draw.word() as u16), Total::Unknown),
            3 => worker.extend(Duration::from_millis(draw.word())),
            4 => worker.note(&text),
            5 => {
                if let Ok(phase) = worker.register_phase(&text, Class::from_bits(draw.byte()), Duration::from_millis(draw.word()))
                {
                    worker.phase(phase);
                }
            }
            6 => worker.end_job(Outcome::Failed),
            _ => {
                let _ = worker.should_stop();
                worker.beat();
            }
        }
    }
}
