//! The outcome of a demo, as one table and as JSON.

use std::time::Duration;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use hangwatch::tell::SCHEMA_VERSION;
use serde::Serialize;

use super::record::Promise;
use super::rows::{ROWS, Row};
use super::watch::Watched;

#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    schema_version: u32,
    inference_step_timeout_s: f64,
    poll_s: f64,
    as_promised: bool,
    rows: Vec<RowOutcome>,
}

#[derive(Debug, Serialize)]
struct RowOutcome {
    worker: &'static str,
    scenario: &'static str,
    promised: &'static str,
    /// Seconds of the gap, or since the last change, at which the origin's test said "stuck"; null where it never did.
    original_test_stuck_after_s: Option<f64>,
    published_fix_stuck_after_s: Option<f64>,
    verdict: &'static str,
    /// The clock that expired.
    clock: Option<&'static str>,
    detected_after_s: Option<f64>,
    /// The promised window; null where nothing is to be flagged.
    window_s: Option<[f64; 2]>,
    as_promised: bool,
    /// Why it is not.
    why: Option<String>,
}

impl Outcome {
    pub(super) fn of(watched: &Watched, promise: &Promise) -> Self {
        let rows: Vec<_> = ROWS
            .iter()
            .zip(&watched.records)
            .map(|(row, record)| {
                let why = record.broken(row.promised, promise, watched.end);
                RowOutcome {
                    worker: row.name,
                    scenario: row.scenario,
                    promised: row.promised.name(),
                    original_test_stuck_after_s: record.original.map(seconds),
                    published_fix_stuck_after_s: record.fix.map(seconds),
                    verdict: record.verdict().name(),
                    clock: record.opening.and_then(|opening| opening.judgement.spent).map(|spent| spent.clock),
                    detected_after_s: record.detected_after().map(seconds),
                    window_s: (!row.is_well()).then(|| [seconds(promise.timeout), seconds(promise.latest())]),
                    as_promised: why.is_none(),
                    why,
                }
            })
            .collect();
        Self {
            schema_version: SCHEMA_VERSION,
            inference_step_timeout_s: seconds(promise.timeout),
            poll_s: seconds(promise.poll),
            as_promised: rows.iter().all(|row| row.as_promised),
            rows,
        }
    }

    /// 0 where every row is as promised, else 1.
    pub(super) fn exit_code(&self) -> u8 {
        u8::from(!self.as_promised)
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        // Numbers and texts only: it cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header([
            "scenario",
            "AI Horde's\noriginal test",
            "its published\nfix",
            "hangwatch",
            "detected\nafter",
            "promised\nwindow",
        ]);
        for (row, outcome) in ROWS.iter().zip(&self.rows) {
            table.add_row([
                outcome.scenario.to_owned(),
                origin(row, outcome.original_test_stuck_after_s),
                origin(row, outcome.published_fix_stuck_after_s),
                if outcome.as_promised { outcome.verdict.to_owned() } else { format!("{} (not as promised)", outcome.verdict) },
                outcome.detected_after_s.map_or_else(|| "–".into(), |s| format!("{s:.2}s")),
                outcome.window_s.map_or_else(|| "never".into(), |[first, last]| format!("[{first:.2}s, {last:.2}s]")),
            ]);
        }
        for column in 4..6 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = format!("{table}\n{}", self.summary());
        for row in &self.rows {
            if let Some(why) = &row.why {
                text.push_str(&format!("\nnot as promised: {} ({}): {why}", row.scenario, row.worker));
            }
        }
        text
    }

    fn summary(&self) -> String {
        let kept = self.rows.iter().filter(|row| row.as_promised).count();
        format!(
            "{kept} of {} as promised; T = {}s, polled every {}s; a hang is flagged at the first poll past T",
            self.rows.len(),
            self.inference_step_timeout_s,
            self.poll_s
        )
    }
}

/// What one of the origin's tests said, and whether it was right.
fn origin(row: &Row, stuck_after_s: Option<f64>) -> String {
    match (row.is_well(), stuck_after_s) {
        (false, Some(s)) => format!("stuck, {s:.2}s"),
        (false, None) => "missed".into(),
        (true, Some(s)) => format!("false alarm, {s:.2}s"),
        (true, None) => "not stuck".into(),
    }
}

/// To the millisecond: polls are no finer.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::record::Record;
    use super::*;

    #[test]
    fn a_row_that_is_not_as_promised_is_said_and_makes_the_exit_code_1() {
        let promise = Promise { timeout: Duration::from_secs(2), poll: Duration::from_millis(100) };
        let mut record = Record::new(promise.timeout);
        (record.first_seen, record.last_seen) = (Some(0), Some(6_000_000_000));
        let watched = Watched { records: ROWS.iter().map(|_| record.clone()).collect(), end: 6_000_000_000 };
        let mut outcome = Outcome::of(&watched, &promise);
        assert_eq!(outcome.exit_code(), 1, "hangs that nobody flagged are not as promised");
        assert!(outcome.text().contains("not as promised: hangs at 0 % (hang-0): expected silent, was never flagged"));
        outcome.rows.retain(|row| row.as_promised);
        assert_eq!(outcome.rows.len(), 3, "the healthy rows were never flagged");
    }
}
