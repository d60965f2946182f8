//! Where a worker or a monitor may live: namespaces, other users. A machine that forbids one says why.

use super::{Held, Monitor, command, hangwatch, process, said, signal, until};
use hangwatch::segment::Segment;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Words that stand before a command and put it somewhere.
pub(crate) type Place = &'static [&'static str];

/// A pid namespace of its own, and the /proc of the one above: `unshare -pf`.
pub(crate) const PID: Place = &["unshare", "--pid", "--fork", "--kill-child"];
/// A pid namespace of its own with its own /proc, as a container has it.
pub(crate) const PID_AND_PROC: Place = &["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
/// Clocks of its own, eleven days and six days on.
pub(crate) const TIME: Place = &["unshare", "--time", "--boottime", "1000000", "--monotonic", "500000", "--fork", "--kill-child"];
/// Root of its own, who is nobody but its user outside.
pub(crate) const USER: Place = &["unshare", "--user", "--map-root-user", "--fork", "--kill-child"];
/// All of them.
#[rustfmt::skip]
pub(crate) const ALL: Place = &[
    "unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc", "--time", "--boottime", "1000000",
    "--monotonic", "500000",
];

/// Why nothing can be put there on this machine, if that is so.
pub(crate) fn forbidden(place: &[&str]) -> Option<String> {
    let tried = said(command(place[0]).args(&place[1..]).arg("true"));
    (tried.code != Some(0)).then(|| format!("{}: {}", place.join(" "), tried.err.trim()))
}

/// A command put somewhere.
pub(crate) fn placed(place: &[&str], program: impl AsRef<OsStr>) -> Command {
    match place {
        [] => command(program),
        [first, rest @ ..] => {
            let mut command = command(first);
            command.args(rest).arg(program);
            command
        }
    }
}

/// `hangwatch` put somewhere, as [`hangwatch`](super::hangwatch) is.
pub(crate) fn hangwatch_in(place: &[&str]) -> Command {
    let mut command = placed(place, hangwatch().get_program());
    command.env("HANGWATCH_EVIDENCE", "none");
    command
}

/// A worker put somewhere, once it is attached.
pub(crate) fn worker_in(place: &[&str], program: &Path, segment: &Path, flags: &str) -> Held {
    let mut command = placed(place, program);
    let mut held = Held::start(command.env("HANGWATCH_SEGMENT", segment).args(flags.split_whitespace()));
    held.line_with(", slot ");
    held
}

/// Starts a monitor that `command` puts there. `unshare` hears no SIGTERM, and its end is that of the process behind it.
pub(crate) fn monitor_in(place: &[&str], command: &mut Command) -> Monitor {
    let mut monitor = Monitor::start(command);
    monitor.held.leads = place.is_empty();
    monitor
}

/// A monitor put somewhere, once it has polled.
pub(crate) fn watch_in(place: &[&str], segment: &Segment, flags: &str) -> Monitor {
    let mut command = hangwatch_in(place);
    command.args(["watch", "--events", "-", "--segment"]).arg(segment.path()).args(flags.split_whitespace());
    let polls = segment.header().peek_monitor().beat;
    let monitor = monitor_in(place, &mut command);
    until(|| {
        let words = segment.header().peek_monitor();
        words.beat != polls && words.beat.count() > 0
    });
    monitor
}

/// The process behind the words that put it there, which pass no signal on.
pub(crate) fn behind(pid: u32) -> u32 {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("it lives");
    if name.trim_end() != "unshare" {
        return pid;
    }
    behind(*process::children(pid).first().expect("it waits for its child"))
}

/// Ends a monitor that was put somewhere; its exit code.
pub(crate) fn stop(monitor: &mut Monitor) -> Option<i32> {
    signal(behind(monitor.held.pid()).into(), libc::SIGTERM);
    monitor.end()
}

/// The kernel's version.
pub(crate) fn linux() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.trim().parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
