//! A device counts in units of its own, many to one of its host's, and under the same model.

use super::stage::*;
use crate::judge::Verdict;
use crate::layout::slot::TOTAL_UNKNOWN;
use crate::layout::word::Kind;

/// One worker that takes its time, beside the GPU lanes of four others.
fn beside_gpus() -> Stage {
    let kinds = [Kind::Worker, Kind::Gpu, Kind::Gpu, Kind::Gpu, Kind::Gpu];
    let hands = kinds.map(|kind| {
        let mut hand = Hand::of(kind, "sdxl", "w");
        hand.begin_job(TOTAL_UNKNOWN);
        hand
    });
    Stage::new(hands.into(), policy())
}

#[test]
fn a_workers_gaps_and_its_rate_are_not_measured_by_those_of_devices() {
    let mut stage = beside_gpus();
    let found = stage.live(3000, |hands, second| {
        hands[1..].iter_mut().for_each(|gpu| gpu.step(50 * (second + 1)));
        if second % 15 == 0 {
            hands[0].step(second / 15 + 1);
        }
        hands[0].beat();
    });
    let verdicts = found.iter().flat_map(|f| &f.judged).map(|judged| judged.judgement.verdict);
    let odd: Vec<Verdict> = verdicts.filter(|verdict| *verdict != Verdict::Ok).collect();
    assert_eq!(odd, [], "a step in 15 s is this worker's way; a device's thousand are no measure of it");
}
