//! Writing a trace: a frame is one write, so a kill leaves whole frames and at most one that is cut.

use super::frame::{Known, MAX_FRAME, encode};
use super::header::{HEADER_LEN, Header};
use crate::layout::word::Owner;
use crate::snapshot::{HostSnapshot, SlotSnapshot};
use std::io::{self, Write};

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It has so many bytes.
    Frame(usize),
    /// It would pass the bound: nothing was written. [`Writer::restart`] goes on in another file.
    Full,
}

/// Writes frames after a header.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    header: Header,
    bound: u64,
    written: u64,
    key: bool,
    known: Known,
}

impl<W: Write> Writer<W> {
    /// A new trace of at most `bound` bytes.
    pub fn new(mut out: W, header: Header, bound: u64) -> io::Result<Self> {
        out.write_all(&header.to_bytes())?;
        Ok(Self::go_on(out, header, bound, HEADER_LEN as u64))
    }

    /// Goes on after the last whole frame of a trace that has `written` bytes up to there: the next frame is a keyframe.
    pub fn go_on(out: W, header: Header, bound: u64, written: u64) -> Self {
        Self { out, header, bound, written, key: true, known: Known::default() }
    }

    /// Goes on in a new trace, which begins with all that is known. Returns the former one.
    pub fn restart(&mut self, mut out: W) -> io::Result<W> {
        out.write_all(&self.header.to_bytes())?;
        self.written = HEADER_LEN as u64;
        self.key = true;
        Ok(std::mem::replace(&mut self.out, out))
    }

    /// Bytes of the trace so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes a poll. `slots` are those that were looked at, by ascending index; those that did not change cost nothing.
    pub fn frame(&mut self, host: &HostSnapshot, slots: &[SlotSnapshot]) -> io::Result<Written> {
        let sorted = slots.windows(2).all(|pair| pair[0].index < pair[1].index);
        if !sorted || slots.last().is_some_and(|last| last.index >= self.header.slots) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "slots come by ascending index, below the header's count"));
        }
        let never = |slot: &SlotSnapshot| slot.owner == Owner(0) && slot.hot.is_none();
        let changed: Vec<&SlotSnapshot> =
            slots.iter().filter(|slot| self.known.slots.get(&slot.index).map_or(!never(slot), |known| known != *slot)).collect();
        let bytes = if self.key {
            let mut all = self.known.slots.clone();
            all.extend(changed.iter().map(|slot| (slot.index, (*slot).clone())));
            encode(true, host, &all.values().collect::<Vec<_>>(), &self.known)
        } else {
            encode(false, host, &changed, &self.known)
        };
        if bytes.len() > MAX_FRAME || self.written == HEADER_LEN as u64 && self.written + bytes.len() as u64 > self.bound {
            let why = format!("a keyframe of {} bytes is past the bound of {}", bytes.len(), self.bound);
            return Err(io::Error::new(io::ErrorKind::StorageFull, why));
        }
        if self.written + bytes.len() as u64 > self.bound {
            return Ok(Written::Full);
        }
        self.out.write_all(&bytes)?;
        self.written += bytes.len() as u64;
        self.key = false;
        self.known.host = *host;
        for slot in changed {
            self.known.slots.insert(slot.index, slot.clone());
        }
        Ok(Written::Frame(bytes.len()))
    }
}
