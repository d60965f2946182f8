//! How large a trial is and what it draws: `TRIALS=full` for the whole of it, `TRIAL_SEED=n` to draw the same again.

use std::io::Write;

/// The quick size runs with every change, the full one where it is asked for.
pub(crate) fn size(quick: u64, full: u64) -> u64 {
    if std::env::var_os("TRIALS").is_some_and(|size| size == "full") { full } else { quick }
}

/// Says a line past the test runner's capture: a trial tells what it did, green or red.
pub(crate) fn tell(line: impl std::fmt::Display) {
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// The seed: the one that was asked for, else another one each time. Printed, since it is what reproduces a failure.
pub(crate) fn seed(test: &str) -> u64 {
    let drawn = || u64::from(std::process::id()) << 32 | hangwatch::clock::monotonic_ns() & 0xffff_ffff;
    let seed = std::env::var("TRIAL_SEED").map_or_else(|_| drawn(), |text| text.parse().expect("TRIAL_SEED is a number"));
    tell(format_args!("{test}: TRIAL_SEED={seed}"));
    seed
}

/// Numbers that follow from a seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Numbers of their own for each of several drawers.
    pub(crate) fn of(seed: u64, drawer: u64) -> Self {
        Self(Self(seed ^ drawer.wrapping_mul(0xd134_2543_de82_ef95)).draw())
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Less than `below`.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.draw() % below.max(1)
    }

    /// One of the list.
    pub(crate) fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}
