//! A slot's life: claimed, released, given again last, taken from the dead only. And what stands around it: the
//! environment, the geometry, a read-only observer, the fate of the file.

mod common;

use common::{again, given, role, run_well, say, scratch, shaped};
use hangwatch::layout::word::{Kind, Tag};
use hangwatch::segment::{Geometry, Presence, Segment};
use hangwatch::{Attach, ErrorKind, Total, Worker};
use std::path::Path;
use std::sync::Arc;

fn segment(path: &Path, slots: u32) -> Arc<Segment> {
    Arc::new(Segment::create(path, Geometry { slots, slot_size: 1024 }).expect("a segment"))
}

fn attach(segment: &Arc<Segment>) -> Worker {
    Attach::new().attach_to(segment).expect("a free slot")
}

fn owner(segment: &Segment, index: u32) -> hangwatch::layout::word::Owner {
    segment.slot(index).expect("inside").peek_owner()
}

#[test]
fn a_generation_grows_by_one_at_every_claim_and_never_otherwise() {
    let dir = scratch();
    let segment = segment(&dir.path().join("s"), 1);
    assert_eq!((owner(&segment, 0).tag(), owner(&segment, 0).generation()), (Tag::Free, 0));
    for generation in 1..=300 {
        let worker = attach(&segment);
        assert_eq!(worker.generation(), generation, "strictly one more a claim");
        let word = owner(&segment, 0);
        assert_eq!((word.tag(), word.generation(), word.pid()), (Tag::Live, generation, std::process::id()));
        worker.detach();
        assert_eq!((owner(&segment, 0).tag(), owner(&segment, 0).generation()), (Tag::Free, generation));
        assert_eq!(owner(&segment, 0).pid(), 0, "a free slot is nobody's");
    }
}

#[test]
fn a_freed_slot_is_the_last_to_be_given_again() {
    let dir = scratch();
    let segment = segment(&dir.path().join("s"), 4);
    let mut given = Vec::new();
    for _ in 0..5 {
        let worker = attach(&segment);
        given.push((worker.slot().expect("attached"), worker.generation()));
    }
    assert_eq!(given, [(0, 1), (1, 1), (2, 1), (3, 1), (0, 2)], "every other free slot comes first");
    let held = attach(&segment);
    assert_eq!((held.slot(), held.generation()), (Some(1), 2));
    let skipping: Vec<_> = (0..3).map(|_| attach(&segment).slot().expect("attached")).collect();
    assert_eq!(skipping, [2, 3, 0], "a held slot is passed over");
}

#[test]
fn one_mapping_serves_two_workers_with_a_slot_each() {
    let dir = scratch();
    let segment = segment(&dir.path().join("s"), 3);
    let (mut first, second) = (attach(&segment), attach(&segment));
    assert_eq!((first.slot(), first.generation()), (Some(0), 1));
    assert_eq!((second.slot(), second.generation()), (Some(1), 1), "a living handle's slot is not what an exec left behind");
    first.beat();
    let hot = segment.slot(0).expect("inside").read_hot().expect("live");
    assert_eq!((hot.owner.generation(), hot.beat.count()), (1, 1), "the first still owns its slot");
}

#[test]
fn a_second_copy_in_one_image_takes_nothing_over() {
    let dir = scratch();
    let path = dir.path().join("s");
    // Two mappings, as two copies of the library in one process would have.
    let attach = || Attach::new().segment(path.to_str().expect("text")).attach().expect("a free slot");
    let (first, second) = (attach(), attach());
    assert_eq!((first.slot(), first.generation()), (Some(0), 1));
    assert_eq!((second.slot(), second.generation()), (Some(1), 1));
    let path = Segment::open(&path).expect("it is there");
    assert_eq!((owner(&path, 0).tag(), owner(&path, 1).tag()), (Tag::Live, Tag::Live), "both own their slots");
}

#[test]
fn with_nothing_set_a_worker_is_detached_and_everything_does_nothing() {
    const TEST: &str = "with_nothing_set_a_worker_is_detached_and_everything_does_nothing";
    if role().is_none() {
        let dir = scratch();
        let mut child = again(TEST, "detached");
        // Set but empty is as good as unset; a folder to see that nothing is made in it.
        child.env("HANGWATCH_SEGMENT", "").env("HANGWATCH_SLOT", "3:1").env("HANGWATCH_DIR", dir.path().join("none"));
        assert_eq!(run_well(child), ["detached"]);
        assert_eq!(std::fs::read_dir(dir.path()).expect("our dir").count(), 0, "nothing is made where nobody watches");
        return;
    }
    let mut worker = hangwatch::attach("sd-0").expect("no error where nobody watches");
    worker.begin_job("a", "b", Total::Known(2));
    worker.phase(hangwatch::Phase::Loading);
    worker.phase_total(hangwatch::Phase::Loading, Total::Unknown);
    worker.step(1);
    worker.beat();
    worker.alive();
    worker.helper().alive();
    worker.begin_pass();
    worker.extend(std::time::Duration::MAX);
    worker.note("x");
    worker.end_job(hangwatch::Outcome::Ok);
    assert!(!worker.should_stop() && !worker.is_attached() && worker.slot().is_none() && worker.segment().is_none());
    assert!(!worker.lane("l").expect("a detached lane").is_attached());
    worker.register_phase("upscale", hangwatch::layout::phase::Class::Work, std::time::Duration::ZERO).expect("no error");
    worker.detach();
    say("detached");
}

#[test]
fn the_environment_says_where_and_as_what() {
    const TEST: &str = "the_environment_says_where_and_as_what";
    if role().is_some() {
        let worker = Attach::new().attach().expect("attached as the environment says");
        let info = worker.segment().and_then(|s| s.slot(worker.slot()?)?.read_info()).expect("published at the claim");
        return say(format!("{} {:?} {:?}", info.name, worker.device(), worker.segment().expect("attached").path()));
    }
    let dir = scratch();
    let path = dir.path().join("made").join("train");
    for (device, shown) in [("2", "Some(2)"), ("cuda:1", "Some(1)"), ("3,4", "Some(3)")] {
        let mut child = again(TEST, "env");
        child.env("HANGWATCH_DIR", dir.path().join("made")).env("HANGWATCH_SEGMENT", "train");
        child.env("HANGWATCH_NAME", "sd-7").env("HANGWATCH_DEVICE", device);
        assert_eq!(run_well(child), [format!("sd-7 {shown} {path:?}")]);
    }
    let mode = std::os::unix::fs::PermissionsExt::mode;
    assert_eq!(mode(&std::fs::metadata(&path).expect("made").permissions()) & 0o7777, 0o600);
    assert_eq!(mode(&std::fs::metadata(dir.path().join("made")).expect("made").permissions()) & 0o7777, 0o700);
    assert_eq!(Segment::open(&path).expect("it stays").len(), 64, "made with the default geometry");
}

#[test]
fn what_the_environment_cannot_mean_is_an_error_that_names_it() {
    const TEST: &str = "what_the_environment_cannot_mean_is_an_error_that_names_it";
    if role().is_some() {
        let e = Attach::new().attach().expect_err("it makes no sense");
        assert_eq!(e.kind(), ErrorKind::Usage);
        return say(shaped(&e));
    }
    let dir = scratch();
    let slot_hint = "\n  'hangwatch run' sets it; unset it otherwise";
    for (name, value, expected) in [
        ("HANGWATCH_SLOT", "7", format!("cannot use HANGWATCH_SLOT=7: expected 'index:generation', such as '3:7'{slot_hint}")),
        (
            "HANGWATCH_SLOT",
            "1:70000",
            format!("cannot use HANGWATCH_SLOT=1:70000: expected 'index:generation', such as '3:7'{slot_hint}"),
        ),
        ("HANGWATCH_DEVICE", "gpu\u{7}", "cannot use HANGWATCH_DEVICE=gpu\\u{7}: expected a device number, such as '0'".into()),
    ] {
        let mut child = again(TEST, "env");
        child.env("HANGWATCH_SEGMENT", dir.path().join("s")).env(name, value);
        assert_eq!(run_well(child), [expected]);
    }
}

#[test]
fn a_full_segment_says_so_and_frees_the_dead_only_on_proof() {
    const TEST: &str = "a_full_segment_says_so_and_frees_the_dead_only_on_proof";
    if role().is_some() {
        let worker = Attach::new().segment(given("HANGWATCH_SEGMENT")).attach().expect("a free slot");
        say(worker.generation());
        // Until it is killed: no signal of life, no release.
        loop {
            std::thread::park();
        }
    }
    let dir = scratch();
    let path = dir.path().join("s");
    let segment = segment(&path, 1);
    let mut child = again(TEST, "hold");
    child.env("HANGWATCH_SEGMENT", &path);
    let (held, generation) = common::Held::start(child);
    assert_eq!(generation, "1");
    let taken = owner(&segment, 0);

    let e = Attach::new().attach_to(&segment).expect_err("a silent owner that lives keeps its slot");
    assert_eq!(e.kind(), ErrorKind::Full);
    let path = path.display();
    let expected = format!(
        "cannot attach to segment '{path}': all 1 slots are taken and no owner is proven dead\n  see who has them with 'hangwatch status --segment {path}'\n  a segment with more is made with --slots; one that exists cannot grow"
    );
    assert_eq!(shaped(&e), expected);
    assert_eq!(owner(&segment, 0), taken, "silence frees nothing");

    let pid = held.kill_and_reap();
    assert_eq!(taken.pid(), pid);
    let worker = attach(&segment);
    assert_eq!((worker.slot(), worker.generation()), (Some(0), 2), "a dead owner's slot is given on");
}

#[test]
fn an_owner_that_exited_and_was_never_reaped_is_dead() {
    // A zombie still answers to its number: a container's pid 1 that reaps nobody would have kept its slot for ever.
    const TEST: &str = "an_owner_that_exited_and_was_never_reaped_is_dead";
    if role().is_some() {
        let worker = Attach::new().segment(given("HANGWATCH_SEGMENT")).attach().expect("a free slot");
        assert_eq!(worker.slot(), Some(0));
        // Nothing is dropped on this way out, so nothing is released, as in a crash.
        std::process::exit(0);
    }
    let dir = scratch();
    let path = dir.path().join("s");
    let segment = segment(&path, 1);
    let mut child = again(TEST, "exit");
    child.env("HANGWATCH_SEGMENT", &path).stdout(std::process::Stdio::piped());
    let mut child = common::Held(child.spawn().expect("the child starts"));
    // Its output ends when it does; nobody waits for it, so it stays a zombie.
    let mut out = child.0.stdout.take().expect("piped");
    std::io::copy(&mut out, &mut std::io::sink()).expect("its end");
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", child.0.id())).expect("not reaped");
    while !stat().rsplit(')').next().expect("a state").trim_start().starts_with('Z') {
        std::thread::yield_now();
    }
    assert_eq!((owner(&segment, 0).tag(), owner(&segment, 0).pid()), (Tag::Live, child.0.id()));
    assert_eq!(attach(&segment).generation(), 2, "its exit is proof of death, reaped or not");
}

#[test]
fn slots_of_4096_lie_on_pages_of_their_own() {
    let dir = scratch();
    let path = dir.path().join("s");
    let attach = Attach::new().segment(path.to_str().expect("text")).geometry(Geometry { slots: 3, slot_size: 4096 });
    let workers: Vec<Worker> = (0..3).map(|_| attach.attach().expect("a slot")).collect();
    let segment = Segment::open(&path).expect("a larger stride is accepted");
    let at = |i| std::ptr::from_ref(segment.slot(i).expect("inside")).addr();
    let base = std::ptr::from_ref(segment.header()).addr();
    for i in 0..3u32 {
        assert_eq!(at(i), base + 4096 * (1 + i as usize), "a page a slot");
        assert_eq!(at(i) % 4096, 0);
        let found = workers.iter().find(|w| w.slot() == Some(i)).expect("three workers, three slots");
        assert_eq!(owner(&segment, i).generation(), found.generation());
    }
    assert!(segment.slot(3).is_none(), "nothing past the end");
    assert_eq!(std::fs::metadata(&path).expect("there").len(), 4 * 4096);
}

#[test]
fn an_observer_maps_read_only_and_reads_everything() {
    let dir = scratch();
    let path = dir.path().join("s");
    let writer = segment(&path, 2);
    let mut worker = attach(&writer);
    worker.begin_job("j", "m", Total::Known(3));
    worker.step(2);

    let observer = Arc::new(Segment::open_read_only(&path).expect("an observer needs no write access"));
    let base = std::ptr::from_ref(observer.header()).addr();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let ours = maps.lines().find(|line| line.starts_with(&format!("{base:08x}-"))).expect("it is mapped");
    assert!(ours.contains(" r--s "), "I24: the observer's mapping cannot be written: {ours}");
    let slot = observer.slot(0).expect("inside");
    assert_eq!(slot.read_hot().expect("live").progress, 2);
    assert_eq!(slot.read_info().expect("quiet").job_id, "j");
    assert_eq!(slot.read_identity().expect("live").0.kind(), Kind::Worker);
    assert!(observer.user_phase(0).is_none());
    assert_eq!(observer.presence(), Presence::Present);

    let e = Attach::new().attach_to(&observer).expect_err("a worker writes");
    assert_eq!(
        (e.kind(), shaped(&e)),
        (ErrorKind::Usage, format!("cannot attach to segment '{}': it is mapped read-only", path.display()))
    );
}

#[test]
fn the_fate_of_the_file_is_seen_before_the_memory_is_touched() {
    let dir = scratch();
    let path = dir.path().join("s");
    let one = segment(&path, 2);
    assert_eq!(one.presence(), Presence::Present);
    one.unlink().expect("our own");
    assert_eq!(one.presence(), Presence::Unlinked);
    assert!(!path.exists());

    let two = segment(&path, 2);
    let lock = path.with_extension("monitor");
    std::fs::write(&lock, "").expect("the other one's monitor's");
    assert_eq!(one.presence(), Presence::Replaced);
    one.unlink().expect("no error: the name leads to another segment by now");
    assert!(path.exists() && lock.exists(), "another's segment of the same name is left alone, and so is its lock");
    std::fs::OpenOptions::new().write(true).open(&path).expect("ours").set_len(100).expect("shortened");
    assert_eq!(two.presence(), Presence::Truncated, "I14: seen by its size, no SIGBUS");
}
