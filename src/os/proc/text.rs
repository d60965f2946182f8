//! One small file at a time, in buffers that serve all of them.

use std::borrow::Cow;
use std::fmt::{Arguments, Write};
use std::fs::File;
use std::io::{self, Read};

/// More than any of these files holds; a longer one is cut.
const MAX_LEN: u64 = 64 * 1024;

/// Reads files whose names are made anew each time.
#[derive(Debug, Default)]
pub(crate) struct Text {
    path: String,
    bytes: Vec<u8>,
}

impl Text {
    /// The file's text; bytes that are no UTF-8 come as replacement characters.
    pub(crate) fn read(&mut self, path: Arguments<'_>) -> io::Result<Cow<'_, str>> {
        self.path.clear();
        let _ = self.path.write_fmt(path);
        self.bytes.clear();
        File::open(&self.path)?.take(MAX_LEN).read_to_end(&mut self.bytes)?;
        Ok(String::from_utf8_lossy(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_file_after_a_longer_one_holds_nothing_of_it() {
        let dir = tempfile::tempdir().expect("a temp dir");
        for (name, text) in [("long", "0123456789"), ("short", "ab"), ("empty", "")] {
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        let mut text = Text::default();
        for (name, wanted) in [("long", "0123456789"), ("short", "ab"), ("empty", "")] {
            assert_eq!(text.read(format_args!("{}/{name}", dir.path().display())).expect("read"), wanted);
        }
        assert!(text.read(format_args!("{}/none", dir.path().display())).is_err());
    }

    #[test]
    fn a_file_without_end_is_cut() {
        assert_eq!(Text::default().read(format_args!("/dev/zero")).expect("read").len() as u64, MAX_LEN);
    }
}
