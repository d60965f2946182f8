//! Why a file or folder of somebody else is not used, and the way out.

use super::env::ENV_ALLOWED_UIDS;
use crate::error::{Error, ErrorKind};
use crate::os::access::{Access, Forbids};
use crate::os::file;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What shows in place of a user that this user namespace has no number for.
const OVERFLOW_UID: u32 = 65534;

/// What is refused, for its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Segment,
    Folder,
}

/// The error for what `access` forbids.
pub(super) fn denied(what: &str, forbids: Forbids, access: &Access, of: What, path: &Path) -> Error {
    let group = format!("or share it with a group: name the users that may own it in {ENV_ALLOWED_UIDS}, such as '1000,1001'");
    match (forbids, access.is_group()) {
        (Forbids::Owner(uid), is_group) => {
            let error =
                Error::new(ErrorKind::Denied, what, format!("it belongs to uid {uid}, this process is uid {}", file::euid()));
            let error = match (of, is_group) {
                (_, true) => error.hint(format!("{ENV_ALLOWED_UIDS} does not name {uid}: add it, if that user may share it")),
                (What::Segment, false) => error.hint("run this side as the same user as the workers").hint(group),
                (What::Folder, false) => error.hint("set HANGWATCH_DIR to a folder of your own, mode 0700").hint(group),
            };
            if uid == OVERFLOW_UID { error.hint("in a user namespace 65534 is whoever has no number there") } else { error }
        }
        (Forbids::Mode(mode), false) => {
            let own = if of == What::Segment { "0600" } else { "0700" };
            let error = Error::new(ErrorKind::Denied, what, format!("others may write it: mode {mode:04o}, expected {own}"));
            let error = match of {
                What::Segment => error.hint(format!("'chmod 600 {}' if you trust what is in it", path.display())),
                What::Folder => error.hint("set HANGWATCH_DIR to a folder of your own, mode 0700"),
            };
            if mode & 0o002 == 0 { error.hint(group) } else { error }
        }
        (Forbids::Mode(mode), true) => {
            let (bits, hint) = match of {
                What::Segment => ("0660", format!("'chmod o-w {}' if you trust what is in it", path.display())),
                What::Folder => ("2770", "set HANGWATCH_DIR to a folder in it, which is made for the group alone".into()),
            };
            Error::new(ErrorKind::Denied, what, format!("anybody may write it: mode {mode:04o}, expected {bits}")).hint(hint)
        }
    }
}

/// The error for a segment that the kernel does not let us open.
pub(super) fn not_permitted(what: &str, path: &Path, write: bool, access: &Access) -> Error {
    let Ok(about) = std::fs::symlink_metadata(path) else {
        let error = Error::new(ErrorKind::Denied, what, "permission denied");
        return error.hint("a folder on the way to it is closed to this user");
    };
    if !access.may_own(about.uid()) {
        return denied(what, Forbids::Owner(about.uid()), access, What::Segment, path);
    }
    let (uid, gid, mode) = (about.uid(), about.gid(), about.mode() & 0o7777);
    let verb = if write { "write" } else { "read" };
    let why = format!("this process may not {verb} it: uid {uid}, gid {gid}, mode {mode:04o}; it is uid {}", file::euid());
    let error = Error::new(ErrorKind::Denied, what, why);
    let readable = write && file::open_existing(path, false).is_ok();
    let error = if readable { error.hint(READ_ONLY) } else { error };
    if uid == file::euid() || !access.is_group() {
        return error.hint(format!("'chmod u+rw {}' lets its owner in", path.display()));
    }
    error
        .hint(format!(
            "a group's segment has mode 0660 and a group in which all of them are; gid {gid} must be one of this process's"
        ))
        .hint("give their folder that group and the setgid bit ('chmod g+s'), and let a member make the segment anew")
}

const READ_ONLY: &str = "workers and monitors write; to read is enough for 'hangwatch status', 'inspect' and 'explain'";

/// The error for a segment on a file system that is mounted read-only.
pub(super) fn read_only_mount(what: &str) -> Error {
    Error::new(ErrorKind::Denied, what, "its file system is mounted read-only here").hint(READ_ONLY)
}

/// Whether the system's answer is about permission, and the error that says so.
pub(super) fn from_io(what: &str, e: &io::Error, path: &Path, write: bool, access: &Access) -> Option<Error> {
    match e.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => Some(not_permitted(what, path, write, access)),
        Some(libc::EROFS) => Some(read_only_mount(what)),
        _ => None,
    }
}
