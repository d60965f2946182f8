//! Reports in C: inline, and through the shared library. The library and the loops are built when the bench starts, by the
//! commands a user would give; nothing else of the workspace pays for a C compiler.
#![allow(unsafe_code)]

use crate::{KINDS, Kind, measure};
use criterion::Criterion;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const GROUPS: [(&str, &CStr); 4] = [
    ("c_inline_step", c"bench_step"),
    ("c_inline_beat", c"bench_beat"),
    ("c_linked_step", c"bench_step_linked"),
    ("c_linked_beat", c"bench_beat_linked"),
];

type Attach = unsafe extern "C" fn(*const c_char, *const c_char, c_int) -> *mut c_void;
type Run = unsafe extern "C" fn(*mut c_void, u64, u64);

/// `c/report.c`, loaded with the shared library it is linked to.
#[derive(Debug)]
pub(crate) struct Library(*mut c_void);

impl Library {
    pub(crate) fn build(scratch: &Path) -> Self {
        // A target folder of its own: cargo may hold the other one.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ffi");
        let mut cargo = command(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--release", "-p", "hangwatch-ffi", "--target-dir"]).arg(&target);
        succeed(&mut cargo);
        let folder = target.join("release");
        let loops = scratch.join("loops.so");
        let mut gcc = command("gcc");
        gcc.args(["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-shared"]);
        gcc.args(["-I", "ffi/include", "bench/c/report.c", "-o"]).arg(&loops).arg("-L").arg(&folder).arg("-lhangwatch");
        // An old-style rpath goes before LD_LIBRARY_PATH, where cargo puts folders that may hold another libhangwatch.so.
        gcc.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", folder.display()));
        succeed(&mut gcc);
        let path = CString::new(loops.display().to_string()).expect("no NUL in a path");
        // SAFETY: a C string; the library's constructors are Rust's own.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null(), "the loops and libhangwatch.so load");
        Self(handle)
    }

    fn symbol(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the handle was never closed, the name is a C string.
        let found = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        assert!(!found.is_null(), "c/report.c defines {name:?}");
        found
    }

    fn attach(&self, segment: &CStr, kind: Kind) -> *mut c_void {
        // SAFETY: `bench_attach` has this type.
        let attach = unsafe { std::mem::transmute::<*mut c_void, Attach>(self.symbol(c"bench_attach")) };
        let segment = if kind == Kind::Detached { std::ptr::null() } else { segment.as_ptr() };
        // SAFETY: a C string or NULL, and a C string.
        let worker = unsafe { attach(segment, c"bench".as_ptr(), (kind == Kind::Stamped).into()) };
        assert!(!worker.is_null(), "a free slot, and a vDSO");
        worker
    }

    fn run(&self, name: &CStr) -> Run {
        // SAFETY: every function of `GROUPS` has this type.
        unsafe { std::mem::transmute::<*mut c_void, Run>(self.symbol(name)) }
    }
}

pub(crate) fn measure_all(criterion: &mut Criterion, segment: &str, library: &Library) {
    let segment = CString::new(segment).expect("no NUL in a path");
    for (name, kind) in KINDS {
        for (group, function) in GROUPS {
            // One a measurement: each count begins at the beginning.
            let (worker, run) = (library.attach(&segment, kind), library.run(function));
            // SAFETY: a worker that was never detached, on the one thread there is.
            measure(criterion, group, name, |from, n| unsafe { run(worker, from, n) });
        }
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
