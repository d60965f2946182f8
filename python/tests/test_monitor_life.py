"""How a monitor ends: with its block, with the interpreter, in a forked child, and with the segment's file cut short."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hangwatch
from conftest import script
from waiting import SOON, Events, hangs, until

START = """
import os, signal, sys, threading, time
import hangwatch
from waiting import SOON, Events, until
segment = sys.argv[1]

def comm(task):
    try:
        return open(f"/proc/self/task/{task}/comm").read()
    except OSError:
        return ""
"""


def test_the_interpreters_end_stops_a_monitor_tells_what_is_queued_and_keeps_what_was_learnt(segment: Path, scratch: Path) -> None:
    said = script(
        START
        + """
told = []
monitor = hangwatch.Monitor(segment, SOON, lambda event: (time.sleep(0.05), event.slot is None or print(event.event)), unlink_at_end=True)
worker = hangwatch.attach(segment=segment)
worker.begin_job("own")
until(lambda: monitor.worker(0).episode)
""",
        str(segment),
    )
    assert (said.returncode, said.stderr) == (0, ""), "nothing is said of a monitor that was not stopped"
    assert said.stdout.split()[:2] == ["opened", "would_act"], "what was queued is told before the end"
    assert not segment.exists(), "it ended as by a stop: its segment went with it"


def test_a_monitor_that_nobody_holds_goes_on_until_the_interpreter_ends(segment: Path) -> None:
    said = script(
        START
        + """
import gc
events = Events()
hangwatch.Monitor(segment, SOON, events)
gc.collect()
hangwatch.attach(segment=segment).begin_job("own")
print(events.first("opened").verdict)
""",
        str(segment),
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "silent\n", "")


def test_a_forked_childs_copy_is_dead_and_harmless_and_the_parents_goes_on(segment: Path, scratch: Path) -> None:
    said = script(
        START
        + """
import asyncio
monitor = hangwatch.Monitor(segment, SOON, lambda event: None)
stream = monitor.events()
pid = os.fork()
if pid == 0:
    assert not monitor.running
    async def count():
        return len([event async for event in stream])
    assert asyncio.run(count()) == 0, "nobody waits for ever"
    monitor.stop()
    for ask in (monitor.status, monitor.workers, lambda: monitor.worker(0), lambda: monitor.reload(None)):
        try:
            ask()
        except hangwatch.UsageError as e:
            assert e.why == "it is the parent's: a forked child has none of its threads", e
        else:
            raise AssertionError("it is dead")
    try:
        hangwatch.Monitor(segment)
    except hangwatch.HeldError as e:
        assert f"(pid {os.getppid()})" in str(e), e
    with hangwatch.Monitor(sys.argv[2], SOON) as own:
        until(lambda: own.status().polls > 1)
    hangwatch.Monitor(sys.argv[2], SOON)  # ends with this child
    del monitor
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0, "the child is content"
polls = monitor.status().polls
until(lambda: monitor.status().polls > polls + 2)
assert monitor.running
monitor.stop()
print("goes on")
""",
        str(segment),
        str(scratch / "own"),
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "goes on\n", "")


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_may_have_a_monitor_of_its_own(segment: Path, scratch: Path, way: str) -> None:
    command = [sys.executable, "-B", str(Path(__file__).parent / "monitored.py"), way, str(segment), str(scratch / "own")]
    said = subprocess.run(command, capture_output=True, text=True)
    assert (said.returncode, said.stdout, said.stderr) == (0, "2 monitors\n", "")
    assert not (scratch / "own").exists(), "the child's ended with the child"


@pytest.mark.parametrize("fate", ["cut short", "overwritten", "removed"])
def test_a_segment_that_is_lost_kills_nobody_is_told_and_its_successor_is_watched(segment: Path, fate: str) -> None:
    events = Events()
    with hangwatch.Monitor(segment, SOON, events) as monitor:
        old = hangwatch.attach("old", segment=segment)
        until(lambda: monitor.status().polls > 1)
        if fate == "cut short":
            os.truncate(segment, 0)
        elif fate == "overwritten":
            segment.write_bytes(b"\0" * segment.stat().st_size)
        else:
            segment.unlink()
        events.first("segment_lost")
        if fate != "removed":
            with pytest.raises(hangwatch.BadSegmentError, match="open it again"):
                monitor.workers()
            assert monitor.status().presence == {"cut short": "truncated", "overwritten": "erased"}[fate]
            with pytest.raises(hangwatch.BadSegmentError):
                hangwatch.status(segment)
        old.step(1)
        old.detach()
        segment.unlink(missing_ok=True)
        with hangs(segment, "new"):
            until(lambda: events.first("segment_found"))
            until(lambda: [it for it in monitor.workers() if it.name == "new" and it.verdict == "silent"])
            assert monitor.running and monitor.segment == str(segment)


@pytest.mark.parametrize("who", ["a reader", "a monitor"])
def test_a_file_that_is_cut_while_it_is_read_ends_no_host(segment: Path, who: str) -> None:
    said = script(
        START
        + """
import faulthandler
def handles_it():
    caught = next(line for line in open("/proc/self/status") if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> signal.SIGBUS - 1 & 1)
hangwatch.attach(segment=segment).detach()
assert not handles_it(), "a worker installs no handler"
whole = open(segment, "rb").read()
if sys.argv[2] == "a monitor":
    look = hangwatch.Monitor(segment, {**SOON, "poll_interval": "1ms"}).workers
    assert handles_it(), "who watches does"
else:
    faulthandler.enable()  # its handler stays for what is not of a segment
    look = lambda: hangwatch.status(segment)
asked = refused = 0
def cut():
    while asked < 1500 or not refused:
        os.truncate(segment, 0)
        with open(segment, "r+b") as file:
            file.write(whole)
thread = threading.Thread(target=cut)
thread.start()
while asked < 1500 or not refused:
    asked += 1
    try:
        look()
    except hangwatch.BadSegmentError:
        refused += 1
thread.join()
print("lives")
""",
        str(segment),
        who,
    )
    assert (said.returncode, said.stdout) == (0, "lives\n"), said.stderr


def test_signals_stay_with_the_hosts_threads_and_interrupt_it_as_ever(segment: Path) -> None:
    said = script(
        START
        + """
with hangwatch.Monitor(segment, SOON, lambda event: None) as monitor:
    for task in os.listdir("/proc/self/task"):
        if comm(task).strip() in ("hangwatch-scan", "hangwatch-tell", "hangwatch-keep"):
            status = dict(line.split(":\\t", 1) for line in open(f"/proc/self/task/{task}/status"))
            blocked = int(status["SigBlk"], 16)
            faults = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS)
            assert all(blocked >> number - 1 & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1))
            assert not any(blocked >> number - 1 & 1 for number in faults), status["Name"]
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print("interrupted")
""",
        str(segment),
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "interrupted\n", "")


def test_ctrl_c_ends_the_wait_for_a_callback_that_does_not_return_and_the_stop_goes_on(segment: Path) -> None:
    said = script(
        START
        + """
runs, go = threading.Event(), threading.Event()
monitor = hangwatch.Monitor(segment, SOON, lambda event: (runs.set(), go.wait()))
hangwatch.attach(segment=segment).begin_job("own")
runs.wait()
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    monitor.stop()
except KeyboardInterrupt:
    print("interrupted")
assert not monitor.running
threading.Timer(0.05, go.set).start()
monitor.stop()
assert go.is_set(), "another stop waits for the one that goes on"
until(lambda: not any(name.startswith("hangwatch-") for name in map(comm, os.listdir("/proc/self/task"))))
""",
        str(segment),
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "interrupted\n", "")


def test_a_process_that_a_callback_starts_takes_signals_as_any_other(segment: Path) -> None:
    said = script(
        START
        + """
import subprocess
codes = []
def restarts(event):
    if event.event == "opened":
        child = subprocess.Popen(["sleep", "600"])
        child.terminate()
        codes.append(child.wait())
with hangwatch.Monitor(segment, SOON, restarts) as monitor:
    hangwatch.attach(segment=segment).begin_job("own")
    until(lambda: codes)
assert codes == [-signal.SIGTERM], codes
""",
        str(segment),
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", ""), "it inherits no blocked signal"


def test_a_host_shows_the_same_with_a_monitor_and_without(segment: Path) -> None:
    shows = """
import logging
logging.basicConfig(level=logging.DEBUG)
logging.warning("a line of the host's")
worker = hangwatch.attach(segment=segment)
worker.begin_job("own", "sdxl", 4)
{monitor}
worker.end_job()
print("the host's output")
"""
    watches = "with hangwatch.Monitor(segment, SOON) as m: until(lambda: m.worker(0).episode)"
    with_it, without = (script(START + shows.format(monitor=it), str(segment)) for it in (watches, "pass"))
    assert with_it.returncode == 0 and (with_it.stdout, with_it.stderr) == (without.stdout, without.stderr)


def test_a_worker_that_hangs_is_ended_by_a_monitor_that_may_act_and_its_host_never_is(segment: Path, worker: hangwatch.Worker) -> None:
    events = Events()
    with hangwatch.Monitor(segment, {**SOON, "grace": "100ms"}, events, mode="act"):
        worker.begin_job("own")
        with hangs(segment, "theirs") as process:
            process.wait()
            assert process.returncode == -signal.SIGTERM
            events.first("action")
            of_theirs = [it for it in events.all if it.event == "action"]
        assert [it.worker for it in of_theirs] == ["theirs"], "the process of the monitor itself is spared"
        assert events.first("would_act").worker == "test", "and told of"
        lost = events.first("lost_job")
        assert (lost.job, lost.worker) == ("a1b2c3d4", "theirs")


def test_what_was_learnt_is_kept_in_the_file_that_is_named(segment: Path, scratch: Path) -> None:
    with hangwatch.Monitor(segment, SOON, learnt=scratch / "kept") as monitor:
        with hangwatch.attach(segment=segment) as worker, worker.job("one", "sdxl", 40) as job:
            for _ in range(40):
                polls = monitor.status().polls
                job.step()
                until(lambda: monitor.status().polls > polls)
    assert (scratch / "kept").stat().st_size > 0 and not Path(f"{segment}.learnt").exists()


def test_what_is_not_a_file_of_learnt_things_is_refused_by_name_and_stays_as_it_is(segment: Path, scratch: Path) -> None:
    (scratch / "keep").mkdir()
    (scratch / "keep" / "inside").write_text("precious")
    (scratch / "config.json").write_text("{}")
    for name in ("keep", "config.json", "segment", "segment.monitor", "absent/kept"):
        with pytest.raises(hangwatch.UsageError, match="cannot keep what is learnt in") as refused:
            hangwatch.Monitor(segment, learnt=scratch / name)
        assert str(scratch / name) in str(refused.value), refused.value
    assert (scratch / "keep" / "inside").read_text() == "precious" and (scratch / "config.json").read_text() == "{}"
    left = sorted(path.name for path in scratch.iterdir() if not path.name.startswith("segment."))
    assert left == ["config.json", "keep", "segment"], "nothing is renamed, and nothing made"
    Path(f"{segment}.learnt").write_text("{}")
    with hangwatch.Monitor(segment, learnt=None) as monitor:
        assert monitor.running, "what nobody named stops no monitor"
    assert Path(f"{segment}.learnt").read_text() == "{}"
