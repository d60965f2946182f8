//! `hangwatch run` as process 1, as it is in a container without an init.

mod common;

use common::{Scratch, command, said, skip};

#[test]
fn as_process_one_it_reaps_what_workers_leave_behind_and_hears_sigterm() {
    let alone = ["--pid", "--fork", "--mount-proc", "--"];
    let tried = said(command("unshare").args(alone).arg("true"));
    if tried.code != Some(0) {
        return skip(&format!("a process 1 of its own: {}", tried.err.trim()));
    }
    let scratch = Scratch::new();
    // An orphan is process 1's: while it is a zombie it has an entry.
    let script = "orphan=$(setsid sh -c 'echo $$; exec >&-; exit 0' &); echo orphan $orphan of $PPID; \
        while [ -e /proc/$orphan ]; do sleep 0.01; done; echo reaped; kill -TERM 1; exec sleep 100000";
    let mut run = command("unshare");
    run.args(alone).arg(env!("CARGO_BIN_EXE_hangwatch")).args(["run", "--segment"]).arg(scratch.segment());
    let said = said(run.args(["--", "sh", "-c", script]));
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines.len() == 2 && lines[0].ends_with(" of 1") && lines[1] == "reaped", "{lines:?} {}", said.err);
    assert_eq!(said.code, Some(0), "process 1 gets no signal that it does not handle: {}", said.err);
    assert!(!scratch.segment().exists(), "it ended well");
}
