//! What really happened, as far as the labels and the signs say.
//!
//! | alarm | is |
//! |---|---|
//! | in a silence with a hang of its worker in force, or after it in the same silence | true |
//! | in a silence that ended by itself, with no such hang | false |
//! | in a silence at whose end the worker or the trace ended | open |

use super::session::{Label, Session, Then};

/// A hang shorter than this is no task for anybody.
pub(crate) const LEAST_HANG_NS: u64 = 15_000_000_000;

/// The time from one sign of a worker to its next, while it worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silence {
    pub(crate) slot: u32,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) then: Then,
    /// The worker went on by itself.
    pub(crate) ended: bool,
}

/// A hang that somebody should find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hang {
    pub(crate) slot: u32,
    pub(crate) on: u64,
    pub(crate) off: u64,
    pub(crate) kind: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    True,
    False,
    Open,
}

fn is_hang(label: &Label) -> bool {
    label.slot.is_some() && (label.kind == "sigstop" || label.kind.starts_with("stall"))
}

/// Labelled hangs of any length, those that overlap as one.
fn labelled(session: &Session) -> Vec<Hang> {
    let mut hangs: Vec<Hang> = Vec::new();
    for label in session.labels.iter().filter(|label| is_hang(label)) {
        let Some(slot) = label.slot else { continue };
        match hangs.iter_mut().find(|hang| hang.slot == slot && label.on <= hang.off) {
            Some(hang) => {
                hang.off = hang.off.max(label.off);
                hang.kind = format!("{}+{}", hang.kind, label.kind);
            }
            None => hangs.push(Hang { slot, on: label.on, off: label.off, kind: label.kind.clone() }),
        }
    }
    hangs
}

/// A session's truth.
#[derive(Debug)]
pub(crate) struct TruthOf {
    /// Of working workers, by start.
    pub(crate) silences: Vec<Silence>,
    /// Those that count.
    pub(crate) hangs: Vec<Hang>,
    all_hangs: Vec<Hang>,
    /// The last poll.
    pub(crate) end: u64,
    /// Time in working phases.
    pub(crate) working_ns: u64,
}

impl TruthOf {
    pub(crate) fn new(session: &Session) -> Self {
        let end = session.polls.last().map_or(0, |frame| frame.host.monotonic_ns);
        let mut silences: Vec<Silence> = Vec::new();
        for slot in 0..session.workers.len() as u32 {
            let mut signs = session.signs.iter().filter(|sign| sign.slot == slot).peekable();
            while let Some(sign) = signs.next() {
                let next = signs.peek();
                let to = next.map_or(end.max(sign.at), |next| next.at);
                if sign.then.working {
                    let ended = next.is_some_and(|next| !next.then.left);
                    silences.push(Silence { slot, from: sign.at, to, then: sign.then, ended });
                }
            }
        }
        silences.sort_by_key(|silence| (silence.from, silence.slot));
        let all_hangs = labelled(session);
        // A hang counts by the longest silence that it made of a worker at work.
        let counts = |hang: &&Hang| {
            let felt = |s: &Silence| s.to.min(hang.off).saturating_sub(s.from.max(hang.on));
            silences.iter().filter(|s| s.slot == hang.slot).map(felt).max().is_some_and(|felt| felt >= LEAST_HANG_NS)
        };
        let hangs = all_hangs.iter().filter(counts).cloned().collect();
        let working_ns = silences.iter().map(|silence| silence.to - silence.from).sum();
        Self { silences, hangs, all_hangs, end, working_ns }
    }

    /// The silence of `slot` in which `at` lies.
    pub(crate) fn silence(&self, slot: u32, at: u64) -> Option<&Silence> {
        let before = self.silences.partition_point(|silence| silence.from <= at);
        self.silences[..before].iter().rev().find(|silence| silence.slot == slot).filter(|silence| at <= silence.to)
    }

    /// Whether a labelled hang of any length touches the silence.
    pub(crate) fn is_hang(&self, silence: &Silence) -> bool {
        self.all_hangs.iter().any(|hang| hang.slot == silence.slot && hang.on < silence.to && silence.from < hang.off)
    }

    /// An alarm at `at` in `silence`.
    pub(crate) fn of_alarm(&self, silence: &Silence, at: u64) -> Truth {
        let hung = |hang: &Hang| hang.slot == silence.slot && hang.on <= at && silence.from < hang.off;
        if self.all_hangs.iter().any(hung) {
            Truth::True
        } else if silence.ended {
            Truth::False
        } else {
            Truth::Open
        }
    }
}
