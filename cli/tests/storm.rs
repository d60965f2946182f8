//! I6, I25: a storm of kills on `hangwatch run`: eight workers, each killed at a random point of its work and started again, 500
//! times, or 10 000 with `TRIALS=full`. The workers' own diaries and the test's own kills say what must have been told.

#[path = "storm/account.rs"]
mod account;
mod common;

use account::{Replaced, wrong_with_lost_jobs, wrong_with_replacements};
use common::diary::{self, Diary, Job, Life, start_of, wrong_with_owners};
use common::part::{attached, part, playing};
use common::process::{Process, children, state};
use common::tail::Tail;
use common::trial::{self, Random};
use common::{Held, Scratch, hangwatch, until};
use hangwatch::clock::monotonic_ns;
use hangwatch::segment::Segment;
use hangwatch::{Attach, Outcome, Total};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const REPLICAS: u32 = 8;

/// In a part: works until it is killed, and says first who it is, so that it can be killed on its way in too.
fn work(folder: &Path) -> ! {
    let mut diary = Diary::begin(folder);
    let (pid, start) = (std::process::id(), start_of(std::process::id()).expect("it lives"));
    let mut announced = std::fs::File::options().append(true).open(folder.join("announced")).expect("made by the test");
    // First: whoever is killed from here on may leave a generation that nobody owned, be it claimed or reserved anew.
    diary.write("try");
    // What a killed neighbour may have left of a line ends before this one begins.
    announced.write_all(format!("\n{pid} {start} .\n").as_bytes()).expect("announced");
    // One in four takes its time on the way in, so that kills meet it there on a fast machine too.
    if Random(u64::from(pid)).below(4) == 0 {
        std::thread::sleep(Duration::from_millis(3));
    }
    let mut worker = attached();
    let _lock = diary.write_own(worker.slot().expect("attached"), worker.generation());
    for number in 0u64.. {
        // Eight jobs at some leisure, then many that are all edge.
        let at_leisure = number % 700 < 8;
        let id = format!("{pid}-{start}-{number}");
        diary.write(format_args!("job {id}"));
        worker.begin_job(&id, "model", Total::Known(20));
        diary.write(format_args!("open {id}"));
        for done in 0..if at_leisure { 20 } else { 0 } {
            worker.step(done);
            std::thread::sleep(Duration::from_micros(300));
        }
        diary.write(format_args!("end {id}"));
        worker.end_job(Outcome::Ok);
        diary.write(format_args!("ended {id}"));
        if at_leisure {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    unreachable!("killed long before 2^64 jobs")
}

/// A `run` in a storm.
struct Storm {
    scratch: Scratch,
    run: Held,
    announced: Tail,
    told: Tail,
    /// Announced, and not killed by the test.
    alive: Vec<(u32, u64)>,
    /// Another one has since the last kill.
    came: bool,
    /// Each that is killed is replaced.
    goes_on: bool,
    lives: Vec<Life>,
    events: Vec<Value>,
}

impl Storm {
    fn new(test: &str, max_restarts: u32) -> Self {
        let scratch = Scratch::new();
        let announced = Tail::of(&scratch.path().join("announced"));
        let events = scratch.path().join("events");
        let told = Tail::of(&events);
        let mut command = hangwatch();
        command.args(["run", "--keep", "--poll", "50ms", "--slots", "8", "--replicas", "8", "--max-restarts"]);
        command.arg(max_restarts.to_string()).arg("--events").arg(&events).arg("--segment").arg(scratch.segment());
        command.arg("--").args(playing(test, scratch.path().to_str().expect("UTF-8")));
        // Nothing slows the storm: neither pauses, nor rests, nor what is done against storms.
        for (name, value) in
            [("BACKOFF", "0s"), ("COOLDOWN_POLLS", "0"), ("STORM_RESTARTS", "1000000"), ("ADAPTIVE", "off"), ("LOG", "error")]
        {
            command.env(format!("HANGWATCH_{name}"), value);
        }
        let run = Held::quiet(&mut command, true);
        let goes_on = max_restarts > 1000;
        Self { scratch, run, announced, told, alive: Vec::new(), came: false, goes_on, lives: Vec::new(), events: Vec::new() }
    }

    fn look(&mut self) {
        for line in self.announced.lines() {
            if let [pid, start, "."] = line.split(' ').collect::<Vec<_>>()[..] {
                self.alive.push((pid.parse().expect("a pid"), start.parse().expect("a tick")));
                self.came = true;
            }
        }
        self.events.extend(self.told.lines().iter().map(|line| serde_json::from_str(line).expect("a line of JSON")));
    }

    fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == kind).collect()
    }

    fn life(&self, pid: u32, killed_at: u64) -> Life {
        let diary = diary::path(self.scratch.path(), pid);
        let life = Life::read(&std::fs::read_to_string(&diary).expect("it was begun before it was announced"));
        std::fs::remove_file(diary).expect("read");
        Life { killed_at: Some(killed_at), ..life }
    }

    /// Kills one of those that are there, every fourth time one that has just come, and waits until it is gone.
    fn kill_one(&mut self, random: &mut Random) {
        let newest = self.goes_on && random.below(4) == 0;
        // Not to let anything settle: the point of the kill is what is drawn.
        std::thread::sleep(Duration::from_micros(random.below(if newest { 2000 } else { 16_000 })));
        let is_full = self.alive.len() == REPLICAS as usize;
        until(|| {
            self.look();
            if newest && !is_full { self.came } else { !self.alive.is_empty() }
        });
        self.came = false;
        let at = if newest { self.alive.len() - 1 } else { random.below(self.alive.len() as u64) as usize };
        let (pid, start) = self.alive.remove(at);
        let process = Process::of(pid, start).expect("nobody else ends it");
        let killed_at = monotonic_ns();
        assert!(process.signal(libc::SIGKILL), "nobody else ends it");
        process.wait();
        let life = self.life(pid, killed_at);
        self.lives.push(life);
    }

    fn replaced(&self) -> Vec<Replaced> {
        self.of_kind("replaced").into_iter().map(Replaced::of).collect()
    }

    /// Everything that the diaries and the kills say must have been told.
    fn check(&self) {
        let lost: Vec<_> = self.of_kind("lost_job").into_iter().map(account::lost).collect();
        let mut wrong = wrong_with_lost_jobs(&self.lives, &lost);
        wrong.extend(wrong_with_replacements(&self.lives, &self.replaced()));
        let segment = Arc::new(Segment::open_or_create(&self.scratch.segment(), Default::default()).expect("kept"));
        let mut diary = Diary::begin(self.scratch.path());
        let all: Vec<_> = (0..REPLICAS).filter_map(|_| Attach::new().attach_to(&segment).ok()).collect();
        let _locks: Vec<_> = all.iter().map(|w| diary.write_own(w.slot().expect("attached"), w.generation())).collect();
        let own = diary::path(self.scratch.path(), std::process::id());
        let at_the_end = Life::read(&std::fs::read_to_string(own).expect("written"));
        wrong.extend(wrong_with_owners(&self.lives, REPLICAS, &at_the_end));
        assert!(wrong.is_empty(), "{wrong:#?}");
        let open = self.lives.iter().filter(|life| matches!(life.job, Job::Open(_))).count();
        let edge = self.lives.iter().filter(|life| matches!(life.job, Job::Maybe(_))).count();
        let on_its_way = self.lives.iter().filter(|life| life.claims.is_empty()).count();
        let all = self.lives.len();
        trial::tell(format_args!(
            "{all} lives: {on_its_way} killed before their claim, {open} with a job open, {edge} at its edge; {} jobs told lost",
            lost.len()
        ));
        assert!(open > all / 10 && on_its_way > 0, "these prove little: {open} and {on_its_way} of {all}");
    }
}

#[test]
fn a_storm_of_kills_is_noticed_kill_by_kill_and_loses_the_jobs_that_were_open_and_no_others() {
    const TEST: &str = "a_storm_of_kills_is_noticed_kill_by_kill_and_loses_the_jobs_that_were_open_and_no_others";
    if let Some(folder) = part() {
        work(Path::new(&folder));
    }
    let kills = trial::size(500, 10_000) as usize;
    let mut random = Random(trial::seed(TEST));
    let mut storm = Storm::new(TEST, 1_000_000);
    for _ in 0..kills {
        storm.kill_one(&mut random);
    }
    until(|| {
        storm.look();
        storm.alive.len() == REPLICAS as usize && storm.replaced().len() >= kills
    });
    let now_there = children(storm.run.pid());
    let zombies: Vec<_> = now_there.iter().filter(|pid| start_of(**pid).and_then(|s| state(**pid, s)) == Some('Z')).collect();
    assert!(zombies.is_empty() && now_there.len() == REPLICAS as usize, "I25: {zombies:?} of {now_there:?} were never reaped");
    let still = std::mem::take(&mut storm.alive);
    assert!(still.iter().all(|(pid, _)| now_there.contains(pid)), "the eight that live are those that announced themselves");
    let stopped_at = monotonic_ns();
    storm.run.signal(libc::SIGTERM);
    assert_eq!(storm.run.wait().code(), Some(0), "a stop is no failure");
    storm.look();
    let ended: Vec<_> = still.iter().map(|(pid, _)| storm.life(*pid, stopped_at)).collect();
    assert_eq!(storm.replaced().len(), kills, "each kill is noticed once");
    for event in storm.of_kind("action") {
        assert!(event["detail"].to_string().contains("stopping"), "nobody was hung, nobody is ended for it: {event}");
    }
    assert!(storm.of_kind("gave_up").is_empty() && storm.of_kind("quarantined").is_empty(), "no budget was spent, no slot lost");
    storm.lives.extend(ended);
    storm.check();
}

#[test]
fn a_storm_of_kills_spends_every_restart_budget_and_no_more() {
    const TEST: &str = "a_storm_of_kills_spends_every_restart_budget_and_no_more";
    if let Some(folder) = part() {
        work(Path::new(&folder));
    }
    let mut random = Random(trial::seed(TEST));
    let mut storm = Storm::new(TEST, 2);
    // Eight workers, each with its first life and two more.
    for _ in 0..3 * REPLICAS {
        storm.kill_one(&mut random);
    }
    assert_eq!(storm.run.wait().code(), Some(5), "giving up has an exit code of its own");
    storm.look();
    assert_eq!(storm.replaced().len(), 2 * REPLICAS as usize, "two restarts each, and no more");
    assert_eq!(storm.of_kind("gave_up").len(), REPLICAS as usize, "each is given up on, once");
}
