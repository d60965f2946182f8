//! The end of the worker's log.

use crate::os::file;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// A log and its length; only a regular file is one.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = file::open_existing(path, false)?;
    let is = file.metadata()?;
    if !is.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    Ok((file, is.len()))
}

/// At most `max` bytes from `start` on.
pub(super) fn read_from(file: &mut File, start: u64, max: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// At most `max` bytes from the end, from the beginning of a line on.
pub(super) fn tail(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let (mut file, len) = open(path)?;
    let start = len.saturating_sub(max);
    let mut bytes = read_from(&mut file, start, max)?;
    if start > 0
        && let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
    {
        bytes.drain(..=end);
    }
    Ok(bytes)
}

/// Text that no terminal obeys: control characters but line ends and tabs are written out.
pub(super) fn plain(bytes: &[u8]) -> String {
    let mut plain = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_log_begins_with_a_line() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let log = dir.path().join("log");
        std::fs::write(&log, "first\nsecond\nthird\n").expect("written");
        let tail = |max| String::from_utf8(tail(&log, max).expect("read")).expect("text");
        assert_eq!(
            [tail(9).as_str(), tail(19).as_str(), tail(1000).as_str()],
            ["third\n", "first\nsecond\nthird\n", "first\nsecond\nthird\n"]
        );
    }

    #[test]
    fn a_log_that_is_a_link_a_pipe_or_a_folder_is_not_read() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let (link, pipe) = (dir.path().join("link"), dir.path().join("pipe"));
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("linked");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        for path in [&link, &pipe, &dir.path().to_path_buf(), &dir.path().join("none")] {
            assert!(tail(path, 100).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn no_terminal_obeys_what_a_worker_has_logged() {
        assert_eq!(plain(b"a\tb\r\n\x1b[2J\xff"), "a\tb\\r\n\\u{1b}[2J\u{fffd}");
    }
}
