//! What is opened of /proc: only files that give their answer at once. `cmdline`, `environ`, `maps` and `smaps` wait for a lock
//! that a stuck process may hold for ever, and so would whoever reads them.

use std::fs;
use std::path::{Path, PathBuf};

/// Those of another process that never block, and those of our own and of the machine.
const ALLOWED: &[&str] = &[
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/pressure/cpu",
    "/proc/pressure/io",
    "/proc/pressure/memory",
    "/proc/{}/cgroup",
    // Blocks: read in a thread that may be left behind, and by nobody else.
    "/proc/{}/environ",
    // Names and positions of open files, and those that are in memory: see os/proc/memfd.rs.
    "/proc/{}/fd",
    "/proc/{}/fd/{number}",
    "/proc/{}/fdinfo/{number}",
    "/proc/{}/limits",
    "/proc/{}/oom_score",
    "/proc/{}/stat",
    "/proc/{}/statm",
    "/proc/{}/status",
    "/proc/{}/task",
    "/proc/{}/task/{}/io",
    "/proc/{}/task/{}/sched",
    "/proc/{}/task/{}/schedstat",
    "/proc/{}/task/{}/stack",
    "/proc/{}/task/{}/stat",
    "/proc/{}/task/{}/status",
    "/proc/{}/task/{}/syscall",
    "/proc/{}/task/{}/wchan",
    "/proc/self/cgroup",
    "/proc/self/fd/{}",
    "/proc/self/fdinfo/{}",
    // Of our own process, at attach, before anything of ours can be stuck in it.
    "/proc/self/maps",
    "/proc/self/mountinfo",
    "/proc/self/ns/pid",
    "/proc/self/ns/time",
    "/proc/self/stat",
    "/proc/self/status",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/kernel/yama/ptrace_scope",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// String literals that name something in /proc, tests left out.
fn literals(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    code.split('"')
        .filter(|literal| literal.starts_with("/proc/"))
        .map(|literal| literal.replace("{pid}", "{}").replace("{tid}", "{}"))
        .collect()
}

#[test]
fn nothing_is_opened_of_proc_that_a_stuck_process_could_hold_up() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut seen = [false; ALLOWED.len()];
    for path in files.iter().filter(|path| !path.components().any(|part| part.as_os_str() == "tests")) {
        let may_block = path.ends_with("os/proc/environ.rs");
        for literal in literals(&fs::read_to_string(path).expect("a source")) {
            assert_eq!(literal == "/proc/{}/environ", may_block, "{} opens {literal}", path.display());
            let known = ALLOWED.iter().position(|allowed| *allowed == literal);
            seen[known.unwrap_or_else(|| panic!("{} opens {literal}, which may block", path.display()))] = true;
        }
    }
    let unused: Vec<_> = ALLOWED.iter().zip(seen).filter(|(_, seen)| !seen).map(|(allowed, _)| allowed).collect();
    assert!(unused.is_empty(), "nobody opens {unused:?} any more");
}
