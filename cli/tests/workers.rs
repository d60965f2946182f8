//! What `hangwatch run` gives each of its workers, and what becomes of what they write.

mod common;

use common::{Held, Scratch, hangwatch, said, until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `hangwatch run` with a folder of logs, without a worker yet.
fn run(scratch: &Scratch, flags: &str) -> Command {
    let mut command = hangwatch();
    command.args(["run", "--restart", "never", "--segment"]).arg(scratch.segment());
    command.arg("--log-dir").arg(logs(scratch)).args(flags.split_whitespace()).arg("--");
    command
}

fn logs(scratch: &Scratch) -> PathBuf {
    scratch.path().join("logs/of workers")
}

fn log(scratch: &Scratch, name: &str) -> PathBuf {
    logs(scratch).join(name)
}

fn start(mut command: Command, script: &str) -> Held {
    let mut held = Held::start(command.args(["sh", "-c", script]).stderr(Stdio::null()));
    held.leads = true;
    held
}

/// A step of a script that waits for a file.
fn until_there(path: &Path) -> String {
    format!("until [ -e '{}' ]; do sleep 0.01; done", path.display())
}

#[test]
fn each_replica_has_its_variables_and_its_device_and_no_word_of_the_service_manager() {
    let scratch = Scratch::new();
    let mut command = hangwatch();
    command.args(["run", "--restart", "never", "--segment"]).arg(scratch.segment());
    command.args(["--replicas", "3", "--env", "PORT=80{i}0", "--env", "A=b c=d", "--devices", "4,MIG-GPU-8f6d/1/0", "--"]);
    command.args([
        "sh",
        "-c",
        "echo \"{i} $PORT $A $CUDA_VISIBLE_DEVICES $HIP_VISIBLE_DEVICES $HANGWATCH_DEVICE\" ${NOTIFY_SOCKET-none}",
    ]);
    let said = said(command.env("NOTIFY_SOCKET", "/nobody/listens"));
    let mut lines: Vec<&str> = said.out.lines().collect();
    lines.sort_unstable();
    let expected =
        ["0 8000 b c=d 4 4 4 none", "1 8010 b c=d MIG-GPU-8f6d/1/0 MIG-GPU-8f6d/1/0 1 none", "2 8020 b c=d 4 4 4 none"];
    assert_eq!(lines, expected, "{}", said.err);
    assert_eq!(said.code, Some(0));
}

#[test]
fn a_variable_that_is_none_and_a_device_without_a_name_are_refused() {
    for (flag, value, why) in [
        ("--env", "PORT", "no '='"),
        ("--env", "=80", "no name"),
        ("--env", "HANGWATCH_DEVICE=1", "--devices"),
        ("--devices", "0,,1", "a device has no name"),
        ("--devices", "all", "nvidia-smi -L"),
        ("--reclaim-probe", "free 'x", "a quote is not closed"),
        ("--quiet-workers", "", "--log-dir"),
    ] {
        let scratch = Scratch::new();
        let mut command = hangwatch();
        command.args(["run", "--segment"]).arg(scratch.segment()).arg(flag);
        let command = if value.is_empty() { &mut command } else { command.arg(value) };
        let said = said(command.args(["--", "true"]));
        assert_eq!(said.code, Some(2), "{flag} {value}");
        assert!(said.err.contains(why), "{flag} {value}: {}", said.err);
        assert!(!scratch.segment().exists(), "what is refused makes no segment");
    }
}

#[test]
fn what_workers_write_is_in_a_log_each_as_it_came_and_shown_safely_with_their_numbers() {
    let scratch = Scratch::new();
    let script = "printf 'out of {i}\\033[2J\\377\\n'; printf 'error of {i}\\nno end' >&2";
    let said = said(run(&scratch, "--replicas 2").args(["sh", "-c", script]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    for number in ["0", "1"] {
        let of_it: Vec<&str> = said.out.lines().filter(|line| line.starts_with(number)).collect();
        let expected = [
            format!("{number} | out of {number}\\u{{1b}}[2J\u{fffd}"),
            format!("{number} | error of {number}"),
            format!("{number} | no end"),
        ];
        assert_eq!(of_it, expected, "both streams, in order, and no byte that drives a terminal");
        let raw = fs::read(log(&scratch, &format!("worker-{number}.log"))).expect("its log");
        let expected = [b"out of ", number.as_bytes(), b"\x1b[2J\xff\nerror of ", number.as_bytes(), b"\nno end"].concat();
        assert_eq!(raw, expected, "the log has every byte");
    }
}

#[test]
fn quiet_workers_are_in_their_logs_alone() {
    let scratch = Scratch::new();
    let said = said(run(&scratch, "--quiet-workers").args(["echo", "hello"]));
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(log(&scratch, "worker-0.log")).expect("its log"), "hello\n");
}

#[test]
fn what_a_log_held_before_is_kept_and_not_shown_again() {
    let scratch = Scratch::new();
    for text in ["first", "second"] {
        let said = said(run(&scratch, "").args(["echo", text]));
        assert_eq!(said.out, format!("0 | {text}\n"), "{}", said.err);
    }
    assert_eq!(fs::read_to_string(log(&scratch, "worker-0.log")).expect("its log"), "first\nsecond\n");
}

#[test]
fn a_run_that_is_killed_breaks_no_worker_of_its_output() {
    let scratch = Scratch::new();
    let (killed, bye) = (scratch.path().join("killed"), log(&scratch, "worker-0.log"));
    let script = format!("echo started; {}; echo out && echo error >&2 && echo both streams are whole", until_there(&killed));
    let mut run = start(run(&scratch, ""), &script);
    run.line_with("0 | started");
    run.signal(libc::SIGKILL);
    run.wait();
    fs::write(&killed, "").expect("a file");
    until(|| fs::read_to_string(&bye).is_ok_and(|text| text == "started\nout\nerror\nboth streams are whole\n"));
}

#[test]
fn a_large_log_is_copied_aside_and_emptied_and_its_worker_goes_on_in_it() {
    let scratch = Scratch::new();
    let current = log(&scratch, "worker-0.log");
    // One write within one page each: none is seen in part, so none can come between the copy and the cut.
    let write = "dd bs=64k iflag=fullblock status=none";
    let emptied = format!("while [ -s '{}' ]; do sleep 0.01; done", current.display());
    let written = |from: u32| format!("seq {from} {} | {write}; {emptied}", from + 799);
    let script = format!("{}; {}; {}; echo end", written(1000), written(2000), written(3000));
    let said = said(run(&scratch, "--log-max-size 2K --log-files 3").args(["sh", "-c", &script]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let numbers = |from: u32, prefix: &str| (from..from + 800).map(|n| format!("{prefix}{n}\n")).collect::<String>();
    let expected = [1000, 2000, 3000].map(|from| numbers(from, "0 | ")).concat() + "0 | end\n";
    assert!(said.out == expected, "every line is shown once and in order: {}", said.out);
    let text = |name: &str| fs::read_to_string(log(&scratch, name)).expect("a log");
    assert_eq!(text("worker-0.log"), "end\n", "the worker's own file is the current one");
    assert!(text("worker-0.log.1") == numbers(3000, "") && text("worker-0.log.2") == numbers(2000, ""), "the newest is first");
    assert_eq!(fs::read_dir(logs(&scratch)).expect("the folder").count(), 3, "three files are kept and no more");
}

#[test]
fn a_log_that_somebody_cut_or_removed_is_shown_on() {
    let scratch = Scratch::new();
    let (cut, removed) = (scratch.path().join("cut"), scratch.path().join("removed"));
    let script = format!("echo a long first line; {}; echo cut; {}; echo removed", until_there(&cut), until_there(&removed));
    let mut run = start(run(&scratch, ""), &script);
    run.line_with("0 | a long first line");
    let current = log(&scratch, "worker-0.log");
    let file = fs::OpenOptions::new().write(true).open(&current).expect("its log");
    file.set_len(0).expect("cut");
    fs::write(&cut, "").expect("a file");
    assert_eq!(run.line().as_deref(), Some("0 | cut"));
    fs::remove_file(&current).expect("there");
    fs::write(&removed, "").expect("a file");
    assert_eq!(run.line().as_deref(), Some("0 | removed"), "what it has open goes on");
    assert_eq!((run.line(), run.wait().code()), (None, Some(0)));
}

#[test]
fn a_worker_that_is_started_anew_goes_on_in_its_log_or_in_a_new_one() {
    let scratch = Scratch::new();
    let (gone, again) = (scratch.path().join("gone"), scratch.path().join("again"));
    let mut command = hangwatch();
    command.args(["run", "--restart", "always", "--max-restarts", "1", "--segment"]).arg(scratch.segment());
    command.env("HANGWATCH_BACKOFF", "10ms").env("HANGWATCH_LOG_DIR", logs(&scratch)).arg("--");
    let script =
        format!("[ -e '{0}' ] && echo second && exit; echo first; {1}; echo > '{0}'", again.display(), until_there(&gone));
    let mut run = start(command, &script);
    run.line_with("0 | first");
    let current = log(&scratch, "worker-0.log");
    fs::remove_file(&current).expect("there");
    fs::write(&gone, "").expect("a file");
    assert_eq!(run.line().as_deref(), Some("0 | second"), "the new process has a new file, which is followed");
    assert_eq!((run.line(), run.wait().code()), (None, Some(5)));
    assert_eq!(fs::read_to_string(&current).expect("made anew"), "second\n");
}

#[test]
fn a_reader_that_takes_nothing_holds_up_neither_the_worker_nor_the_rotation() {
    let scratch = Scratch::new();
    let (current, written) = (log(&scratch, "worker-0.log"), scratch.path().join("written"));
    // Each far more than a pipe and the queue before it hold; the log is emptied though nobody reads.
    let megabyte = format!(
        "yes 'one of many lines' | head -c 1048576; while [ $(stat -c %s '{}') -ge 65536 ]; do sleep 0.01; done",
        current.display()
    );
    let script = format!("{megabyte}; {megabyte}; {megabyte}; echo; echo end; touch '{}'", written.display());
    let mut run = start(run(&scratch, "--log-max-size 64K --log-files 2"), &script);
    until(|| written.exists());
    let mut last = Vec::new();
    while let Some(line) = run.line() {
        last.push(line);
    }
    assert!(
        last.iter().any(|line| line.ends_with("bytes were rotated away before they could be shown)")),
        "it is said what is missing"
    );
    assert_eq!(last.last().map(String::as_str), Some("0 | end"), "what is there still is shown when it is read");
    assert_eq!(run.wait().code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_ends_no_run() {
    let scratch = Scratch::new();
    let closed = scratch.path().join("closed");
    let mut command = run(&scratch, "");
    let script = format!("echo first; {}; echo unread", until_there(&closed));
    command.args(["sh", "-c", &script]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut child = command.stdout(writer).stderr(Stdio::null()).spawn().expect("started");
    drop(command);
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(reader), &mut first).expect("a line");
    assert_eq!(first, "0 | first\n");
    fs::write(&closed, "").expect("a file");
    assert_eq!(child.wait().expect("ours").code(), Some(0), "a broken pipe is no failure");
    assert_eq!(fs::read_to_string(log(&scratch, "worker-0.log")).expect("its log"), "first\nunread\n");
}

#[test]
fn a_log_that_cannot_be_written_is_an_error_before_any_worker_starts() {
    let scratch = Scratch::new();
    fs::create_dir_all(log(&scratch, "worker-1.log")).expect("a folder where the log should be");
    let said = said(run(&scratch, "--replicas 2").args(["touch", &scratch.path().join("ran").display().to_string()]));
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("cannot write the log of worker 1") && said.err.contains("worker-1.log"), "{}", said.err);
    assert!(!scratch.path().join("ran").exists(), "no worker was started");
}

#[test]
fn all_workers_end_when_one_is_given_up_on_if_that_is_asked() {
    let scratch = Scratch::new();
    let script = "[ {i} = 1 ] && exec sleep 100000; exit 3";
    let flags = "--replicas 2 --restart on-failure --max-restarts 0 --exit-on-unhandled-faults";
    let mut command = hangwatch();
    command.args(["run", "--segment"]).arg(scratch.segment()).args(flags.split_whitespace()).args(["--", "sh", "-c", script]);
    let said = said(&mut command);
    assert_eq!(said.code, Some(5), "giving up has an exit code of its own: {}", said.err);
}
