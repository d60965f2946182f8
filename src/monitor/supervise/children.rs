//! `<segment>.children`: the workers that run, so that a supervisor that is killed finds them again and spawns none twice.
//!
//! ```text
//! hangwatch-children 1 <boot id> <inode of the folder> <name of the segment>
//! <replica> <slot> <generation> <restarts> <used> <start time> <pid> <pidfd inode>        one line a start; the last of a replica counts
//! <the same> hosted                                                                       one that its host has made
//! ```
//! A child writes its own line before it becomes the worker, so no worker runs that is not in here; it leaves the start time 0.
//! One that its host has made does not: it is written down as soon as the host has said that it runs.
//! The file says whom to look for, and proves nothing: a process is taken over only if it is the very one, by its pidfd. Its head
//! says whose it is: whoever may write to a folder that a group shares could give one segment's file another one's name.

use crate::os::{file, identity};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const HEAD: &str = "hangwatch-children 1";
const HOSTED: &str = " hosted";
/// More lines than any fleet has in it between two rewrites.
const MAX_BYTES: usize = 16 << 20;

/// One worker, as it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) replica: u32,
    pub(super) slot: u32,
    pub(super) generation: u16,
    /// How often it was replaced.
    pub(super) restarts: u64,
    /// What of its budget is used.
    pub(super) used: u64,
    /// 0 where only the child has written.
    pub(super) starttime: u64,
    pub(super) pid: u32,
    /// 0 where the kernel has none.
    pub(super) inode: u64,
    /// Its host has made it, and what it was given leads to that host alone: it is ended, and never taken over.
    pub(super) is_hosted: bool,
}

impl Record {
    /// All but the last two words, which the child adds itself.
    pub(super) fn words(&self) -> String {
        let Self { replica, slot, generation, restarts, used, starttime, .. } = self;
        format!("{replica} {slot} {generation} {restarts} {used} {starttime} ")
    }

    fn line(&self) -> String {
        let hosted = if self.is_hosted { HOSTED } else { "" };
        format!("{}{} {}{hosted}\n", self.words(), self.pid, self.inode)
    }

    /// `None` where it is none, or was cut short.
    fn parse(line: &str) -> Option<Self> {
        let (line, is_hosted) = line.strip_suffix(HOSTED).map_or((line, false), |line| (line, true));
        let mut words = line.split(' ');
        let mut next = || words.next()?.parse::<u64>().ok();
        let (replica, slot, generation) = (next()?, next()?, next()?);
        let (restarts, used, starttime, pid, inode) = (next()?, next()?, next()?, next()?, next()?);
        Some(Self {
            replica: replica.try_into().ok()?,
            slot: slot.try_into().ok()?,
            generation: generation.try_into().ok()?,
            restarts,
            used,
            starttime,
            pid: pid.try_into().ok()?,
            inode,
            is_hosted,
        })
        .filter(|_| words.next().is_none())
    }
}

/// The file, and what stands in it.
#[derive(Debug)]
pub(super) struct Children {
    path: PathBuf,
    file: File,
    head: String,
    records: Vec<Record>,
}

impl Children {
    /// Where a segment's file is.
    pub(super) fn path(segment: &Path) -> PathBuf {
        file::sidecar(segment, "children")
    }

    /// Opens or makes the file of a segment; only whoever holds the segment's monitor lock may. Of another boot nothing is left.
    pub(super) fn open(segment: &Path) -> io::Result<Self> {
        let path = Self::path(segment);
        let [high, low] = identity::boot_id();
        let head = format!("{HEAD} {high:016x}{low:016x}");
        let head = format!("{head} {}", place(segment));
        if let Some(uid) = file::other_owner(&path)? {
            let why = format!("it is of uid {uid}, whose workers may run still; this process is uid {}", file::euid());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let text = file::read_own(&path, MAX_BYTES)?.unwrap_or_default();
        // What names a process does so for one boot: of one that is not known nobody is taken over.
        let is_known = identity::boot_id() != [0, 0];
        let records = if is_known { parse(&String::from_utf8_lossy(&text), &head) } else { Vec::new() };
        let file = write(&path, &head, &records)?;
        Ok(Self { path, file, head, records })
    }

    /// Where a child is to write its line.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Those that ran when it was written last, one a replica.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// These run now.
    pub(super) fn keep(&mut self, records: Vec<Record>) -> io::Result<()> {
        if records != self.records {
            self.file = write(&self.path, &self.head, &records)?;
            self.records = records;
        }
        Ok(())
    }

    /// Nobody runs any more.
    pub(super) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The place of a segment's name, the same through every mount. A name may hold any byte, a line may not.
fn place(segment: &Path) -> String {
    let inode = fs::metadata(file::parent(segment)).map_or(0, |about| about.ino());
    let name = segment.file_name().unwrap_or_default().to_string_lossy();
    format!("{inode} {}", name.escape_default())
}

fn parse(text: &str, head: &str) -> Vec<Record> {
    // A last line without an end was cut short.
    let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    if lines.next() != Some(head) {
        return Vec::new();
    }
    // By replica, the last one: work that grows with the file, whatever is in it.
    let records: BTreeMap<u32, Record> = lines.filter_map(Record::parse).map(|record| (record.replica, record)).collect();
    records.into_values().collect()
}

/// Nothing is synced: after a crash of the machine nobody runs.
fn write(path: &Path, head: &str, records: &[Record]) -> io::Result<File> {
    let text: String = std::iter::once(format!("{head}\n")).chain(records.iter().map(Record::line)).collect();
    file::replace(path, text.as_bytes(), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    const HEAD: &str = "hangwatch-children 1 00000000000000000000000000000007";

    fn record(replica: u32, pid: u32) -> Record {
        Record { replica, slot: replica, generation: 3, restarts: 2, used: 1, starttime: 99, pid, inode: 7, is_hosted: false }
    }

    #[test]
    fn the_last_line_of_a_replica_counts_and_a_line_that_was_cut_is_none() {
        let text = format!("{HEAD}\n{}{}{}5 5 5 0 0 0 1", record(0, 10).line(), record(1, 11).line(), record(0, 12).line());
        assert_eq!(parse(&text, HEAD), [record(0, 12), record(1, 11)]);
    }

    #[test]
    fn another_boot_and_another_format_leave_nobody() {
        let text = format!("{HEAD}\n{}", record(0, 10).line());
        assert_eq!(parse(&text, "hangwatch-children 1 00000000000000000000000000000008"), []);
        assert_eq!(parse(&text.replace("children 1", "children 2"), HEAD), []);
        assert_eq!(parse("", HEAD), []);
    }

    #[test]
    fn any_line_is_a_record_or_none() {
        for line in [
            "",
            "1",
            "a b c d e f g h",
            "1 2 3 4 5 6 7 8 9",
            "4294967296 0 0 0 0 0 0 0",
            "0 0 65536 0 0 0 1 0",
            "-1 0 0 0 0 0 1 0",
            "1 2 3 4 5 6 7 hosted",
            "1 2 3 4 5 6 7 8 hosted hosted",
            "1 2 3 4 5 6 7 8hosted",
        ] {
            assert_eq!(Record::parse(line), None, "{line}");
        }
        assert_eq!(Record::parse("0 0 65535 1 1 1 1 1").map(|record| record.generation), Some(u16::MAX));
    }

    #[test]
    fn what_is_kept_is_found_again_with_what_a_child_added() {
        let dir = tempfile::tempdir().expect("a folder");
        let segment = dir.path().join("segment");
        let mut children = Children::open(&segment).expect("made");
        let hosted = Record { is_hosted: true, ..record(2, 13) };
        children.keep(vec![record(0, 10), record(1, 11), hosted]).expect("written");
        // What a child does before it becomes the worker.
        let theirs = Record { starttime: 0, ..record(1, 12) };
        children.file().write_all(format!("{}12 7\n", theirs.words()).as_bytes()).expect("appended");
        drop(children);
        let children = Children::open(&segment).expect("found");
        assert_eq!(children.records(), [record(0, 10), theirs, hosted]);
        children.remove();
        assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 0, "nothing is left");
    }

    #[test]
    fn a_file_that_was_given_another_segments_name_names_nobody() {
        let dir = tempfile::tempdir().expect("a folder");
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        Children::open(&one).expect("made").keep(vec![record(0, 10)]).expect("written");
        fs::rename(Children::path(&one), Children::path(&other)).expect("as whoever may write to the folder can");
        assert_eq!(Children::open(&other).expect("there").records(), [], "the workers of the one are none of the other");
        Children::open(&one).expect("made").keep(vec![record(0, 10)]).expect("written");
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("a folder");
        fs::rename(Children::path(&one), elsewhere.join("one.children")).expect("the same, into another folder");
        assert_eq!(Children::open(&elsewhere.join("one")).expect("there").records(), [], "nor are those of its namesake");
    }

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let segment = dir.path().join("segment");
        drop(Children::open(&segment).expect("made"));
        let path = dir.path().join("segment.children");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("the test's own");
        assert!(Children::open(&segment).is_err_and(|e| e.to_string().contains("mode 666")), "it decides whom we may end");
    }

    /// Each line was compared with all before it: a file as long as may be kept a supervisor at its start for an hour.
    #[test]
    fn a_file_of_very_many_replicas_is_read_in_one_go() {
        let text: String = (0..100_000).map(|replica| record(replica, 10).line()).collect();
        let records = parse(&format!("{HEAD}\n{text}{}", record(7, 11).line()), HEAD);
        assert_eq!((records.len(), records[7]), (100_000, record(7, 11)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_records_that_are_written_as_they_are_read(
            lines in prop::collection::vec("([0-9]{1,21} ?|[ -~]| |-| hosted){0,12}", 0..20),
            whole in prop::collection::vec(any::<[u32; 4]>(), 0..8),
            any in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let whole = whole.into_iter().map(|[replica, slot, pid, inode]| {
                Record { slot, inode: inode.into(), is_hosted: inode % 2 == 0, ..record(replica % 4, pid) }.line()
            });
            let text: String = std::iter::once(HEAD.into()).chain(lines).flat_map(|line| [line, "\n".into()]).chain(whole).collect();
            let bytes: Vec<u8> = text.into_bytes().into_iter().chain(any).collect();
            let text = String::from_utf8_lossy(&bytes);
            let records = parse(&text, HEAD);
            prop_assert!(records.windows(2).all(|pair| pair[0].replica < pair[1].replica), "one a replica, in order");
            let again: String = std::iter::once(format!("{HEAD}\n")).chain(records.iter().map(Record::line)).collect();
            prop_assert!(again.len() <= text.len() + 1, "what is kept is no longer than what was read");
            prop_assert_eq!(parse(&again, HEAD), records);
        }
    }
}
