//! What C's calls do beside what the conformance suite proves of every writer (cli/tests/conformance.rs): errors, structs of
//! other versions, and the same words as Rust's for the same calls.

use crate::build::{C99, COMPILERS, CPP17, LINKS, Link, Scratch, command, compilers, program, succeed};
use crate::script::Script;
use hangwatch::layout::slot::FIELDS;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Job, Outcome, Phase, Total, Worker};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Runs a C test in every form; the library's own code is no other under another compiler, the header's is.
fn under_all(source: &str, with_segment: bool) {
    let scratch = Scratch::new();
    for compiler in compilers() {
        for link in LINKS.into_iter().filter(|link| *link == Link::Header || COMPILERS.contains(&compiler)) {
            let program = program(&scratch, source, compiler, link);
            let mut run = command(&program);
            if with_segment {
                run.arg(program.with_extension("segment"));
            }
            succeed(&mut run);
        }
    }
}

#[test]
fn every_function_takes_null_and_a_detached_worker() {
    under_all("ffi/tests/null.c", false);
}

#[test]
fn the_inline_step_and_beat_are_the_librarys_own() {
    under_all("ffi/tests/inline.c", true);
}

#[test]
fn no_child_made_in_whatever_way_touches_its_parents_slot_and_after_exec_it_is_taken_over() {
    under_all("ffi/tests/fork.c", true);
}

#[test]
fn a_job_struct_of_another_version_is_read_as_far_as_it_is_known() {
    let scratch = Scratch::new();
    for (compiler, link) in [(C99, Link::Shared), (CPP17, Link::Static), (C99, Link::Header), (CPP17, Link::Header)] {
        let program = program(&scratch, "ffi/tests/script.c", compiler, link);
        let path = scratch.path(&format!("{}-{link:?}.segment", compiler.std));
        let mut c = Script::start(&program, &[("HANGWATCH_SEGMENT", path.to_str().unwrap())]);
        assert_eq!(c.call("attach - sd-0"), "slot 0");
        let segment = Segment::open_read_only(&path).unwrap();
        let slot = segment.slot(0).unwrap();
        for (call, id) in [("begin_job_with_null", ""), ("begin_job_with_sizeless", ""), ("begin_job_with_larger later", "later")]
        {
            let job = slot.read_hot().unwrap().epoch.job();
            c.call(call);
            let info = slot.read_info().unwrap();
            assert_eq!((info.job, info.job_id.as_str(), info.batch), (job + 1, id, 0), "{call}");
        }
        assert_eq!(c.call("begin_job - - 0"), "ok");
        let info = slot.read_info().unwrap();
        assert_eq!((info.job_id.as_str(), info.model.as_str()), ("", ""), "NULL is an empty string");
    }
}

/// The same worker in C and in Rust, without stamps, which are the clock's.
struct Twins {
    c: Script,
    c_segment: Segment,
    rust: Worker,
}

impl Twins {
    /// One call on both.
    fn call(&mut self, line: &str) {
        self.c.call(line);
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<u64>().unwrap();
        let rust = &mut self.rust;
        match words[0] {
            "phase" => rust.phase(Phase::from_id(number(1) as u16)),
            "phase_total" => rust.phase_total(Phase::from_id(number(1) as u16), Total::from_word(number(2))),
            "enter" => rust.enter(Phase::from_id(number(1) as u16), Total::from_word(number(2))),
            "leave" => rust.leave(),
            "begin_job" => rust.begin_job(words[1], words[2], Total::from_word(number(3))),
            "begin_job_with" => rust.begin_job_with(&Job::new(words[1]).model(words[2]).batch(number(4)).size(number(5))),
            "step" => rust.step(number(1)),
            "beat" => rust.beat(),
            "alive" => rust.alive(),
            "begin_pass" => rust.begin_pass(),
            "extend" => rust.extend(Duration::from_millis(number(1))),
            "note" => rust.note(words[1]),
            "end_job" => rust.end_job(match words[1] {
                "ok" => Outcome::Ok,
                "failed" => Outcome::Failed,
                _ => Outcome::Cancelled,
            }),
            other => panic!("no such call: {other}"),
        }
    }

    fn compare(&self, line: &str) {
        // Who and when: the only words that may differ between two processes.
        let whose = ["starttime", "pidfd_ino", "namespaces", "tid", "claimed_boottime_ns"];
        let (c, rust) = (self.c_segment.slot(0).unwrap(), self.rust.segment().unwrap().slot(0).unwrap());
        for (((name, _), in_c), in_rust) in FIELDS.iter().zip(c.raw_words()).zip(rust.raw_words()) {
            let in_common = if *name == "owner" { !0xffff_ffff } else { u64::MAX }; // but for the pid
            if !whose.contains(name) {
                assert_eq!(in_c & in_common, in_rust & in_common, "{name} after '{line}'");
            }
        }
        let record = |slot: &hangwatch::layout::Slot| {
            let mut info = slot.read_info().unwrap();
            info.job_start_boottime_ns = info.job_start_boottime_ns.min(1);
            info
        };
        assert_eq!(record(c), record(rust), "after '{line}'");
    }
}

#[test]
fn c_and_rust_write_the_same_words_for_the_same_calls() {
    the_same_words(Link::Shared);
}

#[test]
fn the_header_alone_and_rust_write_the_same_words_for_the_same_calls() {
    the_same_words(Link::Header);
}

fn the_same_words(link: Link) {
    let scratch = Scratch::new();
    let program = program(&scratch, "ffi/tests/script.c", C99, link);
    let (in_c, in_rust) = (scratch.path("c.segment"), scratch.path("rust.segment"));
    let mut c = Script::start(&program, &[]);
    assert_eq!(c.call(&format!("attach {} twin", in_c.display())), "slot 0");
    c.call("unstamp");
    let rust = Attach::new().segment(in_rust.to_str().unwrap()).name("twin").without_stamps().attach().unwrap();
    let mut twins = Twins { c, c_segment: Segment::open_read_only(&in_c).unwrap(), rust };
    twins.compare("attach");

    let mut seed = 20_u64;
    let mut below = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    for i in 0..3000 {
        let line = match below(30) {
            0 => format!("phase {}", below(14)),
            1 => format!("phase_total {} {}", below(12), below(3)),
            2 => format!("begin_job j{i} model {}", [0, 50, u64::MAX][below(3) as usize]),
            3 => format!("begin_job_with j{i} model 0 {} {} 0 -", below(9), below(9)),
            4 => format!("end_job {}", ["ok", "failed", "cancelled"][below(3) as usize]),
            5 => "begin_pass".into(),
            6 => format!("extend {}", below(2000)),
            7 => format!("note n{i}"),
            8 => "alive".into(),
            9 | 10 => "beat".into(),
            11 => "phase 7".into(),
            12..=14 => format!("enter {} {}", below(14), [0, 50, u64::MAX][below(3) as usize]),
            15 | 16 => "leave".into(),
            _ => format!("step {}", below(50)),
        };
        twins.call(&line);
        twins.compare(&line);
    }
}

#[test]
fn what_went_wrong_is_said_in_c_as_in_rust() {
    let scratch = Scratch::new();
    for link in [Link::Shared, Link::Header] {
        let program = program(&scratch, "ffi/tests/script.c", C99, link);
        what_went_wrong(Script::start(&program, &[]));
    }
}

fn what_went_wrong(mut c: Script) {
    let scratch = Scratch::new();
    let short = scratch.write("short", "x");
    std::fs::set_permissions(&short, std::fs::Permissions::from_mode(0o600)).unwrap();
    let garbage = scratch.write("garbage", &"x".repeat(1 << 17));
    std::fs::set_permissions(&garbage, std::fs::Permissions::from_mode(0o600)).unwrap();
    let link = scratch.path("link");
    std::os::unix::fs::symlink(&short, &link).unwrap();
    let fifo = scratch.path("fifo");
    succeed(command("mkfifo").arg(&fifo));
    let full = scratch.path("full");
    let _only_slot = full_segment(&full);

    for bad in [&short, &garbage, &link, &fifo, &full, &scratch.path("no/such/folder"), Path::new(".hidden"), Path::new("a:b")] {
        let bad = bad.to_str().unwrap();
        let expected = Attach::new().segment(bad).name("x").attach().expect_err(bad);
        let said = c.call(&format!("attach {bad} x"));
        assert_eq!(said, format!("error {} {}", expected.kind() as i32, expected.to_string().replace('\n', "\t")));
    }
    let said = c.call(&format!("attach {} x", fifo.display()));
    let expected = format!("error 3 cannot open segment '{}': it is a FIFO", fifo.display());
    assert!(said.starts_with(&expected), "{said}");
}

/// A segment with one slot, and the worker that has it.
fn full_segment(path: &Path) -> Worker {
    drop(Segment::create(path, Geometry { slots: 1, slot_size: 1024 }).unwrap());
    Attach::new().segment(path.to_str().unwrap()).attach().unwrap()
}

#[test]
fn a_message_too_long_is_cut_at_a_characters_border() {
    let scratch = Scratch::new();
    let mut lengths = Vec::new();
    for (link, prefix) in
        [Link::Shared, Link::Header].into_iter().flat_map(|link| [(link, "/nonexistent/"), (link, "/nonexistent/x")])
    {
        let program = program(&scratch, "ffi/tests/script.c", C99, link);
        let mut c = Script::start(&program, &[]);
        let bad = format!("{prefix}{}", "ü/".repeat(400));
        let whole = Attach::new().segment(&bad).attach().unwrap_err();
        let said = c.call(&format!("attach {bad} x"));
        let message = said.strip_prefix(&format!("error {} ", whole.kind() as i32)).unwrap();
        assert!(whole.to_string().replace('\n', "\t").starts_with(message), "what is left is the message's beginning");
        lengths.push(message.len());
    }
    lengths.sort();
    assert!(lengths.contains(&511) || lengths.contains(&510), "as much is kept as fits: {lengths:?}");
    assert!(lengths.iter().all(|len| (510..=511).contains(len)), "as much is kept as fits: {lengths:?}");
}

#[test]
fn a_segment_that_is_not_utf8_is_an_error_and_a_label_that_is_not_is_a_label() {
    let scratch = Scratch::new();
    let source = scratch.write(
        "utf8.c",
        "#include <hangwatch.h>\n#include <stdio.h>\nint main(int argc, char **argv) {\n\
         hangwatch_error_t err;\nhangwatch_worker_t *w = hangwatch_attach(\"/tmp/\\xff\", \"x\", &err);\n\
         printf(\"%d %d %s\\n\", w == NULL, (int)err.code, err.message);\n\
         w = hangwatch_attach(argc > 1 ? argv[1] : NULL, \"x\\xff\", &err);\nhangwatch_note(w, \"y\\xff\");\nreturn w == NULL; }\n",
    );
    for link in LINKS {
        let program = program(&scratch, source.to_str().unwrap(), C99, link);
        let path = scratch.path(&format!("{link:?}.segment"));
        let said = succeed(command(program).arg(&path));
        assert_eq!(said, "1 1 cannot attach to segment '/tmp/\u{fffd}': it is not UTF-8\n");
        let info = Segment::open_read_only(&path).unwrap().slot(0).unwrap().read_info().unwrap();
        assert_eq!((info.name.as_str(), info.detail.as_str()), ("x\u{fffd}", "y\u{fffd}"));
    }
}
