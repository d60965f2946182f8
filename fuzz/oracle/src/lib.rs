//! What must hold whatever bytes hangwatch is given (I4, I15): nothing panics, work and memory are bounded, and no text that is shown
//! can drive a terminal or forge a line. The fuzzers of `fuzz/` and the tests of this package run the same code.
//!
//! A target takes bytes, does with them what hangwatch does with bytes of others, and panics where something does not hold.
//!
//! | file | holds |
//! |---|---|
//! | `header` | bytes as a segment's file |
//! | `slots` | bytes as a script: what hostile writers do to a segment between the polls of a monitor |
//! | `flip` | bytes as words that a thread flips while others read |
//! | `trace` | bytes as a recorded trace |
//! | `learnt` | bytes as what a monitor has learnt and kept |
//! | `show` | every way in which a segment is shown, and what must hold for a text |
//! | `draw`, `place`, `memory` | bytes as choices; a segment's file and its words; what a thread has allocated |

mod draw;
mod flip;
mod header;
mod learnt;
pub mod memory;
mod place;
mod show;
mod slots;
mod trace;

pub use header::segment_file;
pub use show::check_text;
pub use trace::seal as seal_trace;

/// How deep an input went, so that a test can tell whether its inputs reach what they are meant to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Segments, traces or files that were believed.
    pub opened: u64,
    /// Such as were refused.
    pub refused: u64,
    /// Slots read.
    pub read: u64,
    /// Slots that were owned and whose words were readable.
    pub live: u64,
    /// Polls.
    pub polls: u64,
    /// Verdicts that act.
    pub acting: u64,
    /// Events told.
    pub events: u64,
    /// Slots claimed by a worker of this process.
    pub claims: u64,
    /// Texts that were checked.
    pub texts: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            opened: self.opened + other.opened,
            refused: self.refused + other.refused,
            read: self.read + other.read,
            live: self.live + other.live,
            polls: self.polls + other.polls,
            acting: self.acting + other.acting,
            events: self.events + other.events,
            claims: self.claims + other.claims,
            texts: self.texts + other.texts,
        }
    }
}

/// What bytes are put to.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: the fuzz target's, and the folder of its corpus.
    pub name: &'static str,
    /// Panics where something does not hold.
    pub run: fn(&[u8]) -> Tally,
    /// Bytes of memory that any input may hold at once, its own length times eight not counted.
    pub memory: usize,
}

impl Target {
    /// Runs it on `data`, and asks for its memory where [`memory::Counting`] is the allocator.
    pub fn check(&self, data: &[u8]) -> Tally {
        let (tally, most) = memory::most_of(|| (self.run)(data));
        let bound = self.memory + 8 * data.len();
        assert!(most <= bound, "I15: memory is bounded: {most} bytes at once, at most {bound} for {} bytes", data.len());
        tally
    }
}

/// All of them.
pub const TARGETS: [Target; 5] = [
    Target { name: "header", run: header::run, memory: 1 << 20 },
    Target { name: "slots", run: slots::run, memory: 4 << 20 },
    Target { name: "flip", run: flip::run, memory: 4 << 20 },
    Target { name: "trace", run: trace::run, memory: 4 << 20 },
    Target { name: "learnt", run: learnt::run, memory: 16 << 20 },
];

/// The target of that name, for a fuzzer that has nothing else to do.
///
/// # Panics
///
/// Where there is none.
pub fn target(name: &str) -> Target {
    *TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("no target is called '{name}'"))
}
