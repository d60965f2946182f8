//! What concerns all replicas together: storms, models that keep hanging, and the counts that a report gives.

use super::fleet::ModelReport;
use crate::recover::{Models, Storm};
use std::collections::BTreeMap;
use std::thread::JoinHandle;

/// Models that are counted: their names come from workers.
const MAX_MODELS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) storm: Storm,
    pub(super) models: Models,
    /// Reclaim probes; they end with the supervisor.
    pub(super) probes: Vec<JoinHandle<()>>,
    counts: BTreeMap<String, (u64, u64)>,
    cases: u64,
}

impl Ledger {
    pub(super) fn next_case(&mut self) -> u64 {
        self.cases += 1;
        self.cases
    }

    fn count(&mut self, model: Option<&str>) -> Option<&mut (u64, u64)> {
        let model = model.unwrap_or_default();
        if self.counts.len() >= MAX_MODELS && !self.counts.contains_key(model) {
            return None;
        }
        Some(self.counts.entry(model.to_owned()).or_default())
    }

    /// A job of this model hung.
    pub(super) fn hung(&mut self, model: Option<&str>) {
        if let Some((hangs, _)) = self.count(model) {
            *hangs += 1;
        }
    }

    /// A job of this model was lost.
    pub(super) fn lost(&mut self, model: Option<&str>) {
        if let Some((_, lost)) = self.count(model) {
            *lost += 1;
        }
    }

    /// The models whose jobs hung or were lost, those with the most losses first.
    pub(super) fn reports(&self) -> Vec<ModelReport> {
        let report = |(model, (hangs, lost_jobs)): (&String, &(u64, u64))| ModelReport {
            model: model.clone(),
            hangs: *hangs,
            lost_jobs: *lost_jobs,
        };
        let mut reports: Vec<ModelReport> = self.counts.iter().map(report).collect();
        reports.sort_by_key(|report| std::cmp::Reverse((report.lost_jobs, report.hangs)));
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_that_lose_the_most_come_first() {
        let mut ledger = Ledger::default();
        for (model, hangs, lost) in [("a", 1, 0), ("b", 1, 3), ("c", 2, 3)] {
            (0..hangs).for_each(|_| ledger.hung(Some(model)));
            (0..lost).for_each(|_| ledger.lost(Some(model)));
        }
        ledger.lost(None);
        let reports: Vec<_> = ledger.reports().into_iter().map(|r| (r.model, r.hangs, r.lost_jobs)).collect();
        let expected = [("c", 2, 3), ("b", 1, 3), ("", 0, 1), ("a", 1, 0)];
        assert_eq!(reports, expected.map(|(model, hangs, lost)| (model.to_owned(), hangs, lost)));
    }

    #[test]
    fn made_up_names_take_no_more_than_their_room() {
        let mut ledger = Ledger::default();
        (0..10 * MAX_MODELS).for_each(|n| ledger.lost(Some(&format!("model {n}"))));
        assert_eq!(ledger.reports().len(), MAX_MODELS);
    }
}
