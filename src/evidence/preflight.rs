//! What of the settings will not work, said before it is needed: a dumper that is missing or forbidden is found out at the worst
//! of times.

use super::folder::Folder;
use super::settings::{Dumper, LEAST_BUNDLE, Settings};
use crate::os::proc::machine;
use crate::os::proc::text::Text;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const CAP_SYS_PTRACE: u32 = 19;

impl Settings {
    /// What of these settings will not work here, a sentence each; empty if all will. Makes the folder if it is absent, and
    /// takes away what gatherings that were killed have left in it.
    pub fn preflight(&self) -> Vec<String> {
        let mut text = Text::default();
        let may_trace = || machine::has_capability(CAP_SYS_PTRACE, &mut Text::default());
        let mut wrong = Vec::new();
        if let Err(e) = Folder::open(&self.directory).and_then(|folder| folder.tidy().and_then(|()| folder.begin().map(drop))) {
            wrong.push(format!("evidence cannot be kept in '{}': {e}", self.directory.display()));
        }
        if self.max_bundles == 0 {
            wrong.push("no bundle is to be kept; the newest is kept all the same".into());
        }
        if self.max_bytes < LEAST_BUNDLE {
            wrong.push(format!("bundles may hold {} bytes in all, a single one needs {LEAST_BUNDLE}", self.max_bytes));
        }
        let dumpers = self.dumpers.iter().map(Dumper::words).chain(self.gpu.clone());
        for words in dumpers {
            match words.first() {
                None => wrong.push("a command for evidence names no program".into()),
                Some(program) if !is_there(program) => {
                    wrong.push(format!("'{}' is to gather evidence and is not there, or cannot be run", program.display()));
                }
                Some(_) => {}
            }
        }
        let looks_into_memory = self.dumpers.iter().any(|it| matches!(it, Dumper::PySpy | Dumper::Gdb));
        let scope = machine::ptrace_scope(&mut text).unwrap_or(0);
        if looks_into_memory && (scope >= 3 || (scope >= 1 && !may_trace())) {
            let way_out = match scope {
                1 => "give hangwatch CAP_SYS_PTRACE, or have each worker call prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY)",
                2 => "give hangwatch CAP_SYS_PTRACE",
                _ => "nobody may until the next boot",
            };
            wrong.push(format!("py-spy and gdb may not look into workers: kernel.yama.ptrace_scope is {scope}; {way_out}"));
        }
        if let Some(signal) =
            self.faulthandler.filter(|it| !(1..=64).contains(it) || matches!(*it, libc::SIGKILL | libc::SIGSTOP))
        {
            wrong.push(format!("signal {signal} cannot make a worker write its traceback"));
        }
        wrong
    }
}

/// Whether a command of that name would be started.
fn is_there(program: &OsStr) -> bool {
    let can_run = |path: &Path| path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0);
    if program.as_encoded_bytes().contains(&b'/') {
        return can_run(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| can_run(&folder.join(program)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    #[test]
    fn what_will_not_work_is_said_and_what_will_is_not() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let command = |words: &[&str]| Dumper::Command(words.iter().map(OsString::from).collect());
        let good = Settings {
            directory: dir.path().join("evidence"),
            dumpers: vec![command(&["sh", "-c", "true"]), command(&["/bin/sh"])],
            faulthandler: Some(libc::SIGUSR1),
            ..Settings::default()
        };
        assert_eq!(good.preflight(), Vec::<String>::new());
        assert!(good.directory.is_dir(), "it is made at once");
        std::fs::write(dir.path().join("file"), "").expect("written");
        let bad = Settings {
            directory: dir.path().join("file"),
            max_bundles: 0,
            max_bytes: 1,
            dumpers: vec![command(&[]), command(&["no-such-program"]), command(&["/no/such/program"])],
            faulthandler: Some(libc::SIGKILL),
            ..good
        };
        assert_eq!(bad.preflight().len(), 7, "one sentence each: {:#?}", bad.preflight());
    }
}
