"""Workers that really hang, and what a monitor says of them: each wait is for something that must come, the runner bounds the whole."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Dict, Optional, TypeVar, Union

import hangwatch

T = TypeVar("T")

SOON: Dict[str, Any] = {"inference_step_timeout": "300ms", "poll_interval": 0.02, "max_stretch": 1}
"""A policy by which a hang is found soon, on a machine that is busy too: nobody is starved by it."""

HANGS = """
import sys, time
import hangwatch
worker = hangwatch.attach(sys.argv[2], segment=sys.argv[1])
worker.begin_job("a1b2c3d4", "sdxl", 50)
for done in range(1, int(sys.argv[3]) + 1):
    worker.step(done)
print("hangs", flush=True)
time.sleep(600)
"""


def until(comes: Callable[[], Union[T, None, bool]]) -> T:
    """What comes, as soon as it does."""
    while True:
        found = comes()
        if found:
            return found  # type: ignore[return-value]
        time.sleep(0.01)


@contextlib.contextmanager
def program(text: str, says: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program of its own, from its first line on, which is this, until the block ends."""
    command = [sys.executable, "-B", "-c", text, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=os.path.dirname(__file__))
    try:
        assert process.stdout is not None and process.stdout.readline() == f"{says}\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def hangs(segment: Path, name: str = "hangs", done: int = 1) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """A process with a worker that hangs in inference after so many steps of 50."""
    return program(HANGS, "hangs", str(segment), name, str(done))


class Events:
    """An `on_event` that keeps what it is called with."""

    def __init__(self) -> None:
        self.all: list[hangwatch.Event] = []
        self._more = threading.Condition()

    def __call__(self, event: hangwatch.Event) -> None:
        with self._more:
            self.all.append(event)
            self._more.notify_all()

    def first(self, kind: str) -> hangwatch.Event:
        """The first of that kind, waited for."""
        with self._more:
            while True:
                found: Optional[hangwatch.Event] = next((it for it in self.all if it.event == kind), None)
                if found is not None:
                    return found
                self._more.wait()
