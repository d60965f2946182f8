"""What supervised children do: functions that a child of any start method finds here."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict

import hangwatch


def the_target_that_hangs() -> None:
    time.sleep(600)


def lives(orders: Any, answers: Any) -> None:
    """Takes an order a life, and answers with what it is."""
    worker = hangwatch.attach("life")
    order = orders.get()
    with worker.job("a1", model="sdxl", total=9) as job:
        job.step()
        answers.put((order, os.getpid(), worker.slot, os.getsid(0)))
        if order == "hang":
            the_target_that_hangs()


def hangs_once(number: int, folder: str) -> None:
    """Hangs with its job in its first life."""
    worker = hangwatch.attach()
    mark = Path(folder) / str(number)
    is_first = not mark.exists()
    mark.touch()
    with worker.job("a1", total=9) as job:
        job.step()
        if is_first:
            the_target_that_hangs()


def exits(how: str, told: str = "") -> None:
    if told:
        with open(told, "a") as file:
            file.write(f"{os.getpid()}\n")
    if how == "raise":
        raise RuntimeError("it fails")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how.isdigit():
        sys.exit(int(how))


def ignores_sigterm_with_a_child(told: str) -> None:
    """A worker that SIGTERM does not end, a process that it started, and one whose parent has gone."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    orphan = subprocess.check_output(["sh", "-c", "sleep 600 >&2 & echo $!"], text=True)
    partial = Path(told + ".partial")
    partial.write_text(f"{os.getpid()} {child.pid} {orphan}")
    partial.rename(told)
    time.sleep(600)


def works_with_a_child(told: str) -> None:
    """A worker with a job, and a process that it started."""
    worker = hangwatch.attach()
    worker.begin_job("left", total=9)
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    partial = Path(told + ".partial")
    partial.write_text(f"{os.getpid()} {child.pid}")
    partial.rename(told)
    while True:
        worker.beat()
        time.sleep(0.01)


def notes_who_lives(told: str, pids: Any) -> None:
    """In which slot it is, and who of these is there."""
    slot = hangwatch.attach().slot
    Path(told).write_text(f"{slot} {[pid for pid in pids if lives_on(pid)]}")


def lives_on(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def says(folder: str, number: int) -> None:
    """What it finds in its environment and where its output goes."""
    names = ("HANGWATCH_DEVICE", "CUDA_VISIBLE_DEVICES", "PORT", "NOTIFY_SOCKET")
    print(number, [os.environ.get(name) for name in names], flush=True)
    os.write(2, b"and an error")


def waits_to_be_asked(told: str) -> None:
    """Ends when its command word says so, before any signal."""
    signal.signal(signal.SIGTERM, lambda *_: os.write(1, b""))
    worker = hangwatch.attach()
    with worker.job("a1", total=9) as job:
        job.step()
        while not worker.should_stop():
            time.sleep(0.005)
    Path(told).write_text("asked")


def takes_leave(told: str) -> None:
    """At SIGTERM it says so, and when it may it says goodbye and ends."""

    def leaves(*_: object) -> None:
        Path(told + ".asked").touch()
        while not os.path.exists(told + ".gate"):
            time.sleep(0.01)
        Path(told + ".goodbye").touch()
        os._exit(0)

    signal.signal(signal.SIGTERM, leaves)
    Path(told).touch()
    while True:
        time.sleep(0.01)


class Blocks:
    """An argument that does not get into a child before a file is there."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        while not os.path.exists(self.path):
            time.sleep(0.01)
        return Blocks, (self.path,)


def sleeps(told: str) -> None:
    Path(told).touch()
    time.sleep(600)


def _raises() -> None:
    raise RuntimeError("it fails")


def _loops() -> None:
    while True:
        pass


def _is_deaf() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    the_target_that_hangs()


def _faults() -> None:
    # A forked child has the handler of the tests' runner, which would tell of it as of its own.
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


# What a life does at last; those with a name of a job do it in the job of that name.
FAULTS: Dict[str, Callable[[], object]] = {
    "before_attach": the_target_that_hangs,
    "exits_before": lambda: sys.exit(3),
    "in_a_load": the_target_that_hangs,
    "raises": _raises,
    "in_a_step": the_target_that_hangs,
    "in_a_loop": _loops,
    "deaf_to_sigterm": _is_deaf,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "fault": _faults,
    "exits_in_a_job": lambda: os._exit(9),
}


def fails_in_each_way(number: int, folder: str) -> None:
    """A fault a life, beginning with another one in each replica; the last life does nothing wrong."""
    told = Path(folder) / str(number)
    lives = len(told.read_text().splitlines()) if told.exists() else 0
    with told.open("a") as file:
        if lives == len(FAULTS):
            file.write(f"{os.getpid()}\n")
            return
        child = subprocess.Popen(["sleep", "600"])
        file.write(f"{os.getpid()} {child.pid}\n")
    name = list(FAULTS)[(lives + number) % len(FAULTS)]
    fault = FAULTS[name]
    if name in ("before_attach", "exits_before"):
        fault()
    worker = hangwatch.attach()
    if name == "in_a_load":
        with worker.phase("loading"):
            fault()
    with worker.job(name, total=9) as job:
        job.step()
        fault()
