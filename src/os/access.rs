//! Who may own and write the files of a segment: this user alone, or in group mode each user of a list, and their group.
//!
//! | | owner | may be written by | made with |
//! |---|---|---|---|
//! | own | we | its owner | 0600, folders 0700 |
//! | group | we, or a user of the list | its owner and its group, never others | 0660, folders 2770 |
//!
//! What decides over processes or thresholds (`.children`, `.learnt`) is its writer's alone in either mode:
//! [`read_own`](super::file::read_own).

use super::file::{self, euid};
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// See the table above. Cheap to copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// `None`: own mode.
    uids: Option<Arc<[u32]>>,
}

/// What forbids the use of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forbids {
    /// Its owner, who is this user.
    Owner(u32),
    /// Its mode: who else may write it.
    Mode(u32),
}

impl fmt::Display for Forbids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(uid) => write!(f, "belongs to uid {uid}, this process is uid {}", euid()),
            Self::Mode(mode) => write!(f, "may be written by others: mode {mode:04o}"),
        }
    }
}

impl Access {
    /// Group mode with these users beside our own.
    pub(crate) fn group(uids: impl Into<Arc<[u32]>>) -> Self {
        Self { uids: Some(uids.into()) }
    }

    pub(crate) fn is_group(&self) -> bool {
        self.uids.is_some()
    }

    /// The mode of a file that is made.
    pub(crate) fn file_mode(&self) -> u32 {
        if self.is_group() { 0o660 } else { 0o600 }
    }

    /// The mode of a folder that is made. A group's folder hands its group on to the files in it: members may have other groups
    /// of their own, and a file of such a one would be closed to the rest.
    pub(crate) fn folder_mode(&self) -> u32 {
        if self.is_group() { 0o2770 } else { 0o700 }
    }

    pub(crate) fn may_own(&self, uid: u32) -> bool {
        uid == euid() || self.uids.as_ref().is_some_and(|uids| uids.contains(&uid))
    }

    /// Bits of a mode that let somebody write who may not.
    fn strangers(&self) -> u32 {
        if self.is_group() { 0o002 } else { 0o022 }
    }

    /// What forbids the use of this, if anything does.
    pub(crate) fn forbids(&self, about: &Metadata) -> Option<Forbids> {
        if !self.may_own(about.uid()) {
            Some(Forbids::Owner(about.uid()))
        } else if about.mode() & self.strangers() != 0 {
            Some(Forbids::Mode(about.mode() & 0o7777))
        } else {
            None
        }
    }

    /// Gives a new file its mode, of which the umask may have taken a part.
    pub(crate) fn set_mode(&self, file: &File) -> io::Result<()> {
        if self.is_group() { file::set_mode(file, self.file_mode()) } else { Ok(()) }
    }
}

/// Users of a list such as `1000,1001`; `None` where it is none.
pub(crate) fn parse(list: &str) -> Option<Vec<u32>> {
    // The highest number is the kernel's word for no user.
    let uid = |text: &str| text.parse().ok().filter(|uid| *uid != u32::MAX && text.bytes().all(|byte| byte.is_ascii_digit()));
    list.split(',').map(uid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_numbers_between_commas_and_nothing_else() {
        assert_eq!(parse("1000"), Some(vec![1000]));
        assert_eq!(parse("0,1000,4294967294"), Some(vec![0, 1000, 4_294_967_294]));
        for odd in ["", ",", "1000,", ",1000", "1000,,1001", "1000 ,1001", "+1", "-1", "0x1", "root", "4294967295", "4294967296"]
        {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_list_admits_its_users_and_their_group_and_never_others() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("file");
        std::fs::write(&path, "").expect("a file of ours");
        let about = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
            std::fs::metadata(&path).expect("there")
        };
        let (own, group) = (Access::default(), Access::group([euid().wrapping_add(1)]));
        for (mode, alone, shared) in [(0o600, true, true), (0o644, true, true), (0o660, false, true), (0o662, false, false)] {
            let about = about(mode);
            assert_eq!(own.forbids(&about).is_none(), alone, "own, {mode:o}");
            assert_eq!(group.forbids(&about).is_none(), shared, "group, {mode:o}");
        }
        assert!(!own.may_own(euid().wrapping_add(1)) && group.may_own(euid().wrapping_add(1)) && group.may_own(euid()));
        assert!(!group.may_own(euid().wrapping_add(2)), "a user who is on no list owns nothing");
    }
}
