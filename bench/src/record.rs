//! Keeps the last run of the bench in a folder: `raw.csv`, `estimates.csv`, and a README with the machine, the figures and
//! the promises. `cargo run -p hangwatch-bench --bin record -- bench/runs/DATE-CPU`, after `cargo bench -p hangwatch-bench`.
#![allow(clippy::print_stderr, reason = "a program speaks to its terminal")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{fs, io};

/// One benchmark: the median with its 95 % interval, and every sample as (iterations, ns).
struct Figure {
    median: [f64; 3],
    samples: Vec<(f64, f64)>,
}

type Figures = BTreeMap<String, Figure>;

/// A promise: what is measured, against what, times what, plus what, in ns.
struct Promise {
    what: &'static str,
    of: &'static str,
    floor: &'static str,
    times: f64,
    plus: f64,
}

const fn times(what: &'static str, of: &'static str, times: f64, floor: &'static str) -> Promise {
    Promise { what, of, floor, times, plus: 0.0 }
}

const fn linked(what: &'static str, of: &'static str, inline: &'static str) -> Promise {
    Promise { what, of, floor: inline, times: 1.0, plus: 2.0 }
}

const PROMISES: [Promise; 6] = [
    times("step, unstamped, Rust", "rust_step/unstamped", 1.5, "floor/stores_and_branch"),
    times("step, unstamped, inline C", "c_inline_step/unstamped", 1.5, "floor/stores_and_branch"),
    times("step, stamped, Rust", "rust_step/stamped", 1.2, "floor/stores_and_coarse_clock"),
    times("step, stamped, inline C", "c_inline_step/stamped", 1.2, "floor/stores_and_coarse_clock"),
    linked("step, unstamped, shared library", "c_linked_step/unstamped", "c_inline_step/unstamped"),
    linked("step, stamped, shared library", "c_linked_step/stamped", "c_inline_step/stamped"),
];

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: record FOLDER");
        return ExitCode::from(2);
    };
    match record(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("cannot record the run in '{}': {why}", folder.display());
            eprintln!("  run 'cargo bench -p hangwatch-bench' first, in full");
            ExitCode::FAILURE
        }
    }
}

fn record(folder: &Path) -> io::Result<()> {
    let figures = figures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/criterion"))?;
    let readme = readme(&figures)?;
    fs::create_dir_all(folder)?;
    let (mut raw, mut estimates) = (String::from("benchmark,iterations,ns\n"), String::from("benchmark,median_ns,low,high\n"));
    for (name, figure) in &figures {
        for (iterations, ns) in &figure.samples {
            let _ = writeln!(raw, "{name},{iterations},{ns}");
        }
        let [median, low, high] = figure.median;
        let _ = writeln!(estimates, "{name},{median:.4},{low:.4},{high:.4}");
    }
    fs::write(folder.join("raw.csv"), raw)?;
    fs::write(folder.join("estimates.csv"), estimates)?;
    fs::write(folder.join("README.md"), readme)
}

/// What criterion left, by `group/name`.
fn figures(criterion: &Path) -> io::Result<Figures> {
    let mut figures = Figures::new();
    for group in fs::read_dir(criterion)? {
        for name in fs::read_dir(group?.path())? {
            let path = name?.path();
            let (estimates, samples) = (path.join("new/estimates.json"), path.join("new/sample.json"));
            let Ok(name) = path.strip_prefix(criterion) else { continue };
            // Criterion's HTML reports stand beside the figures.
            if estimates.exists() {
                figures.insert(name.display().to_string(), figure(&json(&estimates)?, &json(&samples)?));
            }
        }
    }
    Ok(figures)
}

fn json(path: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn figure(estimates: &Value, samples: &Value) -> Figure {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let list = |name: &str| samples[name].as_array().into_iter().flatten().map(number).collect::<Vec<_>>();
    let median = &estimates["median"];
    let interval = &median["confidence_interval"];
    Figure {
        median: [&median["point_estimate"], &interval["lower_bound"], &interval["upper_bound"]].map(number),
        samples: list("iters").into_iter().zip(list("times")).collect(),
    }
}

fn readme(figures: &Figures) -> io::Result<String> {
    let ns = |name: &str| {
        let found = figures.get(name).map(|figure| figure.median[0]);
        found.ok_or_else(|| io::Error::other(format!("'{name}' was not measured")))
    };
    let mut text = String::from("# A run of the bench\n\n");
    let _ = writeln!(text, "{}\n", machine()?);
    text.push_str("Medians, in nanoseconds for one call. Every sample is in `raw.csv`, medians with their 95 % intervals in\n");
    text.push_str(
        "`estimates.csv`. Floors, peers and reports were measured in this order, in one process, on one machine that\n",
    );
    text.push_str("also did other things; figures move by some percent from run to run.\n\n");
    text.push_str("## Promises\n\n| promise | ns | against | ns | limit | measured | |\n|---|---|---|---|---|---|---|\n");
    for promise in &PROMISES {
        let (of, floor) = (ns(promise.of)?, ns(promise.floor)?);
        let kept = if of <= promise.times * floor + promise.plus { "kept" } else { "missed" };
        let (limit, measured) = if promise.plus > 0.0 {
            (format!("+ {} ns", promise.plus), format!("+ {:.2} ns", of - floor))
        } else {
            (format!("× {}", promise.times), format!("× {:.2}", of / floor))
        };
        let (what, against) = (promise.what, promise.floor);
        let _ = writeln!(text, "| {what} | {of:.2} | `{against}` | {floor:.2} | {limit} | {measured} | {kept} |");
    }
    text.push_str("\n## All figures\n\n| benchmark | ns | × `rust_step/stamped` |\n|---|---|---|\n");
    let stamped = ns("rust_step/stamped")?;
    for (name, figure) in figures {
        let _ = writeln!(text, "| `{name}` | {:.2} | {:.2} |", figure.median[0], figure.median[0] / stamped);
    }
    Ok(text)
}

/// The machine in a sentence, by what it is and not by its name.
fn machine() -> io::Result<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |(_, m)| m);
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    // What follows the number is whoever built it.
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    let virtual_machine = if cpuinfo.contains(" hypervisor") { ", a virtual machine" } else { "" };
    let (rustc, gcc) = (version("rustc")?, version("gcc")?);
    Ok(format!("{model}, {cores} cores{virtual_machine}; Linux {kernel}; {rustc}; {gcc}; gcc -O2, cargo's bench profile."))
}

#[expect(clippy::disallowed_methods, reason = "a compiler that is asked its version ends by itself")]
fn version(program: &str) -> io::Result<String> {
    let out = Command::new(program).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_string())
}
