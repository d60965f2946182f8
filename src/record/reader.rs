//! Reading a trace, whatever the bytes are: memory is asked for only as bytes are there.

use super::crc::crc32;
use super::frame::{Frame, Known, MAX_FRAME, decode};
use super::header::{HEADER_LEN, Header};
use super::wire::{Cursor, put};
use crate::error::{Error, ErrorKind};
use std::fmt;
use std::io::{self, BufReader, Read};

/// Why a trace cannot be read on, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceError {
    /// Bytes from the trace's start.
    pub offset: u64,
    /// What is there.
    pub why: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.why)
    }
}

impl std::error::Error for TraceError {}

impl TraceError {
    /// As an error of this crate about the trace called `name`.
    pub fn of(&self, name: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Usage, format!("cannot read trace '{name}'"), self.to_string())
    }
}

/// The end of a trace that is not the end of a frame: whoever wrote it was killed, or its disk was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Where the last whole frame ends; recording can go on there.
    pub offset: u64,
    /// Bytes of the frame that is not whole.
    pub bytes: u64,
}

/// Reads frames until the end, the cut, or the first damage.
#[derive(Debug)]
pub struct Reader<R> {
    from: BufReader<R>,
    header: Header,
    offset: u64,
    cut: Option<Cut>,
    done: bool,
    known: Known,
}

fn failed(offset: u64) -> impl Fn(io::Error) -> TraceError {
    move |e| TraceError { offset, why: e.to_string() }
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    pub fn new(from: R) -> Result<Self, TraceError> {
        let mut from = BufReader::new(from);
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        from.by_ref().take(HEADER_LEN as u64).read_to_end(&mut bytes).map_err(failed(0))?;
        let bytes = <&[u8; HEADER_LEN]>::try_from(&bytes[..])
            .map_err(|_| TraceError { offset: bytes.len() as u64, why: "it ends within the header".into() })?;
        let header = Header::from_bytes(bytes).map_err(|(offset, why)| TraceError { offset, why })?;
        Ok(Self { from, header, offset: HEADER_LEN as u64, cut: None, done: false, known: Known::default() })
    }

    /// What holds for the whole trace.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Where the last frame that was read ends.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// After the end: whether it was a cut.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// Goes on in the trace that follows this one: at its end, and only there. It must be of the same header.
    pub fn go_on(&mut self, from: R) -> Result<(), TraceError> {
        let next = Self::new(from)?;
        if next.header != self.header {
            return Err(TraceError { offset: 0, why: "it is of another segment or interval than the trace before it".into() });
        }
        let known = std::mem::take(&mut self.known);
        *self = Self { known, ..next };
        Ok(())
    }

    fn cut_after(&mut self, bytes: usize) -> Option<Frame> {
        self.cut = (bytes > 0).then_some(Cut { offset: self.offset, bytes: bytes as u64 });
        None
    }

    fn read(&mut self) -> Result<Option<Frame>, TraceError> {
        let offset = self.offset;
        let wrong = |why: String| TraceError { offset, why };
        let mut length = Vec::new();
        while length.last().is_none_or(|byte| *byte >= 0x80) {
            // A number that 64 bits do not hold is refused below.
            if length.len() == 10 || self.from.by_ref().take(1).read_to_end(&mut length).map_err(failed(offset))? == 0 {
                break;
            }
        }
        if length.len() < 10 && length.last().is_none_or(|byte| *byte >= 0x80) {
            return Ok(self.cut_after(length.len()));
        }
        let len = Cursor(&length).number().map_err(wrong)?;
        if len > MAX_FRAME as u64 {
            return Err(wrong(format!("a frame of {len} bytes, at most {MAX_FRAME} are believed")));
        }
        let mut canonical = Vec::new();
        put(&mut canonical, len);
        if canonical != length {
            return Err(wrong("a frame's length is written in more bytes than it needs".into()));
        }
        let mut frame = Vec::new();
        self.from.by_ref().take(len + 4).read_to_end(&mut frame).map_err(failed(offset))?;
        if (frame.len() as u64) < len + 4 {
            return Ok(self.cut_after(length.len() + frame.len()));
        }
        let (payload, crc) = frame.split_at(len as usize);
        if crc != crc32(&[&length, payload]).to_le_bytes() {
            return Err(wrong("a frame's checksum is wrong".into()));
        }
        let decoded = decode(payload, self.header.slots, &mut self.known).map_err(wrong)?;
        self.offset += (length.len() + frame.len()) as u64;
        Ok(Some(decoded))
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Frame, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let read = self.read().transpose();
        self.done = !matches!(read, Some(Ok(_)));
        read
    }
}
