//! A file in memory (memfd) that another process holds open, found by its name. None of it blocks: the name of an open file and its
//! position are the kernel's, and what is opened is memory, or nothing.

use super::must_be_ours;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Open files among which it is looked for; a process with more has it among the first, which are opened early.
const MAX_OPEN: usize = 16 * 1024;

/// Such a file.
#[derive(Debug)]
pub(crate) struct Memfd {
    file: File,
    pid: u32,
    number: u32,
}

/// Whether what a name in /proc leads to is a memfd of this name.
fn is_named(link: &Path, name: &str) -> bool {
    let target = fs::read_link(link).unwrap_or_default();
    let memfd = target.as_os_str().as_bytes().strip_prefix(b"/memfd:");
    memfd.and_then(|rest| rest.strip_suffix(b" (deleted)")) == Some(name.as_bytes())
}

/// The first of this name that `pid` has open. An error: its files may not be looked at.
pub(crate) fn find(pid: u32, name: &str) -> io::Result<Option<Memfd>> {
    must_be_ours()?;
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten().take(MAX_OPEN);
    let mut named = open.filter(|entry| is_named(&entry.path(), name));
    let Some(number) = named.find_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) else { return Ok(None) };
    // Its number may be another file's by now, one that is no memory: looked at again once it is open, and never waited for.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(format!("/proc/{pid}/fd/{number}"))?;
    let ours = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(is_named(Path::new(&ours), name).then_some(Memfd { file, pid, number }))
}

impl Memfd {
    /// The file, opened to read, with a position of its own.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The position of whoever holds it open: how far it has written.
    pub(crate) fn written(&self) -> io::Result<u64> {
        must_be_ours()?;
        let (pid, number) = (self.pid, self.number);
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"))?;
        position(&info).ok_or_else(|| ErrorKind::InvalidData.into())
    }
}

fn position(info: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix("pos:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::os::fd::{FromRawFd, OwnedFd};

    fn memfd(name: &std::ffi::CStr) -> File {
        // SAFETY: the name is a C string.
        let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the descriptor was made just now and belongs to nobody else.
        unsafe { OwnedFd::from_raw_fd(fd) }.into()
    }

    #[test]
    fn a_file_in_memory_is_found_by_its_whole_name_with_its_writers_position() {
        let mut file = memfd(c"hangwatch-memfd-test");
        let _other = memfd(c"hangwatch-memfd-test-other");
        file.set_len(4096).expect("room");
        file.write_all(b"abc").expect("room");
        let pid = std::process::id();
        let mut found = find(pid, "hangwatch-memfd-test").expect("ours").expect("it is open");
        assert_eq!(found.written().expect("a position"), 3, "the writer's own, whatever the file's length");
        file.seek(SeekFrom::Start(0)).expect("a file");
        let mut bytes = [0; 3];
        found.file().read_exact(&mut bytes).expect("readable");
        assert_eq!(&bytes, b"abc");
        assert_eq!(found.written().expect("a position"), 0, "reading here moves nobody else");
        assert!(find(pid, "hangwatch-memfd").expect("ours").is_none(), "the beginning of a name is another name");
    }

    #[test]
    fn a_file_of_that_name_that_is_not_in_memory_is_none() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("memfd:hangwatch-memfd-disk");
        let _file = File::create(&path).expect("made");
        fs::remove_file(&path).expect("there");
        assert!(find(std::process::id(), "hangwatch-memfd-disk").expect("ours").is_none());
    }

    #[test]
    fn a_position_is_read_or_nothing_is() {
        assert_eq!(position("pos:\t4096\nflags:\t02\n"), Some(4096));
        for odd in ["", "pos:", "pos:\t-1\n", "flags:\tpos: 3\n"] {
            assert_eq!(position(odd), None, "{odd:?}");
        }
    }
}
