//! The device's side, where there is no device: the text that compilers make of it, the host's side against a runtime that stands
//! in, and a CPU that plays the device.

use crate::build::{
    C11, C99, CPP11, CPP17, Compiler, LINKS, Link, ROOT, Scratch, command, compile, compilers, every_compiler, library, output,
    private_libraries, succeed,
};
use crate::skipped::skip;
use hangwatch::segment::{Geometry, Segment};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Headers of the runtimes that stand in.
const FAKE: &str = "tests/gpu/fake";
/// A kernel that reports, with C's name, so that its text can be found.
const KERNEL: &str = "tests/gpu/kernel.cuh";
/// All that is there of device code.
const DEVICE_SOURCES: [&str; 3] = [KERNEL, "examples/cuda_worker.cu", "tests/gpu/cost.cu"];

/// A clang that knows scopes in PTX; none is a visible skip.
fn clang(test: &str) -> Option<&'static str> {
    const NAMES: [&str; 5] = ["clang-19", "clang-20", "clang-18", "clang-17", "clang-16"];
    let runs = |name: &&&str| Command::new(name).arg("--version").stdout(std::process::Stdio::null()).status().is_ok();
    let found = NAMES.iter().find(runs).copied();
    if found.is_none() {
        skip(&format!("{test}: no clang of version 16 or newer"));
    }
    found
}

/// NVIDIA's headers and assembler in one tree; none is a visible skip.
fn toolkit(test: &str) -> Option<PathBuf> {
    let out = output(command("bash").arg("tests/gpu/toolkit"));
    if out.status.success() {
        return Some(String::from_utf8(out.stdout).unwrap().trim_end().into());
    }
    skip(&format!("{test}: {}", String::from_utf8_lossy(&out.stderr).trim_end().replace('\n', "; ")));
    None
}

/// A clang that compiles for one device and knows no toolkit.
fn for_device(clang: &str, language: &str, arch: &str) -> Command {
    let mut clang = command(clang);
    clang.args(["-x", language, "--cuda-device-only", "-nogpuinc", "-nogpulib", "-O2", "-std=c++17", "-S"]);
    clang.args(["-Wall", "-Wextra", "-Werror", "-I", "ffi/include", "-I", FAKE]).arg(format!("--offload-arch={arch}"));
    clang
}

fn text(clang: &mut Command) -> String {
    succeed(clang.args(["-o", "-", KERNEL]))
}

/// How often `what` stands in `text`.
fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// The part of `text` that defines `function`.
fn of<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let rest = text.split_once(begin).unwrap_or_else(|| panic!("'{begin}' is in:\n{text}")).1;
    rest.split_once(end).unwrap_or_else(|| panic!("'{end}' follows '{begin}'")).0
}

#[test]
fn a_kernels_reports_are_plain_stores_and_its_beat_a_release_at_system_scope() {
    let Some(clang) = clang("a_kernels_reports_are_plain_stores_and_its_beat_a_release_at_system_scope") else { return };
    for arch in ["sm_60", "sm_70", "sm_90"] {
        let ptx = text(&mut for_device(clang, "cuda", arch));
        for read_modify_write in ["atom.", "red.", "cas.", "membar.gl", "fence.acq_rel.gpu"] {
            assert!(!ptx.contains(read_modify_write), "{arch}: a device only stores: {read_modify_write}\n{ptx}");
        }
        let step = of(&ptx, ".entry one_step(", "ret;");
        let (store, publish) = match arch {
            "sm_60" => ("st.volatile.global.u64", "membar.sys; st.volatile.global.u64"),
            _ => ("st.relaxed.sys.global.u64", "st.release.sys.global.u64"),
        };
        assert_eq!(count(step, publish), 1, "{arch}: one release, the beat's:\n{step}");
        let stores = count(step, "st.") - count(step, publish);
        assert_eq!((stores, count(step, store) - count(publish, store)), (2, 2), "{arch}: a fall's epoch and progress:\n{step}");
        let beat = step.rfind(publish).unwrap();
        assert!(
            step.match_indices(store).all(|(at, _)| at <= beat + publish.len()),
            "{arch}: the beat is the last store:\n{step}"
        );
        let begin = of(&ptx, ".entry one_begin(", "ret;");
        assert_eq!(count(begin, "ld.relaxed.sys.global.u64") + count(begin, "ld.volatile.global.u64"), 4, "{arch}:\n{begin}");
    }
}

#[test]
fn in_hip_the_same_stores_are_made_at_system_scope() {
    let Some(clang) = clang("in_hip_the_same_stores_are_made_at_system_scope") else { return };
    for arch in ["gfx906", "gfx90a", "gfx942", "gfx1100"] {
        // A target that Debian's clang does not have is none that it could be compiled for.
        let ir = text(for_device(clang, "hip", arch).arg("-emit-llvm"));
        let step = of(&ir, "@one_step(", "\n}");
        let atomics: Vec<&str> = step.lines().filter(|line| line.contains(" atomic ")).collect();
        assert_eq!(atomics.len(), 3, "{arch}: epoch, progress, beat:\n{step}");
        // 'one-as' is the system's scope within one address space; others ('agent', 'workgroup') are narrower.
        let is_of_system = |line: &&&str| line.contains("store atomic i64") && line.contains("syncscope(\"one-as\")");
        assert_eq!(atomics.iter().filter(is_of_system).count(), 3, "{arch}: {atomics:?}");
        assert_eq!(atomics.iter().filter(|line| line.contains(" release, align 8")).count(), 1, "{arch}: {atomics:?}");
        assert!(atomics.last().unwrap().contains(" release, align 8"), "{arch}: the beat is the last store: {atomics:?}");
        for read_modify_write in ["atomicrmw", "cmpxchg"] {
            assert!(!ir.contains(read_modify_write), "{arch}: a device only stores: {read_modify_write}");
        }
        let assembly = text(&mut for_device(clang, "hip", arch));
        assert!(assembly.contains("global_store_") || assembly.contains("flat_store_"), "{arch} has code:\n{assembly}");
    }
}

#[test]
fn nvidias_assembler_takes_what_a_kernel_becomes() {
    const TEST: &str = "nvidias_assembler_takes_what_a_kernel_becomes";
    let (Some(clang), Some(toolkit)) = (clang(TEST), toolkit(TEST)) else { return };
    let scratch = Scratch::new();
    // Every way in which a report is made, then the rest of the device code.
    let every_report = ["sm_60", "sm_70", "sm_90"].map(|arch| (KERNEL, arch));
    let rest = DEVICE_SOURCES[1..].iter().map(|source| (*source, "sm_90"));
    for (source, arch) in every_report.into_iter().chain(rest) {
        let ptx = scratch.path("kernel.ptx");
        let mut device = with_toolkit(clang, &toolkit);
        succeed(device.args(["--cuda-device-only", "-S"]).arg(format!("--offload-arch={arch}")).arg("-o").arg(&ptx).arg(source));
        let mut ptxas = command(toolkit.join("bin/ptxas"));
        succeed(ptxas.arg(format!("-arch={arch}")).args(["--warning-as-error", "-o", "/dev/null"]).arg(&ptx));
    }
}

/// Clang with NVIDIA's own headers.
fn with_toolkit(clang: &str, toolkit: &Path) -> Command {
    let mut command = command(clang);
    command.args(["-x", "cuda", "-O2", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-cuda-version"]);
    command.args(["-I", "ffi/include"]).arg(format!("--cuda-path={}", toolkit.display()));
    command
}

#[test]
fn nvidias_compiler_builds_the_example_and_the_measurement() {
    if Command::new("nvcc").arg("--version").stdout(std::process::Stdio::null()).status().is_err() {
        return skip("nvidias_compiler_builds_the_example_and_the_measurement: no nvcc");
    }
    let scratch = Scratch::new();
    for source in &DEVICE_SOURCES[1..] {
        let mut nvcc = command("nvcc");
        nvcc.args(["-std=c++17", "-O2", "-Xcompiler", "-Wall,-Wextra,-Werror", "-DHANGWATCH_IMPLEMENTATION"]);
        succeed(nvcc.args(["-I", "ffi/include", source, "-o"]).arg(scratch.path("program")));
    }
}

#[test]
fn the_host_code_of_a_cuda_file_compiles_with_nvidias_headers() {
    const TEST: &str = "the_host_code_of_a_cuda_file_compiles_with_nvidias_headers";
    let (Some(clang), Some(toolkit)) = (clang(TEST), toolkit(TEST)) else { return };
    for source in DEVICE_SOURCES {
        succeed(with_toolkit(clang, &toolkit).args(["--cuda-host-only", "-c", "-o", "/dev/null", source]));
    }
    // A program for the host alone, in both languages: NVIDIA's declarations are those that the runtime that stands in has.
    // (NVIDIA's are no C99.)
    for compiler in [C11, CPP17] {
        let mut compile = compile(compiler);
        compile.args(["-iquote", FAKE, "-isystem"]).arg(toolkit.join("include"));
        succeed(compile.args(["-c", "-o", "/dev/null", "ffi/tests/register.c"]));
    }
}

#[test]
fn the_device_header_compiles_alone_and_as_either_side_of_a_cuda_and_a_hip_file() {
    let scratch = Scratch::new();
    let alone = scratch.write("alone.c", "#include <hangwatch_cuda.cuh>\n#include <hangwatch_cuda.cuh>\n");
    for compiler in every_compiler() {
        succeed(compile(compiler).args(["-c", "-o", "/dev/null"]).arg(&alone));
    }
    let passes: [&[&str]; 5] = [
        &["-D__CUDACC__"],
        &["-D__CUDACC__", "-D__CUDA_ARCH__=600"],
        &["-D__CUDACC__", "-D__CUDA_ARCH__=900"],
        &["-D__HIPCC__"],
        &["-D__HIP__"],
    ];
    for compiler in [CPP11, CPP17] {
        for pass in passes {
            succeed(compile(compiler).args(pass).args(["-I", FAKE, "-fsyntax-only", KERNEL]));
        }
    }
}

/// `source` with the runtime that stands in, and hangwatch in this form.
fn against_fake(scratch: &Scratch, source: &str, compiler: Compiler, link: Link, more: &[&str]) -> PathBuf {
    let stem = Path::new(source).file_stem().unwrap().to_string_lossy().into_owned();
    let out = scratch.path(&format!("{stem}-{}-{}-{link:?}{}", compiler.program, compiler.std, more.concat()));
    // A translation unit of its own: what the header defines is none of its business.
    let runtime = scratch.path("runtime.o");
    succeed(compile(C99).args(more).args(["-I", FAKE, "-c", "tests/gpu/fake/runtime.c", "-o"]).arg(&runtime));
    let mut compile = compile(compiler);
    if link == Link::Header {
        compile.arg("-DHANGWATCH_IMPLEMENTATION");
    }
    compile.args(more).args(["-I", FAKE, source, "-x", "none"]).arg(&runtime).arg("-o").arg(&out);
    match link {
        Link::Header => {}
        Link::Shared => {
            compile.arg("-L").arg(library()).arg("-lhangwatch").arg(format!("-Wl,-rpath,{}", library().display()));
        }
        Link::Static => {
            compile.arg(library().join("libhangwatch.a")).args(private_libraries());
        }
    }
    succeed(&mut compile);
    out
}

fn segment(scratch: &Scratch, name: &str, slot_size: u32) -> PathBuf {
    let path = scratch.path(name);
    drop(Segment::create(&path, Geometry { slots: 4, slot_size }).unwrap());
    path
}

#[test]
fn a_slot_page_is_registered_once_and_given_back_before_its_lane_and_every_refusal_is_said() {
    let scratch = Scratch::new();
    let tried = |compiler, link, runtime: &[&str]| {
        let program = against_fake(&scratch, "ffi/tests/register.c", compiler, link, runtime);
        let (pages, small) = (segment(&scratch, "pages", 4096), segment(&scratch, "small", 1024));
        succeed(command(&program).args([&pages, &small]));
        std::fs::remove_file(pages).and_then(|()| std::fs::remove_file(small)).unwrap();
    };
    for link in LINKS {
        tried(C99, link, &[]);
    }
    for compiler in compilers() {
        tried(compiler, Link::Header, &["-DFAKE_HIP"]);
    }
}

#[test]
fn a_device_writes_the_words_that_a_host_would() {
    let scratch = Scratch::new();
    for (compiler, link) in [C99, CPP17].into_iter().flat_map(|compiler| [(compiler, Link::Shared), (compiler, Link::Header)]) {
        let program = against_fake(&scratch, "ffi/tests/device.c", compiler, link, &["-O2"]);
        let pages = segment(&scratch, "pages", 4096);
        succeed(command(&program).arg(&pages));
        std::fs::remove_file(pages).unwrap();
    }
}

#[test]
fn the_device_header_draws_no_word_that_is_not_the_slots() {
    let header = std::fs::read_to_string(Path::new(ROOT).join("ffi/include/hangwatch_cuda.cuh")).unwrap();
    for word in ["stamp_ns", "alive", "total", "lease", "phase"] {
        assert!(!header.contains(&format!("slot->{word}")), "a device writes beat, progress and falls alone, not {word}");
    }
}
