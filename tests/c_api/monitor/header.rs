//! What `hangwatch_monitor.h` says and what the library and the Rust side say, in both directions.

use crate::build::{C11, C99, COMPILERS, CPP11, CPP17, Compiler, ROOT, Scratch, command, compile, monitor_library, succeed};
use hangwatch::judge::Verdict;
use hangwatch::segment::Presence;
use hangwatch::tell::EventKind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const HEADER: &str = "ffi/include/hangwatch_monitor.h";
const CPP20: Compiler = Compiler { program: "g++", std: "c++20", language: "c++" };

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|e| panic!("cannot read {path}: {e}"))
}

/// Functions that a header declares and does not define: the compiler's own list, of those that stand in `file`.
fn declared(file: &str) -> BTreeSet<String> {
    let scratch = Scratch::new();
    let source = scratch.write("alone.c", "#include <hangwatch_monitor.h>\n");
    let list = scratch.path("prototypes");
    succeed(compile(C99).args(["-fsyntax-only", "-aux-info"]).arg(&list).arg(source));
    let text = std::fs::read_to_string(list).unwrap();
    let external = text.lines().filter(|line| line.contains(&format!("/{file}:")) && line.contains("*/ extern "));
    external.map(|line| line.split(" (").next().unwrap().rsplit([' ', '*']).next().unwrap().to_string()).collect()
}

/// `HANGWATCH_<prefix>… = n` of the header's enums, as the preprocessor leaves them.
fn enumerators(prefix: &str) -> BTreeMap<String, u32> {
    let scratch = Scratch::new();
    let source = scratch.write("alone.c", "#include <hangwatch_monitor.h>\n");
    let text = succeed(compile(C99).arg("-E").arg(source));
    let rows = text.split([',', '{', '}', '\n']).filter_map(|part| part.split_once('='));
    let prefix = format!("HANGWATCH_{prefix}_");
    let rows = rows.filter_map(|(name, value)| Some((name.trim().strip_prefix(&*prefix)?, value.trim().parse().ok()?)));
    rows.map(|(name, value)| (name.to_lowercase(), value)).collect()
}

#[test]
fn the_monitors_header_compiles_alone_in_c_and_cpp_and_twice_in_one_unit() {
    let scratch = Scratch::new();
    let source =
        scratch.write("alone.c", "#include <hangwatch_monitor.h>\n#include <hangwatch_monitor.h>\n#include <hangwatch.h>\n");
    for compiler in COMPILERS.into_iter().chain([CPP20]) {
        succeed(compile(compiler).args(["-c", "-o", "/dev/null"]).arg(&source));
    }
    let source = scratch.write("alone.cpp", "#include <hangwatch_monitor.hpp>\n#include <hangwatch_monitor.hpp>\n");
    for compiler in [CPP11, CPP17, CPP20] {
        succeed(compile(compiler).args(["-c", "-o", "/dev/null"]).arg(&source));
    }
}

#[test]
fn the_monitors_library_exports_what_both_headers_declare_and_nothing_else() {
    let symbols = succeed(command("nm").args(["-D", "--defined-only"]).arg(monitor_library().join("libhangwatch_monitor.so")));
    let exported: BTreeSet<String> = symbols.lines().filter_map(|line| line.split(' ').nth(2)).map(str::to_string).collect();
    let (worker, monitor) = (declared("hangwatch.h"), declared("hangwatch_monitor.h"));
    assert!(worker.len() >= 15 && monitor.len() >= 20, "the lists were read");
    assert_eq!(exported, worker.union(&monitor).cloned().collect(), "left: exported, right: declared");
}

#[test]
fn the_monitors_shared_library_is_found_by_the_name_it_was_linked_by() {
    let dynamic = succeed(command("readelf").arg("-d").arg(monitor_library().join("libhangwatch_monitor.so")));
    assert!(dynamic.contains("Library soname: [libhangwatch_monitor.so]"), "no symlink is needed beside it:\n{dynamic}");
}

#[test]
fn the_verdicts_the_events_and_the_presences_of_c_are_those_of_rust() {
    let mut verdicts: BTreeMap<String, u32> = Verdict::ALL.iter().map(|v| (v.name().to_string(), *v as u32)).collect();
    verdicts.insert("none".into(), 0);
    assert_eq!(enumerators("VERDICT"), verdicts);
    let events: BTreeMap<String, u32> = EventKind::ALL.iter().map(|kind| (kind.name().to_string(), *kind as u32)).collect();
    assert_eq!(enumerators("EVENT"), events);
    // Exhaustive: a new one must get its number here, in the header and in the library.
    let named = |presence: Presence| match presence {
        Presence::Present => ("present", 1),
        Presence::Unlinked => ("unlinked", 2),
        Presence::Replaced => ("replaced", 3),
        Presence::Truncated => ("truncated", 4),
        Presence::Superseded => ("superseded", 5),
        Presence::Erased => ("erased", 6),
    };
    let all =
        [Presence::Present, Presence::Unlinked, Presence::Replaced, Presence::Truncated, Presence::Superseded, Presence::Erased];
    assert_eq!(enumerators("PRESENCE"), all.into_iter().map(named).map(|(name, n)| (name.to_string(), n)).collect());
}

#[test]
fn the_header_says_which_verdicts_act() {
    let header = read(HEADER);
    let rows = header.lines().filter(|line| line.trim_start().starts_with("HANGWATCH_VERDICT_"));
    let acting: BTreeSet<String> = rows
        .filter(|line| line.contains("; acting */"))
        .map(|line| line.trim().trim_start_matches("HANGWATCH_VERDICT_").split(' ').next().unwrap().to_lowercase())
        .collect();
    let expected = Verdict::ALL.iter().filter(|v| v.severity() == hangwatch::judge::Severity::Acting);
    assert_eq!(acting, expected.map(|v| v.name().to_string()).collect());
}

#[test]
fn every_function_of_the_monitors_header_is_tried_on_null() {
    let tried = read("ffi/monitor/tests/null.c");
    for name in declared("hangwatch_monitor.h") {
        assert!(tried.contains(&format!("{name}(")), "ffi/monitor/tests/null.c never calls {name}");
    }
}

#[test]
fn every_function_of_the_monitors_library_works_behind_the_guard() {
    let mut seen = BTreeSet::new();
    for file in ["monitor", "names", "policy", "reader"] {
        let source = read(&format!("ffi/monitor/src/{file}.rs"));
        for function in source.split("extern \"C\" fn ").skip(1) {
            let body = function.split("\n}\n").next().unwrap();
            let name = body.split('(').next().unwrap();
            assert!(body.contains("guard::or("), "{name} lets a panic out");
            seen.insert(name.to_string());
        }
    }
    assert_eq!(seen, declared("hangwatch_monitor.h"));
}

#[test]
fn the_monitors_header_asserts_its_structs_in_every_language() {
    let scratch = Scratch::new();
    scratch.write("hangwatch.h", &read("ffi/include/hangwatch.h"));
    let grown = read(HEADER).replace("uint64_t restarts; ", "uint64_t restarts[2]; ");
    scratch.write("hangwatch_monitor.h", &grown);
    let source = scratch.write("alone.c", "#include \"hangwatch_monitor.h\"\n");
    for compiler in COMPILERS {
        let out = crate::build::output(compile(compiler).arg("-fsyntax-only").arg(&source));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && said.contains("snapshot_is_656_bytes"), "{compiler:?} must refuse it:\n{said}");
    }
}

#[test]
fn the_monitors_example_and_header_compile_without_a_warning() {
    for compiler in [C99, C11] {
        succeed(compile(compiler).args(["-c", "-o", "/dev/null", "examples/c_monitor.c"]));
    }
}
