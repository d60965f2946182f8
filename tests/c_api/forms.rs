//! The header-only form and the library in one segment, and in each other's place: who takes whose slot, and who holds what.

use crate::build::{C99, LINKS, Link, Scratch, command, program, succeed};
use crate::script::Script;
use crate::skipped::skip;
use hangwatch::layout::word::{Kind, Owner, Tag};
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Total};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

const FORMS: [Link; 2] = [Link::Shared, Link::Header];

/// Each form before and after each.
fn pairs() -> impl Iterator<Item = (Link, Link)> {
    FORMS.into_iter().flat_map(|before| FORMS.map(|after| (before, after)))
}

fn owners(path: &Path) -> Vec<(Tag, u16, u32)> {
    let segment = Segment::open_read_only(path).unwrap();
    segment.slots().map(|(_, slot)| slot.peek_owner()).map(|o| (o.tag(), o.generation(), o.pid())).collect()
}

fn made(scratch: &Scratch, name: &str, slots: u32) -> PathBuf {
    let path = scratch.path(name);
    drop(Segment::create(&path, Geometry { slots, slot_size: 1024 }).unwrap());
    path
}

#[test]
fn a_segment_that_the_header_makes_is_as_rusts_are() {
    let scratch = Scratch::new();
    let script = program(&scratch, "ffi/tests/script.c", C99, Link::Header);
    let (in_c, in_rust) = (scratch.path("c"), scratch.path("rust"));
    let mut c = Script::start(&script, &[]);
    assert_eq!(c.call(&format!("attach {} x", in_c.display())), "slot 0");
    let rust = Attach::new().segment(in_rust.to_str().unwrap()).name("x").attach().unwrap();
    let (of_c, of_rust) = (Segment::open(&in_c).unwrap(), rust.segment().unwrap());
    let mut fixed = of_rust.fixed().clone();
    // Who and when: the only words that may differ.
    fixed.segment_id = of_c.fixed().segment_id;
    fixed.created_boottime_ns = of_c.fixed().created_boottime_ns;
    fixed.created_realtime_ns = of_c.fixed().created_realtime_ns;
    (fixed.creator_pid, fixed.creator_starttime) = (u64::from(c.pid()), of_c.fixed().creator_starttime);
    assert_eq!(*of_c.fixed(), fixed);
    assert_ne!(of_c.fixed().segment_id, of_rust.fixed().segment_id, "each has its own");
    assert_eq!((of_c.state(), of_c.presence()), (of_rust.state(), of_rust.presence()));
    assert!(of_c.fixed().creator_starttime > 0 && of_c.fixed().created_boottime_ns > 0);
    let [of_c, of_rust] = [&in_c, &in_rust].map(|path| std::fs::metadata(path).unwrap());
    assert_eq!(
        (of_c.len(), of_c.mode(), of_c.blocks()),
        (of_rust.len(), of_rust.mode(), of_rust.blocks()),
        "all pages are there"
    );
    let mut left: Vec<_> = std::fs::read_dir(in_c.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.retain(|name| name.to_str().is_some_and(|name| name.starts_with(".") || name.starts_with("c.")));
    assert_eq!(left, ["c.liveness"], "nothing temporary is left");
}

#[test]
fn a_worker_of_each_form_names_itself_alike() {
    let scratch = Scratch::new();
    let path = made(&scratch, "s", 4);
    let segment = Segment::open_read_only(&path).unwrap();
    let mut scripts: Vec<Script> =
        FORMS.map(|link| Script::start(&program(&scratch, "ffi/tests/script.c", C99, link), &[])).into();
    for (i, c) in scripts.iter_mut().enumerate() {
        assert_eq!(c.call(&format!("attach {} x", path.display())), format!("slot {i}"));
    }
    let rust = Attach::new().segment(path.to_str().unwrap()).attach().unwrap();
    let identity = |i: u32| segment.slot(i).unwrap().read_identity().expect("live");
    let (_, ours) = identity(rust.slot().unwrap());
    for (i, c) in (0..).zip(&scripts) {
        let (owner, theirs) = identity(i);
        assert_eq!((owner.pid(), theirs.tid), (c.pid(), c.pid()), "its first thread");
        assert_eq!((theirs.pid_namespace, theirs.time_namespace), (ours.pid_namespace, ours.time_namespace));
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", c.pid())).unwrap();
        let starttime = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
        assert_eq!(theirs.starttime.to_string(), starttime);
        assert_eq!(theirs.pidfd_ino == 0, ours.pidfd_ino == 0, "where the kernel has inodes of processes");
        assert!(theirs.pidfd_ino == 0 || theirs.pidfd_ino != ours.pidfd_ino, "each process has its own");
        assert!(theirs.claimed_boottime_ns > 0 && theirs.claimed_boottime_ns <= ours.claimed_boottime_ns);
    }
}

/// A running `ffi/tests/exec.c`; ended with the test.
struct Exec(Child, BufReader<std::process::ChildStdout>);

impl Exec {
    fn start(args: &[&Path]) -> Self {
        let mut run = command(args[0]);
        let mut child = run.args(&args[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line.trim_end().into()
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_that_became_another_program_takes_its_slot_over() {
    let scratch = Scratch::new();
    for (before, after) in pairs() {
        let [first, second] = [before, after].map(|link| program(&scratch, "ffi/tests/exec.c", C99, link));
        let path = made(&scratch, &format!("{before:?}-{after:?}"), 5);
        let mut exec = Exec::start(&[&first, &path, &second]);
        assert_eq!(exec.line(), "slot 0, lane 1");
        assert_eq!(exec.line(), "slot 0, other 2", "{before:?} to {after:?}: a second worker takes nothing over");
        let pid = exec.0.id();
        let expected = [(Tag::Live, 2, pid), (Tag::Free, 1, 0), (Tag::Live, 1, pid), (Tag::Free, 0, 0), (Tag::Free, 0, 0)];
        assert_eq!(owners(&path), expected, "{before:?} to {after:?}: the next generation, and the lane is free");
        let segment = Segment::open_read_only(&path).unwrap();
        let hot = segment.slot(0).unwrap().read_hot().unwrap();
        assert_eq!((hot.progress, hot.beat.count(), hot.epoch.0), (u64::MAX, 0, 0), "a new generation has no history");
        exec.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(exec.0.wait().unwrap().success());
        assert!(owners(&path).iter().all(|(tag, ..)| *tag == Tag::Free), "and it gives them back");
    }
}

#[test]
fn a_dead_owners_slot_is_taken_where_none_is_free_and_a_living_ones_never() {
    let scratch = Scratch::new();
    for (before, after) in pairs() {
        let [first, second] = [before, after].map(|link| program(&scratch, "ffi/tests/script.c", C99, link));
        let path = made(&scratch, &format!("{before:?}-{after:?}"), 1);
        let attach = format!("attach {} x", path.display());
        let mut owner = Script::start(&first, &[]);
        assert_eq!(owner.call(&attach), "slot 0");
        let mut next = Script::start(&second, &[]);
        let said = next.call(&attach);
        assert!(said.contains(": all 1 slots are taken and no owner is proven dead\t"), "{before:?}, {after:?}: {said}");
        // Killed and reaped.
        drop(owner);
        assert_eq!(next.call(&attach), "slot 0", "{before:?}, {after:?}");
        assert_eq!(owners(&path), [(Tag::Live, 2, next.pid())]);
    }
}

#[test]
fn a_dead_owner_of_a_pid_namespace_below_is_proven_alike_by_either_form() {
    const TEST: &str = "a_dead_owner_of_a_pid_namespace_below_is_proven_alike_by_either_form";
    let scratch = Scratch::new();
    let unshared = |program: &Path| {
        let mut unshare = command("unshare");
        unshare.args(["--pid", "--fork", "--kill-child"]).arg(program);
        unshare
    };
    if !crate::build::output(&mut unshared(Path::new("true"))).status.success() {
        return skip(&format!("{TEST}: no pid namespace can be made here"));
    }
    let scripts = FORMS.map(|link| program(&scratch, "ffi/tests/script.c", C99, link));
    let mut said = Vec::new();
    for (first, second) in scripts.iter().flat_map(|first| scripts.iter().map(move |second| (first, second))) {
        let path = made(&scratch, &format!("{}", said.len()), 1);
        let attach = format!("attach {} x", path.display());
        let mut below = Script::run(unshared(first));
        assert_eq!(below.call(&attach), "slot 0");
        assert_eq!(owners(&path)[0].2, 1, "its number is one of its own namespace");
        let alive = Script::start(second, &[]).call(&attach);
        assert!(alive.contains("no owner is proven dead"), "{alive}");
        below.end();
        let dead = Script::start(second, &[]).call(&attach);
        said.push(dead.split(" segment").next().unwrap().to_string());
    }
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
}

/// Writes an owner word, as a supervisor or a process of another pid namespace would have it.
fn write_owner(path: &Path, index: u64, owner: Owner) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&owner.0.to_ne_bytes(), 4096 + index * 1024 + 0x80).unwrap();
}

#[test]
fn a_reserved_slot_is_its_childs_and_nobody_elses() {
    let scratch = Scratch::new();
    for link in FORMS {
        let script = program(&scratch, "ffi/tests/script.c", C99, link);
        let path = made(&scratch, &format!("{link:?}"), 3);
        let named = path.to_str().unwrap();
        write_owner(&path, 2, Owner::new(4, Tag::Reserved, Kind::Worker, std::process::id()));
        let attach = |slot: &str, expected: &str| {
            let mut c = Script::start(&script, &[("HANGWATCH_SEGMENT", named), ("HANGWATCH_SLOT", slot)]);
            assert_eq!(c.call("attach - x"), expected, "{link:?}, HANGWATCH_SLOT={slot}");
            c
        };
        let _other_generation = attach("2:3", "slot 0");
        let _past_the_end = attach("9:4", "slot 1");
        let full = Script::start(&script, &[]).call(&format!("attach {named} x"));
        assert!(full.starts_with("error 5 "), "a reserved slot is not given to others, not even when full: {full}");
        let mut own = attach("2:4", "slot 2");
        assert_eq!(owners(&path)[2], (Tag::Live, 5, own.pid()));
        own.call("detach");
        let mut elsewhere = Script::start(&script, &[("HANGWATCH_SEGMENT", named), ("HANGWATCH_SLOT", "2:5")]);
        write_owner(&path, 2, Owner::new(5, Tag::Reserved, Kind::Worker, std::process::id()));
        let other = made(&scratch, &format!("{link:?}-other"), 1);
        assert_eq!(elsewhere.call(&format!("attach {} x", other.display())), "slot 0");
        assert_eq!(owners(&path)[2].0, Tag::Reserved, "a reserved slot is one of the environment's segment");
        let same = path.parent().unwrap().join(".//").join(path.file_name().unwrap());
        assert_eq!(elsewhere.call(&format!("attach {} x", same.display())), "slot 2", "a path is what it leads to by its parts");
    }
}

#[test]
fn what_is_quarantined_or_of_another_namespace_is_not_taken() {
    let scratch = Scratch::new();
    for link in FORMS {
        let script = program(&scratch, "ffi/tests/script.c", C99, link);
        let path = made(&scratch, &format!("{link:?}"), 2);
        write_owner(&path, 0, Owner::new(1, Tag::Quarantined, Kind::Worker, std::process::id()));
        // Its identity words are zero: of no namespace that is known.
        write_owner(&path, 1, Owner::new(1, Tag::Live, Kind::Worker, i32::MAX as u32));
        let said = Script::start(&script, &[]).call(&format!("attach {} x", path.display()));
        assert!(said.starts_with("error 5 "), "{link:?}: {said}");
        // A claimer that died at once left its number alone; in the namespace that made the segment that is proof.
        write_owner(&path, 1, Owner::new(1, Tag::Claiming, Kind::Worker, i32::MAX as u32));
        assert_eq!(Script::start(&script, &[]).call(&format!("attach {} x", path.display())), "slot 1");
        assert_eq!(owners(&path)[1].1, 2);
    }
}

/// Bytes of `<segment>.liveness` that the kernel says are locked, and by whom.
fn locks(path: &Path) -> Vec<(u64, u32)> {
    let file = path.with_extension("liveness");
    let inode = std::fs::metadata(&file).unwrap().ino();
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    // 1: POSIX  ADVISORY  WRITE 4711 00:19:42 0 0
    let fields = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = fields.filter(|f| f.len() == 8 && f[1] == "POSIX" && f[5].rsplit(':').next() == Some(&inode.to_string()));
    let number = |text: &str| text.parse::<u64>().unwrap();
    // Neighbours of one holder are one line.
    let bytes = ours.flat_map(|f| (number(f[6])..=number(f[7])).map(move |byte| (byte, number(f[4]) as u32)));
    let mut held: Vec<(u64, u32)> = bytes.collect();
    held.sort();
    held
}

#[test]
fn each_slot_is_a_byte_that_its_process_holds_until_it_detaches() {
    let scratch = Scratch::new();
    for link in LINKS {
        let script = program(&scratch, "ffi/tests/script.c", C99, link);
        let path = made(&scratch, &format!("{link:?}"), 4);
        let mut c = Script::start(&script, &[]);
        let pid = c.pid();
        c.call(&format!("attach {} x", path.display()));
        assert_eq!(locks(&path), [(0, pid)], "{link:?}");
        c.call("@b lane second");
        assert_eq!(locks(&path), [(0, pid), (1, pid)], "{link:?}: a lane has a byte of its own");
        c.call("@b detach");
        assert_eq!(locks(&path), [(0, pid)], "{link:?}: to detach one lets go of its byte alone");
        c.call("detach");
        assert_eq!(locks(&path), [], "{link:?}");
        c.call(&format!("attach {} x", path.display()));
        assert_eq!(locks(&path), [(2, pid)], "{link:?}: the file is opened again");
        drop(c);
        assert_eq!(locks(&path), [], "{link:?}: an end lets go of it");
    }
}

#[test]
fn two_forms_in_one_process_have_a_slot_each() {
    let scratch = Scratch::new();
    // A host that was built with the header alone loads a plugin that is linked with the library.
    let plugin = scratch.write(
        "plugin.c",
        "#include <hangwatch.h>\nvoid *plug(const char *s);\nvoid *plug(const char *s) { return hangwatch_attach(s, \"plugin\", NULL); }\n\
         int slot_of(void *w);\nint slot_of(void *w) { hangwatch_step((hangwatch_worker_t *)w, 7); return (int)hangwatch_slot((hangwatch_worker_t *)w); }\n",
    );
    let host = scratch.write(
        "host.c",
        "#define HANGWATCH_IMPLEMENTATION\n#include <hangwatch.h>\n#include <stdio.h>\n\
         void *plug(const char *s);\nint slot_of(void *w);\n\
         int main(int argc, char **argv) {\nhangwatch_worker_t *own = hangwatch_attach(argv[argc - 1], \"host\", NULL);\n\
         void *theirs = plug(argv[argc - 1]);\nhangwatch_step(own, 3);\n\
         printf(\"%ld %d\\n\", (long)hangwatch_slot(own), slot_of(theirs));\nreturn 0; }\n",
    );
    let library = crate::build::library();
    let (so, out) = (scratch.path("libplugin.so"), scratch.path("host"));
    let mut compile = crate::build::compile(C99);
    compile.args(["-shared", "-fPIC"]).arg(&plugin).args(["-x", "none", "-o"]).arg(&so);
    succeed(compile.arg("-L").arg(library).arg("-lhangwatch").arg(format!("-Wl,-rpath,{}", library.display())));
    let mut compile = crate::build::compile(C99);
    compile.arg(&host).args(["-x", "none", "-o"]).arg(&out).arg(&so);
    succeed(compile.arg(format!("-Wl,-rpath,{}:{}", scratch.path("").display(), library.display())));
    let path = made(&scratch, "s", 3);
    assert_eq!(succeed(command(&out).arg(&path)), "0 1\n", "neither takes the other for what an exec left behind");
    let segment = Segment::open_read_only(&path).unwrap();
    let progress = |i: u32| segment.slot(i).unwrap().raw_words()[1];
    assert_eq!((progress(0), progress(1)), (3, 7), "each reports into its own");
}

#[test]
fn the_header_alone_needs_nothing_of_one_c_library() {
    let scratch = Scratch::new();
    let musl = crate::build::Compiler { program: "musl-gcc", ..C99 };
    if std::process::Command::new(musl.program).arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip("the_header_alone_needs_nothing_of_one_c_library: there is no musl-gcc here");
    }
    for name in ["null", "inline", "alive"] {
        let program = program(&scratch, &format!("ffi/tests/{name}.c"), musl, Link::Header);
        let mut run = command(&program);
        if name != "null" {
            run.arg(program.with_extension("segment"));
        }
        succeed(&mut run);
    }
    // Both in one segment, and one after the other.
    let path = made(&scratch, "s", 1);
    let mut first = Script::start(&program(&scratch, "ffi/tests/script.c", musl, Link::Header), &[]);
    let mut second = Script::start(&program(&scratch, "ffi/tests/script.c", C99, Link::Shared), &[]);
    let attach = format!("attach {} x", path.display());
    assert_eq!(first.call(&attach), "slot 0");
    assert_eq!(locks(&path), [(0, first.pid())]);
    assert!(second.call(&attach).starts_with("error 5 "));
    first.end();
    assert_eq!(second.call(&attach), "slot 0");
}

#[test]
fn a_reader_finds_the_last_record_of_a_writer_that_was_killed() {
    let scratch = Scratch::new();
    let script = program(&scratch, "ffi/tests/script.c", C99, Link::Header);
    let path = scratch.path("s");
    let mut c = Script::start(&script, &[]);
    c.call(&format!("attach {} x", path.display()));
    c.call("begin_job j m 50");
    c.call("step 21");
    let segment = Segment::open_read_only(&path).unwrap();
    let slot = segment.slot(0).unwrap();
    let before = (slot.read_hot(), slot.read_info());
    drop(c);
    assert_eq!((slot.read_hot(), slot.read_info()), before);
    assert_eq!(Total::from_word(before.0.unwrap().total), Total::Known(50));
}
