//! Sections that another has taken the place of: what is remembered of each until the slot shows it again.

use super::ages::Age;
use crate::layout::phase::Phase;
use crate::layout::word::PhaseWord;

/// A section as it was last shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aside {
    pub(super) word: PhaseWord,
    /// Age of its mark, and of its entry: what it had spent.
    pub(super) progress: Age,
    pub(super) phase: Age,
    pub(super) mark: Option<u64>,
    /// Whether progress had fallen back since the mark rose; falls of another section are not its own.
    pub(super) fell: bool,
}

/// Sections of one job, or of none, that may be shown again: one of each depth, and the job's inference. Eight at most.
#[derive(Debug, Clone, Default)]
pub(super) struct Asides(Vec<Aside>);

/// The job comes back to it out of any other phase.
fn is_jobs_inference(word: PhaseWord) -> bool {
    word.job_open() && word.depth() == 0 && Phase::from_id(word.id()) == Phase::Inference
}

/// Whether a section may still be shown again once `is` is: it stands around it, or is the job's inference.
fn stays(word: PhaseWord, is: PhaseWord) -> bool {
    word.job_open() == is.job_open() && (word.depth() < is.depth() || is_jobs_inference(word))
}

impl Asides {
    /// `was` was shown until now, and another is from now on. What is known of that one, if it was shown before.
    ///
    /// The number of a section is unique among the last 4095: one that matches by chance would bring back a former age.
    pub(super) fn exchange(&mut self, was: Aside, is: PhaseWord) -> Option<Aside> {
        let found = self.0.iter().position(|aside| aside.word.is_same_section(is));
        let back = found.map(|at| self.0.swap_remove(at));
        self.0.retain(|aside| stays(aside.word, is));
        if stays(was.word, is) {
            let place = |word: PhaseWord| (word.depth(), is_jobs_inference(word));
            self.0.retain(|aside| place(aside.word) != place(was.word));
            self.0.push(was);
        }
        back
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(phase: Phase, depth: u16, section: u16) -> PhaseWord {
        PhaseWord::new(phase.id(), PhaseWord::flags_of(true, depth, section), 0)
    }

    fn aside(word: PhaseWord, spent: u64) -> Aside {
        let age = Age { real: spent, ..Age::default() };
        Aside { word, progress: age, phase: age, mark: None, fell: false }
    }

    /// Shows one section after another, each for as many ns as its place in the list; what the last one gets back.
    fn shown(words: &[PhaseWord]) -> Option<u64> {
        let mut asides = Asides::default();
        let backs = words.windows(2).enumerate().map(|(i, pair)| asides.exchange(aside(pair[0], i as u64), pair[1]));
        backs.last().flatten().map(|aside| aside.progress.real)
    }

    #[test]
    fn a_section_that_is_left_gives_way_to_the_one_around_it() {
        let (outer, middle, inner) = (word(Phase::Loading, 0, 1), word(Phase::Compiling, 1, 2), word(Phase::Safety, 2, 3));
        assert_eq!(shown(&[outer, middle, outer]), Some(0));
        assert_eq!(shown(&[outer, middle, inner, middle]), Some(1));
        assert_eq!(shown(&[outer, middle, inner, middle, outer]), Some(0));
        assert_eq!(shown(&[outer, inner, outer]), Some(0), "a poll need not have seen the one between");
        assert_eq!(shown(&[outer, middle, inner, outer]), Some(0), "nor each end");
    }

    #[test]
    fn what_was_left_or_replaced_does_not_come_back() {
        let (outer, inner) = (word(Phase::Loading, 0, 1), word(Phase::Compiling, 1, 2));
        assert_eq!(shown(&[outer, inner, outer, inner]), None, "a section that was left has ended");
        assert_eq!(shown(&[outer, word(Phase::Safety, 0, 3), outer]), None, "a phase ends what it replaces");
        assert_eq!(shown(&[outer, inner, word(Phase::Compiling, 1, 3), outer]), Some(0), "its neighbour does not");
        assert_eq!(shown(&[outer, inner, word(Phase::Loading, 0, 3)]), None, "another load is another load");
    }

    #[test]
    fn the_jobs_inference_comes_back_out_of_any_phase() {
        let inference = word(Phase::Inference, 0, 1);
        let others = [word(Phase::Loading, 0, 2), word(Phase::Safety, 0, 3), word(Phase::Compiling, 3, 4)];
        assert_eq!(shown(&[inference, others[0], others[1], others[2], inference]), Some(0));
        let within = word(Phase::Inference, 1, 2);
        assert_eq!(shown(&[inference, within, inference]), Some(0), "and one within it is another");
        assert_eq!(shown(&[inference, others[0], within, others[1], within]), None);
    }

    #[test]
    fn no_sequence_of_words_makes_it_remember_more_than_eight() {
        let mut asides = Asides::default();
        let mut seed = 7_u64;
        let mut was = PhaseWord(0);
        for _ in 0..100_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let id = if seed >> 63 == 0 { Phase::Inference.id() } else { (seed >> 50) as u16 };
            let is = PhaseWord::new(id, (seed >> 33) as u16, 0);
            asides.exchange(aside(was, 0), is);
            assert!(asides.0.len() <= 8);
            was = is;
        }
    }
}
