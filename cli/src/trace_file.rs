//! A trace on disk: one file that grows, and beside it the older half once it is full.

use hangwatch::record::{Header, Reader, TraceError, Writer, Written};
use hangwatch::snapshot::{HostSnapshot, SlotSnapshot};
use hangwatch::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Both files together stay under the bound: each has half of it.
#[derive(Debug)]
pub(crate) struct TraceFile {
    path: PathBuf,
    older: PathBuf,
    writer: Writer<File>,
    /// Polls and bytes that were written.
    pub(crate) polls: u64,
    pub(crate) bytes: u64,
    /// Bytes of a poll that was cut, and dropped when recording went on.
    pub(crate) cut: u64,
}

fn open(path: &Path) -> Result<File> {
    let what = || format!("cannot record to '{}'", path.display());
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|e| Error::io(what(), &e))?;
    // Held until the file is closed, however this process ends.
    file.try_lock().map_err(|_| {
        Error::new(ErrorKind::Held, what(), "another recorder writes to it").hint("choose another file with --out")
    })?;
    Ok(file)
}

/// Where the older half of a trace is.
pub(crate) fn older(path: &Path) -> PathBuf {
    let mut older = path.as_os_str().to_owned();
    older.push(".1");
    older.into()
}

impl TraceFile {
    /// Opens a new trace, or goes on in one after its last whole poll.
    pub(crate) fn open(path: &Path, header: Header, max_size: u64) -> Result<Self> {
        let what = || format!("cannot record to '{}'", path.display());
        let io = |e: std::io::Error| Error::io(what(), &e);
        let half = max_size / 2;
        let older = older(path);
        let mut file = open(path)?;
        let len = file.metadata().map_err(io)?.len();
        let older_len = std::fs::metadata(&older).map_or(0, |meta| meta.len());
        if len.max(older_len) > half {
            let why = format!("what is there has {} bytes, more than half of --max-size {max_size}", len.max(older_len));
            return Err(Error::new(ErrorKind::Usage, what(), why).hint("raise --max-size, or move the trace away"));
        }
        let (writer, cut) = if len == 0 {
            (Writer::new(file, header, half).map_err(io)?, 0)
        } else {
            let whole = whole(&file, header, path)?;
            file.set_len(whole).map_err(io)?;
            file.seek(SeekFrom::End(0)).map_err(io)?;
            (Writer::go_on(file, header, half, whole), len - whole)
        };
        Ok(Self { path: path.to_path_buf(), older, writer, polls: 0, bytes: 0, cut })
    }

    /// Appends a poll, by one write.
    pub(crate) fn write(&mut self, host: &HostSnapshot, slots: &[SlotSnapshot]) -> Result<()> {
        let io = |e: std::io::Error| Error::io(format!("cannot record to '{}'", self.path.display()), &e);
        let written = match self.writer.frame(host, slots).map_err(io)? {
            Written::Full => {
                std::fs::rename(&self.path, &self.older).map_err(io)?;
                let next = open(&self.path)?;
                next.set_len(0).map_err(io)?;
                drop(self.writer.restart(next).map_err(io)?);
                self.writer.frame(host, slots).map_err(io)?
            }
            written => written,
        };
        if let Written::Frame(bytes) = written {
            self.polls += 1;
            self.bytes += bytes as u64;
        }
        Ok(())
    }
}

/// Bytes up to the end of the last whole poll of a trace that can be gone on with.
fn whole(file: &File, header: Header, path: &Path) -> Result<u64> {
    let of = |e: TraceError| e.of(path.display()).hint("choose another file with --out, or move this one away");
    let mut reader = Reader::new(file).map_err(of)?;
    if reader.header() != header {
        let (was, is) = (reader.header(), header);
        let why = format!(
            "it is of {} slots of {} bytes every {:?}, and this would be of {} of {} every {:?}",
            was.slots,
            was.slot_size,
            std::time::Duration::from_nanos(was.poll_interval_ns),
            is.slots,
            is.slot_size,
            std::time::Duration::from_nanos(is.poll_interval_ns)
        );
        let what = format!("cannot record to '{}'", path.display());
        return Err(Error::new(ErrorKind::Usage, what, why).hint("choose another file with --out"));
    }
    for frame in reader.by_ref() {
        frame.map_err(of)?;
    }
    Ok(reader.offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { slots: 4, slot_size: 1024, poll_interval_ns: 1_000_000_000 };

    fn host(poll: u64) -> HostSnapshot {
        HostSnapshot { monotonic_ns: poll * 1_000_000_000, ..HostSnapshot::default() }
    }

    fn polls_in(path: &Path) -> Vec<u64> {
        let reader = Reader::new(File::open(path).expect("a trace")).expect("a header");
        reader.map(|frame| frame.expect("whole").host.monotonic_ns / 1_000_000_000).collect()
    }

    #[test]
    fn both_files_together_never_pass_the_bound_and_the_newest_polls_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t");
        let mut trace = TraceFile::open(&path, HEADER, 400).expect("a trace");
        for poll in 0..200 {
            trace.write(&host(poll), &[]).expect("room for a quiet poll");
            let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
            assert!(size(&path) + size(&folder.path().join("t.1")) <= 400, "the bound holds after every poll");
        }
        let kept = [polls_in(&folder.path().join("t.1")), polls_in(&path)].concat();
        assert_eq!(kept.last(), Some(&199));
        assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1), "nothing is missing between the two: {kept:?}");
    }

    #[test]
    fn a_trace_cut_anywhere_is_gone_on_with_after_its_last_whole_poll() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t");
        let mut trace = TraceFile::open(&path, HEADER, 1 << 20).expect("a trace");
        (0..3).for_each(|poll| trace.write(&host(poll), &[]).expect("room"));
        drop(trace);
        let whole = std::fs::read(&path).expect("a trace");
        for cut in 33..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("a file");
            let left = polls_in_cut(&whole[..cut]);
            let mut trace = TraceFile::open(&path, HEADER, 1 << 20).expect("a trace that was cut");
            trace.write(&host(9), &[]).expect("room");
            drop(trace);
            assert_eq!(polls_in(&path), [&left[..], &[9]].concat(), "cut at {cut}");
        }
    }

    fn polls_in_cut(bytes: &[u8]) -> Vec<u64> {
        let reader = Reader::new(bytes).expect("a header");
        reader.map(|frame| frame.expect("a cut is no damage").host.monotonic_ns / 1_000_000_000).collect()
    }

    #[test]
    fn a_second_recorder_another_interval_and_garbage_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t");
        let trace = TraceFile::open(&path, HEADER, 1 << 20).expect("a trace");
        assert!(TraceFile::open(&path, HEADER, 1 << 20).is_err_and(|e| e.kind() == ErrorKind::Held));
        drop(trace);
        let other = Header { poll_interval_ns: 2, ..HEADER };
        assert!(TraceFile::open(&path, other, 1 << 20).is_err_and(|e| e.why().contains("every 1s")));
        std::fs::write(&path, "hello, this is a file of somebody else's").expect("a file");
        assert!(TraceFile::open(&path, HEADER, 1 << 20).is_err());
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "hello, this is a file of somebody else's");
    }
}
