//! The soname: without one a program that is linked by path records that path.

fn main() {
    // Unversioned, as the worker's library has it: see ffi/build.rs.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libhangwatch_monitor.so");
    println!("cargo::rerun-if-changed=build.rs");
}
