//! The monitor and the reader from C: header against library, programs that run the monitor, and readers of what it says.

mod header;
mod programs;
mod reader;
