//! The same bytes from a C compiler of every architecture: the reports of `build`, made by `reports.c` with the header alone, in a
//! program that runs under an emulator where the machine is another one.

use super::{dump, golden_file, normalise};
use crate::common::{scratch, skip, words};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A compiler's prefix, the emulator of its programs, and how Rust calls the same machine.
const ARCHITECTURES: [(&str, &str, &str); 5] = [
    ("x86_64-linux-gnu", "qemu-x86_64", "x86_64-unknown-linux-gnu"),
    ("i686-linux-gnu", "qemu-i386", "i686-unknown-linux-gnu"),
    ("aarch64-linux-gnu", "qemu-aarch64", "aarch64-unknown-linux-gnu"),
    ("arm-linux-gnueabihf", "qemu-arm", "armv7-unknown-linux-gnueabihf"),
    ("riscv64-linux-gnu", "qemu-riscv64", "riscv64gc-unknown-linux-gnu"),
];

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A program of the search path.
fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Runs to the end, which must be a good one.
fn run_well(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(status.success(), "{command:?} ended with {status}");
}

fn compiler(program: PathBuf, language: &str, standard: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-I", "ffi/include", "-x", language]);
    command.arg(format!("-std={standard}")).current_dir(ROOT);
    command
}

/// The segment that the program makes, its volatile words set.
fn made_by(emulator: Option<&Path>, program: &Path, dir: &Path) -> Vec<u64> {
    let segment = dir.join("segment");
    let mut command = Command::new(emulator.unwrap_or(program));
    if emulator.is_some() {
        command.arg(program);
    }
    for name in ["SLOT", "SLOT_SIZE", "NAME", "DIR", "ALLOWED_UIDS"] {
        command.env_remove(format!("HANGWATCH_{name}"));
    }
    command.env("HANGWATCH_SEGMENT", &segment).env("HANGWATCH_SLOTS", "2").env("HANGWATCH_DEVICE", "1");
    run_well(&mut command);
    let mut words = words::read(&segment);
    normalise(&mut words);
    words
}

#[test]
fn a_c_program_of_every_architecture_writes_the_golden_bytes() {
    const TEST: &str = "a_c_program_of_every_architecture_writes_the_golden_bytes";
    let golden = std::fs::read_to_string(golden_file()).expect("the golden file");
    for (prefix, emulator, rust) in ARCHITECTURES {
        let native = rust.starts_with(std::env::consts::ARCH);
        let gcc = found(&format!("{prefix}-gcc")).or_else(|| native.then(|| found("gcc")).flatten());
        let Some(gcc) = gcc else {
            skip(&format!("{TEST}: {prefix}: there is no {prefix}-gcc"));
            continue;
        };
        let dir = scratch();
        let program = dir.path().join("reports");
        let mut compile = compiler(gcc, "c", "c99");
        compile.args(["-O1", "-static", "-DHANGWATCH_IMPLEMENTATION", "tests/golden/reports.c", "-o"]).arg(&program);
        // It compiles here though it may not run: the asserts of the header hold.
        run_well(&mut compile);
        let emulator = if native { Ok(None) } else { found(emulator).map(Some).ok_or(emulator) };
        match emulator {
            Err(emulator) => skip(&format!("{TEST}: {prefix}: there is no {emulator}")),
            Ok(emulator) => {
                let made = dump(&made_by(emulator.as_deref(), &program, dir.path()));
                assert_eq!(made, golden, "{prefix}: the layout is a contract between all machines");
            }
        }
    }
}

#[test]
fn the_headers_asserts_hold_in_cpp_for_every_architecture() {
    const TEST: &str = "the_headers_asserts_hold_in_cpp_for_every_architecture";
    let dir = scratch();
    let source = dir.path().join("header.cpp");
    std::fs::write(&source, "#include \"hangwatch.h\"\n").expect("a file of ours");
    for (prefix, ..) in ARCHITECTURES {
        let mut compile = match (found(&format!("{prefix}-g++")), found("clang++")) {
            (Some(gpp), _) => compiler(gpp, "c++", "c++11"),
            (None, Some(clang)) => {
                let mut clang = compiler(clang, "c++", "c++11");
                // What the header includes is the compiler's own.
                clang.args([&format!("--target={prefix}"), "-ffreestanding", "-nostdlibinc"]);
                clang
            }
            (None, None) => {
                skip(&format!("{TEST}: {prefix}: there is neither {prefix}-g++ nor clang++"));
                continue;
            }
        };
        run_well(compile.arg("-fsyntax-only").arg(&source));
    }
}

#[test]
fn the_layouts_asserts_hold_in_rust_for_every_architecture_that_it_can_build() {
    const TEST: &str = "the_layouts_asserts_hold_in_rust_for_every_architecture_that_it_can_build";
    for (.., rust) in ARCHITECTURES {
        if rust.starts_with(std::env::consts::ARCH) {
            // This very test was built for it.
            continue;
        }
        let mut ask = Command::new("rustc");
        ask.args(["--print", "target-libdir", "--target", rust]).stdout(Stdio::piped()).stderr(Stdio::null());
        let answer = ask.spawn().and_then(std::process::Child::wait_with_output).map(|out| out.stdout).unwrap_or_default();
        let libraries = PathBuf::from(String::from_utf8_lossy(&answer).trim());
        if !libraries.is_dir() {
            skip(&format!("{TEST}: {rust}: its standard library is not installed"));
            continue;
        }
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["check", "--quiet", "--locked", "--offline", "--no-default-features", "--lib", "--target", rust]);
        cargo.arg("--target-dir").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("architectures"));
        run_well(cargo.current_dir(ROOT));
    }
}
