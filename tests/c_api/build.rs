//! Builds the library as its users do, alone, and programs in C and C++ against it or against the header alone.

#[path = "../common/skipped.rs"]
pub(crate) mod skipped;

use skipped::skip;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// What a user's program may be compiled with.
pub(crate) const WARNINGS: [&str; 5] = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"];

/// A compiler and a standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compiler {
    pub(crate) program: &'static str,
    pub(crate) std: &'static str,
    /// `-x c++`, so that one source is both C and C++.
    pub(crate) language: &'static str,
}

pub(crate) const C99: Compiler = Compiler { program: "gcc", std: "c99", language: "c" };
pub(crate) const C11: Compiler = Compiler { program: "gcc", std: "c11", language: "c" };
pub(crate) const CPP11: Compiler = Compiler { program: "g++", std: "c++11", language: "c++" };
pub(crate) const CPP17: Compiler = Compiler { program: "g++", std: "c++17", language: "c++" };
/// The standards that the header promises, oldest and current.
pub(crate) const COMPILERS: [Compiler; 4] = [C99, C11, CPP11, CPP17];

/// All that this machine can compile for: every standard that the header promises, with gcc and, where it is there, with clang.
pub(crate) fn every_compiler() -> Vec<Compiler> {
    let c = ["c99", "c11", "c17", "c2x"].map(|std| Compiler { program: "gcc", std, language: "c" });
    let cpp = ["c++11", "c++14", "c++17", "c++20"].map(|std| Compiler { program: "g++", std, language: "c++" });
    let gcc = [c, cpp].concat();
    if !has_clang() {
        return gcc;
    }
    let clang =
        gcc.iter().map(|compiler| Compiler { program: if compiler.language == "c" { "clang" } else { "clang++" }, ..*compiler });
    gcc.iter().copied().chain(clang).collect()
}

/// Those that programs are run of: the oldest and the current standard of each language, and clang's where it is there.
pub(crate) fn compilers() -> Vec<Compiler> {
    let clang = [Compiler { program: "clang", ..C99 }, Compiler { program: "clang++", ..CPP17 }];
    COMPILERS.into_iter().chain(clang.into_iter().filter(|_| has_clang())).collect()
}

/// Whether there is a clang for C and C++; said aloud where there is none.
pub(crate) fn has_clang() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found = ["clang", "clang++"].iter().all(|program| {
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
        });
        if !found {
            skip("the C API under clang: there is no clang here");
        }
        found
    })
}

/// Where a program has the functions of the header from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Shared,
    Static,
    /// From the header itself: nothing is linked.
    Header,
}

/// Every form.
pub(crate) const LINKS: [Link; 3] = [Link::Shared, Link::Static, Link::Header];

/// A folder of this test's own, removed with it.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("c-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A command that sees none of hangwatch's variables, nor cargo's search path, which would put an older
/// `target/debug/libhangwatch.so` before the one that was linked.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in ["SEGMENT", "SLOT", "DEVICE", "NAME", "DIR", "SLOTS", "SLOT_SIZE", "ALLOWED_UIDS"] {
        command.env_remove(format!("HANGWATCH_{name}"));
    }
    command.env_remove("LD_LIBRARY_PATH").current_dir(ROOT);
    command
}

/// Runs to the end; the program must be there.
#[expect(clippy::disallowed_methods, reason = "compilers and test programs end by themselves, or the test is red anyway")]
pub(crate) fn output(command: &mut Command) -> Output {
    let program = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|e| panic!("cannot run '{program}', which these tests need: {e}"))
}

/// Runs to the end, which must be a good one; its stdout.
pub(crate) fn succeed(command: &mut Command) -> String {
    let out = output(command);
    assert!(out.status.success(), "{command:?} ended with {}:\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Cargo, in a target folder of its own: the one of this test run is locked by the cargo that runs it.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut cargo = command(env!("CARGO"));
    cargo.args([subcommand, "--locked", "--offline"]);
    cargo
}

pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("ffi")
}

/// The folder of `libhangwatch.so` and `.a`, built once.
pub(crate) fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        succeed(cargo("build").args(["-p", "hangwatch-ffi", "--target-dir"]).arg(target()));
        target().join("debug")
    })
}

/// The folder of `libhangwatch_monitor.so` and `.a`, built once; the same folder.
pub(crate) fn monitor_library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        succeed(cargo("build").args(["-p", "hangwatch-monitor-ffi", "--target-dir"]).arg(target()));
        target().join("debug")
    })
}

/// A compiler's command with everything but the sources.
pub(crate) fn compile(compiler: Compiler) -> Command {
    let mut command = command(compiler.program);
    command.arg(format!("-std={}", compiler.std)).args(WARNINGS).args(["-I", "ffi/include", "-x", compiler.language]);
    command
}

/// Compiles and links `source` with libhangwatch; the program.
pub(crate) fn program(scratch: &Scratch, source: &str, compiler: Compiler, link: Link) -> PathBuf {
    linked(scratch, source, compiler, link, library(), "hangwatch", &[])
}

/// The same with libhangwatch_monitor, and with these flags besides.
pub(crate) fn monitor_program(scratch: &Scratch, source: &str, compiler: Compiler, link: Link, flags: &[&str]) -> PathBuf {
    let flags = [&["-pthread"], flags].concat();
    linked(scratch, source, compiler, link, monitor_library(), "hangwatch_monitor", &flags)
}

fn linked(
    scratch: &Scratch,
    source: &str,
    compiler: Compiler,
    link: Link,
    folder: &Path,
    library: &str,
    flags: &[&str],
) -> PathBuf {
    let stem = Path::new(source).file_stem().unwrap().to_string_lossy().into_owned();
    let out = scratch.path(&format!("{stem}-{}-{}-{link:?}", compiler.program, compiler.std));
    let mut command = compile(compiler);
    if link == Link::Header {
        command.arg("-DHANGWATCH_IMPLEMENTATION");
    }
    command.args(flags).arg(source).args(["-x", "none", "-o"]).arg(&out);
    match link {
        Link::Header => {}
        Link::Shared => {
            command.arg("-L").arg(folder).arg(format!("-l{library}")).arg(format!("-Wl,-rpath,{}", folder.display()));
        }
        Link::Static => {
            command.arg(folder.join(format!("lib{library}.a"))).args(private_libraries());
        }
    }
    succeed(&mut command);
    out
}

/// What a program that links the archive needs, as the pkg-config file says it.
pub(crate) fn private_libraries() -> Vec<String> {
    let pc = std::fs::read_to_string(Path::new(ROOT).join("ffi/hangwatch.pc.in")).unwrap();
    let line = pc.lines().find_map(|line| line.strip_prefix("Libs.private:")).expect("the pkg-config file names them");
    line.split_whitespace().map(str::to_string).collect()
}
