//! A file that others append lines to while a test reads it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(crate) struct Tail {
    file: File,
    /// The beginning of a line whose end was not written yet.
    rest: String,
}

impl Tail {
    /// From the file's beginning; it is made if it is absent.
    pub(crate) fn of(path: &Path) -> Self {
        let file = File::options().read(true).append(true).create(true).open(path).expect("a file to follow");
        Self { file, rest: String::new() }
    }

    /// The lines that are whole by now and were not before.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        self.file.read_to_string(&mut self.rest).expect("text");
        let Some(end) = self.rest.rfind('\n') else { return Vec::new() };
        let rest = self.rest.split_off(end + 1);
        std::mem::replace(&mut self.rest, rest).lines().map(String::from).collect()
    }
}
