//! hangwatch.hpp: its behaviour, its reach and its cost.

use crate::build::{Compiler, Link, Scratch, command, every_compiler, has_clang, library, output, private_libraries, succeed};
use crate::header::declared;
use hangwatch::segment::{Geometry, Segment};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a strict project compiles with, beside what every header here must bear.
const STRICT: [&str; 9] = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wold-style-cast",
    "-Weffc++",
    "-Werror",
];

const fn of(program: &'static str, std: &'static str) -> Compiler {
    Compiler { program, std, language: "c++" }
}

/// Without what some projects do without.
const BARE: [&str; 2] = ["-fno-exceptions", "-fno-rtti"];
const NONE: [&str; 0] = [];

fn compile(compiler: Compiler) -> Command {
    let mut command = command(compiler.program);
    command.arg(format!("-std={}", compiler.std)).args(STRICT).args(["-I", "ffi/include"]);
    command
}

/// Runs the behaviour test; it ends well or says what does not hold.
fn behaves(compiler: Compiler, link: Link, flags: &[&str]) {
    let scratch = Scratch::new();
    let out = scratch.path("cpp");
    let mut build = compile(compiler);
    build.args(flags).arg("ffi/tests/cpp.cpp").arg("-o").arg(&out);
    match link {
        Link::Header => drop(build.arg("-DHANGWATCH_IMPLEMENTATION")),
        Link::Shared => {
            build.arg("-L").arg(library()).arg("-lhangwatch").arg(format!("-Wl,-rpath,{}", library().display()));
        }
        Link::Static => {
            build.arg(library().join("libhangwatch.a")).args(private_libraries());
        }
    }
    succeed(&mut build);
    let pages = scratch.path("pages");
    Segment::create(&pages, Geometry { slots: 8, slot_size: 4096 }).unwrap();
    succeed(command(out).arg(scratch.path("segment")).arg(pages));
}

/// Those of the two that are here; that clang is not is said aloud.
fn both(of_gcc: Compiler, of_clang: Compiler) -> impl Iterator<Item = Compiler> {
    [of_gcc, of_clang].into_iter().filter(|compiler| compiler.program == "g++" || has_clang())
}

#[test]
fn the_objects_of_cpp_own_what_they_say_with_the_shared_library() {
    both(of("g++", "c++11"), of("clang++", "c++17")).for_each(|compiler| behaves(compiler, Link::Shared, &NONE));
}

#[test]
fn the_objects_of_cpp_own_what_they_say_with_the_archive_and_without_exceptions_and_rtti() {
    behaves(of("g++", "c++20"), Link::Static, &BARE);
}

#[test]
fn the_objects_of_cpp_own_what_they_say_with_nothing_linked() {
    both(of("g++", "c++11"), of("clang++", "c++20")).for_each(|compiler| behaves(compiler, Link::Header, &NONE));
}

#[test]
fn the_cpp_header_compiles_alone_from_cpp11_to_cpp20_without_a_warning() {
    let scratch = Scratch::new();
    let source = scratch.write("alone.cpp", "#include <hangwatch.hpp>\n#include <hangwatch.h>\n#include <hangwatch.hpp>\n");
    for compiler in every_compiler().into_iter().filter(|compiler| compiler.language == "c++") {
        let flags = if compiler.std == "c++11" { &BARE[..] } else { &NONE[..] };
        succeed(compile(compiler).args(flags).arg("-fsyntax-only").arg(&source));
    }
}

/// The behaviour test, compiled and not linked nor inlined.
fn object(scratch: &Scratch) -> PathBuf {
    let object = scratch.path("cpp.o");
    succeed(compile(of("g++", "c++17")).args(["-O0", "-c", "ffi/tests/cpp.cpp", "-o"]).arg(&object));
    object
}

#[test]
fn every_function_of_c_is_reached_from_cpp_and_no_other() {
    // For callers that cannot inline; C++ can.
    let not_for_cpp = ["hangwatch_step_linked", "hangwatch_beat_linked"].map(str::to_string);
    let scratch = Scratch::new();
    let undefined = succeed(command("nm").arg("-u").arg(object(&scratch)));
    let reached: BTreeSet<String> = undefined
        .lines()
        .filter_map(|line| line.trim().strip_prefix("U "))
        .filter(|name| name.starts_with("hangwatch_"))
        .map(str::to_string)
        .collect();
    let expected: BTreeSet<String> = declared().into_iter().filter(|name| !not_for_cpp.contains(name)).collect();
    assert_eq!(reached, expected, "left: what ffi/tests/cpp.cpp reaches through hangwatch.hpp, right: what hangwatch.h declares");
    let test = std::fs::read_to_string(Path::new(crate::build::ROOT).join("ffi/tests/cpp.cpp")).unwrap();
    let by_itself: Vec<&String> = reached.iter().filter(|name| test.contains(&format!("{name}("))).collect();
    assert_eq!(by_itself, ["hangwatch_slot"], "the test reaches a function past hangwatch.hpp only to show that it can");
}

#[test]
fn no_function_of_the_cpp_header_is_shared_between_two_libraries() {
    let scratch = Scratch::new();
    let symbols = succeed(command("readelf").args(["-sW", "--demangle"]).arg(object(&scratch)));
    let own = symbols.lines().filter(|line| line.contains(" FUNC ") && line.contains(" WEAK ") && line.contains(" hangwatch::"));
    let (hidden, seen): (Vec<&str>, Vec<&str>) = own.partition(|line| line.contains(" HIDDEN "));
    assert!(seen.is_empty(), "one library's would be run with another's worker:\n{}", seen.join("\n"));
    assert!(hidden.len() > 40, "the list was read");
}

/// A function's instructions, without where they stand and where they lead.
fn instructions(object: &Path, function: &str) -> Vec<String> {
    let text =
        succeed(command("objdump").args(["-d", "--no-show-raw-insn"]).arg(format!("--disassemble={function}")).arg(object));
    let lines = text.lines().filter_map(|line| line.strip_prefix(' ')?.split_once(":\t"));
    let place = |word: &str| word.starts_with('<') || u64::from_str_radix(word, 16).is_ok() && !word.is_empty();
    lines.map(|(_, line)| line.split_whitespace().filter(|word| !place(word)).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_step_in_cpp_is_the_step_of_c_instruction_by_instruction() {
    let scratch = Scratch::new();
    let text = "#include <hangwatch.hpp>\nextern \"C\" {\n\
        void step_c(hangwatch_worker_t **w, std::uint64_t done) { hangwatch_step(*w, done); }\n\
        void step_worker(hangwatch::worker *w, std::uint64_t done) { w->step(done); }\n\
        void step_job(hangwatch::job *w, std::uint64_t done) { w->step(done); }\n\
        void beat_c(hangwatch_worker_t **w) { hangwatch_beat(*w); }\n\
        void beat_worker(hangwatch::worker *w) { w->beat(); }\n}\n";
    let source = scratch.write("step.cpp", text);
    for compiler in both(of("g++", "c++11"), of("clang++", "c++11")) {
        // Clang ends a noexcept function by a call that no run comes to, unless there are no exceptions.
        let flags = if compiler.program == "g++" { &NONE[..] } else { &BARE[..] };
        let object = scratch.path(compiler.program);
        let mut compile = command(compiler.program);
        compile.args(["-std=c++11", "-O2", "-I", "ffi/include", "-c"]).args(flags).arg(&source).arg("-o").arg(&object);
        succeed(&mut compile);
        let of = |function| instructions(&object, function);
        assert!(of("step_c").len() > 20, "the functions were read");
        assert_eq!(of("step_worker"), of("step_c"), "{}: a worker's step costs what a pointer's does", compiler.program);
        assert_eq!(of("step_job"), of("step_c"), "{}: a job's step costs what a pointer's does", compiler.program);
        assert_eq!(of("beat_worker"), of("beat_c"), "{}: a worker's beat costs what a pointer's does", compiler.program);
    }
}

#[test]
fn what_cpp_forbids_does_not_compile() {
    let scratch = Scratch::new();
    let fine = "hangwatch::worker a, b(static_cast<hangwatch_worker_t *>(nullptr)); a = std::move(b); a.note(\"x\");";
    let wrong = [
        "hangwatch::worker a, b(a);",
        "hangwatch::worker a; a = a.get();",
        "hangwatch::worker a; int i = a; (void)i;",
        "hangwatch::worker a; a.extend(5);",
        "hangwatch::worker a; a.phase(5);",
        "hangwatch::worker a; hangwatch::job b(a, \"x\", \"y\", 1), c(b);",
    ];
    let check = |body: &str| {
        let source = scratch.write("body.cpp", &format!("#include <hangwatch.hpp>\nvoid f();\nvoid f() {{ {body} }}\n"));
        output(compile(of("g++", "c++11")).arg("-fsyntax-only").arg(source)).status.success()
    };
    assert!(check(fine), "what is allowed compiles");
    for body in wrong {
        assert!(!check(body), "this must be refused: {body}");
    }
}
