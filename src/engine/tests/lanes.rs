//! A worker with several jobs in flight holds several slots: one wedged job is told of, and no other.

use super::stage::*;
use crate::engine::ChangeKind;

#[test]
fn of_twelve_lanes_the_frozen_one_is_told_of_by_its_job_and_no_other() {
    let hands = (0..12).map(|n| {
        let mut hand = Hand::new("llama", &format!("worker-{}", n / 4));
        // Each lane has its own number of jobs behind it.
        (0..=n).for_each(|_| hand.begin_job(u64::MAX));
        hand
    });
    let mut stage = Stage::new(hands.collect(), policy());
    let found = stage.live(60, |hands, second| {
        for (index, hand) in hands.iter_mut().enumerate() {
            if index != 6 || second < 5 {
                hand.step(second + 1);
            }
        }
    });
    let opened: Vec<_> = found.iter().flat_map(|f| &f.changes).filter(|c| c.kind == ChangeKind::Opened).collect();
    let acting: Vec<_> = opened.iter().filter(|c| c.episode.verdict.severity() == crate::judge::Severity::Acting).collect();
    let jobs: Vec<_> = acting.iter().map(|c| c.observation.info.as_ref().map(|info| info.job_id.as_str())).collect();
    assert_eq!(jobs, [Some("job-7")], "the hung job is named, and three healthy ones beside it do not hide it");
    assert!(opened.iter().all(|c| c.observation.index == 6), "of the others nothing is told: {opened:#?}");
}
