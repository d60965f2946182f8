"""What a step costs, and who may make one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import hangwatch
from conftest import HERE, script
from slots import FREE, Slot

REPORTS = """
import os, sys, hangwatch
w = hangwatch.attach("x", segment=sys.argv[1])
with w.job("j", total=10**6) as job:
    os.write(1, b"begin")
    for done in range(10**5):
        w.step(done); job.step(); job.step(done); w.beat(); w.alive(); w.should_stop()
    os.write(1, b"end")
"""


def test_600_000_reports_make_no_system_call(scratch: Path, segment: Path) -> None:
    log = scratch / "strace"
    command = ["strace", "-f", "-o", str(log), sys.executable, "-B", "-c", REPORTS, str(segment)]
    said = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "beginend"), said.stderr
    lines = log.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if '"begin"' in line)
    assert '"end"' in lines[at + 1], "a report makes no system call, here is one"
    assert len({line.split()[0] for line in lines}) == 1, "and there is no thread"


def test_a_step_leaves_no_object_behind(worker: hangwatch.Worker) -> None:
    with worker.job("j", total=10**6) as job:
        for round in range(3):
            before = sys.getallocatedblocks()
            for _ in range(10_000):
                worker.step(7)
                job.step()
                job.step(7)
                worker.beat()
            grew = sys.getallocatedblocks() - before
        assert abs(grew) < 10, f"40 000 reports left {grew} blocks"


def test_any_number_of_threads_at_one_worker_harm_nobody(worker: hangwatch.Worker, segment: Path) -> None:
    def work() -> None:
        for done in range(2000):
            with worker.phase("loading"), worker.job("j", total=9) as job:
                job.step(done)
                worker.alive()
                worker.note("n")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    slot = Slot(segment, 0)
    assert (slot.pid, slot.texts[2]) == (os.getpid(), "n"), "the slot is whole"


def test_a_process_that_ends_gives_its_slots_back(segment: Path) -> None:
    text = "import sys, hangwatch; w = hangwatch.attach(segment=sys.argv[1]); lane = w.lane('l'); w.begin_job('j'); sys.exit(3)"
    said = script(text, str(segment))
    assert said.returncode == 3 and [Slot(segment, slot).tag for slot in (0, 1)] == [FREE, FREE]


def test_a_subinterpreter_is_refused_and_the_main_one_is_none_the_worse() -> None:
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    pytest.importorskip(name)
    text = f"""
import {name} as interpreters
it = interpreters.create()
code = '''
try:
    import hangwatch
except ImportError as e:
    import os; os.write(1, str(e).encode())
'''
interpreters.run_string(it, code)
import hangwatch
assert not hangwatch.attach().attached
"""
    said = script(text)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("cannot import hangwatch: this is a subinterpreter"), said.stdout
