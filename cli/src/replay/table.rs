//! What a replay prints: Markdown tables, the same as text on a terminal.

use super::score::{STATEMENT, Scored, percentile};
use std::collections::BTreeMap;

/// Rows of cells under a head, in columns.
pub(crate) fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", padded.join(" | "))
    };
    let mut out = line(&mut head.iter().copied());
    out += &format!("|{}\n", widths.iter().map(|width| format!("{}|", "-".repeat(width + 2))).collect::<String>());
    for row in rows {
        out += &line(&mut row.iter().map(String::as_str));
    }
    out
}

/// A delay in seconds; one that was not reached is `never`.
pub(crate) fn delay(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".into(),
        Some(seconds) if seconds.is_infinite() => "never".into(),
        Some(seconds) if seconds < 10.0 => format!("{seconds:.1}"),
        Some(seconds) => format!("{seconds:.0}"),
    }
}

fn p50_p99(sorted: &[f64]) -> String {
    format!("{} / {}", delay(percentile(sorted, 0.5)), delay(percentile(sorted, 0.99)))
}

/// Detectors side by side.
pub(crate) fn quality(all: &[Scored]) -> String {
    let head = [
        "detector",
        "false alarms",
        "per 1000 h",
        "hangs found",
        "delay p50 / p99",
        "injected found",
        "delay p50 / p99",
        "in steady steps",
    ];
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|scored| {
            let found = scored.hangs.iter().filter(|row| row.delay_s.is_some()).count();
            let stated = scored.hangs.iter().filter(|row| row.rule == Some(STATEMENT)).count();
            let stated = if stated > 0 { format!(" ({stated} as {STATEMENT})") } else { String::new() };
            let cut = scored.injected.iter().filter(|row| row.delay_s.is_some()).count();
            let steady = scored.injected.iter().filter(|row| row.steady).map(|row| &row.delay_s);
            vec![
                scored.detector.clone(),
                scored.false_alarms().to_string(),
                format!("{:.0}", scored.per_1000_hours()),
                format!("{found} of {}{stated}", scored.hangs.len()),
                p50_p99(&Scored::delays(scored.hangs.iter().map(|row| &row.delay_s))),
                format!("{cut} of {}", scored.injected.len()),
                p50_p99(&Scored::delays(scored.injected.iter().map(|row| &row.delay_s))),
                p50_p99(&Scored::delays(steady)),
            ]
        })
        .collect();
    markdown(&head, &rows)
}

/// What each rule did, over all sessions.
pub(crate) fn rules(all: &[Scored]) -> String {
    let mut rows = Vec::new();
    for scored in all {
        let mut rules: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
        for alarm in &scored.alarms {
            let counts = rules.entry(alarm.rule).or_default();
            counts[["true", "false", "open", "statement"].iter().position(|truth| *truth == alarm.truth).unwrap_or(3)] += 1;
        }
        for (rule, counts) in rules {
            let mut row = vec![scored.detector.clone(), rule.to_owned(), counts.iter().sum::<usize>().to_string()];
            row.extend(counts.map(|count| count.to_string()));
            rows.push(row);
        }
    }
    markdown(&["detector", "rule", "fired", "true", "false", "open", "statement"], &rows)
}
