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

/// A promise: what is measured, against what, and how far from it it may be.
struct Promise {
    what: &'static str,
    of: &'static str,
    floor: &'static str,
    limit: Limit,
}

enum Limit {
    /// The floor times this.
    Times(f64),
    /// The floor and this many ns.
    Plus(f64),
    /// This many ns, whatever the floor.
    Ns(f64),
    /// The floor times as much as the first of these is of the second.
    TimesAs(&'static str, &'static str),
}

const fn promise(what: &'static str, of: &'static str, limit: Limit, floor: &'static str) -> Promise {
    Promise { what, of, floor, limit }
}

const fn times(what: &'static str, of: &'static str, times: f64, floor: &'static str) -> Promise {
    promise(what, of, Limit::Times(times), floor)
}

const fn linked(what: &'static str, of: &'static str, inline: &'static str) -> Promise {
    promise(what, of, Limit::Plus(2.0), inline)
}

/// A slot of many against a slot of 10 000: it may grow as reading alone does where the slots outgrow the caches.
const FLAT: Limit = Limit::TimesAs("scan_floor_line_warm/100000", "scan_floor_line_warm/10000");

const PROMISES: [Promise; 12] = [
    times("step, unstamped, Rust", "rust_step/unstamped", 1.5, "floor/stores_and_branch"),
    times("step, unstamped, inline C", "c_inline_step/unstamped", 1.5, "floor/stores_and_branch"),
    times("step, unstamped, inline C++", "cpp_inline_step/unstamped", 1.5, "floor/stores_and_branch"),
    times("step, unstamped, header-only C", "c_header_only_step/unstamped", 1.5, "floor/stores_and_branch"),
    times("step, stamped, Rust", "rust_step/stamped", 1.2, "floor/stores_and_coarse_clock"),
    times("step, stamped, inline C", "c_inline_step/stamped", 1.2, "floor/stores_and_coarse_clock"),
    times("step, stamped, inline C++", "cpp_inline_step/stamped", 1.2, "floor/stores_and_coarse_clock"),
    times("step, stamped, header-only C", "c_header_only_step/stamped", 1.2, "floor/stores_and_coarse_clock"),
    linked("step, unstamped, shared library", "c_linked_step/unstamped", "c_inline_step/unstamped"),
    linked("step, stamped, shared library", "c_linked_step/stamped", "c_inline_step/stamped"),
    promise("a quiet slot of 10 000, scanned and judged", "scan_quiet_warm/10000", Limit::Ns(25.0), "scan_floor_line_warm/10000"),
    promise("a quiet slot of 100 000, the same", "scan_quiet_warm/100000", FLAT, "scan_quiet_warm/10000"),
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

const INTRODUCTION: &str = "\
Medians, in nanoseconds for one call or, of a scan, one slot. Every sample is in `raw.csv`, medians with their 95 % intervals
in `estimates.csv`. Floors, peers and reports were measured in this order in one process; in another the scans, each size
beside its own floors; on a machine that also did other things: figures move by some percent from run to run.

";

fn readme(figures: &Figures) -> io::Result<String> {
    let ns = |name: &str| {
        let found = figures.get(name).map(|figure| figure.median[0]);
        found.ok_or_else(|| io::Error::other(format!("'{name}' was not measured")))
    };
    let mut text = String::from("# A run of the bench\n\n");
    let _ = writeln!(text, "{}\n", machine()?);
    text.push_str(INTRODUCTION);
    text.push_str("## Promises\n\n| promise | ns | against | ns | limit | measured | |\n|---|---|---|---|---|---|---|\n");
    for promise in &PROMISES {
        let (of, floor) = (ns(promise.of)?, ns(promise.floor)?);
        let (most, limit, measured) = match promise.limit {
            Limit::Times(times) => (times * floor, format!("× {times}"), format!("× {:.2}", of / floor)),
            Limit::Plus(plus) => (floor + plus, format!("+ {plus} ns"), format!("+ {:.2} ns", of - floor)),
            Limit::Ns(most) => (most, format!("{most} ns"), format!("× {:.2}", of / floor)),
            Limit::TimesAs(this, of_that) => {
                let times = ns(this)? / ns(of_that)?;
                (times * floor, format!("× {times:.2}, as `{this}`"), format!("× {:.2}", of / floor))
            }
        };
        let kept = if of <= most { "kept" } else { "missed" };
        let (what, against) = (promise.what, promise.floor);
        let _ = writeln!(text, "| {what} | {of:.2} | `{against}` | {floor:.2} | {limit} | {measured} | {kept} |");
    }
    text.push_str("\n## All figures\n\n| benchmark | ns | × `rust_step/stamped` |\n|---|---|---|\n");
    let stamped = ns("rust_step/stamped")?;
    for (name, figure) in figures.iter().filter(|(name, _)| !name.starts_with("scan_")) {
        let _ = writeln!(text, "| `{name}` | {:.2} | {:.2} |", figure.median[0], figure.median[0] / stamped);
    }
    text.push_str(&scans(ns)?);
    Ok(text)
}

/// The scans, a row for each and a column for each number of slots.
fn scans(ns: impl Fn(&str) -> io::Result<f64>) -> io::Result<String> {
    let sizes = [64, 1_000, 10_000, 100_000];
    let mut text = String::from("\n## A slot of one poll, by the number of slots\n\n| ns a slot |");
    sizes.iter().for_each(|size| {
        let _ = write!(text, " {size} |");
    });
    text.push_str("\n|---|---|---|---|---|\n");
    for caches in ["warm", "cold"] {
        for what in ["floor_word", "floor_line", "quiet", "active"] {
            let _ = write!(text, "| `scan_{what}_{caches}` |");
            for size in sizes {
                let _ = write!(text, " {:.1} |", ns(&format!("scan_{what}_{caches}/{size}"))?);
            }
            text.push('\n');
        }
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
    let cache = fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index3/size").unwrap_or_else(|_| "unknown".into());
    let cache = cache.trim();
    Ok(format!(
        "{model}, {cores} cores{virtual_machine}, last-level cache {cache}; Linux {kernel}; {rustc}; {gcc}; gcc -O2, cargo's bench profile."
    ))
}

#[expect(clippy::disallowed_methods, reason = "a compiler that is asked its version ends by itself")]
fn version(program: &str) -> io::Result<String> {
    let out = Command::new(program).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_string())
}
