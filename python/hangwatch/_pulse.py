"""One helper thread of Python for all that must be looked at from beside the working threads, each at an interval of its own.

A daemon, so that it holds no program back; it sleeps without the GIL, and is gone before the interpreter is. A forked child has
none until something is asked for there.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from typing import Callable, Optional


class Pulse:
    """Calls each of its functions again and again. What one raises ends that one alone, without a word: it is a report's."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[Callable[[], object], tuple[float, float]] = {}
        self._thread: Optional[threading.Thread] = None

    def every(self, seconds: float, call: Callable[[], object]) -> None:
        """Calls it each so many seconds from now on."""
        with self._changed:
            self._due[call] = (time.monotonic(), seconds)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hangwatch-pulse", daemon=True)
                self._thread.start()
            self._changed.notify()

    def no_more(self, call: Callable[[], object]) -> None:
        """Calls it no more; one call may be in progress. The last one to go takes the thread with it."""
        with self._changed:
            self._due.pop(call, None)
            self._changed.notify()

    def end(self) -> None:
        """Calls nothing any more, and waits for the thread's end."""
        with self._changed:
            self._due.clear()
            thread = self._thread
            self._changed.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._due:
                    self._thread = None
                    return
                call, (at, seconds) = min(self._due.items(), key=lambda it: it[1][0])
                now = time.monotonic()
                if now < at:
                    self._changed.wait(at - now)
                    continue
                # A late call does not hurry the next one.
                self._due[call] = (now + seconds, seconds)
            try:
                call()
            except Exception:
                self.no_more(call)


_pulse = Pulse()


def every(seconds: float, call: Callable[[], object]) -> None:
    _pulse.every(seconds, call)


def no_more(call: Callable[[], object]) -> None:
    _pulse.no_more(call)


def _end() -> None:
    _pulse.end()


def _forget() -> None:
    # Its thread and whoever held its lock are the parent's.
    global _pulse
    _pulse = Pulse()


atexit.register(_end)
os.register_at_fork(after_in_child=_forget)
