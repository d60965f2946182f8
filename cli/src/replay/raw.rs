//! The rows behind the tables, as CSV files: every alarm, every labelled hang, every injected one.

use super::score::Scored;
use hangwatch::{Error, ErrorKind, Result};
use serde::Serialize;
use std::path::Path;

// Columns: the detector, then the fields of a row in their order; a record of another length is refused by the writer.
const ALARMS: &[&str] = &["detector", "session", "worker", "at_ns", "silence_s", "rule", "truth"];
const HANGS: &[&str] = &["detector", "session", "worker", "on_ns", "lasted_s", "kind", "delay_s", "rule"];
const INJECTED: &[&str] = &["detector", "session", "worker", "at_ns", "alive", "steady", "delay_s", "rule"];

fn write<'a, R: Serialize + 'a>(
    folder: &Path,
    name: &str,
    head: &[&str],
    rows: impl Iterator<Item = (&'a str, &'a R)>,
) -> Result<()> {
    let path = folder.join(name);
    let wrong = |e: csv::Error| Error::new(ErrorKind::System, format!("cannot write '{}'", path.display()), e.to_string());
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_path(&path).map_err(wrong)?;
    writer.write_record(head).map_err(wrong)?;
    for (detector, row) in rows {
        writer.serialize((detector, row)).map_err(wrong)?;
    }
    writer.flush().map_err(|e| Error::io(format!("cannot write '{}'", path.display()), &e))
}

/// Writes `alarms.csv`, `hangs.csv` and `injected.csv` into a folder, which is made if it is absent.
pub(crate) fn write_all(folder: &Path, all: &[Scored]) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(format!("cannot make '{}'", folder.display()), &e))?;
    write(folder, "alarms.csv", ALARMS, all.iter().flat_map(|of| of.alarms.iter().map(|row| (&*of.detector, row))))?;
    write(folder, "hangs.csv", HANGS, all.iter().flat_map(|of| of.hangs.iter().map(|row| (&*of.detector, row))))?;
    write(folder, "injected.csv", INJECTED, all.iter().flat_map(|of| of.injected.iter().map(|row| (&*of.detector, row))))
}
