//! What `ffi/install` installs, as a stranger finds and uses it: pkg-config, CMake, the loader.

mod monitor;

use crate::build::{ROOT, Scratch, command, output, succeed, target};
use crate::header::declared;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const SONAME: &str = "libhangwatch.so.0";
/// Workers that do two quick jobs.
const C_WORKER: &str = "examples/c_worker.c";
const CPP_WORKER: &str = "examples/cpp_worker.cpp";

/// The libraries of these tests' own build, installed.
fn install(arguments: &[&str]) -> Command {
    let mut install = command(Path::new(ROOT).join("ffi/install"));
    install.args(["--debug", "--target-dir"]).arg(target()).args(arguments).env("CARGO", env!("CARGO")).env_remove("DESTDIR");
    install
}

/// Installed in a folder of the test's own.
struct Installed {
    scratch: Scratch,
    prefix: PathBuf,
}

impl Installed {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(options: &[&str]) -> Self {
        let scratch = Scratch::new();
        let prefix = scratch.path("prefix");
        succeed(install(options).arg("--prefix").arg(&prefix));
        Self { scratch, prefix }
    }

    fn lib(&self) -> PathBuf {
        self.prefix.join("lib")
    }

    /// A command that finds only what is installed here.
    fn command(&self, program: &str) -> Command {
        let mut command = command(program);
        command
            .env("PKG_CONFIG_LIBDIR", self.lib().join("pkgconfig"))
            .env_remove("PKG_CONFIG_PATH")
            .env_remove("PKG_CONFIG_SYSROOT_DIR");
        command
    }

    fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        succeed(self.command("pkg-config").args(arguments)).split_whitespace().map(str::to_string).collect()
    }
}

/// The worker reports in a segment of its own, without help of the environment.
fn runs(program: &Path, scratch: &Scratch) {
    let name = program.file_name().unwrap().to_string_lossy().into_owned();
    let segment = scratch.path(&format!("{name}.segment"));
    let said = succeed(command(program).args(["--steps", "2", "--step-ms", "0"]).env("HANGWATCH_SEGMENT", segment));
    assert!(said.contains("slot 0"), "{name} attached itself and ended well: {said}");
}

fn dynamic(file: &Path, tag: &str) -> Vec<String> {
    let text = succeed(command("readelf").args(["-d", "-W"]).arg(file));
    let rows = text.lines().filter(|line| line.contains(&format!("({tag})")));
    rows.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_string())).collect()
}

/// The functions of a version script, each with its node, and its nodes in order.
fn nodes(map: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let text = std::fs::read_to_string(Path::new(ROOT).join(map)).unwrap();
    let (mut order, mut functions) = (Vec::new(), BTreeMap::new());
    for line in text.split("*/").last().unwrap().lines().map(str::trim) {
        if let Some(node) = line.strip_suffix(" {") {
            order.push(node.to_string());
        } else if let Some(name) = line.strip_suffix(';').filter(|name| name.starts_with("hangwatch_")) {
            let node = order.last().expect("a function stands in a node").clone();
            assert!(functions.insert(name.to_string(), node).is_none(), "{name} stands twice in {map}");
        }
    }
    (order, functions)
}

/// Everything that a library defines for others, with the version it carries.
fn exported(library: &Path) -> BTreeMap<String, String> {
    let text = succeed(command("readelf").args(["--dyn-syms", "-W"]).arg(library));
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() >= 8 && row[0].trim_end_matches(':').parse::<u32>().is_ok());
    // The nodes themselves are symbols that stand nowhere.
    let own = rows.filter(|row| row[6] != "UND" && row[4] != "LOCAL" && !(row[6] == "ABS" && row[3] == "OBJECT"));
    let parts = |name: &str| {
        let (name, version) = name.split_once("@@").unwrap_or((name, "no version"));
        (name.to_string(), version.to_string())
    };
    own.map(|row| parts(row[7])).collect()
}

#[test]
fn an_installed_library_exports_every_function_of_the_header_under_its_version_and_nothing_else() {
    let installed = Installed::new();
    let (nodes, functions) = nodes("ffi/hangwatch.map");
    assert_eq!(exported(&installed.lib().join("libhangwatch.so")), functions, "left: exported, right: ffi/hangwatch.map");
    let named: BTreeSet<String> = functions.keys().cloned().collect();
    assert_eq!(named, declared(), "left: ffi/hangwatch.map, right: hangwatch.h");
    for node in nodes {
        assert!(node.starts_with("HANGWATCH_0."), "a node of soname .0 is named by a release of it: {node}");
    }
}

#[test]
fn the_monitors_library_is_installed_where_it_is_asked_for_with_what_finds_it_and_both_libraries_functions() {
    let installed = Installed::new();
    assert!(!installed.prefix.join("include/hangwatch_monitor.h").exists(), "without being asked for nothing of it is there");
    succeed(install(&["--monitor", "--prefix"]).arg(&installed.prefix));
    let (_, mut functions) = nodes("ffi/hangwatch.map");
    functions.extend(nodes("ffi/hangwatch_monitor.map").1);
    assert_eq!(exported(&installed.lib().join("libhangwatch_monitor.so")), functions, "left: exported, right: both maps");
    let example = installed.scratch.path("c_monitor");
    let mut build = command("gcc");
    build.args(["-std=c99", "-pthread", "examples/c_monitor.c", "-o"]).arg(&example);
    build.args(installed.pkg_config(&["--cflags", "--libs", "hangwatch_monitor"]));
    succeed(build.arg(format!("-Wl,-rpath,{}", installed.lib().display())));
    let said = succeed(command(&example).arg(installed.scratch.path("monitored")));
    assert!(said.starts_with("opened: worker 0 (stable_diffusion_xl) stalled in inference"), "{said}");
}

#[test]
fn an_installed_library_is_found_by_its_versioned_name() {
    let installed = Installed::new();
    let whole = format!("{SONAME}.{}", VERSION.split_once('.').unwrap().1);
    assert_eq!(dynamic(&installed.lib().join(&whole), "SONAME"), [SONAME]);
    let links_to = |name: &str| std::fs::read_link(installed.lib().join(name)).unwrap().display().to_string();
    assert_eq!((links_to(SONAME), links_to("libhangwatch.so")), (whole, SONAME.to_string()));
}

#[test]
fn a_stranger_builds_by_pkg_config_shared_and_static() {
    let installed = Installed::new();
    assert_eq!(installed.pkg_config(&["--modversion", "hangwatch"]), [VERSION]);
    let lib = installed.lib();
    for (compiler, std, source) in [("gcc", "-std=c99", C_WORKER), ("g++", "-std=c++11", CPP_WORKER)] {
        let name = |link: &str| installed.scratch.path(&format!("{compiler}-{link}"));
        let mut build = command(compiler);
        build.args([std, source, "-o"]).arg(name("shared")).args(installed.pkg_config(&["--cflags", "--libs", "hangwatch"]));
        succeed(build.arg(format!("-Wl,-rpath,{}", lib.display())));
        assert!(dynamic(&name("shared"), "NEEDED").contains(&SONAME.to_string()), "the program asks for {SONAME}");
        let found = succeed(command("ldd").arg(name("shared")));
        assert!(found.contains(&format!("{SONAME} => {}", lib.join(SONAME).display())), "it is found by that name:\n{found}");
        runs(&name("shared"), &installed.scratch);

        let mut build = command(compiler);
        build.args([std, source, "-o"]).arg(name("static")).args(installed.pkg_config(&["--cflags", "hangwatch"]));
        build
            .arg("-Wl,-Bstatic")
            .args(installed.pkg_config(&["--libs-only-L", "--libs-only-l", "hangwatch"]))
            .arg("-Wl,-Bdynamic");
        let rest = installed.pkg_config(&["--static", "--libs-only-l", "hangwatch"]);
        succeed(build.args(rest.iter().filter(|flag| *flag != "-lhangwatch")));
        assert!(!dynamic(&name("static"), "NEEDED").contains(&SONAME.to_string()), "the program holds the library");
        runs(&name("static"), &installed.scratch);
    }
}

#[test]
fn a_stranger_builds_by_cmake_with_every_target() {
    let installed = Installed::new();
    let project = "cmake_minimum_required(VERSION 3.13)\n\
        project(stranger C CXX)\n\
        find_package(hangwatch 0.1 REQUIRED COMPONENTS hangwatch static header_only)\n\
        if(NOT hangwatch_VERSION VERSION_EQUAL EXPECTED)\n  message(FATAL_ERROR \"version ${hangwatch_VERSION}\")\nendif()\n\
        foreach(target hangwatch static header_only)\n\
        \x20 add_executable(c_${target} ${SOURCES}/c_worker.c)\n\
        \x20 add_executable(cpp_${target} ${SOURCES}/cpp_worker.cpp)\n\
        \x20 target_link_libraries(c_${target} PRIVATE hangwatch::${target})\n\
        \x20 target_link_libraries(cpp_${target} PRIVATE hangwatch::${target})\n\
        endforeach()\n\
        target_compile_definitions(c_header_only PRIVATE HANGWATCH_IMPLEMENTATION)\n\
        target_compile_definitions(cpp_header_only PRIVATE HANGWATCH_IMPLEMENTATION)\n\
        find_package(hangwatch QUIET COMPONENTS no_such_part)\n\
        if(hangwatch_FOUND)\n  message(FATAL_ERROR \"a part that is not there was found\")\nendif()\n\
        foreach(other 0.99 1.0 2)\n\
        \x20 unset(hangwatch_DIR CACHE)\n\
        \x20 find_package(hangwatch ${other} QUIET)\n\
        \x20 if(hangwatch_FOUND)\n    message(FATAL_ERROR \"${other} was found\")\n  endif()\n\
        endforeach()\n";
    installed.scratch.write("CMakeLists.txt", project);
    let build = installed.scratch.path("build");
    let mut configure = installed.command("cmake");
    configure
        .args(["-Wdev", "-Werror=dev", "-DCMAKE_CXX_STANDARD=11", "-S"])
        .arg(installed.scratch.path("."))
        .arg("-B")
        .arg(&build);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", installed.prefix.display())).arg(format!("-DEXPECTED={VERSION}"));
    succeed(configure.arg(format!("-DSOURCES={}/examples", ROOT)));
    succeed(command("cmake").arg("--build").arg(&build));
    for language in ["c", "cpp"] {
        for (target, asks) in [("hangwatch", true), ("static", false), ("header_only", false)] {
            let program = build.join(format!("{language}_{target}"));
            let needed = dynamic(&program, "NEEDED").contains(&SONAME.to_string());
            assert_eq!(needed, asks, "hangwatch::{target}: a program asks for {SONAME} or holds what it calls");
            runs(&program, &installed.scratch);
        }
    }
}

/// Every file and link under a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() && !path.is_symlink() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path)),
        }
    }
    found
}

#[test]
fn a_package_is_staged_under_destdir_and_removed_without_a_trace() {
    let scratch = Scratch::new();
    let stage = scratch.path("stage");
    // No such prefix is on this machine: whatever was written past the stage would fail or be seen.
    let arguments = ["--prefix", "/hangwatch-test", "--libdir", "lib/some-arch", "--destdir", stage.to_str().unwrap()];
    succeed(&mut install(&arguments));
    assert!(!Path::new("/hangwatch-test").exists(), "nothing is written past the stage");
    let staged = files(&stage);
    let root = stage.join("hangwatch-test");
    for name in [
        "lib/some-arch/libhangwatch.a",
        "lib/some-arch/pkgconfig/hangwatch.pc",
        "include/hangwatch.h",
        "include/hangwatch.hpp",
        "include/hangwatch_cuda.cuh",
        "include/hangwatch/implementation.h",
    ] {
        assert!(staged.contains(&root.join(name)), "{name} is staged: {staged:?}");
    }
    for text in staged.iter().filter(|path| ["pc", "cmake"].map(Some).contains(&path.extension().and_then(|e| e.to_str()))) {
        let said = std::fs::read_to_string(text).unwrap();
        assert!(
            !said.contains(stage.to_str().unwrap()) && !said.contains('@'),
            "{} speaks of where it will be:\n{said}",
            text.display()
        );
    }
    let listed = std::fs::read_to_string(root.join("lib/some-arch/hangwatch/manifest")).unwrap();
    let listed: BTreeSet<PathBuf> = listed.lines().map(|line| stage.join(line.trim_start_matches('/'))).collect();
    assert_eq!(listed, staged, "left: what the manifest lists, right: what was installed");

    let stale = root.join("include/hangwatch_of_yore.h");
    std::fs::write(&stale, "").unwrap();
    let manifest = root.join("lib/some-arch/hangwatch/manifest");
    let with_stale = std::fs::read_to_string(&manifest).unwrap() + "/hangwatch-test/include/hangwatch_of_yore.h\n";
    std::fs::write(&manifest, with_stale).unwrap();
    succeed(install(&arguments[..4]).env("DESTDIR", "stage").current_dir(scratch.path(".")));
    assert_eq!(files(&stage), staged, "an upgrade leaves nothing of what it replaces");

    succeed(install(&arguments).arg("--uninstall"));
    assert_eq!(files(&stage), BTreeSet::new(), "nothing is left");
}

#[test]
fn a_wrong_argument_installs_nothing_and_says_why() {
    let scratch = Scratch::new();
    let stage = scratch.path("stage");
    let stage_name = stage.to_str().unwrap();
    for (arguments, why) in [
        (&["--prefix", "relative"][..], "cannot use --prefix 'relative': expected a path from the root"),
        (&["--no-such-option"], "cannot use argument '--no-such-option'"),
        (&["--prefix", "/p", "--libdir"], "cannot use --libdir: it needs a value"),
        (&["--prefix", "/p", "--uninstall"], "cannot uninstall: there is no"),
        (&["--prefix", "/p", "--no-build", "--target-dir", "/nonexistent"], "cannot install '/nonexistent/debug/libhangwatch.a'"),
    ] {
        let out = output(install(&["--destdir", stage_name]).args(arguments));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(2) && said.starts_with(&format!("ffi/install: {why}")), "{arguments:?}: {said}");
        assert_eq!(files(&stage), BTreeSet::new(), "{arguments:?} installed something");
    }
}

/// A library that has these functions, which do nothing, under one version, and the soname of ours.
fn of_the_past(scratch: &Scratch, folder: &str, version: &str, functions: &[&str]) -> PathBuf {
    let bodies: String = functions.iter().map(|name| format!("void {name}(void);\nvoid {name}(void) {{}}\n")).collect();
    let names: String = functions.iter().map(|name| format!("{name};")).collect();
    let source = scratch.write(&format!("{folder}.c"), &bodies);
    let map = scratch.write(&format!("{folder}.map"), &format!("{version} {{ global: {names} local: *; }};\n"));
    let library = scratch.path(folder).join("libhangwatch.so");
    std::fs::create_dir(library.parent().unwrap()).unwrap();
    let mut link = command("gcc");
    link.args(["-shared", "-fPIC", "-nostdlib", "-o"]).arg(&library).arg(source).arg(format!("-Wl,-soname,{SONAME}"));
    succeed(link.arg(format!("-Wl,--version-script={}", map.display())));
    library
}

#[test]
fn a_program_of_the_first_release_runs_with_this_one() {
    let installed = Installed::new();
    let source = std::fs::read_to_string(Path::new(ROOT).join("ffi/tests/old.c")).unwrap();
    let lines = source.lines().filter(|line| line.starts_with("extern "));
    let functions: Vec<&str> = lines.map(|line| line.split('(').next().unwrap().rsplit([' ', '*']).next().unwrap()).collect();
    assert_eq!(functions.len(), 22, "release 0.1 had this many functions");
    let library = of_the_past(&installed.scratch, "past", "HANGWATCH_0.1", &functions);
    let old = installed.scratch.path("old");
    succeed(command("gcc").args(["-std=c99", "-Wall", "-Wextra", "-Werror", "ffi/tests/old.c", "-o"]).arg(&old).arg(library));
    // All functions are looked up when it starts, each under the version it was linked with.
    let mut run = command(&old);
    succeed(run.arg(installed.scratch.path("segment")).env("LD_LIBRARY_PATH", installed.lib()).env("LD_BIND_NOW", "1"));
}

#[test]
fn a_program_that_needs_a_newer_release_is_refused_by_its_name() {
    let installed = Installed::new();
    let library = of_the_past(&installed.scratch, "future", "HANGWATCH_0.9999", &["hangwatch_of_tomorrow"]);
    let text = "void hangwatch_of_tomorrow(void);\nint main(void) { hangwatch_of_tomorrow(); return 0; }\n";
    let (source, program) = (installed.scratch.write("new.c", text), installed.scratch.path("new"));
    succeed(command("gcc").arg(source).arg("-o").arg(&program).arg(library));
    let out = output(command(&program).env("LD_LIBRARY_PATH", installed.lib()));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("HANGWATCH_0.9999"), "the loader names what is missing: {said}");
}
