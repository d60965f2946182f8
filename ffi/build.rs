//! The soname: without one a program that is linked by path records that path.

fn main() {
    // Unversioned: `-L target/release -lhangwatch -Wl,-rpath,…` finds the very file cargo made, with no symlink beside it.
    // The version in the name comes with `ffi/install`, which makes the symlinks.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libhangwatch.so");
    println!("cargo::rerun-if-changed=build.rs");
}
