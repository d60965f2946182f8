//! The end of the worker's log, and what the worker adds to it when it is asked for its traceback.

use super::gatherer::left_until;
use crate::os::file;
use crate::os::pidfd::PidFd;
use crate::os::proc::machine;
use crate::os::proc::text::Text;
use crate::os::wake::wait_readable;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// Between two looks at a log that is to grow. There is no event to wait for that a file on any file system would give.
const LOOK: Duration = Duration::from_millis(20);
/// A traceback is whole when nothing was added for this many looks.
const QUIET_LOOKS: u32 = 10;

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = file::open_existing(path, false)?;
    let is = file.metadata()?;
    if !is.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    Ok((file, is.len()))
}

fn read_from(file: &mut File, start: u64, max: u64) -> io::Result<Vec<u8>> {
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

/// Asks the worker for its traceback and returns what it has added to its log by `until_ns`. A worker that does not catch the
/// signal would be ended by it, and is not asked.
pub(super) fn traceback(signal: i32, pid: u32, fd: &PidFd, log: &Path, max: u64, until_ns: u64) -> Result<Vec<u8>, String> {
    let text = |e: io::Error| e.to_string();
    let (mut file, start) = open(log).map_err(|e| format!("its log '{}' cannot be read: {e}", log.display()))?;
    let caught = machine::status(pid, &mut Text::default()).get("SigCgt").and_then(|set| u64::from_str_radix(set, 16).ok());
    let bit = u32::try_from(signal).ok().and_then(|signal| signal.checked_sub(1)).filter(|bit| *bit < 64);
    if bit.is_none_or(|bit| caught.unwrap_or(0) >> bit & 1 == 0) {
        return Err(format!("the worker does not catch signal {signal}"));
    }
    fd.signal(signal, false).map_err(text)?;
    let (mut len, mut quiet) = (start, 0);
    while let Some(left) = left_until(until_ns) {
        if wait_readable(&[fd.as_fd()], Some(left.min(LOOK)))[0] {
            break;
        }
        let now = file.metadata().map_err(text)?.len();
        quiet = if now == len { quiet + 1 } else { 0 };
        len = now;
        if len > start && quiet >= QUIET_LOOKS {
            break;
        }
    }
    if len <= start {
        return Err("nothing came into its log".into());
    }
    read_from(&mut file, start, max).map_err(text)
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
