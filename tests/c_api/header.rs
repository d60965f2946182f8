//! What the header says against what the library and the Rust side say, in both directions.

use crate::build::{
    C11, C99, CPP11, CPP17, Compiler, ROOT, Scratch, cargo, command, compile, compilers, every_compiler, library, succeed,
};
use hangwatch::layout::phase::{Class, TABLE};
use hangwatch::layout::slot::FIELDS;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|e| panic!("cannot read {path}: {e}"))
}

/// Functions that the header declares and does not define: the compiler's own list.
pub(crate) fn declared() -> BTreeSet<String> {
    let scratch = Scratch::new();
    let source = scratch.write("alone.c", "#include <hangwatch.h>\n");
    let list = scratch.path("prototypes");
    succeed(compile(C99).args(["-fsyntax-only", "-aux-info"]).arg(&list).arg(source));
    let text = std::fs::read_to_string(list).unwrap();
    let external = text.lines().filter(|line| line.contains("hangwatch.h") && line.contains("*/ extern "));
    external.map(|line| line.split(" (").next().unwrap().rsplit([' ', '*']).next().unwrap().to_string()).collect()
}

/// `HANGWATCH_… = n` of the header's enums, as the preprocessor leaves them.
fn enumerators() -> BTreeMap<String, i64> {
    let scratch = Scratch::new();
    let source = scratch.write("alone.c", "#include <hangwatch.h>\n");
    let text = succeed(compile(C99).arg("-E").arg(source));
    let rows = text.split([',', '{', '}', '\n']).filter_map(|part| part.split_once('='));
    let rows = rows.filter_map(|(name, value)| Some((name.trim().strip_prefix("HANGWATCH_")?, value.trim().parse().ok()?)));
    rows.map(|(name, value)| (name.to_string(), value)).collect()
}

fn with_prefix(prefix: &str) -> BTreeMap<String, i64> {
    let rows = enumerators().into_iter();
    rows.filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_string(), value))).collect()
}

#[test]
fn the_header_compiles_alone_in_c_and_cpp_and_twice_in_one_unit() {
    let scratch = Scratch::new();
    let source = scratch.write("alone.c", "#include <hangwatch.h>\n#include <hangwatch.h>\n");
    for compiler in every_compiler() {
        succeed(compile(compiler).args(["-c", "-o", "/dev/null"]).arg(&source));
    }
}

/// More than the header promises; a host that asks for them is not bothered either.
const STRICTER: [&str; 5] = ["-Wshadow", "-Wcast-qual", "-Wcast-align", "-Wundef", "-Wwrite-strings"];

fn stricter(compiler: Compiler) -> Command {
    let mut command = compile(compiler);
    command.args(STRICTER);
    match compiler.language {
        "c" => command.args(["-Wstrict-prototypes", "-Wmissing-prototypes"]),
        _ => command.args(["-Wold-style-cast"]),
    };
    command
}

#[test]
fn the_implementation_compiles_without_a_warning_under_every_compiler_and_standard() {
    let scratch = Scratch::new();
    let source = scratch.write("whole.c", "#define HANGWATCH_IMPLEMENTATION\n#include <hangwatch.h>\n");
    for compiler in every_compiler() {
        succeed(stricter(compiler).arg("-fsyntax-only").arg(&source));
    }
    // Optimised, it finds more to warn of.
    for compiler in compilers() {
        succeed(stricter(compiler).args(["-O2", "-c", "-o", "/dev/null"]).arg(&source));
    }
}

#[test]
fn the_implementation_takes_any_header_and_any_feature_macro_before_it() {
    let scratch = Scratch::new();
    let headers = ["stdio.h", "fcntl.h", "unistd.h", "sys/stat.h", "sys/mman.h", "time.h", "poll.h", "signal.h", "pthread.h"];
    let of_kernel = ["linux/fcntl.h", "linux/stat.h", "linux/poll.h", "linux/futex.h", "asm/unistd.h"];
    let macros = [
        "",
        "#define _GNU_SOURCE 1\n",
        "#define _POSIX_C_SOURCE 1\n",
        "#define _FILE_OFFSET_BITS 64\n",
        "#define _ANSI_SOURCE\n",
    ];
    let body = "#define HANGWATCH_IMPLEMENTATION\n#include <hangwatch.h>\n";
    for (i, before) in macros.into_iter().enumerate() {
        for (j, names) in [&headers[..], &of_kernel[..]].into_iter().enumerate() {
            let includes: String = names.iter().map(|name| format!("#include <{name}>\n")).collect();
            let source = scratch.write(&format!("{i}-{j}.c"), &format!("{before}{includes}{body}"));
            succeed(compile(C99).args(["-c", "-o", "/dev/null"]).arg(&source));
        }
    }
}

/// What a program that is made of `main.c` and `part.c` defines of ours, as its linker sees it: type and name.
#[test]
fn one_file_has_the_implementation_for_a_whole_program_and_exports_none_of_it() {
    let scratch = Scratch::new();
    let one = scratch.write("one.c", "#define HANGWATCH_IMPLEMENTATION\n#include <hangwatch.h>\n");
    let other = scratch.write(
        "other.c",
        "#include <hangwatch.h>\nvoid *host(void);\nvoid *host(void) { return hangwatch_attach(NULL, NULL, NULL); }\n",
    );
    for compiler in compilers() {
        let out = scratch.path(&format!("lib-{}-{}.so", compiler.program, compiler.std));
        succeed(compile(compiler).args(["-shared", "-fPIC"]).args([&one, &other]).arg("-Wl,--no-undefined").arg("-o").arg(&out));
        let symbols = succeed(command("nm").args(["-D", "--defined-only"]).arg(&out));
        assert!(!symbols.contains("hangwatch_"), "a library that is built with it exports none of it: {symbols}");
        assert!(symbols.contains("host"), "the list was read: {symbols}");
        let inside = succeed(command("nm").args(["--defined-only"]).arg(&out));
        for name in declared() {
            assert!(inside.lines().any(|line| line.ends_with(&format!(" {name}"))), "{name} is declared and not implemented");
        }
        let needed = succeed(command("readelf").arg("-d").arg(&out));
        let linked: Vec<&str> = needed.lines().filter(|line| line.contains("(NEEDED)")).collect();
        assert!(
            linked.iter().all(|line| line.contains("[libc.so") || compiler.language == "c++"),
            "nothing is linked: {linked:?}"
        );
    }
}

#[test]
fn the_files_of_the_implementation_are_small_and_all_of_them_are_included() {
    let whole = read("ffi/include/hangwatch/implementation.h");
    let mut count = 0;
    for entry in std::fs::read_dir(Path::new(ROOT).join("ffi/include/hangwatch")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let lines = read(&format!("ffi/include/hangwatch/{name}")).lines().count();
        assert!(lines < 400, "{name} has {lines} lines");
        assert!(name == "implementation.h" || whole.contains(&format!("#include \"{name}\"")), "{name} is not included");
        count += 1;
    }
    assert!(count > 10, "the folder was read");
}

#[test]
fn the_header_compiles_as_the_host_code_of_a_cuda_file() {
    let scratch = Scratch::new();
    let body = "#include <hangwatch.h>\nvoid f(hangwatch_worker_t *w) { hangwatch_step(w, 1); hangwatch_beat(w); }\n";
    let source = scratch.write("kernel.cu", body);
    for compiler in [CPP11, CPP17] {
        for pass in [&["-D__CUDACC__"][..], &["-D__CUDACC__", "-D__CUDA_ARCH__=700"]] {
            succeed(compile(compiler).args(pass).args(["-c", "-o", "/dev/null"]).arg(&source));
        }
    }
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let symbols = succeed(command("nm").args(["-D", "--defined-only"]).arg(library().join("libhangwatch.so")));
    let exported: BTreeSet<String> = symbols.lines().filter_map(|line| line.split(' ').nth(2)).map(str::to_string).collect();
    assert_eq!(exported, declared(), "left: exported, right: declared");
    assert!(exported.len() >= 15, "the lists were read");
}

#[test]
fn the_shared_library_is_found_by_the_name_it_was_linked_by() {
    let dynamic = succeed(command("readelf").arg("-d").arg(library().join("libhangwatch.so")));
    assert!(dynamic.contains("Library soname: [libhangwatch.so]"), "no symlink is needed beside it:\n{dynamic}");
}

#[test]
fn the_phases_of_c_are_the_phase_table() {
    let table: BTreeMap<String, i64> = TABLE.iter().map(|row| (row.name.to_uppercase(), row.phase.id().into())).collect();
    assert_eq!(with_prefix("PHASE_"), table);
}

#[test]
fn the_classes_of_c_are_those_of_user_phases() {
    let classes = [("WORK", Class::Work), ("IDLE", Class::Idle), ("EXIT", Class::Exit)];
    assert_eq!(with_prefix("CLASS_"), classes.map(|(name, class)| (name.to_string(), class.bits().into())).into());
}

#[test]
fn the_codes_of_c_are_the_error_kinds() {
    let source = read("src/error.rs");
    let kinds = source.split("pub enum ErrorKind {").nth(1).unwrap().split('}').next().unwrap();
    let kinds = kinds.lines().filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "));
    let shouted = |name: &str| {
        let mut out = String::new();
        for c in name.chars() {
            if c.is_uppercase() && !out.is_empty() {
                out.push('_');
            }
            out.extend(c.to_uppercase());
        }
        out
    };
    let kinds: BTreeMap<String, i64> = kinds.map(|(name, value)| (shouted(name), value.parse().unwrap())).collect();
    assert!(kinds.len() >= 7, "the kinds were read");
    assert_eq!(with_prefix("ERROR_"), kinds);
    assert_eq!(enumerators().get("OK"), Some(&0));
}

#[test]
fn a_slot_is_drawn_alike_in_c_and_rust() {
    let scratch = Scratch::new();
    let mut text = String::from("#include <hangwatch.h>\n#include <stddef.h>\n");
    for (name, at) in FIELDS {
        let name = name.strip_prefix("reserved").map_or(name.to_string(), |i| format!("reserved[{i}]"));
        text += &format!("_Static_assert(offsetof(hangwatch_slot_t, {name}) == {at}, \"{name}\");\n");
    }
    let source = scratch.write("drawing.c", &text);
    succeed(compile(C11).args(["-fsyntax-only"]).arg(source));
}

#[test]
fn the_header_asserts_its_drawing_in_every_language() {
    let scratch = Scratch::new();
    let moved = read("ffi/include/hangwatch.h").replace("hangwatch_word_t lease; ", "hangwatch_word_t lease[2]; ");
    scratch.write("hangwatch.h", &moved);
    let source = scratch.write("alone.c", "#include \"hangwatch.h\"\n");
    for compiler in every_compiler() {
        let out = crate::build::output(compile(compiler).arg("-fsyntax-only").arg(&source));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && said.contains("slot_epoch"), "{compiler:?} must refuse a slot that moved:\n{said}");
    }
}

#[test]
fn every_function_is_tried_on_null() {
    let tried = read("ffi/tests/null.c");
    for name in declared() {
        assert!(tried.contains(&format!("{name}(")), "ffi/tests/null.c never calls {name}");
    }
}

#[test]
fn every_exported_function_works_behind_the_guard() {
    let mut seen = BTreeSet::new();
    for file in ["attach", "report"] {
        let source = read(&format!("ffi/src/{file}.rs"));
        for function in source.split("extern \"C\" fn ").skip(1) {
            let body = function.split("\n}\n").next().unwrap();
            let name = body.split('(').next().unwrap();
            assert!(body.contains("guard::or(") || body.contains("unsafe { on(w, "), "{name} lets a panic out");
            seen.insert(name.to_string());
        }
    }
    assert_eq!(seen, declared());
}

#[test]
fn the_header_and_the_packages_are_of_one_version() {
    let line = format!("#define HANGWATCH_VERSION \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(read("ffi/include/hangwatch.h").contains(&line), "hangwatch.h lacks: {line}");
}

#[test]
fn nothing_but_libc_and_memmap2_comes_with_the_library() {
    let tree = succeed(cargo("tree").args(["-p", "hangwatch-ffi", "-e", "normal", "--prefix", "none"]));
    let packages: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(packages, BTreeSet::from(["hangwatch", "hangwatch-ffi", "libc", "memmap2"]));
}

#[test]
fn the_examples_compile_without_a_warning() {
    for (source, compilers) in [("examples/c_worker.c", [C99, C11]), ("examples/cpp_worker.cpp", [CPP11, CPP17])] {
        for compiler in compilers {
            succeed(compile(compiler).args(["-c", "-o", "/dev/null"]).arg(source));
        }
    }
}
