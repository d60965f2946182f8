//! Copying a log aside and emptying it: its writer keeps the file, and appends to its new beginning.
//!
//! What is written between the last read of the copy and the cut is lost, to the copy and to the screen: a write that was in
//! progress, or a few. Renaming instead would lose nothing and leave the worker writing to the old file for ever.

use super::Settings;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Moves older copies on by one and the newest one in. Whatever fails, the log is empty then: its size is what is promised.
/// Returns the copy, if one is kept.
pub(super) fn rotate(path: &Path, log: &mut File, settings: &Settings) -> io::Result<Option<File>> {
    let copied = if settings.files > 1 { copy_aside(path, log, settings).map(Some) } else { Ok(None) };
    log.set_len(0)?;
    copied
}

fn copy_aside(path: &Path, log: &mut File, settings: &Settings) -> io::Result<File> {
    let unfinished = beside(path, "copy");
    let _ = fs::remove_file(&unfinished);
    let copied = (|| {
        let mut copy = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&unfinished)?;
        log.rewind()?;
        // A worker that writes faster than this copies would never let it end.
        io::copy(&mut log.take(settings.max_size.saturating_mul(2)), &mut copy)?;
        for number in (1..settings.files - 1).rev() {
            match fs::rename(beside(path, &number.to_string()), beside(path, &(number + 1).to_string())) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        fs::rename(&unfinished, beside(path, "1"))?;
        Ok(copy)
    })();
    if copied.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    copied
}

/// `worker-0.log.1` beside `worker-0.log`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn log(dir: &Path) -> (PathBuf, File, File) {
        let path = dir.join("worker-0.log");
        let open = || OpenOptions::new().read(true).append(true).create(true).open(&path).expect("a log");
        let (worker, ours) = (open(), open());
        (path, worker, ours)
    }

    fn texts(dir: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(dir).expect("the folder").map(|entry| entry.expect("an entry"));
        let text = |entry: fs::DirEntry| {
            (entry.file_name().into_string().expect("UTF-8"), fs::read_to_string(entry.path()).expect("a file"))
        };
        let mut texts: Vec<_> = entries.map(text).collect();
        texts.sort();
        texts
    }

    #[test]
    fn so_many_files_are_kept_and_the_worker_goes_on_in_the_one_that_it_has() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, mut worker, mut ours) = log(dir.path());
        let settings = Settings { max_size: 1, files: 3, quiet: false };
        for text in ["a", "b", "c"] {
            worker.write_all(text.as_bytes()).expect("room");
            let mut copy = rotate(&path, &mut ours, &settings).expect("rotated").expect("a copy");
            let mut copied = String::new();
            copy.rewind().and_then(|()| copy.read_to_string(&mut copied)).expect("the copy");
            assert_eq!(copied, text);
        }
        worker.write_all(b"d").expect("room");
        let expected = [("worker-0.log", "d"), ("worker-0.log.1", "c"), ("worker-0.log.2", "b")];
        assert_eq!(texts(dir.path()), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn one_file_is_emptied_and_a_copy_that_cannot_be_made_leaves_the_log_no_larger() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, mut worker, mut ours) = log(dir.path());
        worker.write_all(b"a").expect("room");
        assert!(rotate(&path, &mut ours, &Settings { max_size: 1, files: 1, quiet: false }).expect("emptied").is_none());
        worker.write_all(b"b").expect("room");
        fs::create_dir_all(dir.path().join("worker-0.log.1/in the way")).expect("a folder");
        rotate(&path, &mut ours, &Settings { max_size: 1, files: 2, quiet: false }).expect_err("a folder has the copy's name");
        fs::remove_dir_all(dir.path().join("worker-0.log.1")).expect("ours");
        assert_eq!(texts(dir.path()), [("worker-0.log".to_owned(), String::new())], "no unfinished copy is left either");
    }
}
