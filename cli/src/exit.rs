//! Exit codes: one table, compared with the README by a test.

use hangwatch::{Error, ErrorKind};
use std::io::Write;

pub(crate) const WELL: u8 = 0;
pub(crate) const ACTING: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const NOT_FOUND: u8 = 3;
pub(crate) const UNUSABLE: u8 = 4;
pub(crate) const GAVE_UP: u8 = 5;

/// Code and meaning.
#[cfg(test)]
pub(crate) const TABLE: &[(u8, &str)] = &[
    (WELL, "well"),
    (ACTING, "an acting verdict stands, or a worker ended badly"),
    (USAGE, "usage, or hangwatch failed"),
    (NOT_FOUND, "no such slot or segment"),
    (UNUSABLE, "the segment or its monitor is unusable; also: another live monitor holds it"),
    (GAVE_UP, "gave up after repeated hangs"),
];

pub(crate) const HELP: &str = "\
Exit codes:
  0  well
  1  an acting verdict stands, or a worker ended badly
  2  usage, or hangwatch failed
  3  no such slot or segment
  4  the segment or its monitor is unusable; also: another live monitor holds it
  5  gave up after repeated hangs
'run' ends with its single worker's code if that worker ended by itself.";

pub(crate) fn code_of(e: &Error) -> u8 {
    match e.kind() {
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::BadSegment | ErrorKind::Denied | ErrorKind::Full | ErrorKind::Held => UNUSABLE,
        _ => USAGE,
    }
}

/// `hangwatch: what: why`, then the way out.
pub(crate) fn print_error(e: &Error) {
    // Nobody may be there to read it; that is no reason to fail otherwise.
    let _ = writeln!(std::io::stderr(), "hangwatch: {e}");
}

/// Writes to standard output; a reader that has gone away is success.
pub(crate) fn print(text: &str) -> hangwatch::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("cannot write to standard output", &e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_and_the_readme_say_the_codes_of_the_table() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README");
        for (code, meaning) in TABLE {
            assert!(HELP.contains(&format!("  {code}  {meaning}\n")), "--help lacks {code}: {meaning}");
            assert!(readme.contains(&format!("| {code} | {meaning} |")), "the README lacks {code}: {meaning}");
        }
    }
}
