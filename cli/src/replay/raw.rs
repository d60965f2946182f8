//! The rows behind the tables, as CSV files: every alarm, every labelled hang, every injected one.

use super::score::Scored;
use hangwatch::{Error, ErrorKind, Result};
use serde::Serialize;
use std::path::Path;

fn write<'a, R: Serialize + 'a>(folder: &Path, name: &str, rows: impl Iterator<Item = (&'a str, &'a R)>) -> Result<()> {
    let path = folder.join(name);
    let wrong = |e: csv::Error| Error::new(ErrorKind::System, format!("cannot write '{}'", path.display()), e.to_string());
    let mut writer = csv::Writer::from_path(&path).map_err(wrong)?;
    for (detector, row) in rows {
        writer.serialize((detector, row)).map_err(wrong)?;
    }
    writer.flush().map_err(|e| Error::io(format!("cannot write '{}'", path.display()), &e))
}

/// Writes `alarms.csv`, `hangs.csv` and `injected.csv` into a folder, which is made if it is absent.
pub(crate) fn write_all(folder: &Path, all: &[Scored]) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(format!("cannot make '{}'", folder.display()), &e))?;
    write(folder, "alarms.csv", all.iter().flat_map(|of| of.alarms.iter().map(|row| (&*of.detector, row))))?;
    write(folder, "hangs.csv", all.iter().flat_map(|of| of.hangs.iter().map(|row| (&*of.detector, row))))?;
    write(folder, "injected.csv", all.iter().flat_map(|of| of.injected.iter().map(|row| (&*of.detector, row))))
}
