//! Bytes as words that a thread flips while others read: the writer that no protocol binds, at the speed of the memory.
//!
//! The first bytes say how many flips there are; each has a word, and the two values that it goes between.

use crate::Tally;
use crate::draw::Draw;
use crate::place::{self, HEADER_WORDS, Words, at};
use crate::show::{check_event, check_segment};
use crate::slots::policies;
use hangwatch::layout::word::{Kind, Owner, Tag};
use hangwatch::monitor::Scanner;
use hangwatch::segment::Segment;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const SLOTS: u64 = 2;
const ROUNDS: u64 = 8;

/// Ends the flipping however the reading ends: a scope waits for its threads.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The words that change under a reader's hands, most often: owner, epoch, phase, beat, the record's number.
const OFTEN: [usize; 8] = [at::OWNER, at::EPOCH, at::PHASE, at::BEAT, at::INFO_SEQ, at::INFO[0], at::INFO[0] + 2, at::PROGRESS];

struct Flip {
    at: usize,
    values: [u64; 2],
}

fn flips(draw: &mut Draw<'_>) -> Vec<Flip> {
    let count = 1 + draw.below(16);
    let flip = |draw: &mut Draw<'_>| {
        let (slot, how) = (draw.below(SLOTS as usize), draw.byte());
        let word = if how < 0xc0 { OFTEN[usize::from(how % 8)] } else { draw.below(128) };
        let live = |draw: &mut Draw<'_>| Owner::new(draw.byte().into(), Tag::Live, Kind::Worker, std::process::id()).0;
        let values = match word {
            // One of them LIVE, else there is nothing to read.
            at::OWNER => [live(draw), if draw.byte() < 0x80 { live(draw) } else { draw.word() }],
            _ => [draw.word(), draw.word()],
        };
        Flip { at: HEADER_WORDS + 128 * slot + word, values }
    };
    (0..count).map(|_| flip(draw)).collect()
}

pub(crate) fn run(data: &[u8]) -> Tally {
    place::with(|place| {
        let mut draw = Draw(data);
        let words = place.segment(SLOTS, 1024);
        let segment = Arc::new(Segment::open(&place.path()).expect("its header is good"));
        let flips = flips(&mut draw);
        let header = draw.byte() < 0x20;
        // What is left stands there from the beginning.
        for word in &words.all()[HEADER_WORDS..] {
            if draw.is_over() {
                break;
            }
            word.store(draw.raw(), Relaxed);
        }
        for flip in &flips {
            words.all()[flip.at].store(flip.values[0], Relaxed);
        }
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let ended = Ended(&done);
            scope.spawn(|| flip(&words, &flips, header, &done));
            let tally = read(&segment);
            drop(ended);
            tally
        })
    })
}

fn flip(words: &Words, flips: &[Flip], header: bool, done: &AtomicBool) {
    let words = words.all();
    let mut turn = 0usize;
    while !done.load(Relaxed) {
        for flip in flips {
            words[flip.at].store(flip.values[turn & 1], Relaxed);
        }
        if header {
            // The monitor's words and the hint; a magic that goes is the end of the segment, and nothing else.
            words[0x100 / 8 + turn % 10].store(turn as u64, Relaxed);
            words[0x180 / 8].store(!(turn as u64), Relaxed);
        }
        turn = turn.wrapping_add(1);
    }
}

fn read(segment: &Arc<Segment>) -> Tally {
    let mut tally = Tally { opened: 1, ..Tally::default() };
    let mut scanner = Scanner::new(Arc::clone(segment), policies()).expect("nobody else holds the lock");
    for round in 1..=ROUNDS {
        check_segment(segment, &policies(), &mut tally);
        let poll = scanner.poll(round * 1_000_000_000);
        assert!(poll.judged.len() <= SLOTS as usize, "I15: a slot is judged once a poll");
        poll.events.iter().for_each(|event| check_event(event, &mut tally));
        tally.polls += 1;
    }
    tally
}
