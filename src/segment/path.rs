//! Where segments live and what they may be called.

use super::denied::{self, What};
use crate::error::{Error, ErrorKind, Result};
use crate::os::access::Access;
use crate::os::file::euid;
use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The segment's name where a program names none.
pub const DEFAULT_NAME: &str = "default";
/// Files that stand beside a segment; a segment cannot be called `x.monitor`.
pub const SIDECARS: [&str; 8] = ["monitor", "unlink", LIVENESS, "children", "children.new", "learnt", "learnt.bad", "learnt.new"];
/// The one of which each worker holds the byte of its slot locked.
pub(crate) const LIVENESS: &str = "liveness";

/// The folder of named segments: `$HANGWATCH_DIR`, else `$XDG_RUNTIME_DIR/hangwatch`, else `/dev/shm/hangwatch-<uid>`.
pub fn directory() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|v: &OsString| !v.is_empty());
    if let Some(dir) = set("HANGWATCH_DIR") {
        return dir.into();
    }
    if let Some(runtime) = set("XDG_RUNTIME_DIR") {
        return PathBuf::from(runtime).join("hangwatch");
    }
    PathBuf::from(format!("/dev/shm/hangwatch-{}", euid()))
}

/// Where the segment is that a program means which names none: as `HANGWATCH_SEGMENT` says, else the default one.
pub fn usual() -> Result<PathBuf> {
    let named = std::env::var("HANGWATCH_SEGMENT").ok().filter(|named| !named.is_empty());
    resolve(named.as_deref().unwrap_or(DEFAULT_NAME))
}

/// Makes the folder if it is absent, for us alone or for a group, and refuses one that others may change.
pub(crate) fn ensure_directory(dir: &Path, access: &Access) -> Result<()> {
    let what = || format!("cannot use segment directory '{}'", dir.display());
    make(dir, access).map_err(|e| Error::io(what(), &e).hint("set HANGWATCH_DIR to a folder in a tmpfs that you may write"))?;
    let m = fs::symlink_metadata(dir).map_err(|e| Error::io(what(), &e))?;
    if !m.is_dir() {
        let error = Error::new(ErrorKind::Denied, what(), "it is not a directory");
        return Err(error.hint("set HANGWATCH_DIR to a folder of your own, mode 0700"));
    }
    match access.forbids(&m) {
        Some(forbids) => Err(denied::denied(&what(), forbids, access, What::Folder, dir)),
        None => Ok(()),
    }
}

/// The folder and those above it that are absent. One that is there is left as it is.
fn make(dir: &Path, access: &Access) -> io::Result<()> {
    match make_one(dir, access) {
        // Once more and no oftener: what is above may be a link that leads nowhere, which is there and is none.
        Err(e) if e.kind() == io::ErrorKind::NotFound => match dir.parent() {
            Some(above) if !above.as_os_str().is_empty() => make(above, access).and_then(|()| make_one(dir, access)),
            _ => Err(e),
        },
        other => other,
    }
}

fn make_one(dir: &Path, access: &Access) -> io::Result<()> {
    match fs::DirBuilder::new().mode(access.folder_mode()).create(dir) {
        // The umask has taken a part of the mode of a group's.
        Ok(()) if access.is_group() => fs::set_permissions(dir, fs::Permissions::from_mode(access.folder_mode())),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// A segment's path: as it is if it has a slash, else a name in [`directory`].
pub fn resolve(name_or_path: &str) -> Result<PathBuf> {
    if name_or_path.contains('/') {
        return Ok(name_or_path.into());
    }
    check_name(name_or_path)?;
    Ok(directory().join(name_or_path))
}

fn check_name(name: &str) -> Result<()> {
    let bad = |why: String| {
        Err(Error::new(ErrorKind::Usage, format!("cannot use segment name '{}'", name.escape_default()), why)
            .hint("a name has 1 to 64 letters, digits, '.', '_' or '-' and does not begin with '.'; a path has a '/'"))
    };
    if name.is_empty() {
        return bad("it is empty".into());
    }
    if name.len() > 64 {
        return bad(format!("it has {} bytes, at most 64", name.len()));
    }
    if let Some(c) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "._-".contains(*c))) {
        return bad(format!("'{}' is not allowed in a name", c.escape_default()));
    }
    if name.starts_with('.') {
        return bad("it begins with '.'".into());
    }
    if let Some(suffix) = SIDECARS.iter().find(|s| name.ends_with(&format!(".{s}"))) {
        return bad(format!("'.{suffix}' is the ending of a file beside a segment"));
    }
    Ok(())
}

/// Names of what may be segments in `dir`, sorted; sidecars and hidden files are left out.
pub fn list(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|e| e.ok())
        .filter(|e| e.file_type().is_ok_and(|t| t.is_file()))
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| check_name(name).is_ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_is_and_a_name_is_checked() {
        assert_eq!(resolve("/run/x/train").unwrap(), PathBuf::from("/run/x/train"));
        for bad in ["", ".hidden", "a b", "a\u{1b}[31m", "train.monitor", "train.learnt", "train.learnt.bad", &"x".repeat(65)] {
            let e = resolve(bad).expect_err(bad);
            assert_eq!(e.kind(), ErrorKind::Usage);
            assert!(!e.to_string().contains('\u{1b}'), "a bad name is escaped before it is shown");
        }
        assert!(resolve("train-2.v1").unwrap().ends_with("train-2.v1"));
    }
}
