//! I3, I6, I12, I4: a worker is killed at every instruction of what it does to a segment. What lies in shared memory after an
//! instruction is what a SIGKILL there leaves, so a child is stepped through, and after each instruction at which a word has
//! changed a reader and a successor are tried on a copy; at a sample of these points a child is killed indeed.
//!
//! x86-64 only: elsewhere a step is not one instruction to every kernel.

#[path = "../common/mod.rs"]
mod common;

#[cfg(target_arch = "x86_64")]
mod flip;
#[cfg(target_arch = "x86_64")]
mod harness;
#[cfg(target_arch = "x86_64")]
mod state;
#[cfg(target_arch = "x86_64")]
mod tracer;

#[cfg(target_arch = "x86_64")]
mod tests;

#[cfg(not(target_arch = "x86_64"))]
#[test]
fn kill_points_are_of_x86_64() {
    common::skip("kill_points: this machine is no x86-64");
}
