//! Workers that a naive watchdog would kill, and `hangwatch run` does not. Each guard has a process that gives no sign of life,
//! or hardly any, for longer than its budget.
//!
//! | guard | here, unless another file is named |
//! |---|---|
//! | the monitor was stopped | `run.rs`: `a_run_that_was_stopped_for_five_budgets_kills_nobody`; the same for `watch` |
//! | the worker was stopped | `run.rs`: `a_worker_that_somebody_stopped_is_told_of_and_never_killed`; the same for `watch` |
//! | the worker is held by a debugger | `a_worker_at_a_debuggers_prompt_…` |
//! | the worker is in a frozen cgroup | `a_worker_in_a_frozen_cgroup_…` |
//! | the worker gets no CPU | `a_worker_beside_eight_busy_loops_…` |
//! | the worker asked for time | `a_cold_compile_of_three_budgets_…` |
//! | a phase that goes on | `a_load_that_advances_…` |
//! | the job became slow | `a_worker_that_becomes_ten_times_slower_…` |
//! | the claiming thread ended, and another one works | `a_worker_that_another_thread_goes_on_with_…` |
//! | the monitor was restarted | `watch.rs`: `a_monitor_that_is_killed_kills_nobody_…` |

mod common;

use common::part::{self, attached, part, pass, playing, say};
use common::{Held, Monitor, Scratch, let_pass, skip, until};
use hangwatch::segment::Segment;
use hangwatch::{Outcome, Phase, Total, Worker};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

/// `run` with a policy of its own, on a worker that plays in `test`.
fn run(scratch: &Scratch, policy: &str, test: &str) -> Monitor {
    let config = scratch.file("policy.yaml", &format!("hangwatch: 1\npoll_interval: 50ms\n{policy}"));
    let worker = playing(test, "worker");
    let words: Vec<&str> = worker.iter().map(String::as_str).collect();
    Monitor::run(&scratch.segment(), &format!("--config {}", config.display()), &words)
}

fn segment(scratch: &Scratch) -> Segment {
    Segment::open_read_only(&scratch.segment()).expect("the segment of the run")
}

/// In a part: a worker with a job open.
fn at_work() -> Worker {
    let mut worker = attached();
    worker.begin_job("guarded", "model", Total::Unknown);
    worker.step(0);
    worker
}

/// A worker that ends by itself with exit code 0 was neither killed nor replaced.
fn ends_by_itself_and_is_left_alone(mut run: Monitor) {
    assert_eq!(run.end(), Some(0), "it did all its work and ended well: {:#?}", run.events);
    assert_eq!(run.kinds(), [""; 0], "nothing is wrong with it, and nothing was done to it: {:#?}", run.events);
}

/// Told of as stopped for two budgets and more, then let go, it is as it was.
fn is_stopped_until_let_go(scratch: &Scratch, mut run: Monitor, let_go: impl FnOnce()) {
    let opened = run.next("opened");
    assert_eq!(opened["verdict"], "stopped", "somebody holds it up on purpose");
    let_pass(&segment(scratch), 2.0);
    let_go();
    let closed = run.next("closed");
    assert_eq!((&closed["episode"], &closed["pid"]), (&opened["episode"], &opened["pid"]), "the same process goes on");
    assert_eq!((run.kinds(), run.acts().len()), (vec!["opened", "closed"], 0), "nothing was done: {:#?}", run.events);
    assert_eq!(run.stop(), Some(0));
    let first = run.acts()[0];
    assert!(first["detail"].to_string().contains("stopping"), "only now is it ended: {first}");
}

#[test]
fn a_worker_at_a_debuggers_prompt_is_told_of_and_never_killed() {
    const TEST: &str = "a_worker_at_a_debuggers_prompt_is_told_of_and_never_killed";
    if part().is_some() {
        part::allow_debuggers();
        part::steps_for_ever(&mut at_work(), 20);
    }
    let scratch = Scratch::new();
    let mut run = run(&scratch, "inference_step_timeout: 1s\n", TEST);
    run.attached(1);
    let segment = segment(&scratch);
    until(|| segment.slot(0).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.done().is_some())));
    let pid = segment.slot(0).expect("its slot").peek_owner().pid();
    let mut gdb = common::command("gdb");
    gdb.args(["-nx", "-q", "-iex", "set debuginfod enabled off", "-iex", "set auto-solib-add off", "-p", &pid.to_string()]);
    let mut gdb = Held::start(gdb.stdin(Stdio::piped()).stderr(Stdio::null()));
    // At the prompt: what it is told before is done after the attach.
    gdb.tell("echo at the prompt\\n");
    gdb.line_with("at the prompt");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the worker lives");
    if status.lines().any(|line| line == "TracerPid:\t0") {
        assert_eq!(run.stop(), Some(0));
        return skip(&format!("{TEST}: gdb may not attach here"));
    }
    is_stopped_until_let_go(&scratch, run, move || {
        gdb.tell("detach");
        gdb.tell("quit");
        gdb.wait();
    });
}

/// A cgroup of version 2 around one process; thawed and gone with this.
struct Cgroup {
    top: PathBuf,
    folder: PathBuf,
    pid: u32,
}

impl Cgroup {
    fn around(pid: u32) -> Result<Self, String> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string())?;
        let top = mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
        let top = PathBuf::from(top.ok_or("no cgroup file system of version 2 is mounted")?);
        let folder = top.join(format!("hangwatch-guard-{pid}"));
        std::fs::create_dir(&folder).map_err(|e| format!("cannot make a cgroup: {e}"))?;
        let cgroup = Self { top, folder, pid };
        cgroup.write("cgroup.procs", &pid.to_string()).map_err(|e| format!("cannot move a process: {e}"))?;
        cgroup.write("cgroup.freeze", "0").map_err(|e| format!("cannot freeze: {e}"))?;
        Ok(cgroup)
    }

    fn write(&self, file: &str, text: &str) -> std::io::Result<()> {
        std::fs::write(self.folder.join(file), text)
    }

    fn freeze(&self) {
        self.write("cgroup.freeze", "1").expect("tried before");
    }

    fn thaw(&self) {
        self.write("cgroup.freeze", "0").expect("tried before");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = self.write("cgroup.freeze", "0");
        // It may have ended, and then it is in no cgroup.
        let _ = std::fs::write(self.top.join("cgroup.procs"), self.pid.to_string());
        let _ = std::fs::remove_dir(&self.folder);
    }
}

#[test]
fn a_worker_in_a_frozen_cgroup_is_told_of_and_never_killed() {
    const TEST: &str = "a_worker_in_a_frozen_cgroup_is_told_of_and_never_killed";
    if part().is_some() {
        part::steps_for_ever(&mut at_work(), 20);
    }
    let scratch = Scratch::new();
    let mut run = run(&scratch, "inference_step_timeout: 1s\n", TEST);
    run.attached(1);
    let pid = segment(&scratch).slot(0).expect("its slot").peek_owner().pid();
    let cgroup = match Cgroup::around(pid) {
        Ok(cgroup) => cgroup,
        Err(why) => {
            assert_eq!(run.stop(), Some(0));
            return skip(&format!("{TEST}: {why}"));
        }
    };
    cgroup.freeze();
    is_stopped_until_let_go(&scratch, run, || cgroup.thaw());
}

#[test]
fn a_worker_beside_eight_busy_loops_on_its_cpu_is_at_most_starved() {
    const TEST: &str = "a_worker_beside_eight_busy_loops_on_its_cpu_is_at_most_starved";
    match part().as_deref() {
        None => {}
        Some("loop") => {
            part::die_with_the_test();
            part::share_one_cpu();
            say("spins");
            loop {
                std::hint::spin_loop();
            }
        }
        Some(_) => {
            part::share_one_cpu();
            let mut worker = at_work();
            for done in 1..=3 {
                let took = part::compute(250);
                worker.step(done);
                say(format_args!("step of {}", took.as_millis()));
            }
            return worker.end_job(Outcome::Ok);
        }
    }
    let spins = || {
        // Each in a session of its own, as the worker is: sessions may share the CPU and not the processes in them.
        let mut held = Held::start(common::command("setsid").args(playing(TEST, "loop")));
        held.line_with("spins");
        held
    };
    let _loops: Vec<Held> = (0..8).map(|_| spins()).collect();
    let scratch = Scratch::new();
    let mut run = run(&scratch, "inference_step_timeout: 1s\n", TEST);
    assert_eq!(run.end(), Some(0), "it did all its work and ended well: {:#?}", run.events);
    let longest = run.lines.iter().filter_map(|line| line.strip_prefix("step of ")?.parse::<u64>().ok()).max();
    assert!(longest.is_some_and(|ms| ms > 1000), "the budget is spent by a quarter of a second's work: {longest:?} ms");
    assert_eq!(run.kinds(), [""; 0], "nothing was done to it: {:#?}", run.events);
    assert!(run.starved.iter().any(|event| event["event"] == "opened"), "it is told why");
}

#[test]
fn a_cold_compile_of_three_budgets_under_a_lease_is_left_alone() {
    const TEST: &str = "a_cold_compile_of_three_budgets_under_a_lease_is_left_alone";
    if part().is_some() {
        let mut worker = at_work();
        worker.extend(Duration::from_secs(60));
        pass(3000);
        worker.step(1);
        return worker.end_job(Outcome::Ok);
    }
    let scratch = Scratch::new();
    let run = run(&scratch, "inference_step_timeout: 1s\n", TEST);
    ends_by_itself_and_is_left_alone(run);
}

#[test]
fn a_load_that_advances_by_one_unit_in_four_fifths_of_its_budget_is_left_alone_for_twenty_budgets() {
    const TEST: &str = "a_load_that_advances_by_one_unit_in_four_fifths_of_its_budget_is_left_alone_for_twenty_budgets";
    if part().is_some() {
        let mut worker = attached();
        worker.phase_total(Phase::Loading, Total::Known(25));
        for unit in 0..=25 {
            worker.step(unit);
            pass(800);
        }
        return;
    }
    let scratch = Scratch::new();
    let run = run(&scratch, "loading_timeout: 1s\n", TEST);
    ends_by_itself_and_is_left_alone(run);
}

#[test]
fn a_worker_that_becomes_ten_times_slower_is_told_of_as_slow_and_never_killed() {
    const TEST: &str = "a_worker_that_becomes_ten_times_slower_is_told_of_as_slow_and_never_killed";
    if part().is_some() {
        let mut worker = attached();
        for (job, steps, step_ms) in [("first", 40, 50), ("second", 40, 50), ("third", 40, 50), ("slow", 20, 500)] {
            worker.begin_job(job, "model", Total::Known(40));
            for done in 0..=steps {
                worker.step(done);
                pass(step_ms);
            }
            worker.end_job(Outcome::Ok);
        }
        return;
    }
    let scratch = Scratch::new();
    let mut run = run(&scratch, "inference_step_timeout: 3s\n", TEST);
    assert_eq!(run.end(), Some(0), "it did all its work and ended well: {:#?}", run.events);
    let told: Vec<_> = run.of_kind("opened").iter().map(|event| (&event["verdict"], &event["job"])).collect();
    assert_eq!(told, [(&"slow".into(), &"slow".into())], "the one job that is slow is called so");
    assert!(run.acts().is_empty(), "nothing was done to it: {:#?}", run.events);
}

#[test]
fn a_worker_that_another_thread_goes_on_with_is_at_most_warned_of() {
    const TEST: &str = "a_worker_that_another_thread_goes_on_with_is_at_most_warned_of";
    if part().is_some() {
        let mut worker = std::thread::spawn(at_work).join().expect("it claims, and ends");
        for done in 1.. {
            pass(700);
            worker.step(done);
        }
    }
    let scratch = Scratch::new();
    let mut run = run(&scratch, "inference_step_timeout: 1s\n", TEST);
    // From half a budget after each step up to the next one.
    for _ in 0..3 {
        assert_eq!(run.next("opened")["verdict"], "thread_gone", "{:#?}", run.events);
    }
    assert!(run.acts().is_empty(), "nothing was done to it: {:#?}", run.events);
    run.stop();
}
