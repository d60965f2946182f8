//! The table of user phases, by the header alone, by the library and in Rust: one name is one phase, whoever asks when.

use crate::build::{C99, Link, Scratch, command, program, succeed};
use crate::script::Script;
use hangwatch::Attach;
use hangwatch::layout::phase::Class;
use hangwatch::segment::{Geometry, Segment};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

const FORMS: [Link; 2] = [Link::Shared, Link::Header];
const TABLE: u64 = 0x400;
const VOID: u64 = 3;

/// FNV-1a of "tiling": stated here by itself.
const HASH: u64 = 0xfc0d_55ba;

fn made(scratch: &Scratch, name: &str) -> std::path::PathBuf {
    let path = scratch.path(name);
    drop(Segment::create(&path, Geometry { slots: 8, slot_size: 1024 }).unwrap());
    path
}

fn taken(hash: u64) -> u64 {
    hash << 32 | 256 << 16 | 1
}

fn first_word(path: &Path) -> u64 {
    let mut bytes = [0; 8];
    OpenOptions::new().read(true).open(path).unwrap().read_exact_at(&mut bytes, TABLE).unwrap();
    u64::from_le_bytes(bytes)
}

/// What registering "tiling" gives by each form where the first entry is `first`, and what the entry is then.
fn register_beside(first: u64) -> Vec<(String, u64)> {
    let scratch = Scratch::new();
    let prepared = |name: &str| {
        let path = made(&scratch, name);
        OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&first.to_le_bytes(), TABLE).unwrap();
        path
    };
    let mut given: Vec<_> = FORMS
        .map(|link| {
            let path = prepared(&format!("{link:?}"));
            let mut c = Script::start(&program(&scratch, "ffi/tests/script.c", C99, link), &[]);
            assert_eq!(c.call(&format!("attach {} x", path.display())), "slot 0");
            (c.call("register_phase tiling work 5"), first_word(&path))
        })
        .into();
    let path = prepared("rust");
    let worker = Attach::new().segment(path.to_str().unwrap()).attach().unwrap();
    let phase = worker.register_phase("tiling", Class::Work, Duration::from_millis(5)).unwrap();
    given.push((format!("phase {}", phase.id()), first_word(&path)));
    given
}

#[test]
fn an_entry_whose_registrar_never_comes_back_is_void_for_its_own_name_alone() {
    let all = |of: (&str, u64)| vec![(of.0.to_string(), of.1); 3];
    let void = taken(HASH) & !0xff | VOID;
    assert_eq!(register_beside(taken(HASH)), all(("phase 257", void)), "of the same name");
    let other = taken(HASH ^ 1);
    assert_eq!(register_beside(other), all(("phase 257", other)), "of another name: it may get ready yet");
    assert_eq!(register_beside(taken(0)), all(("phase 257", taken(0))), "of a version that leaves no hash");
    assert_eq!(register_beside(void), all(("phase 257", void)), "void already");
}

#[test]
fn threads_that_register_one_name_at_one_moment_are_given_one_phase_in_c() {
    let scratch = Scratch::new();
    for link in FORMS {
        let race = program(&scratch, "ffi/tests/phases.c", C99, link);
        succeed(command(&race).arg(made(&scratch, &format!("{link:?}"))));
    }
}

#[test]
fn threads_that_register_one_name_at_one_moment_are_given_one_phase_in_rust() {
    let scratch = Scratch::new();
    let path = made(&scratch, "s");
    let (threads, together) = (4, Barrier::new(4));
    let register = || {
        let worker = Attach::new().segment(path.to_str().unwrap()).attach().unwrap();
        let phases = (0..40).map(|i| {
            together.wait();
            worker.register_phase(&format!("phase {i}"), Class::Work, Duration::ZERO).unwrap()
        });
        phases.collect::<Vec<_>>()
    };
    let given: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(register)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(given.iter().all(|phases| *phases == given[0]), "one name is one phase, whoever asks");
}
