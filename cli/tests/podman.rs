//! A folder of the host in several podman containers: a worker in each, and a monitor on the host or in a container of its own.
//! `tests/podman` installs what this needs and runs it; where podman is not, or is not allowed, it is skipped.

mod common;

use common::{Monitor, Scratch, assert_first_poll, c_worker, command, hangwatch, let_pass, said, skip, status, until};
use hangwatch::layout::word::Tag;
use hangwatch::segment::Segment;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

const ACT: &str = "--mode act --inference-step-timeout 500ms --poll 50ms --grace 300ms";
const HANGS: &str = "--hang-at 25 --steps 4 --step-ms 20";
const HEALTHY: &str = "--steps 1000000 --step-ms 20";

/// Ways to run one, the usual first. Limits are given for machines that forbid to raise them; where cgroups cannot be made for
/// it, it goes without.
const WAYS: [(&str, &[&str]); 3] = [("runc", &[]), ("crun", &[]), ("crun", &["--cgroups=disabled"])];

/// Podman's own files, and the roots of containers: their programs and libraries are the host's.
struct Podman {
    folder: tempfile::TempDir,
    runtime: &'static str,
    flags: &'static [&'static str],
}

/// `Err`: why there is none.
fn podman() -> Result<Rc<Podman>, String> {
    let mut why = "podman is not installed (bash tests/podman)".to_owned();
    let there = command("sh").args(["-c", "command -v podman >/dev/null"]).status().is_ok_and(|status| status.success());
    for (runtime, flags) in WAYS.into_iter().filter(|_| there) {
        let podman = Podman { folder: tempfile::tempdir().expect("a folder"), runtime, flags };
        let tried = said(podman.run("try", Path::new("/tmp"), &[]).arg("/usr/bin/true"));
        if tried.code == Some(0) {
            return Ok(Rc::new(podman));
        }
        why = format!("podman with {runtime} {flags:?}: {}", tried.err.trim());
    }
    Err(why)
}

impl Podman {
    fn command(&self) -> Command {
        let mut podman = command("podman");
        podman.arg("--root").arg(self.folder.path().join("store")).arg("--runroot").arg(self.folder.path().join("run"));
        // Of the store nothing is used; its other drivers leave a mount behind.
        podman.args([
            "--storage-driver",
            "vfs",
            "--runtime",
            self.runtime,
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "none",
        ]);
        podman
    }

    fn root(&self, name: &str) -> PathBuf {
        let root = self.folder.path().join("roots").join(name);
        for folder in ["proc", "sys", "dev", "tmp", "run", "etc", "shared", "usr"] {
            std::fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            let _ = std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link));
        }
        root
    }

    /// `podman run`, up to the command; `shared` is its /shared.
    fn run(&self, name: &str, shared: &Path, options: &[&str]) -> Command {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target").display().to_string();
        let mut run = self.command();
        run.args(["run", "--rm", "--name", name, "--network", "none", "--no-hosts"]).args(self.flags).args(options);
        run.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--volume", "/usr:/usr:ro"]);
        run.args(["--volume", &format!("{target}:{target}:ro"), "--volume", &format!("{}:/shared", shared.display())]);
        run.args(["--env", "HANGWATCH_SEGMENT=/shared/segment", "--env", "HANGWATCH_EVIDENCE=none"]);
        run.args(["--env", "HANGWATCH_ADAPTIVE=off", "--env", "HANGWATCH_BACKOFF=10ms"]);
        run.arg("--rootfs").arg(self.root(name));
        run
    }

    fn end(&self, name: &str) {
        let _ = said(self.command().args(["rm", "--force", "--time", "0", name]));
    }
}

/// A container, ended with the test: `podman run` itself is only its messenger.
struct Container {
    podman: Rc<Podman>,
    name: String,
    monitor: Monitor,
}

impl Container {
    /// `options` are podman's own.
    fn start(podman: &Rc<Podman>, name: &str, shared: &Path, options: &[&str], program: &Path, flags: &[&str]) -> Self {
        // The names of this test's containers are its own, also beside another run of it.
        let name = format!("{name}-{}", shared.file_name().expect("a name").to_string_lossy().trim_start_matches('.'));
        let mut command = podman.run(&name, shared, options);
        let monitor = Monitor::start(command.arg(program).args(flags));
        Self { podman: Rc::clone(podman), name, monitor }
    }

    fn worker(podman: &Rc<Podman>, name: &str, shared: &Path, flags: &str) -> Self {
        let mut it = Self::start(podman, name, shared, &[], c_worker(), &flags.split(' ').collect::<Vec<_>>());
        it.monitor.attached(1);
        it
    }

    fn is_alive(&mut self) -> bool {
        self.monitor.held.is_alive()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.podman.end(&self.name);
    }
}

fn tag(segment: &Segment, slot: u32) -> Tag {
    segment.slot(slot).expect("inside").peek_owner().tag()
}

/// A folder of the host, a segment in it, a worker that hangs in one container and a healthy one in another.
fn two(test: &str) -> Option<(Scratch, Segment, Container, Container, Rc<Podman>)> {
    let podman = match podman() {
        Ok(podman) => podman,
        Err(why) => {
            skip(&format!("{test}: {why}"));
            return None;
        }
    };
    let scratch = Scratch::new();
    let segment = scratch.made();
    let hung = Container::worker(&podman, "hung", scratch.path(), HANGS);
    let healthy = Container::worker(&podman, "healthy", scratch.path(), HEALTHY);
    let pids = [0, 1].map(|slot| segment.slot(slot).expect("inside").peek_owner().pid());
    assert_eq!(pids, [1, 1], "each is process 1 of its own container");
    Some((scratch, segment, hung, healthy, podman))
}

#[test]
fn a_monitor_on_the_host_ends_the_container_that_hangs_and_sees_the_others_end() {
    const TEST: &str = "a_monitor_on_the_host_ends_the_container_that_hangs_and_sees_the_others_end";
    let Some((_scratch, segment, mut hung, mut healthy, podman)) = two(TEST) else { return };
    let mut watch = Monitor::watch(&segment, ACT);
    let opened = watch.next("opened");
    assert_eq!((&opened["slot"], &opened["verdict"]), (&0.into(), &"silent".into()), "{opened}");
    assert_first_poll(&opened, "heartbeat_age_s", 0.5, 0.05, watch.of_kind("monitor_gap").len());
    watch.next("lost_job");
    assert_eq!(hung.monitor.end(), Some(137), "its process 1 was killed, and the container with it");
    until(|| tag(&segment, 0) == Tag::Free);
    assert!(healthy.is_alive() && tag(&segment, 1) == Tag::Live, "the other is left alone");
    if common::places::linux() >= (6, 14) {
        podman.end(&healthy.name);
        let lost = watch.next("lost_job");
        assert_eq!(lost["slot"], 1, "a container that is removed is known to be dead: {lost}");
        until(|| tag(&segment, 1) == Tag::Free);
    }
    assert_eq!(watch.stop(), Some(0));
    let ended = watch.of_kind("action");
    assert!(ended.iter().all(|action| action["slot"] == 0), "{:#?}", watch.events);
}

#[test]
fn a_monitor_in_a_container_of_its_own_finds_the_hang_and_tells_of_it() {
    const TEST: &str = "a_monitor_in_a_container_of_its_own_finds_the_hang_and_tells_of_it";
    let Some((scratch, segment, mut hung, mut healthy, podman)) = two(TEST) else { return };
    let binary = hangwatch();
    let flags: Vec<&str> = ["watch", "--events", "-"].into_iter().chain(ACT.split(' ')).collect();
    let mut watch = Container::start(&podman, "watch", scratch.path(), &[], Path::new(binary.get_program()), &flags);
    let opened = watch.monitor.next("opened");
    assert_eq!((&opened["slot"], &opened["verdict"]), (&0.into(), &"silent".into()), "{opened}");
    assert_first_poll(&opened, "heartbeat_age_s", 0.5, 0.05, watch.monitor.of_kind("monitor_gap").len());
    let would = watch.monitor.next("would_act");
    let why = "it runs in a pid namespace that cannot be seen from here: watch from the host, or from its own container";
    assert!(would["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{would}");
    let seen = status(segment.path());
    assert_eq!(
        (&seen["monitor"]["alive"], &seen["workers"][1]["verdict"]),
        (&true.into(), &"ok".into()),
        "from the host: {seen}"
    );
    let_pass(&segment, 1.0);
    assert_eq!(watch.monitor.stop(), Some(0), "SIGTERM reaches process 1 of the container, and it ends well");
    assert!(hung.is_alive() && healthy.is_alive(), "nobody is ended whom it cannot see");
}

#[test]
fn a_monitor_in_a_container_that_sees_the_hosts_processes_ends_the_one_that_hangs() {
    const TEST: &str = "a_monitor_in_a_container_that_sees_the_hosts_processes_ends_the_one_that_hangs";
    let Some((scratch, segment, mut hung, mut healthy, podman)) = two(TEST) else { return };
    let binary = hangwatch();
    let flags: Vec<&str> = ["watch", "--events", "-"].into_iter().chain(ACT.split(' ')).collect();
    let binary = Path::new(binary.get_program());
    let mut watch = Container::start(&podman, "host", scratch.path(), &["--pid", "host"], binary, &flags);
    watch.monitor.next("lost_job");
    assert_eq!(hung.monitor.end(), Some(137), "its process 1 was killed, and the container with it");
    until(|| tag(&segment, 0) == Tag::Free);
    assert!(healthy.is_alive() && tag(&segment, 1) == Tag::Live, "the other is left alone");
    assert_eq!(watch.monitor.stop(), Some(0));
}

#[test]
fn a_run_in_a_container_replaces_its_workers_and_is_seen_from_the_host() {
    const TEST: &str = "a_run_in_a_container_replaces_its_workers_and_is_seen_from_the_host";
    let podman = match podman() {
        Ok(podman) => podman,
        Err(why) => return skip(&format!("{TEST}: {why}")),
    };
    let scratch = Scratch::new();
    let binary = hangwatch();
    let worker = c_worker().display().to_string();
    let flags = "run --events - --inference-step-timeout 500ms --poll 50ms --grace 300ms --max-restarts 100 --";
    let flags: Vec<&str> = flags.split(' ').chain([worker.as_str()]).chain(HANGS.split(' ')).collect();
    let mut run = Container::start(&podman, "run", scratch.path(), &[], Path::new(binary.get_program()), &flags);
    let opened = run.monitor.next("opened");
    assert_first_poll(&opened, "heartbeat_age_s", 0.5, 0.05, run.monitor.of_kind("monitor_gap").len());
    let replaced = run.monitor.next("replaced");
    assert_eq!(replaced["job"], opened["job"]);
    let seen = status(&scratch.segment());
    assert_eq!(seen["monitor"]["alive"], true, "its lock is seen through the mount: {seen}");
    assert_eq!(run.monitor.stop(), Some(0));
    assert!(!scratch.segment().exists(), "it ended well, and removed its segment for everybody");
}
