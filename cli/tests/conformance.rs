//! Every writer of this project passes the conformance suite, and every way to break one is caught by the case that is about it.

mod common;

use common::{Held, Scratch, built, command, hangwatch, has_ended, programs, rust_example, said, skip, until};
use hangwatch::layout::header::HEADER_LEN;
use hangwatch::layout::word::{Kind, Owner, Tag};
use serde_json::Value;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One case for each sentence that a writer must keep.
const CASES: u64 = 93;

/// What pure Python cannot do without a compare-and-swap, and what its writer leaves out.
const NOT_IN_PYTHON: &[&str] = &[
    "attach::a_free_slot_is_claimed_where_none_is_reserved",
    "attach::a_reservation_of_another_generation_is_not_its_own",
    "attach::a_second_attach_gets_a_slot_of_its_own",
    "attach::a_full_segment_is_an_error",
    "attach::a_segment_that_is_absent_is_made",
    "attach::the_segment_that_it_makes_has_the_geometry_that_the_environment_names",
    "phase::a_section_counts_for_itself_and_its_end_brings_the_count_around_it_back",
    "phase::leaving_without_a_section_changes_nothing",
    "phase::eight_are_open_at_most_and_one_more_changes_nothing",
    "phase::a_phase_and_a_job_end_all_sections",
    "phase::a_phase_of_its_own_is_found_by_its_name_and_the_first_who_names_it_sets_it",
    "phase::a_full_table_of_phases_is_an_error",
    "lane::a_lane_is_a_slot_of_its_own_with_its_workers_name",
    "lane::a_lane_and_its_worker_do_not_touch_each_other",
    "lane::a_lane_outlives_its_worker",
    "gpu::a_gpu_lane_is_a_slot_of_its_own_that_begins_idle_and_names_its_device",
    "gpu::a_hosts_step_and_beat_do_nothing_on_a_gpu_lane",
    "gpu::after_a_kernel_the_host_goes_on_from_the_devices_beats_and_falls",
    "gpu::words_that_another_owners_kernel_left_are_not_gone_on_from",
    "gpu::a_job_does_not_change_a_gpu_lanes_device",
    "gpu::a_gpu_lane_may_be_on_its_workers_device",
    "gpu::slots_that_are_no_pages_get_no_gpu_lane",
    "end::it_may_attach_again",
    "end::a_forked_child_that_attaches_itself_gets_a_slot_of_its_own",
    "end::after_exec_the_lanes_of_before_are_free_again",
];

/// What the Go writer leaves out, and what a Go process cannot: fork, and read the coarse clock without a system call.
const NOT_IN_GO: &[&str] = &[
    "attach::a_segment_that_is_absent_is_made",
    "attach::the_segment_that_it_makes_has_the_geometry_that_the_environment_names",
    "count::only_an_advance_past_the_mark_is_stamped_as_one",
    "phase::a_section_counts_for_itself_and_its_end_brings_the_count_around_it_back",
    "phase::leaving_without_a_section_changes_nothing",
    "phase::eight_are_open_at_most_and_one_more_changes_nothing",
    "phase::a_phase_and_a_job_end_all_sections",
    "phase::a_phase_of_its_own_is_found_by_its_name_and_the_first_who_names_it_sets_it",
    "phase::a_full_table_of_phases_is_an_error",
    "lane::a_lane_is_a_slot_of_its_own_with_its_workers_name",
    "lane::a_lane_and_its_worker_do_not_touch_each_other",
    "lane::a_lane_outlives_its_worker",
    "gpu::a_gpu_lane_is_a_slot_of_its_own_that_begins_idle_and_names_its_device",
    "gpu::a_hosts_step_and_beat_do_nothing_on_a_gpu_lane",
    "gpu::after_a_kernel_the_host_goes_on_from_the_devices_beats_and_falls",
    "gpu::words_that_another_owners_kernel_left_are_not_gone_on_from",
    "gpu::a_job_does_not_change_a_gpu_lanes_device",
    "gpu::a_gpu_lane_may_be_on_its_workers_device",
    "gpu::slots_that_are_no_pages_get_no_gpu_lane",
    "end::a_forked_child_changes_nothing_of_its_parents_slot",
    "end::a_forked_child_that_attaches_itself_gets_a_slot_of_its_own",
    "end::after_exec_the_lanes_of_before_are_free_again",
];

/// The suite with these flags on a writer: its exit code and its report.
fn suite(flags: &[&str], writer: &mut Command) -> (Option<i32>, Value) {
    let mut suite = hangwatch();
    // A busy machine is no reason to call a writer mute.
    suite.args(["conformance", "--json", "--deadline", "10m"]).args(flags).arg("--").arg(writer.get_program());
    let said = said(suite.args(writer.get_args()));
    let report = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}{}", said.out, said.err));
    (said.code, report)
}

fn of_result<'a>(report: &'a Value, result: &str) -> Vec<&'a str> {
    let cases = report["cases"].as_array().expect("a list").iter().filter(|case| case["result"] == result);
    cases.map(|case| case["name"].as_str().expect("a name")).collect()
}

/// All cases pass, but for those that the writer has nothing for.
fn conforms(writer: &mut Command, lacks: &[&str]) {
    let (code, report) = suite(&[], writer);
    assert_eq!(of_result(&report, "failed"), [""; 0], "{writer:?} conforms: {report:#}");
    assert_eq!(of_result(&report, "skipped"), lacks, "{writer:?} lacks no more than it says");
    assert_eq!(report["passed"].as_u64(), Some(CASES - lacks.len() as u64));
    assert_eq!(code, Some(0));
}

/// `ffi/tests/script.c`, compiled with these arguments.
fn c_driver(folder: &Path, compiler: &[&str], link: &[String]) -> PathBuf {
    let program = folder.join("driver");
    let (compiler, flags) = compiler.split_first().expect("a compiler");
    let mut compile = command(compiler);
    compile.args(flags).args(["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-I", "ffi/include"]);
    let said = said(compile.args(["ffi/tests/script.c", "-x", "none"]).args(link).arg("-o").arg(&program));
    assert_eq!(said.code, Some(0), "{}", said.err);
    program
}

/// What a program that links the archive needs, as the pkg-config file says it.
fn archive(library: &Path) -> Vec<String> {
    let pc = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../ffi/hangwatch.pc.in")).expect("the file");
    let line = pc.lines().find_map(|line| line.strip_prefix("Libs.private:")).expect("the pkg-config file names them");
    let needs = line.split_whitespace().map(str::to_string);
    [library.join("libhangwatch.a").display().to_string()].into_iter().chain(needs).collect()
}

#[test]
fn the_library_conforms_in_c_and_in_cpp_shared_and_static() {
    let folder = programs();
    let library = built(&["-p", "hangwatch-ffi"]);
    let shared = ["-L".into(), library.display().to_string(), "-lhangwatch".into(), format!("-Wl,-rpath,{}", library.display())];
    conforms(&mut Command::new(c_driver(folder.path(), &["gcc", "-std=c99", "-x", "c"], &shared)), &[]);
    conforms(&mut Command::new(c_driver(folder.path(), &["g++", "-std=c++17", "-x", "c++"], &archive(&library))), &[]);
}

#[test]
fn the_header_alone_conforms_in_c_and_in_cpp() {
    if !Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../ffi/include/hangwatch/implementation.h")).exists() {
        return skip("the header alone: this tree has no hangwatch/implementation.h");
    }
    let folder = programs();
    for compiler in [&["gcc", "-std=c99", "-x", "c"], &["g++", "-std=c++20", "-x", "c++"]] {
        let compiler = [&compiler[..], &["-DHANGWATCH_IMPLEMENTATION"]].concat();
        conforms(&mut Command::new(c_driver(folder.path(), &compiler, &[])), &[]);
    }
}

#[test]
fn the_library_conforms_in_rust() {
    conforms(&mut Command::new(rust_example("rust_driver")), &[]);
}

fn python(driver: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(common::python());
    command.arg("-B").arg(driver);
    command
}

#[test]
fn a_writer_in_pure_python_conforms() {
    conforms(&mut python("examples/python_driver.py"), NOT_IN_PYTHON);
}

#[test]
fn a_report_of_the_pure_python_writer_makes_no_system_call() {
    let scratch = Scratch::new();
    let segment = scratch.made_with(1);
    let file = std::fs::OpenOptions::new().write(true).open(segment.path()).expect("the segment");
    let reserved = Owner::new(0, Tag::Reserved, Kind::Worker, std::process::id());
    file.write_all_at(&reserved.0.to_le_bytes(), HEADER_LEN as u64 + 0x80).expect("its first owner");
    let script = "import os; from python_writer import Worker; w = Worker.attach('x'); assert w.live; w.begin_job('j', 'm', 10**6)\n\
                  os.write(1, b'begin')\n\
                  for done in range(10**5): w.step(done); w.beat(); w.alive(); w.should_stop()\n\
                  os.write(1, b'end')";
    let log = scratch.path().join("strace");
    let mut strace = command("strace");
    strace.arg("-o").arg(&log).arg(common::python()).args(["-B", "-c", script]);
    strace.env("PYTHONPATH", "examples").env("HANGWATCH_SEGMENT", segment.path()).env("HANGWATCH_SLOT", "0:0");
    let said = said(&mut strace);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "beginend"), "{}", said.err);
    let log = std::fs::read_to_string(&log).expect("the log");
    let between: Vec<&str> = log.lines().skip_while(|line| !line.contains("\"begin\"")).skip(1).collect();
    let next = between.first().expect("it went on");
    assert!(next.contains("\"end\""), "400 000 reports make no system call, here is one: {next}");
}

#[test]
fn a_writer_in_go_conforms() {
    let Some(program) = common::go_writer() else { return };
    conforms(Command::new(program).arg("-conformance"), NOT_IN_GO);
}

/// A line of the Python writer, what a careless one would have instead, and the case that must notice.
const MUTANTS: &[(&str, &str, &str)] = &[
    // The claim.
    ("generation = (generation + 1) & 0xFFFF", "generation = generation & 0xFFFF", "attach::a_reserved_slot_is_claimed"),
    ("LIVE << 40 | pid", "LIVE << 40 | 1 << 32 | pid", "attach::a_reserved_slot_is_claimed"),
    ("TOTAL, JOBS_OK, JOBS_BAD):", "TOTAL):", "attach::the_claim_leaves_nothing"),
    (
        "words[ALIVE], words[PROGRESS] = self.beats, self.beats, NONE",
        "words[PROGRESS] = self.beats, NONE",
        "attach::the_claim_leaves_nothing",
    ),
    ("self.beats = generation, generation << 48", "self.beats = generation, 0", "attach::the_claim_leaves_nothing"),
    ("words[TID] = threading.get_native_id() << 32", "words[TID] = 1 << 32", "attach::the_identity"),
    (".split()[19])", ".split()[18])", "attach::the_identity"),
    ("time.clock_gettime_ns(time.CLOCK_BOOTTIME)\n        self.job", "time.time_ns()\n        self.job", "attach::the_identity"),
    ("os.environ.get(\"HANGWATCH_NAME\", \"\")", "\"\"", "attach::the_name_and_the_device"),
    (
        "words[OWNER] = generation << 48 | CLAIMING",
        "words[24] = words[OWNER] = generation << 48 | CLAIMING",
        "attach::attaching_touches_nothing_else",
    ),
    (
        "if not path:\n            return worker",
        "if not path:\n            raise Refused('no segment')",
        "attach::with_nothing_set",
    ),
    ("tag != RESERVED or generation != reserved", "False", "attach::a_reservation_of_another"),
    ("if not 0 <= index < header[5]:", "if False:", "attach::a_reservation_past_the_end"),
    // Beats and steps.
    (
        "        self.beats = beats = self.beats + 1\n        words[BEAT] = beats\n\n    def _border",
        "        words[BEAT] = self.beats\n\n    def _border",
        "count::a_step_is_progress",
    ),
    (
        "beats = self.beats + 1\n            self.words[BEAT]",
        "beats = self.beats + 2\n            self.words[BEAT]",
        "count::a_beat_is_one_more",
    ),
    (
        "            self.words[BEAT] = beats",
        "            self.words[BEAT] = beats\n            self.words[PROGRESS] = self.last + 1",
        "count::a_beat_is_one_more",
    ),
    ("self.epoch & ~0xFFFF | self.epoch + 1 & 0xFFFF", "self.epoch", "count::progress_that_falls_back"),
    ("if done < self.last:", "if done <= self.last:", "count::a_step_is_progress"),
    (
        "self.last = words[PROGRESS] = done",
        "self.last = words[PROGRESS] = max(self.last, done)",
        "count::progress_that_falls_back",
    ),
    ("words[STAMP] = now = time.clock_gettime_ns(COARSE)", "words[STAMP] = now = time.time_ns()", "count::a_stamp_is_now"),
    ("header[19] == 1, index", "True, index", "count::in_a_segment_without_a_clock"),
    ("if done >= self.mark:", "if True:", "count::only_an_advance"),
    ("self.words[ALIVE] = self.alives", "self.words[ALIVE] = self.alives\n            self.beat()", "count::a_helpers_beat"),
    ("(self.epoch >> 16) + 1 & 0xFFFF", "(self.epoch >> 16) & 0xFFFF", "count::a_pass_starts"),
    // Phases and jobs.
    (
        "flags << 32 | self.phase_word + entry & 0xFFFFFFFF",
        "flags << 32 | self.phase_word & 0xFFFFFFFF",
        "phase::a_phase_is_one_entry_more",
    ),
    ("total=total)\n        self.beat()", "total=total)", "phase::a_phase_is_one_entry_more"),
    ("flags, *count = self.inference", "flags, *count = self.inference[0], NONE, 0, 0, 0", "phase::a_job_that_comes_back"),
    ("((self.epoch >> 32) + 1 & 0xFFFFFFFF) << 32", "self.epoch", "job::a_job_is_one_more"),
    ("self._section(1), total=total)", "self._section(0), total=total)", "job::a_job_is_one_more"),
    ("words[TOTAL], words[PROGRESS] = total, progress", "words[TOTAL], words[PROGRESS] = total, 0", "job::a_job_is_one_more"),
    ("words[TOTAL], words[PROGRESS] = total, progress", "words[PROGRESS] = progress", "job::a_total_may_be_known"),
    (
        "self.job, self.model, self.detail, self.started = job, model,",
        "self.job, self.model, self.detail, self.started = model, job,",
        "job::the_record_says_which_job",
    ),
    (
        "            self._border(self.epoch, IDLE, self._section(0))\n            self._publish()",
        "            self._border(self.epoch, IDLE, self._section(0))",
        "job::an_ended_job_leaves_idle",
    ),
    (
        "self.jobs[\"failed\"] << 32 | self.jobs[\"cancelled\"]",
        "self.jobs[\"cancelled\"] << 32 | self.jobs[\"failed\"]",
        "job::jobs_are_counted",
    ),
    ("+= self.phase_word >> 32 & 1", "+= 1", "job::a_job_that_is_not_open"),
    ("deadline_ms * 1_000_000", "deadline_ms * 1_000", "job::batch_size_deadline"),
    ("self.device if device is None else device", "NONE if device is None else device", "job::a_job_that_names_no_device"),
    // The record.
    ("at = INFO[following & 1]", "at = INFO[following + 1 & 1]", "record::two_copies_take_turns"),
    ("data[:capacity].decode(\"utf-8\", \"ignore\").encode()", "data[:capacity]", "record::a_label_too_long"),
    ("lens = sum(len(text) << shift", "lens = sum(capacity_of[shift] << shift", "record::a_short_label"),
    // Leases, and what a monitor asks.
    ("((self.lease >> 48) + 1 & 0xFFFF) << 48 | min", "min", "lease::each_lease_is_a_new_one"),
    ("            self._lease(0)  # an entry ends it", "            pass", "lease::a_phase_a_job_and_its_end"),
    ("== self.generation << 8 | 1", "& 1 == 1", "stop::a_worker_is_asked_to_stop"),
    // The end.
    ("            if self.words[OWNER] == self.owner:\n    ", "", "end::a_late_release"),
    ("self.words[OWNER] = self.generation << 48", "self.words[OWNER] = 0", "end::a_detach_frees"),
    ("            self.beat()\n            self.live = False\n", "            self.beat()\n", "end::after_a_detach"),
    ("os.register_at_fork(after_in_child=dead_in_a_forked_child)", "", "end::a_forked_child_changes_nothing"),
    // Segments that are none.
    ("words[2] >> 32 != 1 or words[8] != 0", "words[8] != 0", "refuse::another_major"),
    ("words[2] >> 32 != 1 or words[8] != 0", "words[2] >> 32 != 1", "refuse::a_feature"),
    ("words[2] >> 32 != 1 or", "words[2] != 1 << 32 or", "refuse::a_higher_minor"),
    ("words[0] != 0x3130484354574748 or", "", "refuse::what_is_no_segment"),
    (" or words[1] != 0x0807060504030201", "", "refuse::the_other_byte_order"),
    ("if words[31] != fnv1a64(header[8:248]):", "if False:", "refuse::a_damaged_header"),
    (" or total > about.st_size", "", "refuse::a_file_shorter"),
    ("offset + size * count > total or", "", "refuse::slots_that_do_not_fit"),
    ("!= (int(digits[:16], 16), int(digits[16:], 16))", "== ()", "refuse::a_segment_of_another_boot"),
    (
        "os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)\n    try",
        "os.O_CLOEXEC | os.O_NONBLOCK)\n    try",
        "refuse::a_symbolic_link",
    ),
    (" or about.st_mode & 0o022", "", "refuse::a_segment_that_others"),
    ("header[4] * index) // 8", "1024 * index) // 8", "refuse::larger_strides"),
    ("(header[6] + header[4]", "(4096 + header[4]", "refuse::a_larger_header"),
    // The order of stores.
    (
        "        self.last = words[PROGRESS] = done\n",
        "        words[BEAT] = self.beats + 1\n        self.last = words[PROGRESS] = done\n",
        "stores::a_beat_that_is_seen",
    ),
    (
        "        words[PROGRESS], words[TOTAL] = NONE, 0\n        words[EPOCH] = self.epoch = epoch\n",
        "        words[EPOCH] = self.epoch = epoch\n        words[PROGRESS], words[TOTAL] = NONE, 0\n",
        "stores::a_count_is_never_seen",
    ),
    (
        "        at = INFO[following & 1]\n",
        "        at = INFO[following & 1]\n        self.words[INFO_SEQ] = following\n",
        "stores::a_record_is_read_whole",
    ),
];

/// The Python writer with one line changed, and its driver.
fn mutant(scratch: &Scratch, line: &str, instead: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/");
    let text = |name: &str| std::fs::read_to_string(format!("{folder}{name}")).expect("an example");
    let writer = text("python_writer.py");
    assert_eq!(writer.matches(line).count(), 1, "the writer has this once, to be broken: {line}");
    let broken = writer.replace(line, instead);
    scratch.file("python_writer.py", &format!("capacity_of = {{32: 64, 24: 96, 16: 40, 8: 24, 0: 96}}\n{broken}"));
    scratch.file("python_driver.py", &text("python_driver.py"))
}

#[test]
fn every_way_to_break_a_writer_is_caught_by_the_case_that_is_about_it() {
    let mut missed = Vec::new();
    for (line, instead, case) in MUTANTS {
        let scratch = Scratch::new();
        let (code, report) = suite(&["--only", case], &mut python(mutant(&scratch, line, instead)));
        if code != Some(1) || of_result(&report, "failed").len() != 1 {
            missed.push(format!("'{line}' -> '{instead}': {report:#}"));
        }
    }
    assert!(missed.is_empty(), "these mutants live:\n{}", missed.join("\n"));
}

#[test]
fn a_writer_that_does_not_answer_or_ends_fails_and_does_not_hold_the_suite_up() {
    for (script, deadline, why) in [
        ("cat > /dev/null", "200ms", "was not answered within"),
        ("exit 0", "10m", "the writer ended, or closed its side"),
        ("while read -r line; do echo \"$line\"; done", "10m", "expected 'slot 2'"),
        ("while read -r line; do echo unsupported; done", "10m", "it is of the core"),
    ] {
        let mut suite = hangwatch();
        suite.args(["conformance", "--deadline", deadline, "--only", "a_reserved_slot_is_claimed", "--", "sh", "-c", script]);
        let said = said(&mut suite);
        assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
        assert!(said.out.contains(why) && said.out.ends_with("0 passed, 1 failed, 0 skipped\n"), "{}", said.out);
    }
}

#[test]
fn a_suite_that_is_asked_to_stop_ends_its_writer_and_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let started = scratch.path().join("started");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; cat > /dev/null", started.display());
    let mut suite = Held::start(hangwatch().args(["conformance", "--", "sh", "-c", &script]).stderr(Stdio::null()));
    until(|| started.exists());
    let writer: u64 = std::fs::read_to_string(&started).expect("there").trim().parse().expect("a pid");
    suite.signal(libc::SIGTERM);
    assert_eq!(suite.wait().code(), Some(2));
    assert!(has_ended(writer), "the writer was ended");
    let folders = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let own = format!("hangwatch-conformance-{}-", suite.pid());
    let left: Vec<_> = folders.filter(|name| name.to_string_lossy().starts_with(&own)).collect();
    assert!(left.is_empty(), "its folder was removed: {left:?}");
}

#[test]
fn what_cannot_be_run_is_a_usage_error_and_the_cases_can_be_listed() {
    let conformance = |arguments: &[&str]| said(hangwatch().arg("conformance").args(arguments));
    assert_eq!(conformance(&[]).code, Some(2), "a writer is needed");
    let none = conformance(&["--only", "no such case", "--", "true"]);
    assert_eq!((none.code, none.out.as_str()), (Some(2), ""));
    assert!(none.err.contains("there is none") && none.err.contains("--list"), "{}", none.err);
    let absent = conformance(&["--", "/no/such/writer"]);
    assert_eq!(absent.code, Some(2), "{}", absent.err);
    assert!(absent.err.starts_with("hangwatch: cannot start the writer '/no/such/writer': no such file"), "{}", absent.err);
    let list = conformance(&["--list"]);
    assert_eq!((list.code, list.out.lines().count() as u64), (Some(0), CASES));
    assert!(list.out.lines().all(|line| line.starts_with("core  ") || line.starts_with("full  ")), "{}", list.out);
    let cases: Value = serde_json::from_str(&conformance(&["--list", "--json", "--only", "refuse::"]).out).expect("JSON");
    assert!(cases["cases"].as_array().is_some_and(|cases| cases.len() == 14), "{cases}");
}
