//! Reports in C and C++: inline, through the shared library, and with all of hangwatch.h in the program. The library and the
//! loops are built when a bench starts, by the commands a user would give; nothing else of the workspace pays for a C compiler.
#![allow(unsafe_code)]

use crate::Kind;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

type Attach = unsafe extern "C" fn(*const c_char, *const c_char, c_int) -> *mut c_void;
type Run = unsafe extern "C" fn(*mut c_void, u64, u64);

/// How a program holds the C functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In the shared library that it is linked to.
    Linked,
    /// In itself: it defines `HANGWATCH_IMPLEMENTATION`.
    HeaderOnly,
}

impl Form {
    const fn file(self) -> &'static str {
        match self {
            Self::Linked => "linked.so",
            Self::HeaderOnly => "header-only.so",
        }
    }
}

/// Builds the loops in `scratch`, in either form, with the shared library in `target`.
pub fn build(scratch: &Path, target: &Path) {
    // A target folder of its own: cargo may hold the other one.
    let target = target.join("ffi");
    let mut cargo = command(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--release", "-p", "hangwatch-ffi", "--target-dir"]).arg(&target);
    succeed(&mut cargo);
    let folder = target.join("release");
    for form in [Form::Linked, Form::HeaderOnly] {
        let object = |language: &str| scratch.join(format!("{}.{language}.o", form.file()));
        for (compiler, std, language) in [("gcc", "-std=c99", "c"), ("g++", "-std=c++11", "cpp")] {
            let mut compile = command(compiler);
            compile.args([std, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-I", "ffi/include", "-c"]);
            // In one file of a program; the other declares.
            compile.args((form == Form::HeaderOnly && language == "c").then_some("-DHANGWATCH_IMPLEMENTATION"));
            compile.arg(format!("bench/c/report.{language}")).arg("-o").arg(object(language));
            succeed(&mut compile);
        }
        let mut link = command("g++");
        link.arg("-shared").args(["c", "cpp"].map(object)).arg("-o").arg(scratch.join(form.file()));
        if form == Form::Linked {
            // An old-style rpath goes before LD_LIBRARY_PATH, where cargo puts folders that may hold another libhangwatch.so.
            let rpath = format!("-Wl,--disable-new-dtags,-rpath,{}", folder.display());
            link.arg("-L").arg(&folder).arg("-lhangwatch").arg(rpath);
        }
        succeed(&mut link);
    }
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(ROOT);
    command
}

fn succeed(command: &mut Command) {
    let status = command.status().unwrap_or_else(|e| panic!("cannot run {command:?}, which this bench needs: {e}"));
    assert!(status.success(), "{command:?} ended with {status}");
}

/// The loops in one form, loaded.
#[derive(Debug)]
pub struct Loops(*mut c_void);

/// A worker of C's in one form, which is never detached, in a job.
#[derive(Debug)]
pub struct Worker(pub(crate) *mut c_void);

/// One of C's loops.
#[derive(Debug, Clone, Copy)]
pub struct Loop(Run);

impl Loops {
    /// Loads what [`build`] built in `scratch`.
    pub fn load(scratch: &Path, form: Form) -> Self {
        let path = CString::new(scratch.join(form.file()).display().to_string()).expect("no NUL in a path");
        // SAFETY: a C string; the library's constructors are Rust's own.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null(), "the loops load, with libhangwatch.so where they are linked to it");
        Self(handle)
    }

    fn symbol(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the handle was never closed, the name is a C string.
        let found = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        assert!(!found.is_null(), "bench/c defines {name:?}");
        found
    }

    /// A worker of this kind.
    pub fn attach(&self, segment: &str, kind: Kind) -> Worker {
        let segment = CString::new(segment).expect("no NUL in a path");
        // SAFETY: `bench_attach` has this type.
        let attach = unsafe { std::mem::transmute::<*mut c_void, Attach>(self.symbol(c"bench_attach")) };
        let segment = if kind == Kind::Detached { std::ptr::null() } else { segment.as_ptr() };
        // SAFETY: a C string or NULL, and a C string.
        let worker = unsafe { attach(segment, c"bench".as_ptr(), (kind == Kind::Stamped).into()) };
        assert!(!worker.is_null(), "a free slot");
        Worker(worker)
    }

    /// The loop of this name: `bench_step` or `bench_beat`, as it is, or with `_linked` or `_cpp`.
    pub fn find(&self, name: &CStr) -> Loop {
        // SAFETY: every one of them has this type.
        Loop(unsafe { std::mem::transmute::<*mut c_void, Run>(self.symbol(name)) })
    }
}

impl Loop {
    /// Reports `n` times, `from` first.
    pub fn run(self, worker: &mut Worker, from: u64, n: u64) {
        // SAFETY: a worker that was never detached, used by one thread at a time.
        unsafe { (self.0)(worker.0, from, n) }
    }
}
