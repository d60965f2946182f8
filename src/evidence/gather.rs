//! One gathering, from its first reading to its bundle.

use super::cause::{self, Cause, CauseKind};
use super::dump::{Target, dump};
use super::folder::Folder;
use super::gatherer::{Subject, left_until};
use super::report::Findings;
use super::settings::{LEAST_BUNDLE, MAX_BUNDLE, Settings};
use super::{log, name, threads, traceback};
use crate::clock;
use crate::os::pidfd::PidFd;
use crate::os::proc::text::Text;
use crate::os::proc::{cgroup, machine};
use crate::policy::ns;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Between the two samples: many turns of a thread that runs, and many ticks of the clock that counts them.
const BETWEEN: Duration = Duration::from_millis(250);
/// Kept for the writing of the bundle, and for a helper that outlives SIGKILL; less where the deadline is short.
const FOR_WRITING: Duration = Duration::from_millis(1500);
/// Of the longest log tail.
const MAX_TAIL: u64 = 1024 * 1024;

/// Gathers until `deadline_ns`; tells the cause as soon as it is known.
pub(super) fn gather(
    settings: &Settings,
    subject: Subject,
    deadline_ns: u64,
    tell: &mut dyn FnMut(Cause),
) -> io::Result<PathBuf> {
    let mut found = Findings::default();
    let left = left_until(deadline_ns).unwrap_or_default();
    let for_writing = ns(FOR_WRITING.min(left / 4));
    match proven(&subject) {
        Ok(fd) => {
            of_process(&mut found, &subject, fd, BETWEEN.min(left / 4));
            if let Some(cause) = &found.cause {
                tell(cause.clone());
            }
        }
        Err(why) => found.missing.push(format!("anything of the process: {why}")),
    }
    found.machine = machine::machine(&mut Text::default());
    let max = usize::try_from(settings.max_bytes.clamp(LEAST_BUNDLE, MAX_BUNDLE)).unwrap_or(usize::MAX);
    of_log(&mut found, settings, &subject, max / 8);
    if let Ok(fd) = proven(&subject) {
        by_others(&mut found, settings, &subject, fd, max / 8, deadline_ns.saturating_sub(for_writing));
    }
    write(&found, settings, &subject, max)
}

/// The process's handle, if it is alive and its number is still its own.
fn proven(subject: &Subject) -> Result<&PidFd, String> {
    let fd = subject.fd.as_ref().ok_or("its identity is not proven")?;
    if fd.has_exited() {
        return Err("it has ended".into());
    }
    let now = PidFd::open(subject.pid).map_err(|e| e.to_string())?;
    // Of a kernel without these numbers both are 0: there, that it has not ended is all that can be known.
    if now.inode() == fd.inode() { Ok(fd) } else { Err(format!("number {} is another process's", subject.pid)) }
}

fn of_process(found: &mut Findings, subject: &Subject, fd: &PidFd, between: Duration) {
    let mut text = Text::default();
    let sampled = threads::sample(subject.pid, subject.tid, fd, between);
    let status = machine::status(subject.pid, &mut text);
    let process = machine::process(subject.pid, &mut text);
    let cgroup = cgroup::of_process(subject.pid, &mut text);
    // What was read of a number that may have been given to another process by now is not evidence.
    if fd.has_exited() {
        let reading = format!("process {} ended while it was looked at", subject.pid);
        found.cause = Some(Cause::new(CauseKind::Exited, reading));
        found.missing.push("anything of the process: it ended while it was looked at".into());
        return;
    }
    (found.status, found.process, found.cgroup) = (status, process, cgroup);
    match sampled {
        Ok(threads) => {
            let any = |of: fn(&threads::Thread) -> bool| threads.threads.iter().any(of);
            if !any(|it| it.now.stack.is_some()) {
                found.missing.push("the kernel's stacks: they need CAP_SYS_ADMIN".into());
            }
            if !any(|it| it.now.syscall.is_some()) {
                found.missing.push("system calls: not permitted, or this kernel does not tell".into());
            }
            found.cause = Some(cause::cause(&threads));
            found.threads = Some(threads);
        }
        Err(e) => found.missing.push(format!("its threads: {e}")),
    }
}

fn of_log(found: &mut Findings, settings: &Settings, subject: &Subject, max: usize) {
    let Some(path) = &subject.log else {
        found.missing.push("log-tail.txt: no log is known".into());
        return;
    };
    match log::tail(path, settings.log_tail.min(MAX_TAIL)) {
        Ok(bytes) => found.add("log-tail.txt".into(), "the end of the worker's log".into(), &bytes, max, true),
        Err(e) => found.missing.push(format!("log-tail.txt: cannot read '{}': {e}", path.display())),
    }
}

/// Each part has an equal share of what time is left to it and to those after it.
fn by_others(found: &mut Findings, settings: &Settings, subject: &Subject, fd: &PidFd, max: usize, until_ns: u64) {
    let was_stopped = found.threads.iter().flat_map(|it| &it.threads).any(|it| matches!(it.now.state, 'T' | 't'));
    let target = Target { pid: subject.pid, fd, was_stopped };
    let gpu = settings.gpu.iter().map(|words| ("gpu".to_owned(), words.clone()));
    let dumpers = settings.dumpers.iter().enumerate().map(|(i, dumper)| (dumper.name(i + 1), dumper.words()));
    let mut parts = gpu.len() + dumpers.len() + usize::from(settings.faulthandler.is_some());
    let mut until = || {
        let now = clock::monotonic_ns();
        let share = until_ns.saturating_sub(now) / parts.max(1) as u64;
        parts -= 1;
        now + share
    };
    for (name, words) in gpu.chain(dumpers) {
        let dump = dump(&words, target, until());
        let file = format!("{name}.txt");
        found.missing.extend(dump.said.map(|said| format!("{file}: {said}")));
        if let Some(output) = dump.output {
            found.add(file, format!("what {} printed", words[0].display()), &output, max, false);
        }
    }
    let Some(signal) = settings.faulthandler else { return };
    let until = until();
    match traceback::ask(signal, subject.pid, fd, subject.log.as_deref(), MAX_TAIL, until) {
        Ok(traceback::Traceback { bytes, place }) => {
            found.add(
                "traceback.txt".into(),
                format!("what the worker wrote into {place} at signal {signal}"),
                &bytes,
                max,
                false,
            );
        }
        Err(why) => found.missing.push(format!("traceback.txt: {why}")),
    }
}

fn write(found: &Findings, settings: &Settings, subject: &Subject, max: usize) -> io::Result<PathBuf> {
    let folder = Folder::open(&settings.directory)?;
    let time = clock::wall();
    let event = &subject.event;
    let name_at = |n: u32| {
        let time = time + Duration::from_millis(n.into());
        name::bundle(time, &event.segment, event.slot, event.episode)
    };
    // What a killed gathering has left goes first: it may be what fills the disk.
    let _ = folder.tidy();
    let named = write_whole(&folder, found, subject, time, max).and_then(|bundle| bundle.finish(name_at));
    let name = named.map_err(|e| io::Error::new(e.kind(), format!("cannot write to '{}': {e}", settings.directory.display())))?;
    // A bundle that is there is worth more than one whose elders could not be taken away.
    if let Err(e) = folder.rotate(&name, settings.max_bundles, settings.max_bytes) {
        tracing::warn!("cannot take old evidence away from '{}': {e}", settings.directory.display());
    }
    Ok(settings.directory.join(name))
}

fn write_whole<'a>(
    folder: &'a Folder,
    found: &Findings,
    subject: &Subject,
    time: std::time::SystemTime,
    max: usize,
) -> io::Result<super::folder::Unfinished<'a>> {
    let bundle = folder.begin()?;
    for (name, bytes) in found.files(subject, time, max)? {
        bundle.write(&name, &bytes)?;
    }
    Ok(bundle)
}
