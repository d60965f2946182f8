//! A host program that watches its own worker: the monitor is a thread of it, verdicts come by callback, and dropping it
//! leaves no thread and no descriptor behind, which this program checks at its end.
//!
//! ```text
//! cargo run --example embedded_monitor
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to its terminal")]

use hangwatch::monitor::Monitor;
use hangwatch::policy::Policy;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::tell::{Event, EventKind};
use hangwatch::{Attach, Outcome, Total};
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{fs, io, thread};

/// A worker that hangs is told of; the host decides what to do about it.
fn watch_a_worker_that_hangs(path: &str) -> Result<Event, Box<dyn Error>> {
    let segment = Arc::new(Segment::open_or_create(path.as_ref(), Geometry::default())?);
    let policy = Policy {
        poll_interval: Duration::from_millis(50),
        heartbeat_timeout: Duration::from_millis(500),
        progress_timeout: Duration::from_millis(500),
        ..Policy::default()
    };
    let (tell, events) = mpsc::channel();
    let monitor = Monitor::builder(Arc::clone(&segment))
        .policy(policy)
        // Called on a thread of the monitor's own: it may be slow, the scan does not wait for it.
        .on_event(move |event| drop(tell.send(event.clone())))
        .spawn()?;

    let (release, hang) = mpsc::channel::<()>();
    let mut worker = Attach::new().name("embedded").attach_to(&segment)?;
    let at_work = thread::spawn(move || {
        worker.begin_job("a1b2c3d4", "stable_diffusion_xl", Total::Known(4));
        worker.step(1);
        // Hangs at 25 %, until the host lets go of it.
        let _ = hang.recv();
        worker.end_job(Outcome::Failed);
    });

    let opened = events.iter().find(|event| event.event == EventKind::Opened).ok_or("the monitor ended")?;
    drop(release);
    at_work.join().map_err(|_| "the worker panicked")?;
    drop(monitor);
    segment.unlink()?;
    Ok(opened)
}

fn entries(dir: &str) -> io::Result<Vec<String>> {
    let mut names: Vec<String> =
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Descriptors, and threads; a thread that was joined may stand in /proc a moment longer, so it is waited for.
fn left_behind(threads: &[String], descriptors: &[String]) -> io::Result<Option<String>> {
    let now = entries("/proc/self/fd")?;
    if now.len() != descriptors.len() {
        return Ok(Some(format!("descriptors {descriptors:?} before, {now:?} after")));
    }
    let mut now = Vec::new();
    for _ in 0..1000 {
        now = entries("/proc/self/task")?;
        if now.len() <= threads.len() {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(Some(format!("threads {threads:?} before, {now:?} after")))
}

fn run() -> Result<(), Box<dyn Error>> {
    let (threads, descriptors) = (entries("/proc/self/task")?, entries("/proc/self/fd")?);
    let path = std::env::temp_dir().join(format!("hangwatch-embedded-{}", std::process::id()));
    let opened = watch_a_worker_that_hangs(&path.to_string_lossy())?;
    println!("{}", opened.sentence());
    match left_behind(&threads, &descriptors)? {
        Some(what) => Err(format!("the monitor left something behind: {what}").into()),
        None => {
            println!("no thread and no descriptor is left");
            Ok(())
        }
    }
}

pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("embedded_monitor: {e}");
            ExitCode::FAILURE
        }
    }
}
