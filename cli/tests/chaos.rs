//! I10, I18, I19: workers that hang, die, are stopped, are slow and lie at random, a minute long, or ten with `TRIALS=full`, and
//! an oracle that knows from their own journals which of them were truly hung: no false kill, no missed hang, no orphan.

mod common;
#[path = "chaos/journal.rs"]
mod journal;
#[path = "chaos/oracle.rs"]
mod oracle;
#[path = "chaos/script.rs"]
mod script;
#[path = "chaos/worker.rs"]
mod worker;
#[path = "chaos/world.rs"]
mod world;

use common::part::{part, playing};
use common::{Held, Scratch, clock, hangwatch, trial};
use hangwatch::clock::monotonic_ns;
use oracle::Summary;
use script::{INFERENCE, LOADING, MAX_LEASE, STARTING};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use world::World;

const POLL: Duration = Duration::from_millis(100);

fn policy(scratch: &Scratch) -> PathBuf {
    let policy = format!(
        "hangwatch: 1\npoll_interval: {}ms\ninference_step_timeout: {INFERENCE}ms\nloading_timeout: {LOADING}ms\n\
         starting_timeout: {STARTING}ms\nmax_lease: {MAX_LEASE}ms\ngrace: 300ms\nbackoff: 10ms\nbackoff_max: 50ms\n\
         max_restarts: 1000000\nadaptive: off\n# All of them may hang at once here, and the host is not to blame.\n\
         max_kills: 1000\nmax_kills_window: 1s\nstorm_restarts: 1000000\nmax_model_hangs: 0\n",
        POLL.as_millis()
    );
    scratch.file("policy.yaml", &policy)
}

fn monitor(command: &str, scratch: &Scratch) -> Command {
    let mut monitor = hangwatch();
    monitor.args([command, "--events"]).arg(scratch.path().join("events")).arg("--segment").arg(scratch.segment());
    monitor.arg("--config").arg(policy(scratch)).env("HANGWATCH_LOG", "error");
    monitor
}

fn words(test: &str, scratch: &Scratch, seed: u64, children: bool, replica: &str) -> Vec<String> {
    playing(test, &format!("{}|{seed}|{children}|{replica}", scratch.path().display()))
}

/// What there was, what was found, and how late.
fn tell(test: &str, world: &World, summary: &Summary) {
    let lives = &world.trial.lives;
    let mut acts = std::collections::BTreeMap::new();
    lives.iter().flat_map(|life| &life.acts).for_each(|act| *acts.entry(act.as_str()).or_insert(0) += 1);
    let count = |kind: &str| world.told.iter().filter(|event| event["event"] == kind).count();
    trial::tell(format_args!("{test}: {} lives, {acts:?}", lives.len()));
    let exits = lives.iter().filter(|life| life.exited.is_some()).count();
    let kills = lives.iter().filter(|life| life.killed.is_some()).count();
    let late = lives.iter().map(|life| life.late).max().unwrap_or(0);
    trial::tell(format_args!(
        "{kills} killed by the test, {exits} exited; told: {} actions, {} replaced, {} lost jobs, {} gaps; the latest healthy step {late} ms",
        count("action"),
        count("replaced"),
        count("lost_job"),
        count("monitor_gap")
    ));
    for (verdict, delays) in &summary.delays {
        let mut sorted = delays.clone();
        sorted.sort_unstable();
        let at = |part: usize| sorted[(sorted.len() - 1) * part / 100];
        trial::tell(format_args!(
            "{} {verdict}: ms past the budget: {} / {} / {} (p50, p90, most)",
            sorted.len(),
            at(50),
            at(90),
            at(100)
        ));
    }
    trial::tell(format_args!("{} hangs undecided, {} told late for want of CPU", summary.undecided, summary.starved));
}

fn judge(test: &str, seed: u64, world: &mut World, replicas: usize) {
    world.close();
    let summary = world.trial.judge();
    tell(test, world, &summary);
    assert!(summary.wrong.is_empty(), "TRIAL_SEED={seed}: {:#?}", summary.wrong);
    let found: usize = summary.delays.values().map(Vec::len).sum();
    assert!(found > replicas / 2, "a trial without hangs proves nothing: {found}");
}

#[test]
fn a_run_in_chaos_kills_nobody_falsely_misses_no_hang_and_leaves_no_orphan() {
    const TEST: &str = "a_run_in_chaos_kills_nobody_falsely_misses_no_hang_and_leaves_no_orphan";
    if let Some(part) = part() {
        worker::play(&part);
    }
    let (seed, seconds) = (trial::seed(TEST), trial::size(60, 600));
    const REPLICAS: usize = 7;
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut world = World::new(scratch.path(), REPLICAS as u64, seed, POLL, "action");
    let mut command = monitor("run", &scratch);
    command.args(["--replicas", &REPLICAS.to_string(), "--"]).args(words(TEST, &scratch, seed, true, "{i}"));
    let mut run = Held::quiet(&mut command, true);
    while clock(&segment) < seconds as f64 {
        world.turn(&segment);
        assert!(run.is_alive(), "the monitor lives through it all");
    }
    let zombies = world.zombies(run.pid());
    world.trial.ended = monotonic_ns();
    run.signal(libc::SIGTERM);
    assert_eq!(run.wait().code(), Some(0), "a stop is no failure");
    world.close();
    let orphans = world.orphans();
    judge(TEST, seed, &mut world, REPLICAS);
    assert!(orphans.is_empty(), "TRIAL_SEED={seed}: they go on: {orphans:#?}");
    assert!(zombies.len() <= REPLICAS, "at most those that died just now are not reaped yet: {zombies:?}");
    let replaced = world.told.iter().filter(|event| event["event"] == "replaced");
    let mut replaced: Vec<_> = replaced.map(|event| event["pid"].as_u64().expect("a new process")).collect();
    for life in world.trial.lives.iter().filter(|life| life.number > 0 && life.pid > 0) {
        let at = replaced.iter().position(|pid| *pid == u64::from(life.pid));
        replaced.swap_remove(at.unwrap_or_else(|| panic!("each death is noticed, and its successor is told of: {life:?}")));
    }
    assert!(replaced.len() <= REPLICAS, "those that were ended before they wrote a line, and no more: {replaced:?}");
}

#[test]
fn a_watch_in_chaos_ends_nobody_falsely_and_misses_no_hang() {
    const TEST: &str = "a_watch_in_chaos_ends_nobody_falsely_and_misses_no_hang";
    if let Some(part) = part() {
        worker::play(&part);
    }
    let (seed, seconds) = (trial::seed(TEST), trial::size(40, 600));
    const REPLICAS: usize = 6;
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut world = World::new(scratch.path(), REPLICAS as u64, seed, POLL, "action");
    let mut command = monitor("watch", &scratch);
    let mut watch = Held::quiet(command.args(["--mode", "act"]), true);
    let spawn = |replica: usize| {
        let words = words(TEST, &scratch, seed, false, &replica.to_string());
        let mut command = common::command(&words[0]);
        Held::quiet(command.args(&words[1..]).env("HANGWATCH_SEGMENT", scratch.segment()), false)
    };
    let mut workers: Vec<Held> = (0..REPLICAS).map(spawn).collect();
    while clock(&segment) < seconds as f64 {
        world.turn(&segment);
        assert!(watch.is_alive(), "the monitor lives through it all");
        // Whoever spawned them starts them again.
        for (replica, worker) in workers.iter_mut().enumerate() {
            if !worker.is_alive() {
                *worker = spawn(replica);
            }
        }
    }
    world.trial.ended = monotonic_ns();
    watch.signal(libc::SIGTERM);
    assert_eq!(watch.wait().code(), Some(0), "a stop is no failure");
    for worker in &mut workers {
        worker.signal(libc::SIGKILL);
        worker.wait();
    }
    judge(TEST, seed, &mut world, REPLICAS);
    let orphans = world.orphans();
    assert!(orphans.is_empty(), "all that the test spawned is gone: {orphans:#?}");
}
