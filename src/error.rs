//! One error type: what was being done to what, why it failed, and the way out.

use std::fmt;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of failure, for programs. C's `hangwatch_code_e` has the same numbers; a number is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorKind {
    /// An argument or an environment variable makes no sense.
    Usage = 1,
    /// There is no such segment, slot or phase.
    NotFound = 2,
    /// The segment is damaged, foreign, or of another version.
    BadSegment = 3,
    /// Permissions, ownership or mode forbid it.
    Denied = 4,
    /// No room: the file system, or every slot is taken.
    Full = 5,
    /// Somebody else holds it: another monitor is alive.
    Held = 6,
    /// The system said no for another reason.
    System = 7,
}

/// `what: why`, then lines that say what it means and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    why: String,
    hints: Vec<String>,
}

impl Error {
    /// An error without a hint. `what` is what was being done, to what; `why` names the value met and the value expected.
    pub fn new(kind: ErrorKind, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { kind, what: what.into(), why: why.into(), hints: Vec::new() }
    }

    /// Adds a line: what it means, or what to do.
    #[must_use]
    pub fn hint(mut self, line: impl Into<String>) -> Self {
        self.hints.push(line.into());
        self
    }

    /// From a failed system call.
    pub fn io(what: impl Into<String>, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::PermissionDenied => ErrorKind::Denied,
            Io::StorageFull => ErrorKind::Full,
            _ => ErrorKind::System,
        };
        Self::new(kind, what, system_text(error))
    }

    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done, to what.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Why it failed.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What it means and what to do, a line each.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

/// The system's sentence, in the house's shape: lower case, no error number.
pub(crate) fn system_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)?;
        self.hints.iter().try_for_each(|hint| write!(f, "\n  {hint}"))
    }
}

impl std::error::Error for Error {}
