//! The operator's probe between the end of a worker and the start of the next.

mod common;

use common::{Monitor, Scratch, hangwatch};
use std::fs;
use std::path::Path;
use std::process::Command;

/// One replica that fails once and then works, on a device of this name.
fn run(scratch: &Scratch, device: &str, probe: &Path) -> Command {
    let mut command = hangwatch();
    command.args(["run", "--events", "-", "--poll", "50ms", "--devices", device, "--segment"]).arg(scratch.segment());
    command.arg("--reclaim-probe").arg(format!("sh '{}' {{device}} {{pid}}", probe.display()));
    let again = scratch.path().join("again");
    let script = format!("[ -e '{0}' ] && exit 0; echo > '{0}'; echo pid $$; exit 3", again.display());
    command.args(["--", "sh", "-c", &script]).env("HANGWATCH_BACKOFF", "10ms");
    command
}

#[test]
fn a_respawn_waits_until_the_probe_says_that_the_device_is_free() {
    let scratch = Scratch::new();
    let (asked, tried) = (scratch.path().join("asked"), scratch.path().join("tried"));
    // It says no at first, and what it was told.
    let text = format!(
        "echo $1 $2 $HANGWATCH_DEVICE >> '{}'; [ -e '{1}' ] || {{ touch '{1}'; exit 1; }}",
        asked.display(),
        tried.display()
    );
    let probe = scratch.file("probe", &text);
    let mut run = Monitor::start(&mut run(&scratch, "MIG-7", &probe));
    run.next("replaced");
    let pid = run.lines.iter().find_map(|line| line.strip_prefix("pid ")).expect("the first worker's").to_owned();
    let line = format!("MIG-7 {pid} MIG-7\n");
    assert_eq!(fs::read_to_string(&asked).expect("it was run"), line.repeat(2), "asked again until it said yes");
    assert_eq!(run.end(), Some(0));
}

#[test]
fn a_probe_that_never_says_yes_holds_a_respawn_up_for_its_own_time_alone() {
    let scratch = Scratch::new();
    let probe = scratch.file("probe", "exit 1");
    let mut command = run(&scratch, "0", &probe);
    let mut run = Monitor::start(command.env("HANGWATCH_RECLAIM_WAIT", "300ms"));
    run.next("replaced");
    assert_eq!(run.end(), Some(0), "the next worker works all the same: {:#?}", run.events);
}

#[test]
fn a_probe_that_hangs_is_ended_with_its_time() {
    let scratch = Scratch::new();
    // Nobody else sleeps for so long, wherever in its start the probe is when its time is over.
    let nap = format!("100000.{}", std::process::id());
    let probe = scratch.file("probe", &format!("exec sleep {nap}"));
    let mut command = run(&scratch, "0", &probe);
    let mut run = Monitor::start(command.env("HANGWATCH_RECLAIM_WAIT", "300ms"));
    run.next("replaced");
    assert_eq!(run.end(), Some(0), "the next worker works all the same: {:#?}", run.events);
    let sleeps = |pid: &Path| fs::read(pid.join("cmdline")).is_ok_and(|words| words == format!("sleep\0{nap}\0").as_bytes());
    common::until(|| !fs::read_dir("/proc").expect("it is mounted").flatten().any(|entry| sleeps(&entry.path())));
}

#[test]
fn a_stop_neither_waits_for_a_probe_that_hangs_nor_leaves_it_behind() {
    let scratch = Scratch::new();
    let told = scratch.path().join("told");
    let probe = scratch.file("probe", &format!("echo $$ > '{}'; exec sleep 100000", told.display()));
    let mut command = run(&scratch, "0", &probe);
    let mut run = Monitor::start(command.env("HANGWATCH_RECLAIM_WAIT", "10m"));
    let pid = || fs::read_to_string(&told).ok().filter(|text| text.ends_with('\n'));
    common::until(|| pid().is_some());
    assert_eq!(run.stop(), Some(0), "{:#?}", run.events);
    assert!(run.of_kind("replaced").is_empty(), "nobody takes its place");
    let pid: u64 = pid().expect("it was run").trim().parse().expect("a pid");
    common::until(|| common::has_ended(pid));
}
