//! A gathering's findings, as the files of its bundle.

use super::cause::Cause;
use super::gatherer::{Moment, Subject};
use super::log::plain;
use super::name::rfc3339;
use super::threads::{Thread, Threads};
use crate::tell::Event;
use crate::tell::text::{age, escaped, progress};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::time::SystemTime;

/// Version of `evidence.json`; a field is added under the same number, never removed or given another meaning.
const SCHEMA_VERSION: u32 = 1;
/// Observations that the summary shows; all are in the JSON.
const SHOWN: usize = 16;
/// Observations that are kept.
const MAX_HISTORY: usize = 1024;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) cause: Option<Cause>,
    pub(super) threads: Option<Threads>,
    pub(super) status: BTreeMap<String, String>,
    pub(super) process: BTreeMap<&'static str, String>,
    pub(super) cgroup: BTreeMap<&'static str, String>,
    pub(super) machine: BTreeMap<&'static str, String>,
    /// Texts by the name of their file, with a word of what they are.
    pub(super) texts: Vec<(String, String, Vec<u8>)>,
    /// What was not gathered, and why.
    pub(super) missing: Vec<String>,
}

#[derive(Serialize)]
struct Told<'a> {
    time: String,
    sentence: String,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    hangwatch: &'static str,
    time: String,
    event: Told<'a>,
    verdict: &'static str,
    pid: u32,
    claiming_tid: Option<u32>,
    cause: Option<&'a Cause>,
    between_samples_ms: Option<u64>,
    threads: &'a [Thread],
    threads_left_out: usize,
    process_status: &'a BTreeMap<String, String>,
    process: &'a BTreeMap<&'static str, String>,
    cgroup: &'a BTreeMap<&'static str, String>,
    machine: &'a BTreeMap<&'static str, String>,
    history: &'a [Moment],
    files: Vec<&'a str>,
    missing: &'a [String],
}

/// A name and its bytes.
pub(super) type File = (String, Vec<u8>);

impl Findings {
    /// Adds a text of others, from its beginning or from its end, in at most `max` bytes.
    pub(super) fn add(&mut self, name: String, what: String, bytes: &[u8], max: usize, keep_end: bool) {
        let mut kept = plain(bytes);
        if keep_end {
            let mut from = kept.len().saturating_sub(max);
            while !kept.is_char_boundary(from) {
                from += 1;
            }
            kept.drain(..from);
        } else {
            let mut to = kept.len().min(max);
            while !kept.is_char_boundary(to) {
                to -= 1;
            }
            kept.truncate(to);
        }
        self.texts.push((name, what, kept.into_bytes()));
    }

    /// All files, in at most `max` bytes: threads beyond that are left out, and then the older observations.
    pub(super) fn files(&self, subject: &Subject, time: SystemTime, max: usize) -> io::Result<Vec<File>> {
        let mut files: Vec<File> = self.texts.iter().map(|(name, _, bytes)| (name.clone(), bytes.clone())).collect();
        let all = self.threads.as_ref().map_or(0, |it| it.threads.len());
        let texts: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let (mut count, mut moments) = (all, subject.history.len().min(MAX_HISTORY));
        loop {
            let history = &subject.history[subject.history.len() - moments..];
            let json = self.json(subject, time, count, history)?;
            let threads = self.threads_text(count);
            let summary = self.summary(subject, time, all - count, history).into_bytes();
            if texts + json.len() + threads.len() + summary.len() <= max || count + moments == 0 {
                files.push(("evidence.json".into(), json));
                files.push(("summary.txt".into(), summary));
                files.extend((!threads.is_empty()).then(|| ("threads.txt".into(), threads.into_bytes())));
                return Ok(files);
            }
            if count > 0 { count /= 2 } else { moments /= 2 }
        }
    }

    fn json(&self, subject: &Subject, time: SystemTime, count: usize, history: &[Moment]) -> io::Result<Vec<u8>> {
        let threads = self.threads.as_ref().map_or(&[][..], |it| &it.threads);
        let names = self.texts.iter().map(|(name, ..)| name.as_str());
        let document = Document {
            schema_version: SCHEMA_VERSION,
            hangwatch: env!("CARGO_PKG_VERSION"),
            time: rfc3339(time),
            event: Told { time: rfc3339(subject.event.time), sentence: subject.event.sentence(), event: &subject.event },
            verdict: subject.verdict.name(),
            pid: subject.pid,
            claiming_tid: (subject.tid != 0).then_some(subject.tid),
            cause: self.cause.as_ref(),
            between_samples_ms: self.threads.as_ref().map(|it| it.between_ns / 1_000_000),
            threads: &threads[..count],
            threads_left_out: threads.len() - count + self.threads.as_ref().map_or(0, |it| it.left_out),
            process_status: &self.status,
            process: &self.process,
            cgroup: &self.cgroup,
            machine: &self.machine,
            history,
            files: names.chain(["summary.txt", "threads.txt"].into_iter().take(1 + usize::from(count > 0))).collect(),
            missing: &self.missing,
        };
        Ok(serde_json::to_vec_pretty(&document)?)
    }

    fn summary(&self, subject: &Subject, time: SystemTime, left_out: usize, history: &[Moment]) -> String {
        let mut out = String::new();
        let mut line = |line: std::fmt::Arguments<'_>| {
            let _ = out.write_fmt(line);
            out.push('\n');
        };
        let event = &subject.event;
        line(format_args!("{}", event.sentence()));
        match &self.cause {
            Some(cause) => line(format_args!("cause: {cause}")),
            None => line(format_args!("cause: not known")),
        }
        line(format_args!("\nverdict   {}", subject.verdict));
        line(format_args!("segment   {}", escaped(&event.segment)));
        line(format_args!("process   {}", subject.pid));
        line(format_args!("opened    {}", rfc3339(event.time)));
        line(format_args!("gathered  {}", rfc3339(time)));
        line(format_args!("\ngathered:"));
        if let Some(threads) = &self.threads {
            line(format_args!("  threads.txt: {} threads", threads.threads.len() - left_out));
        }
        for (name, what, bytes) in &self.texts {
            line(format_args!("  {name}: {what}, {} bytes", bytes.len()));
        }
        line(format_args!("  evidence.json: all that was read here, for programs"));
        let left_out = left_out + self.threads.as_ref().map_or(0, |it| it.left_out);
        if left_out > 0 || !self.missing.is_empty() {
            line(format_args!("\nnot gathered:"));
        }
        if left_out > 0 {
            line(format_args!("  {left_out} threads more"));
        }
        for missing in &self.missing {
            line(format_args!("  {missing}"));
        }
        let shown = &history[history.len().saturating_sub(SHOWN)..];
        if !shown.is_empty() {
            line(format_args!("\nlast observations (the monitor's clock):"));
        }
        for it in shown {
            let job = it.job.map_or_else(|| "no job".into(), |job| format!("job #{job}"));
            let done = progress(it.done, it.total).unwrap_or_else(|| "nothing done".into());
            let (at, phase) = (age(it.at_s), escaped(&it.phase));
            line(format_args!(
                "  {at}  beat {}, alive {}, {phase}, {job}, {done}, pass {}, {} falls",
                it.beat, it.alive, it.pass, it.falls
            ));
        }
        out
    }

    fn threads_text(&self, count: usize) -> String {
        let Some(threads) = &self.threads else { return String::new() };
        let mut out = String::new();
        for Thread { claimed, first_state, now, grew } in &threads.threads[..count] {
            let role = if *claimed {
                ", claimed the slot"
            } else if now.tid == threads.pid {
                ", the first"
            } else {
                ""
            };
            let ms = |ns: u64| ns / 1_000_000;
            let delay = grew.run_delay_ns.map_or_else(|| "?".into(), |ns| ms(ns).to_string());
            let _ = writeln!(out, "thread {} ({}){role}", now.tid, now.name);
            let _ = writeln!(
                out,
                "  state {first_state} -> {}, {} ms of CPU time in {} ms, {delay} ms waiting for a CPU, {} + {} switches",
                now.state,
                ms(grew.cpu_ns),
                ms(threads.between_ns),
                grew.voluntary_switches,
                grew.involuntary_switches
            );
            let _ = writeln!(out, "  wchan {}", now.wchan.as_deref().unwrap_or("not told"));
            let _ = writeln!(out, "  syscall {}", now.syscall.as_deref().unwrap_or("not told"));
            for frame in now.stack.iter().flat_map(|stack| stack.lines()) {
                let _ = writeln!(out, "    {frame}");
            }
        }
        out
    }
}
