//! hangwatch.hpp: its behaviour, its reach and its cost.

use crate::build::{Compiler, Link, Scratch, command, library, output, private_libraries, succeed};
use crate::header::declared;
use crate::skipped;
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

/// Whether the compiler is here; that it is not is said aloud.
fn has(compiler: Compiler) -> bool {
    let found =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(compiler.program).exists());
    if !found {
        skipped::skip(&format!("hangwatch.hpp under {}: it is not installed", compiler.program));
    }
    found
}

/// Where the functions of C come from.
enum Form {
    Linked(Link),
    HeaderOnly,
}

/// Runs the behaviour test; it ends well or says what does not hold.
fn behaves(compiler: Compiler, form: Form, flags: &[&str]) {
    if !has(compiler) {
        return;
    }
    let scratch = Scratch::new();
    let out = scratch.path("cpp");
    let mut build = compile(compiler);
    build.args(flags).arg("ffi/tests/cpp.cpp").arg("-o").arg(&out);
    match form {
        Form::HeaderOnly => drop(build.arg("-DHANGWATCH_IMPLEMENTATION")),
        Form::Linked(Link::Shared) => {
            build.arg("-L").arg(library()).arg("-lhangwatch").arg(format!("-Wl,-rpath,{}", library().display()));
        }
        Form::Linked(Link::Static) => {
            build.arg(library().join("libhangwatch.a")).args(private_libraries());
        }
    }
    succeed(&mut build);
    succeed(command(out).arg(scratch.path("segment")));
}

#[test]
fn the_objects_of_cpp_own_what_they_say_in_cpp11() {
    behaves(of("g++", "c++11"), Form::Linked(Link::Shared), &NONE);
}

#[test]
fn the_objects_of_cpp_own_what_they_say_in_cpp20_without_exceptions_and_rtti() {
    behaves(of("g++", "c++20"), Form::Linked(Link::Static), &BARE);
}

#[test]
fn the_objects_of_cpp_own_what_they_say_under_clang() {
    behaves(of("clang++", "c++17"), Form::Linked(Link::Shared), &NONE);
}

#[test]
fn the_objects_of_cpp_own_what_they_say_with_nothing_linked() {
    behaves(of("g++", "c++11"), Form::HeaderOnly, &BARE);
    behaves(of("clang++", "c++20"), Form::HeaderOnly, &NONE);
}

#[test]
fn the_cpp_header_compiles_alone_from_cpp11_to_cpp20_without_a_warning() {
    let scratch = Scratch::new();
    let source = scratch.write("alone.cpp", "#include <hangwatch.hpp>\n#include <hangwatch.h>\n#include <hangwatch.hpp>\n");
    for program in ["g++", "clang++"] {
        for std in ["c++11", "c++14", "c++17", "c++20"] {
            let compiler = of(program, std);
            if !has(compiler) {
                break;
            }
            for flags in [&NONE[..], &BARE[..]] {
                succeed(compile(compiler).args(flags).arg("-fsyntax-only").arg(&source));
            }
        }
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
    // Clang ends a noexcept function by a call that no run comes to, unless there are no exceptions.
    for (compiler, flags) in [(of("g++", "c++11"), &NONE[..]), (of("clang++", "c++11"), &BARE[..])] {
        if !has(compiler) {
            continue;
        }
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
