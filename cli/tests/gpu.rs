//! Slots that devices write, through real monitors. The kernel is a thread of the CPU that calls the device's own functions.

mod common;

use common::{Held, Monitor, Scratch, command, hangwatch, said, status, until, worker};
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Total};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A kernel that hangs at 25 % of its job, and a monitor that soon calls it so.
const HANGS: &str = "--steps 100 --step-us 1000 --hang-at 25";
const SOON: &str = "--inference-step-timeout 2s --poll 100ms";

/// `tests/gpu/stand_in.c` with the runtime that stands in.
fn stand_in() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, program) = BUILT.get_or_init(|| {
        let library = common::library();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let program = folder.path().join("stand_in");
        let mut gcc = command("gcc");
        gcc.args(["-std=gnu99", "-pthread", "-I", "ffi/include", "-I", "tests/gpu/fake"]);
        gcc.args(["tests/gpu/stand_in.c", "tests/gpu/fake/runtime.c", "-L"]).arg(&library).arg("-lhangwatch");
        let said = said(gcc.arg(format!("-Wl,-rpath,{}", library.display())).arg("-o").arg(&program));
        assert_eq!(said.code, Some(0), "{}", said.err);
        (folder, program)
    });
    program
}

fn pages(scratch: &Scratch) -> Segment {
    Segment::create(&scratch.segment(), Geometry { slots: 8, slot_size: 4096 }).expect("a segment")
}

fn hung(segment: &Segment, device: u32) -> Held {
    worker(stand_in(), segment.path(), "sd", &format!("{HANGS} --device {device}"))
}

#[test]
fn a_kernel_that_never_returns_is_stalled_though_its_host_beats_and_its_worker_is_replaced() {
    let scratch = Scratch::new();
    let once = scratch.path().join("hung-once");
    let program = stand_in().to_str().expect("UTF-8");
    let flags = HANGS.split(' ').chain(["--hang-once", once.to_str().expect("UTF-8")]);
    let command: Vec<&str> = [program].into_iter().chain(flags).collect();
    let mut run = Monitor::run(&scratch.segment(), &format!("{SOON} --slot-size 4096 --grace 300ms"), &command);
    let opened = run.next("opened");
    assert_eq!((&opened["verdict"], &opened["clock"]), (&"stalled".into(), &"progress".into()), "not silent: {opened}");
    assert_eq!((&opened["kind"], &opened["device"], &opened["slot"]), (&"gpu".into(), &0.into(), &1.into()));
    assert_eq!((&opened["done"], &opened["total"]), (&25.into(), &100.into()), "where the kernel hangs");
    let replaced = run.next("replaced");
    assert_eq!((&replaced["slot"], &replaced["job"]), (&0.into(), &"job".into()), "the process that launched it");
    assert_ne!(replaced["pid"], opened["pid"]);
    let lost: Vec<_> = run.of_kind("lost_job").iter().map(|event| (event["kind"].clone(), event["job"].clone())).collect();
    assert_eq!(lost.len(), 2, "the host's job and the device's: {lost:?}");
    let opened_alive = run.opened_alive();
    assert!(opened_alive.iter().all(|event| event["kind"] == "gpu"), "its host is well until it is ended: {opened_alive:#?}");
    assert_eq!(run.end(), Some(0), "the next one's kernel returns");
    let stalls = run.verdicts().iter().filter(|verdict| **verdict == "stalled").count();
    assert_eq!([stalls, run.of_kind("replaced").len(), run.of_kind("all_frozen").len()], [1, 1, 0]);
}

#[test]
fn status_shows_a_gpu_lane_with_its_device_beside_a_host_that_is_well() {
    let scratch = Scratch::new();
    let segment = pages(&scratch);
    let mut watch = Monitor::watch(&segment, SOON);
    let held = hung(&segment, 3);
    let opened = watch.next("opened");
    assert_eq!((&opened["slot"], &opened["verdict"], &opened["kind"]), (&1.into(), &"stalled".into(), &"gpu".into()));
    let status = status(segment.path());
    let [host, gpu] = [0, 1].map(|slot| &status["workers"][slot]);
    assert_eq!((&host["kind"], &host["device"], &host["verdict"]), (&"worker".into(), &serde_json::Value::Null, &"ok".into()));
    assert_eq!((&gpu["kind"], &gpu["device"], &gpu["verdict"]), (&"gpu".into(), &3.into(), &"stalled".into()));
    assert_eq!((&gpu["name"], &gpu["lane"], &gpu["pid"]), (&"sd".into(), &"denoise".into(), &held.pid().into()));
    assert_eq!((&gpu["done"], &gpu["percent"]), (&25.into(), &25.0.into()));
    let table = said(hangwatch().args(["status", "--segment"]).arg(segment.path()));
    assert_eq!(table.code, Some(1), "an acting verdict stands");
    assert!(table.out.contains("KIND") && table.out.contains("gpu 3"), "{}", table.out);
    let inspect = said(hangwatch().args(["inspect", "1", "--segment"]).arg(segment.path()));
    assert!(inspect.out.contains("Live, Gpu, pid") && inspect.out.contains("sub 3"), "{}", inspect.out);
}

#[test]
fn where_no_monitor_lives_a_devices_ages_are_not_known() {
    let scratch = Scratch::new();
    let segment = pages(&scratch);
    let _held = hung(&segment, 0);
    until(|| segment.slot(1).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.progress == 25)));
    let gpu = status(segment.path())["workers"][1].clone();
    assert_eq!((&gpu["verdict"], &gpu["done"]), (&"unknown".into(), &25.into()), "a device stamps nothing: {gpu}");
    assert!(gpu["heartbeat_age_s"].is_null() && gpu["progress_age_s"].is_null(), "{gpu}");
}

#[test]
fn a_thread_that_made_a_lane_and_ended_is_a_lanes_but_no_gpus() {
    let scratch = Scratch::new();
    let segment = Arc::new(pages(&scratch));
    let mut watch = Monitor::watch(&segment, SOON);
    let made_in = Arc::clone(&segment);
    let made = std::thread::spawn(move || {
        let host = Attach::new().name("host").attach_to(&made_in).expect("a slot");
        let mut lane = host.lane("lane").expect("a slot");
        let mut gpu = host.gpu_lane("gpu", 0).expect("a slot");
        lane.begin_job("l", "m", Total::Known(9));
        gpu.begin_job("g", "m", Total::Known(9));
        (lane, gpu)
    });
    let _lanes = made.join().expect("it has ended");
    // Both hang from now on; the lane is told of half a budget earlier, by its thread's end.
    let gpu = loop {
        let opened = watch.next("opened");
        if opened["kind"] == "gpu" {
            break opened;
        }
        assert_eq!((&opened["kind"], &opened["verdict"]), (&"lane".into(), &"thread_gone".into()), "{opened}");
    };
    assert_eq!(gpu["verdict"], "stalled", "a kernel may go on without the thread that launched it");
    assert!(watch.verdicts().contains(&"thread_gone"), "of the lane beside it: {:?}", watch.verdicts());
}

#[test]
fn slots_are_pages_where_the_flag_or_the_variable_says_so() {
    let made = |flag: &[&str], variable: Option<&str>| {
        let scratch = Scratch::new();
        let mut run = hangwatch();
        run.args(["run", "--keep", "--slots", "2", "--segment"]).arg(scratch.segment()).args(flag).args(["--", "true"]);
        if let Some(value) = variable {
            run.env("HANGWATCH_SLOT_SIZE", value);
        }
        let said = said(&mut run);
        let size = Segment::open_read_only(&scratch.segment()).ok().map(|segment| segment.fixed().slot_size);
        (said.code, size, said.err)
    };
    for (flag, variable, size) in [
        (&[][..], None, 1024),
        (&["--slot-size", "4096"], None, 4096),
        (&[], Some("4096"), 4096),
        (&[], Some(""), 1024),
        (&["--slot-size", "1024"], Some("4096"), 1024),
    ] {
        let (code, made, err) = made(flag, variable);
        assert_eq!((code, made), (Some(0), Some(size)), "{flag:?} {variable:?}: {err}");
        assert!(!err.contains("HANGWATCH_SLOT_SIZE is ignored"), "it is no key of the policy: {err}");
    }
    for bad in ["2048", "0", "x"] {
        let (code, made, err) = made(&["--slot-size", bad], None);
        assert_eq!((code, made), (Some(2), None));
        assert!(err.contains("expected 1024, or 4096 for GPU lanes"), "{err}");
    }
}

#[test]
fn the_run_that_is_prepared_for_a_gpu_tells_a_kernel_that_hangs_from_one_that_returns() {
    let mut run = command("bash");
    run.args(["tests/gpu/run"]).env("STAND_IN", "1").env("HANGWATCH", env!("CARGO_BIN_EXE_hangwatch"));
    let said = said(&mut run);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let told = "== a kernel that hangs at 25 % is stalled on its own slot; one that returns is left alone\n";
    assert!(said.out.ends_with(told), "{}", said.out);
}
