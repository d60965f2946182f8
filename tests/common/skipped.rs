//! A check that this machine does not allow is said aloud, and counted where the run asks for it.

use std::io::Write;

/// Says past the test runner's capture that a test had nothing to test here, and writes it down in the file that `SKIPPED_CHECKS`
/// names: a runner hides what a passing test says.
pub(crate) fn skip(why: &str) {
    let line = format!("skipped {why}\n");
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("SKIPPED_CHECKS") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("what is skipped is counted");
    }
}
