"""A held GIL, C code that released it, a busy loop and a blocked event loop are told apart, and each leaves its Python stack."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import script, skip_visibly
from running import SOON, Run, events_of, found, written
from slots import taken

HANGS = """
import ctypes, threading, time
import hangwatch

def python_that_never_steps():
    while True:
        pass

def c_that_released_the_gil():
    time.sleep(600)

def c_that_holds_the_gil():
    libc = ctypes.PyDLL(None)
    mutex = ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)

hangwatch.dump_stacks_on()
worker = hangwatch.attach()
hangwatch.watch_interpreter(every=0.05)
with worker.job("a1", model="sdxl", total=50) as job:
    for step in range(21):
        job.step()
        time.sleep(0.005)
    {hang}
"""
ONCE = (*SOON, "--faulthandler", "SIGUSR1", "--max-restarts", "0")
# What hangs, its verdict, and what its interpreter is seen to do.
CASES = [
    ("python_that_never_steps()", "stalled", "runs"),
    ("c_that_released_the_gil()", "silent", "in_c"),
    ("c_that_holds_the_gil()", "silent", "gil_held"),
]


@pytest.mark.parametrize(("hang", "verdict", "state"), CASES)
def test_each_kind_of_hang_has_words_of_its_own_and_leaves_its_python_stack(
    binary: str, scratch: Path, hang: str, verdict: str, state: str
) -> None:
    with Run(binary, scratch, written(scratch, HANGS.format(hang=hang)), *ONCE, logs=False) as run:
        evidence, bundle = run.until_event("evidence"), run.bundle()
    assert evidence["verdict"] == verdict, evidence
    assert f"; interpreter {state}: " in evidence["detail"], "the event says what the interpreter does"
    cause = json.loads((bundle / "evidence.json").read_text())["cause"]["interpreter"]
    assert cause["state"] == state and isinstance(cause["age_s"], int), "and so does the bundle, for programs"
    assert f"; interpreter {state}: {cause['reading']}" in (bundle / "summary.txt").read_text(), "and for people"
    assert hang[:-2] in (bundle / "traceback.txt").read_text(), "no log is kept, and the stack is there"


def test_py_spy_shows_the_stack_of_one_that_holds_the_gil(binary: str, scratch: Path) -> None:
    if shutil.which("py-spy") is None:
        skip_visibly("py-spy's part of a Python worker's evidence", "it is not here")
    worker = written(scratch, HANGS.format(hang="c_that_holds_the_gil()"))
    with Run(binary, scratch, worker, *ONCE, "--dump", "py-spy", logs=False) as run:
        bundle = run.bundle()
    if not (bundle / "py-spy.txt").exists():
        # It must not look into others' processes everywhere: then the bundle says why it is not there.
        missing = json.loads((bundle / "evidence.json").read_text())["missing"]
        skip_visibly("py-spy's part of a Python worker's evidence", str(missing))
    shown = (bundle / "py-spy.txt").read_text()
    assert "c_that_holds_the_gil" in shown, shown


LOOP = """
import asyncio, time
import hangwatch
import hangwatch.integrations.asyncio as loops

def callback_that_blocks():
    {hang}

async def main():
    loops.watch(every=0.05, budget=0.5)
    for _ in range(20):
        await asyncio.sleep(0.01)
    callback_that_blocks()

hangwatch.dump_stacks_on()
worker = hangwatch.attach()
hangwatch.watch_interpreter(every=0.05)
asyncio.run(main())
"""


@pytest.mark.parametrize(("hang", "state"), [("time.sleep(600)", "in_c"), ("\n    while True: pass", "runs")])
def test_a_blocked_event_loop_is_a_verdict_of_its_own_lane_and_no_jobs(binary: str, scratch: Path, hang: str, state: str) -> None:
    with Run(binary, scratch, written(scratch, LOOP.format(hang=hang)), *ONCE, logs=False) as run:
        evidence, bundle = run.until_event("evidence"), run.bundle()
    assert (evidence["verdict"], evidence["phase"]) == ("overdue", "event_loop_0.5s"), evidence
    assert evidence["slot"] != 0 and evidence.get("job") is None, "it is the loop's lane, and no job is open"
    assert evidence["lane"] == "asyncio"
    assert f"; interpreter {state}: " in evidence["detail"], evidence
    assert "callback_that_blocks" in (bundle / "traceback.txt").read_text()


def test_a_job_that_reports_no_progress_is_kept_alive_by_no_watch(binary: str, scratch: Path) -> None:
    text = HANGS.replace("total=50", "total=None").replace("        job.step()\n", "        worker.beat()\n")
    with Run(binary, scratch, written(scratch, text.format(hang="python_that_never_steps()")), *ONCE, logs=False) as run:
        evidence = run.until_event("evidence")
    assert evidence["verdict"] == "silent", "its main thread runs Python for ever, and the hang is found"
    assert "; interpreter runs: " in evidence["detail"], evidence


def test_stacks_of_multiprocessings_children_are_kept_by_each_start_method(binary: str, scratch: Path) -> None:
    text = """
import multiprocessing, sys, time
import hangwatch

def the_child_that_hangs():
    time.sleep(600)

def target():
    if multiprocessing.get_start_method() != "fork":
        hangwatch.dump_stacks_on()
    worker = hangwatch.attach()
    with worker.job("a1", total=9) as job:
        job.step()
        the_child_that_hangs()

if __name__ == "__main__":
    hangwatch.dump_stacks_on()
    multiprocessing.set_start_method(sys.argv[1])
    process = multiprocessing.Process(target=target)
    process.start()
    process.join()
"""
    for way in ("fork", "spawn", "forkserver"):
        folder = scratch / way
        folder.mkdir()
        (folder / "w.py").write_text(text)
        outer = f"import runpy, sys; sys.argv = ['w.py', '{way}']; runpy.run_path({str(folder / 'w.py')!r}, run_name='__main__')"
        if way != "fork":
            # A child that is not forked imports the script itself.
            outer = f"import os, sys; os.execv(sys.executable, [sys.executable, '-B', {str(folder / 'w.py')!r}, '{way}'])"
        with Run(binary, folder, written(folder, outer), *ONCE, logs=False) as run:
            bundle = run.bundle()
        assert "the_child_that_hangs" in (bundle / "traceback.txt").read_text(), way


def test_watch_that_acts_beside_a_worker_keeps_its_stack(binary: str, scratch: Path) -> None:
    path, segment = scratch / "worker.py", scratch / "segment"
    path.write_text(HANGS.format(hang="c_that_released_the_gil()"))
    env = {**os.environ, "HANGWATCH_SEGMENT": str(segment)}
    worker = subprocess.Popen([sys.executable, "-B", str(path)], env=env)
    events, evidence = scratch / "events", scratch / "evidence"
    flags = "--mode act --inference-step-timeout 500ms --poll 50ms --grace 300ms --faulthandler SIGUSR1".split()
    while not segment.exists():
        assert worker.poll() is None
    where = ["--segment", str(segment), "--events", str(events), "--evidence", str(evidence)]
    watch = subprocess.Popen([binary, "watch", *where, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while found(events_of(events), "evidence") is None:
            assert watch.poll() is None
            time.sleep(0.01)
    finally:
        watch.terminate()
        watch.wait()
        worker.kill()
        worker.wait()
    tracebacks = [bundle.read_text() for bundle in evidence.glob("*/traceback.txt")]
    assert any("c_that_released_the_gil" in text for text in tracebacks), tracebacks


LIFE = """
import os, sys, threading, time
import hangwatch

def names():
    found = []
    for tid in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{tid}/comm") as file:
                found.append(file.read().strip())
        except OSError:
            pass  # it has just ended
    return found

worker = hangwatch.attach()
"""


def test_a_watch_has_two_threads_and_takes_both_with_it(segment: Path) -> None:
    text = LIFE + """
before = threading.active_count(), len(names())
watch = hangwatch.watch_interpreter(every=0.02)
assert watch.running and watch.worker is worker
while not any(name.startswith("hw-py runs") for name in names()):
    time.sleep(0.01)
again = hangwatch.watch_interpreter(worker, 0.02)
assert not watch.running and again.running, "one watch a worker"
# One that has been joined may be seen for a moment, and one that begins has its name in a moment.
while sum(name.startswith("hw-py") for name in names()) != 1:
    time.sleep(0.01)
again.stop()
again.stop()
assert not again.running
with hangwatch.watch_interpreter() as watch:
    assert watch.running
assert not watch.running
while (threading.active_count(), len(names())) != before:
    time.sleep(0.01)
with hangwatch.watch_interpreter(hangwatch.detached()) as watch:
    assert not watch.running and (threading.active_count(), len(names())) == before, "nothing is started where nobody watches"
"""
    it = script(text, HANGWATCH_SEGMENT=str(segment))
    assert (it.returncode, it.stdout, it.stderr) == (0, "", ""), it.stderr


def test_the_main_thread_says_alive_only_while_it_runs_python(segment: Path) -> None:
    text = LIFE + """
sys.path.insert(0, ".")
import mmap, struct
from slots import ALIVE
# Mapped, since a call that opened the file would let others run.
with open(worker.segment, "rb") as file:
    segment = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
header = struct.unpack_from("<32Q", segment)
word = struct.Struct("<Q")
at = header[6] + 8 * ALIVE
def alive():
    return word.unpack_from(segment, at)[0]
watch = hangwatch.watch_interpreter(every=0.02)
first = alive()
while alive() < first + 3:
    pass
# One is on its way when the lock is taken, and more than one never is: hundreds would have been posted meanwhile.
held = threading.Lock()
held.acquire()
before = alive()
held.acquire(timeout=0.6)
assert alive() - before <= 2, "it waited, and no call of it ran"
"""
    it = script(text, HANGWATCH_SEGMENT=str(segment))
    assert (it.returncode, it.stdout, it.stderr) == (0, "", ""), it.stderr


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise RuntimeError", "import signal; os.kill(os.getpid(), signal.SIGINT)"])
def test_an_interpreter_that_ends_while_it_is_watched_ends_as_without(segment: Path, end: str) -> None:
    both = []
    for watches in ("hangwatch.watch_interpreter(every=0.01)", "pass"):
        it = script(f"{LIFE}{watches}\n{end}\n", HANGWATCH_SEGMENT=str(segment))
        both.append((it.returncode, it.stdout, "\n".join(it.stderr.splitlines()[-1:])))
        assert taken(segment, 8) == [], "and its slot is free"
    assert both[0] == both[1]


def test_a_forked_child_has_no_watch_and_may_have_one_of_its_own(segment: Path) -> None:
    text = LIFE + """
import warnings
warnings.simplefilter("ignore")  # from 3.12 on a process with any second thread is warned at its fork
watch = hangwatch.watch_interpreter(every=0.01)
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        assert not watch.running and len(names()) == 1
        watch.stop()
        own = hangwatch.attach("child")
        with hangwatch.watch_interpreter(own, 0.01) as its:
            while not any(name.startswith("hw-py runs") for name in names()):
                time.sleep(0.001)
        own.detach()
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "the child is content"
assert watch.running, "and its parent's goes on"
"""
    it = script(text, HANGWATCH_SEGMENT=str(segment))
    assert (it.returncode, it.stdout, it.stderr) == (0, "", ""), it.stderr


def test_each_process_has_a_file_of_its_own_for_its_stacks() -> None:
    text = """
import os, signal, sys
import hangwatch
def mine():
    names = {number: os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{number}")}
    found = [number for number, name in names.items() if name == "/memfd:hangwatch-traceback (deleted)"]
    assert len(found) == 1, names
    return int(found[0])
def written(number):
    return os.lseek(number, 0, os.SEEK_CUR)
hangwatch.dump_stacks_on("SIGUSR1")
hangwatch.dump_stacks_on(signal.SIGUSR2)
os.kill(os.getpid(), signal.SIGUSR2)
number = mine()
before, inode = written(number), os.fstat(number).st_ino
assert before > 0 and b"<module>" in os.pread(number, before, 0)
pid = os.fork()
if pid == 0:
    os.kill(os.getpid(), signal.SIGUSR1)
    assert mine() == number and 0 < written(number), "under its parent's number"
    assert os.fstat(number).st_ino != inode
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0, "the child is content"
assert written(number) == before, "and wrote nothing into its parent's file"
for _ in range(20000):
    os.kill(os.getpid(), signal.SIGUSR1)
assert os.fstat(number).st_size == 4 << 20, "it does not grow, whatever comes"
"""
    it = script(text)
    assert (it.returncode, it.stdout, it.stderr) == (0, "", ""), it.stderr
