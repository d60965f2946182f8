//! The worker's own traceback, which it writes at a signal: into a file of its own in memory, which `hangwatch.dump_stacks_on` keeps
//! for that, else into its log.

use super::gatherer::left_until;
use super::log;
use crate::os::pidfd::PidFd;
use crate::os::proc::machine;
use crate::os::proc::memfd::{self, Memfd};
use crate::os::proc::text::Text;
use crate::os::wake::wait_readable;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// The name of the file in memory. `python/hangwatch/_stacks.py` makes it.
const NAME: &str = "hangwatch-traceback";
/// Between two looks at a file that is to grow. There is no event to wait for that a file on any file system would give.
const LOOK: Duration = Duration::from_millis(20);
/// A traceback is whole when nothing was added for this many looks.
const QUIET_LOOKS: u32 = 10;

/// What it wrote, and where.
#[derive(Debug)]
pub(super) struct Traceback {
    pub(super) bytes: Vec<u8>,
    pub(super) place: &'static str,
}

/// Where a traceback is looked for.
#[derive(Debug)]
enum Place {
    Own(Memfd),
    Log(File),
}

impl Place {
    /// Its own file, else its log: a worker that has the first writes nothing into the second.
    fn of(pid: u32, fd: &PidFd, log: Option<&Path>) -> Result<Self, String> {
        let own = memfd::find(pid, NAME);
        // What was found by the number is this worker's only if it was there all the while.
        if fd.has_exited() {
            return Err("it has ended".into());
        }
        if let Ok(Some(own)) = own {
            return Ok(Self::Own(own));
        }
        let Some(path) = log else {
            return Err("it has no file of its own for it, and no log is known that it would be in".into());
        };
        match log::open(path) {
            Ok((file, _)) => Ok(Self::Log(file)),
            Err(e) => Err(format!("its log '{}' cannot be read: {e}", path.display())),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Own(_) => "a file of its own",
            Self::Log(_) => "its log",
        }
    }

    /// How far the worker has written.
    fn written(&self) -> io::Result<u64> {
        match self {
            Self::Own(own) => own.written(),
            Self::Log(file) => file.metadata().map(|it| it.len()),
        }
    }

    fn read(&mut self, start: u64, max: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::Own(own) => log::read_from(own.file(), start, max),
            Self::Log(file) => log::read_from(file, start, max),
        }
    }
}

/// Asks the worker for its traceback and returns what it has written by `until_ns`. A worker that does not catch the signal would
/// be ended by it, and is not asked.
pub(super) fn ask(signal: i32, pid: u32, fd: &PidFd, log: Option<&Path>, max: u64, until_ns: u64) -> Result<Traceback, String> {
    let text = |e: io::Error| e.to_string();
    let caught = machine::status(pid, &mut Text::default()).get("SigCgt").and_then(|set| u64::from_str_radix(set, 16).ok());
    let bit = u32::try_from(signal).ok().and_then(|signal| signal.checked_sub(1)).filter(|bit| *bit < 64);
    if bit.is_none_or(|bit| caught.unwrap_or(0) >> bit & 1 == 0) {
        return Err(format!("the worker does not catch signal {signal}"));
    }
    let mut place = Place::of(pid, fd, log)?;
    let start = place.written().map_err(text)?;
    fd.signal(signal, false).map_err(text)?;
    let (mut end, mut quiet) = (start, 0);
    while let Some(left) = left_until(until_ns) {
        if wait_readable(&[fd.as_fd()], Some(left.min(LOOK)))[0] {
            break;
        }
        let now = place.written().map_err(text)?;
        quiet = if now == end { quiet + 1 } else { 0 };
        end = now;
        if end > start && quiet >= QUIET_LOOKS {
            break;
        }
    }
    if end <= start {
        return Err(format!("nothing came into {}", place.name()));
    }
    let bytes = place.read(start, max.min(end - start)).map_err(text)?;
    Ok(Traceback { bytes, place: place.name() })
}
