"""A process whose GIL a stuck C extension holds is still watched by its own monitor."""

from __future__ import annotations

import json
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import hangwatch
from waiting import SOON, program, until

# PyDLL calls without letting the GIL go, as an extension does that forgets to.
HOST = """
import ctypes, json, sys, threading
import hangwatch
segment, lines, policy, how = sys.argv[1:]
monitor = hangwatch.Monitor(segment, json.loads(policy), lambda event: None, jsonl=lines)
worker = hangwatch.attach("stuck", segment=segment)
threading.Thread(target=threading.Event().wait, args=(600,), daemon=True).start()
worker.begin_job("a1b2c3d4", "sdxl", 50)
worker.step(21)
print("holds", flush=True)
held = ctypes.PyDLL(None)
if how == "sleep":
    held.sleep(600)
else:
    mutex = ctypes.create_string_buffer(64)
    held.pthread_mutex_lock(mutex)
    held.pthread_mutex_lock(mutex)
"""


def host(segment: Path, lines: Path, how: str, **policy: Any) -> AbstractContextManager[subprocess.Popen[str]]:
    return program(HOST, "holds", str(segment), str(lines), json.dumps({**SOON, **policy}), how)


OURS = ["hangwatch-call", "hangwatch-keep", "hangwatch-scan", "hangwatch-tell"]


def named(tasks: Path) -> dict[Path, str]:
    return {task: (task / "comm").read_text().strip() for task in tasks.iterdir()}


def woken(task: Path) -> int:
    lines = (task / "status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("voluntary_ctxt")))


def told(lines: Path, kind: str) -> Any:
    written = lines.read_text().splitlines(keepends=True) if lines.exists() else []
    return next((it for it in (json.loads(line) for line in written if line.endswith("\n")) if it["event"] == kind), None)


@pytest.mark.parametrize("how", ["sleep", "a mutex that is never unlocked"])
def test_a_host_whose_gil_is_held_for_ever_is_told_of_by_its_own_monitor_which_scans_on(
    segment: Path, scratch: Path, how: str
) -> None:
    lines = scratch / "events.jsonl"
    with host(segment, lines, how, reminder="100ms") as process:
        opened = until(lambda: told(lines, "opened"))
        assert (opened["verdict"], opened["pid"], opened["worker"]) == ("silent", process.pid, "stuck")
        # The callback of the first event waits for the GIL by now, and holds up neither the file nor the scan.
        assert until(lambda: told(lines, "reminder"))["episode"] == opened["episode"]
        seen = hangwatch.status(segment)
        assert seen.monitor.alive and seen.monitor.pid == process.pid
        age = seen.workers[0].heartbeat_age_s or 0.0
        until(lambda: (hangwatch.status(segment).workers[0].heartbeat_age_s or 0.0) > age + 0.1)
        assert hangwatch.status(segment).workers[0].source == "monitor", "its polls go on"


def test_no_thread_of_the_monitors_waits_for_the_gil_but_the_one_that_calls_back(segment: Path, scratch: Path) -> None:
    events = scratch / "events.jsonl"
    with host(segment, events, "sleep", inference_step_timeout="1h") as process:
        tasks = Path(f"/proc/{process.pid}/task")
        # A thread is named once it runs.
        until(lambda: sorted(name for name in named(tasks).values() if name.startswith("hangwatch-")) == OURS)
        idle = [task for task, name in named(tasks).items() if name in ("hangwatch-keep", "hangwatch-tell")]
        scan = next(task for task, name in named(tasks).items() if name == "hangwatch-scan")
        while True:
            before, scanned, lines = [woken(task) for task in idle], woken(scan), events.read_bytes()
            # The GIL is waited for each 5 ms anew; in ten polls of 20 ms a thread that waits for it wakes some forty times.
            until(lambda: woken(scan) > scanned + 10)
            # On a busy machine the monitor may be late, and says so: then there was something to tell.
            if events.read_bytes() == lines:
                break
        assert [woken(task) for task in idle] == before, "they sleep until there is something to tell"
