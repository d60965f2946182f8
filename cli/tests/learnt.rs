//! The file in which a monitor keeps what it learns, named by hand: what else may stand under that name is left alone.

mod common;

use common::{Monitor, Scratch, hangwatch, said};
use std::fs;

const CONFIG: &str = "{\"precious\": true}";

#[test]
fn a_name_under_which_something_else_stands_is_refused_and_nothing_is_touched() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    fs::create_dir(scratch.path().join("folder")).expect("a folder");
    scratch.file("folder/inside", CONFIG);
    scratch.file("config.json", CONFIG);
    let held = fs::read(segment.path()).expect("ours");
    for (name, why) in [
        ("folder", "it is a folder"),
        ("config.json", "it holds something else, and is not replaced"),
        ("segment", "it holds something else, and is not replaced"),
        ("segment.liveness", "'.liveness' is the ending of a file beside a segment"),
        ("absent/kept", "its folder: no such file or directory"),
    ] {
        // The one that would end by itself first.
        for arguments in [&["run"][..], &["watch"]] {
            let mut command = hangwatch();
            // As a person would name it.
            command.current_dir(scratch.path()).args(arguments).args(["--segment", "./segment", "--learnt", name]);
            let command = if arguments == ["run"] { command.args(["--", "touch", "started"]) } else { &mut command };
            let said = said(command);
            assert_eq!(said.code, Some(2), "{arguments:?} {name}: {}", said.err);
            let path = scratch.path().canonicalize().expect("there").join(name);
            let expected = format!("hangwatch: cannot keep what is learnt in '{}': {why}\n  name a file", path.display());
            assert!(said.err.contains(&expected), "{expected}: {}", said.err);
        }
    }
    assert_eq!(fs::read_to_string(scratch.path().join("folder/inside")).expect("where it was"), CONFIG);
    assert_eq!(fs::read_to_string(scratch.path().join("config.json")).expect("where it was"), CONFIG);
    assert_eq!(fs::read(segment.path()).expect("where it was"), held);
    let mut names: Vec<String> = fs::read_dir(scratch.path())
        .expect("there")
        .map(|entry| entry.expect("there").file_name().into_string().expect("UTF-8"))
        .collect();
    names.retain(|name| !name.starts_with("segment"));
    names.sort();
    assert_eq!(names, ["config.json", "folder"], "nothing is renamed or made, and no worker was started");
}

#[test]
fn what_stands_beside_the_segment_and_is_not_ours_stops_no_monitor() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let foreign = scratch.file("segment.learnt", CONFIG);
    let mut watch = Monitor::watch(&segment, "--poll 50ms");
    assert_eq!(watch.stop(), Some(0));
    assert_eq!(fs::read_to_string(foreign).expect("where it was"), CONFIG);
    assert!(!scratch.path().join("segment.learnt.bad").exists());
}
