use super::*;
use crate::segment::Geometry;
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};

const CONFIG: &[u8] = b"{\"precious\": true}";

/// A folder with a segment in it.
struct Folder(tempfile::TempDir, Segment);

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let segment = Segment::open_or_create(&dir.path().join("s"), Geometry::default()).expect("a segment");
        Self(dir, segment)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.at(name), bytes).expect("room");
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(0o600)).expect("ours");
    }

    fn named(&self, name: &str) -> Result<Place> {
        Place::new(Some(self.at(name)), &self.1)
    }

    fn usual(&self) -> Place {
        Place::new(None, &self.1).expect("nobody named it, so nothing is refused")
    }

    /// Every name in it, which file it is, and what that holds.
    fn all(&self) -> BTreeMap<PathBuf, (u64, Option<Vec<u8>>)> {
        let entries = fs::read_dir(self.0.path()).expect("there").map(|entry| entry.expect("there").path());
        let about = |path: &Path| fs::symlink_metadata(path).expect("there");
        let held = |path: &Path| about(path).is_file().then(|| fs::read(path).expect("ours"));
        entries.map(|path| (path.clone(), (about(&path).ino(), held(&path)))).collect()
    }
}

fn bytes() -> Vec<u8> {
    Learnt::new().to_bytes()
}

/// What is no place for it, and why.
fn foreign() -> (Folder, Vec<(&'static str, &'static str)>) {
    let folder = Folder::new();
    fs::create_dir(folder.at("dir")).expect("a folder");
    folder.put("config", CONFIG);
    folder.put("short", b"hwlea");
    symlink("config", folder.at("link")).expect("a link");
    assert!(std::process::Command::new("mkfifo").arg(folder.at("fifo")).status().expect("mkfifo").success());
    ["s.monitor", "s.liveness"].into_iter().for_each(|name| folder.put(name, b""));
    folder.put("taken.new", CONFIG);
    let why = vec![
        ("dir", "it is a folder"),
        ("dir/", "it is the name of a folder"),
        ("absent/", "it is the name of a folder"),
        ("config", "it holds something else"),
        ("short", "it holds something else"),
        ("s", "it holds something else"),
        ("link", "it is a symbolic link"),
        ("fifo", "it is a FIFO"),
        ("s.monitor", "'.monitor' is the ending of a file beside a segment"),
        ("s.liveness", "'.liveness' is the ending"),
        ("s.children", "'.children' is the ending"),
        ("absent/kept", "its folder: no such file or directory"),
        ("config/kept", "it cannot be read: not a directory"),
        ("taken", "taken.new' is in its way: it holds something else"),
    ];
    (folder, why)
}

#[test]
fn what_is_not_ours_is_refused_where_it_was_named_and_stays_as_it_is() {
    let (folder, wrong) = foreign();
    let before = folder.all();
    for (name, why) in wrong {
        let e = folder.named(name).expect_err(name);
        assert_eq!(e.kind(), ErrorKind::Usage, "{e}");
        assert!(e.what().ends_with(&format!("/{name}'")) && e.why().contains(why), "{e}");
        assert_eq!(folder.all(), before, "nothing is renamed, replaced or made: {name}");
    }
    assert!(Place::new(Some("".into()), &folder.1).is_err(), "no name is none");
}

#[test]
fn what_is_not_ours_beside_the_segment_stops_no_monitor_and_stays_as_it_is() {
    for name in ["s.learnt", "s.learnt.new"] {
        let folder = Folder::new();
        folder.put(name, CONFIG);
        let before = folder.all();
        assert_eq!(folder.usual().load().expect("it starts"), (Learnt::new(), false), "it keeps nothing: {name}");
        assert_eq!(folder.all(), before, "{name}");
    }
    let folder = Folder::new();
    fs::create_dir(folder.at("s.learnt")).expect("a folder");
    assert_eq!(folder.usual().load().expect("it starts"), (Learnt::new(), false));
    assert!(folder.at("s.learnt").is_dir());
}

#[test]
fn what_comes_there_later_is_not_replaced_either() {
    for name in ["kept", "kept.new"] {
        let folder = Folder::new();
        let place = folder.named("kept").expect("nothing is there");
        place.write(&bytes()).expect("written");
        let _ = fs::remove_file(folder.at(name));
        folder.put(name, CONFIG);
        let before = folder.all();
        let why = place.write(&bytes()).expect_err("it is somebody else's").to_string();
        assert!(why.contains("it holds something else"), "{why}");
        assert_eq!(folder.all(), before, "{name}");
        assert!(place.load().is_err(), "it came before the lock was had: {name}");
    }
}

#[test]
fn what_is_written_is_read_and_an_absent_or_empty_file_is_taken() {
    for is_empty in [false, true] {
        let folder = Folder::new();
        if is_empty {
            fs::write(folder.at("kept"), "").expect("as touch makes it");
        }
        let place = folder.named("kept").expect("free");
        assert_eq!(place.load().expect("free"), (Learnt::new(), true), "no file is no news");
        assert_eq!(super::super::read_learnt(&folder.at("kept")).expect("free"), None);
        place.write(&bytes()).expect("written");
        assert_eq!(fs::read(folder.at("kept")).expect("there"), bytes());
        assert_eq!(place.load().expect("ours"), (Learnt::new(), true));
        assert!(!folder.at("kept.bad").exists() && !folder.at("kept.new").exists());
    }
}

#[test]
fn one_of_ours_that_is_of_no_use_is_set_aside_and_stops_no_monitor() {
    let version = [b"hwlearnt".as_slice(), &9u32.to_le_bytes()].concat();
    let whole = bytes();
    let writable = 0o620;
    for (held, mode) in [(&whole[..whole.len() - 1], 0o600), (&whole[..8], 0o600), (&version[..], 0o600), (&whole[..], writable)]
    {
        for name in ["s.learnt", "kept"] {
            let folder = Folder::new();
            folder.put(name, held);
            fs::set_permissions(folder.at(name), fs::Permissions::from_mode(mode)).expect("ours");
            let place = if name == "kept" { folder.named(name).expect("ours") } else { folder.usual() };
            assert!(folder.at(name).exists(), "before it has the lock it changes nothing");
            assert_eq!(place.load().expect("it starts"), (Learnt::new(), true));
            assert!(!folder.at(name).exists());
            assert_eq!(fs::read(folder.at(&format!("{name}.bad"))).expect("what cannot be read is not lost"), held);
        }
    }
}

#[test]
fn a_file_under_the_name_for_bad_ones_is_replaced_only_if_it_is_ours() {
    for (older, is_replaced) in [(b"hwlearnt, older".as_slice(), true), (CONFIG, false)] {
        let folder = Folder::new();
        folder.put("kept", b"hwlearnt, newer");
        folder.put("kept.bad", older);
        assert_eq!(folder.named("kept").and_then(|place| place.load()).expect("it starts"), (Learnt::new(), is_replaced));
        let bad = fs::read(folder.at("kept.bad")).expect("there");
        assert_eq!(bad, if is_replaced { b"hwlearnt, newer".as_slice() } else { CONFIG });
        assert_eq!(folder.at("kept").exists(), !is_replaced, "it stays where it cannot be set aside");
    }
}

#[test]
fn what_a_crash_left_of_a_write_is_replaced() {
    for left in [b"".as_slice(), b"hwlearnt", &[0; 300]] {
        let folder = Folder::new();
        folder.put("kept.new", left);
        let place = folder.named("kept").expect("only what is ours is in its way");
        place.write(&bytes()).expect("written");
        assert!(!folder.at("kept.new").exists());
    }
}

#[test]
fn a_relative_path_stays_the_same_file_wherever_the_process_goes() {
    let folder = Folder::new();
    let place = Place::new(Some("Cargo.learnt-of-a-test".into()), &folder.1).expect("nothing is there");
    assert_eq!(place.path(), std::env::current_dir().expect("there is one").join("Cargo.learnt-of-a-test"));
}

#[test]
fn a_file_that_others_may_write_teaches_nobody() {
    let folder = Folder::new();
    folder.put("kept", &bytes());
    fs::set_permissions(folder.at("kept"), fs::Permissions::from_mode(0o620)).expect("ours");
    let e = super::super::read_learnt(&folder.at("kept")).expect_err("others may write it");
    assert!(e.why().contains("mode 620"), "{e}");
    symlink("kept", folder.at("link")).expect("a link");
    assert!(super::super::read_learnt(&folder.at("link")).is_err(), "a planted link leads nowhere");
}
