//! One log, read on from where it was left: over truncation, removal, replacement and rotation.

use super::lines::Lines;
use super::show::{Prefix, Show};
use super::{Settings, rotate};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

/// Bytes of one read; with the queue it bounds what is in memory.
const READ: usize = 16 * 1024;

/// A file and how far it was shown.
#[derive(Debug)]
struct Place {
    file: File,
    at: u64,
}

impl Place {
    /// Shows from here to the end; `false` where there is no room for more.
    fn show_rest(&mut self, lines: &mut Lines, prefix: &Prefix, show: &mut Show) -> bool {
        let mut buffer = [0; READ];
        while show.has_room() {
            match self.file.read_at(&mut buffer, self.at) {
                Ok(read @ 1..) => {
                    self.at += read as u64;
                    let mut text = String::new();
                    lines.take(&buffer[..read], &mut |line| prefix.write(line, &mut text));
                    show.put(text);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A disk that cannot be read is asked again at the next turn.
                Ok(_) | Err(_) => return true,
            }
        }
        false
    }

    fn len(&self) -> u64 {
        self.file.metadata().map_or(self.at, |m| m.len())
    }
}

/// A worker's log.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    id: (u64, u64),
    current: Place,
    /// The copy that a rotation made, where it was not shown to its end yet.
    before: Option<Place>,
    lines: Lines,
    missed: u64,
    is_failing: bool,
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn open(path: &PathBuf) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).append(true).open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

impl Log {
    /// What stands in it now is not shown.
    pub(super) fn at_its_end(path: PathBuf) -> io::Result<Self> {
        let (file, metadata) = open(&path)?;
        let current = Place { file, at: metadata.len() };
        let id = id(&metadata);
        Ok(Self { path, id, current, before: None, lines: Lines::default(), missed: 0, is_failing: false })
    }

    /// Rotates it if it is large, shows what is new, and goes over to another file of its name.
    pub(super) fn turn(&mut self, settings: &Settings, prefix: &Prefix, mut show: Option<&mut Show>) {
        let named = fs::symlink_metadata(&self.path).ok().filter(Metadata::is_file);
        let is_same = named.as_ref().is_some_and(|named| id(named) == self.id);
        if let Some(named) = named.as_ref().filter(|named| is_same && settings.max_size > 0 && named.len() >= settings.max_size) {
            self.rotate(settings, named.len(), show.is_some());
        }
        let has_shown_all = show.as_deref_mut().is_none_or(|show| self.show_news(prefix, show));
        // A worker that was started anew has another file; what the former one left in its own was shown.
        if named.is_some() && !is_same && has_shown_all {
            self.go_over(prefix, show.as_deref_mut());
            // At the end of a run there is no next turn.
            if let Some(show) = show {
                self.show_news(prefix, show);
            }
        }
    }

    fn show_news(&mut self, prefix: &Prefix, show: &mut Show) -> bool {
        if self.missed > 0 && show.has_room() {
            let mut text = String::new();
            self.lines.finish(&mut |line| prefix.write(line, &mut text));
            prefix.write(&format!("({} bytes were rotated away before they could be shown)", self.missed), &mut text);
            show.put(text);
            self.missed = 0;
        }
        if let Some(before) = &mut self.before {
            if !before.show_rest(&mut self.lines, prefix, show) {
                return false;
            }
            self.before = None;
        }
        if show.has_room() && self.current.len() < self.current.at {
            // Somebody cut it: what comes now is no end of what was begun before.
            self.current.at = 0;
            let mut text = String::new();
            self.lines.finish(&mut |line| prefix.write(line, &mut text));
            show.put(text);
        }
        self.current.show_rest(&mut self.lines, prefix, show)
    }

    fn rotate(&mut self, settings: &Settings, size: u64, is_shown: bool) {
        let rotated = rotate::rotate(&self.path, &mut self.current.file, settings);
        let unread = |place: Option<Place>| place.map_or(0, |place| place.len().saturating_sub(place.at));
        let at = std::mem::take(&mut self.current.at);
        match rotated {
            Ok(Some(file)) if is_shown => self.missed += unread(self.before.replace(Place { file, at })),
            Ok(_) => self.missed += size.saturating_sub(at),
            Err(e) => {
                self.missed += size.saturating_sub(at);
                if !self.is_failing {
                    tracing::error!("cannot keep a copy of '{}', it was emptied: {e}", self.path.display());
                }
                self.is_failing = true;
                return;
            }
        }
        self.is_failing = false;
    }

    fn go_over(&mut self, prefix: &Prefix, show: Option<&mut Show>) {
        let Ok((file, metadata)) = open(&self.path) else { return };
        (self.current, self.id) = (Place { file, at: 0 }, id(&metadata));
        if let Some(show) = show {
            let mut text = String::new();
            self.lines.finish(&mut |line| prefix.write(line, &mut text));
            show.put(text);
        }
    }

    /// The line that was begun and not ended.
    pub(super) fn finish(&mut self, prefix: &Prefix, text: &mut String) {
        self.lines.finish(&mut |line| prefix.write(line, text));
    }
}
