"""The thread that calls back: what ends it, and that it ends nobody."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any, List

import pytest

import hangwatch
from conftest import script
from waiting import SOON, Events, until

# The host's end begins while the callback waits, and lets it go on in its midst.
FINALIZES = """
import os, signal, sys, threading, time
import hangwatch
from waiting import SOON
segment, what = sys.argv[1:]
goes, called = os.pipe(), threading.Event()

def on_event(event):
    called.set()
    os.read(goes[0], 1)
    print("goes on", flush=True)

class Last:
    def __del__(self, write=os.write, sleep=time.sleep):
        write(1, b"ends\\n")
        write(goes[1], b".")
        for _ in range(20):
            sleep(0.01)  # it wants the interpreter, and finds it ending

def interrupts():
    def comm(task):
        try:
            return open(f"/proc/self/task/{task}/comm").read()
        except OSError:
            return ""
    # Each function that runs at the end, multiprocessing's and ours, stops what runs still.
    for stops in range(1, 1 + ("multiprocessing.util" in sys.modules) + 1):
        while [comm(task) for task in os.listdir("/proc/self/task")].count("hangwatch-stop\\n") < stops:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

if what == "monitor":
    hangwatch.Monitor(segment, SOON, on_event)
    hangwatch.attach(segment=segment).begin_job("own")
else:
    hangwatch.Supervisor(["false"], segment=segment, policy={"poll_interval": "20ms", "max_restarts": 0}, on_event=on_event)
called.wait()
sys.modules["the last"] = Last()
threading.Thread(target=interrupts, daemon=True).start()
"""


@pytest.mark.parametrize("what", ["monitor", "supervisor"])
def test_an_interpreter_that_ends_while_it_calls_back_ends_as_any_other(segment: Path, what: str) -> None:
    said = script(FINALIZES, str(segment), what)
    assert (said.returncode, said.stdout) == (0, "ends\n"), said.stderr
    assert "KeyboardInterrupt" in said.stderr, "what Ctrl-C broke off is its stop alone"


def test_a_callback_that_forks_has_a_child_that_ends_and_is_told_nothing(segment: Path) -> None:
    said = script(
        """
import os, sys
import hangwatch
from waiting import SOON, until
codes = []
def forks(event):
    pid = os.fork()
    if pid == 0:
        monitor.stop()
        return
    codes.append(os.waitpid(pid, 0)[1])
with hangwatch.Monitor(sys.argv[1], SOON, forks) as monitor:
    hangwatch.attach(segment=sys.argv[1]).begin_job("own")
    until(lambda: len(codes) > 1)
print(set(codes))
""",
        str(segment),
    )
    assert (said.returncode, said.stdout) == (0, "{0}\n"), said.stderr


def test_a_hook_that_raises_itself_costs_no_event(segment: Path, worker: hangwatch.Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    events = Events()

    def raises(*_: Any) -> None:
        raise RuntimeError("it fails")

    def on_event(event: hangwatch.Event) -> None:
        events(event)
        raises()

    monkeypatch.setattr(sys, "unraisablehook", raises)
    last: List[Any] = []
    monkeypatch.setattr(sys, "__unraisablehook__", last.append)
    with hangwatch.Monitor(segment, SOON, on_event):
        worker.begin_job("own")
        events.first("would_act")
    assert len(last) == len(events.all) and all(it.object is raises for it in last), "the interpreter's own is told of the hook"


def test_a_monitor_whose_thread_cannot_be_started_is_none(segment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fails)
        with pytest.raises(hangwatch.SystemCallError, match="no thread can be started for its events: can't start new thread"):
            hangwatch.Monitor(segment)
    with hangwatch.Monitor(segment) as monitor:
        assert monitor.running, "nobody holds its segment"


def test_the_thread_that_calls_back_ends_with_its_monitor_or_with_its_start_that_fails(segment: Path) -> None:
    def ours() -> List[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "hangwatch-events"]

    with hangwatch.Monitor(segment) as monitor:
        assert len(ours()) == 1 and ours()[0].daemon
        with pytest.raises(hangwatch.HeldError):
            hangwatch.Monitor(segment)
        with pytest.raises(hangwatch.UsageError):
            hangwatch.Monitor(segment, {"graze": 1})
        until(lambda: len(ours()) == 1)
        assert monitor.running
    until(lambda: not ours())


@pytest.mark.parametrize("patches", ["from gevent import monkey; monkey.patch_all()", "import eventlet; eventlet.monkey_patch()", ""])
def test_a_host_whose_threads_are_no_threads_is_called_back_and_held_up_by_nothing(segment: Path, patches: str) -> None:
    said = script(
        f"""
{patches}
import sys, time
import hangwatch
from waiting import SOON, until
refused = []
def on_event(event):
    try:
        monitor.stop()
    except hangwatch.UsageError as e:
        refused.append(e.why)
monitor = hangwatch.Monitor(sys.argv[1], SOON, on_event)
hangwatch.attach(segment=sys.argv[1]).begin_job("own")
until(lambda: refused)
monitor.stop()
print(refused[0])
""",
        str(segment),
    )
    assert (said.returncode, said.stdout) == (0, "this is its own callback, which the stop would wait for\n"), said.stderr
