//! `hangwatch run` that is killed, and its successor.

mod common;

use common::{Monitor, Scratch, c_worker, clock, has_ended, let_pass, status, until};
use hangwatch::layout::word::Tag;
use hangwatch::segment::Segment;
use serde_json::Value;

const WORKS: &str = "--steps 1000000 --step-ms 20";
const HANGS: &str = "--hang-at 25 --hang-replica 0 --replica {i} --steps 8 --step-ms 20 --jobs 0";
const FLAGS: &str = "--replicas 3 --poll 100ms --grace 300ms --inference-step-timeout";

fn words(flags: &'static str) -> Vec<&'static str> {
    [c_worker().to_str().expect("a UTF-8 path")].into_iter().chain(flags.split_whitespace()).collect()
}

fn run(scratch: &Scratch, budget: &str, worker: &'static str) -> Monitor {
    Monitor::run(&scratch.segment(), &format!("{FLAGS} {budget}"), &words(worker))
}

/// Slot, pid and generation of each worker.
fn workers(scratch: &Scratch) -> Vec<[Value; 3]> {
    let status = status(&scratch.segment());
    let workers = status["workers"].as_array().expect("a list").clone();
    workers.iter().map(|worker| ["slot", "pid", "generation"].map(|name| worker[name].clone())).collect()
}

/// As a machine that runs out of memory ends it: nothing of it is left to tidy up.
fn kill(mut run: Monitor) {
    run.held.signal(libc::SIGKILL);
    run.held.wait();
}

#[test]
fn a_run_that_is_killed_leaves_its_workers_and_its_successor_takes_over_each_and_doubles_none() {
    let scratch = Scratch::new();
    let mut first = run(&scratch, "60s", WORKS);
    first.attached(3);
    until(|| workers(&scratch).len() == 3);
    let before = workers(&scratch);
    kill(first);
    let segment = Segment::open_read_only(&scratch.segment()).expect("the segment");
    let beats = || segment.slots().take(3).map(|(_, slot)| slot.peek_beat().count()).collect::<Vec<_>>();
    let then = beats();
    until(|| beats().iter().zip(&then).all(|(now, then)| now > then));
    let mut second = run(&scratch, "60s", WORKS);
    for _ in 0..3 {
        second.next("adopted");
    }
    let_pass(&segment, 1.0);
    assert_eq!(workers(&scratch), before, "the same children in the same slots, and no other");
    let live = segment.slots().filter(|(_, slot)| slot.peek_owner().tag() != Tag::Free).count();
    assert_eq!(live, 3, "no slot is set aside for one more");
    assert_eq!(second.stop(), Some(0), "its successor ends them as its own");
    assert!(second.acts().iter().all(|event| event["event"] != "replaced"), "nobody was replaced: {:#?}", second.events);
    for [_, pid, _] in before {
        until(|| has_ended(pid.as_u64().expect("a pid")));
    }
    let left: Vec<_> = std::fs::read_dir(scratch.path()).expect("the folder").collect();
    assert!(left.is_empty(), "a clean end leaves no file: {left:?}");
}

#[test]
fn a_hung_workers_age_is_kept_over_the_death_of_its_run_and_it_is_replaced_by_the_successor() {
    let scratch = Scratch::new();
    let first = run(&scratch, "6s", HANGS);
    until(|| scratch.segment().exists());
    let segment = Segment::open_read_only(&scratch.segment()).expect("the segment");
    until(|| segment.slot(0).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.done() == Some(2))));
    let hung_at = clock(&segment);
    let_pass(&segment, 3.0);
    let pid = workers(&scratch)[0][1].clone();
    kill(first);
    let mut second = run(&scratch, "6s", HANGS);
    let opened = second.next("opened");
    assert_eq!((&opened["slot"], &opened["pid"]), (&0.into(), &pid), "the worker that hung all the time");
    let passed = clock(&segment) - hung_at;
    // Had its age begun anew, six seconds would lie between the takeover at three and this.
    assert!(passed < 9.0, "by the monitor's clock it is {passed} s since it hung");
    let replaced = second.next("replaced");
    assert_eq!(replaced["slot"], 0);
    until(|| has_ended(pid.as_u64().expect("a pid")));
    assert_eq!(second.stop(), Some(0));
}

#[test]
fn a_worker_that_ended_while_no_run_was_there_is_started_again_and_its_job_is_told_lost() {
    let scratch = Scratch::new();
    let mut first = run(&scratch, "60s", WORKS);
    first.attached(3);
    until(|| workers(&scratch).len() == 3);
    let before = workers(&scratch);
    let segment = Segment::open_read_only(&scratch.segment()).expect("the segment");
    until(|| segment.slot(1).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.done().is_some())));
    kill(first);
    let pid = before[1][1].as_u64().expect("a pid");
    common::signal(pid, libc::SIGKILL);
    until(|| has_ended(pid));
    let mut second = run(&scratch, "60s", WORKS);
    second.attached(1);
    until(|| workers(&scratch).len() == 3);
    let after = workers(&scratch);
    assert_eq!([&after[0], &after[2]], [&before[0], &before[2]], "those that live are taken over");
    assert_eq!(after[1][0], before[1][0], "the dead one's place is taken");
    assert_ne!(after[1][1], before[1][1], "by another process");
    assert_eq!(second.stop(), Some(0));
    assert_eq!(second.of_kind("adopted").len(), 2);
    let lost: Vec<_> = second.of_kind("lost_job").iter().map(|event| event["slot"].clone()).collect();
    assert_eq!(lost, [1], "the dead one's; the others ended theirs when they were asked to");
}

#[test]
fn a_number_that_another_process_has_by_now_is_neither_taken_over_nor_signalled() {
    let scratch = Scratch::new();
    let mut first = run(&scratch, "60s", WORKS);
    first.attached(3);
    until(|| workers(&scratch).len() == 3);
    kill(first);
    let mut innocent = common::Held::start(common::command("sleep").arg("1000"));
    let path = scratch.path().join("segment.children");
    let text = std::fs::read_to_string(&path).expect("the list of children");
    // The line of replica 1 as it would stand had its number passed to the innocent.
    let forged: String = text
        .lines()
        .map(|line| {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            if words[0] == "1" {
                words[6] = innocent.pid().to_string();
            }
            words.join(" ") + "\n"
        })
        .collect();
    assert_ne!(forged, text);
    std::fs::write(&path, forged).expect("the test's own");
    let mut second = run(&scratch, "60s", WORKS);
    second.next("adopted");
    second.next("adopted");
    second.attached(1);
    assert_eq!(second.stop(), Some(0));
    assert!(innocent.is_alive(), "it is no worker of anybody's");
    assert_eq!(second.of_kind("adopted").len(), 2);
    // The true child lives on, for nobody could know it: the test ends it.
    let stranger = text.lines().find(|line| line.starts_with("1 ")).and_then(|line| line.split(' ').nth(6)).expect("its pid");
    common::signal(stranger.parse().expect("a pid"), libc::SIGKILL);
}
