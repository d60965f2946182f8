//! Workers of other languages, and where programs that a test builds are put.

use super::{ROOT, command, said, skip};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Python itself, and not a script that looks for it at every start.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let said = said(command("python3").args(["-c", "import sys; print(sys.executable)"]));
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.out.trim_end().into()
    })
}

/// A folder for programs that a test builds: a tmpfs may forbid that anything in it is run.
pub(crate) fn programs() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// `examples/go_writer`; `None`, and said aloud, where there is no Go.
pub(crate) fn go_writer() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let build = || {
        if let Err(e) = Command::new("go").arg("version").stdout(Stdio::null()).status() {
            skip(&format!("the Go writer: cannot run 'go': {e}"));
            return None;
        }
        let folder = programs();
        let program = folder.path().join("go_writer");
        let mut go = command("go");
        // Nothing of the user's: a build without a cache takes a second.
        go.env("GOCACHE", folder.path().join("cache")).env("GOPATH", folder.path().join("path")).env("GOTOOLCHAIN", "local");
        go.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(format!("{ROOT}/examples/go_writer"));
        let said = said(&mut go);
        assert_eq!(said.code, Some(0), "{}", said.err);
        Some((folder, program))
    };
    BUILT.get_or_init(build).as_ref().map(|(_, program)| program.as_path())
}
