//! The example of an embedded monitor, in a program that has no other thread: it fails if anything is left behind.

#[path = "../examples/embedded_monitor.rs"]
mod embedded_monitor;

fn main() -> std::process::ExitCode {
    embedded_monitor::main()
}
