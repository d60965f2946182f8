use super::*;
use crate::os::tests::{Frozen, Subject, skip};

fn mount(root: &str, point: &str) -> Mount {
    Mount { root: root.into(), point: point.into() }
}

#[test]
fn mounts_of_both_versions_are_found_wherever_they_are() {
    let found = Freezers::parse(
        "22 1 0:5 / /proc rw shared:3 - proc proc rw\n\
         31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
         32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
         37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
         40 1 0:36 /a\\040b /mnt/c\\134d rw master:1 propagate_from:2 - cgroup2 none rw\n",
    );
    assert_eq!(found.unified, [mount("/a b", "/mnt/c\\d")]);
    assert_eq!(found.version_1, [mount("/", "/sys/fs/cgroup/freezer")]);
}

#[test]
fn lines_that_are_cut_or_odd_are_no_mounts() {
    for odd in ["", " - ", "1 2 3 - cgroup2", "1 2 3 / - cgroup2 a b", "40 1 0:36 / /x rw", "40 1 0:36 / /x rw - cgroup none"] {
        let found = Freezers::parse(odd);
        assert!(found.unified.is_empty() && found.version_1.is_empty(), "{odd:?}: {found:?}");
    }
    for (field, plain) in
        [("a\\", "a\\"), ("\\04", "\\04"), ("\\999", "\\999"), ("\\040", " "), ("\\040\\011x", " \tx"), ("é\\é", "é\\é")]
    {
        assert_eq!(unescape(field), plain);
    }
}

#[test]
fn a_cgroup_outside_of_what_is_mounted_has_no_folder() {
    let mut folder = String::new();
    let mut of = |root: &str, path: &str| mount(root, "/m").folder(path, &mut folder).then(|| folder.clone());
    assert_eq!(of("/", "/a/b").as_deref(), Some("/m/a/b"));
    assert_eq!(of("/a", "/a/b").as_deref(), Some("/m/b"));
    assert_eq!(of("/a", "/a").as_deref(), Some("/m"));
    assert_eq!(of("/a", "/ab"), None);
    assert_eq!(of("/", "/../other"), None, "beyond the reader's cgroup namespace");
}

#[test]
fn each_version_has_its_line() {
    let both = "12:cpu,cpuacct:/c\n7:net_cls,freezer:/with:colon\n1:name=freezer:/no\n0::/unified\n";
    assert_eq!(unified_path(both), Some("/unified"));
    assert_eq!(freezer_path(both), Some("/with:colon"));
    for odd in ["", "0:", "7", "7:freezer", "7:cpu:/x"] {
        assert_eq!((unified_path(odd), freezer_path(odd)), (None, None), "{odd:?}");
    }
}

#[test]
fn only_the_very_words_mean_frozen() {
    assert!(says_frozen("populated 1\nfrozen 1\n"));
    for thawed in ["", "frozen 0\n", "populated 1\nfrozen 0\n", "frozen 10\n", "unfrozen 1\n"] {
        assert!(!says_frozen(thawed), "{thawed:?}");
    }
    assert!(says_frozen_in_version_1("FROZEN\n"));
    assert!(!says_frozen_in_version_1("FREEZING\n") && !says_frozen_in_version_1("THAWED\n"), "it still runs");
}

#[test]
fn without_a_mount_nothing_is_known() {
    assert_eq!(Freezers::default().is_frozen(std::process::id(), &mut Text::default()), None);
}

#[test]
fn a_process_in_a_cgroup_that_is_not_frozen_is_known_not_to_be() {
    let mut text = Text::default();
    let mut freezers = Freezers::find();
    match freezers.is_frozen(std::process::id(), &mut text) {
        None => skip("a_process_in_a_cgroup_that_is_not_frozen_is_known_not_to_be: no cgroup file system can be seen here"),
        Some(frozen) => assert!(!frozen, "this test runs"),
    }
}

fn shows(test: &str, made: Result<Frozen, String>, child: &Subject) {
    let frozen = match made {
        Ok(frozen) => frozen,
        Err(why) => return skip(&format!("{test}: {why}")),
    };
    let mut text = Text::default();
    let mut freezers = Freezers::find();
    assert_eq!(freezers.is_frozen(child.pid(), &mut text), Some(true));
    frozen.thaw();
    assert_eq!(freezers.is_frozen(child.pid(), &mut text), Some(false));
}

#[test]
fn a_frozen_cgroup_of_version_2_shows_and_so_does_its_thaw() {
    let child = Subject::sleeping();
    shows("a_frozen_cgroup_of_version_2_shows_and_so_does_its_thaw", Frozen::version_2(child.pid(), false), &child);
}

#[test]
fn a_frozen_parent_shows_in_the_cgroup_of_its_child() {
    let child = Subject::sleeping();
    shows("a_frozen_parent_shows_in_the_cgroup_of_its_child", Frozen::version_2(child.pid(), true), &child);
}

#[test]
fn a_frozen_cgroup_of_version_1_shows_and_so_does_its_thaw() {
    let child = Subject::sleeping();
    shows("a_frozen_cgroup_of_version_1_shows_and_so_does_its_thaw", Frozen::version_1(child.pid()), &child);
}
