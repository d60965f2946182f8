"""Lanes for requests: each in flight holds a slot of its own, so that one that hangs is not masked by those that go on."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, List, Literal, Optional

from .. import Error, Worker, _living, attach, current

Outcome = Literal["ok", "failed", "cancelled"]


class _Thread(threading.local):
    """The free lanes of a thread: a lane belongs to the thread that writes it."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.free: List[Worker] = []
        self.made = 0


class Lanes:
    """Lends a lane to each request, at most `most` at once in a thread. A request for which there is none is not reported."""

    def __init__(
        self, worker: Optional[Worker], name: str, most: int, on_stop: Optional[Callable[[], object]]
    ) -> None:
        self._worker = worker
        self._pid = os.getpid()
        self._on_stop = on_stop
        self._name = name
        self._most = most
        self._here = _Thread()
        self._attaching = threading.Lock()

    def begin(self, path: Callable[[], str]) -> Optional[Worker]:
        """A lane on which a job has begun, named by what is asked for. Never raises."""
        try:
            here = self._here
            if here.pid != os.getpid():
                # A forked child: what its parent had is not its own.
                here.pid, here.free, here.made = os.getpid(), [], 0
            if here.free:
                lane = here.free.pop()
            elif here.made < self._most:
                lane = self._host().lane(self._name)
                here.made += 1
            else:
                return None
            lane.begin_job(path())
            return lane
        except Exception:  # noqa: BLE001 - a request goes on, reported or not
            return None

    def end(self, lane: Optional[Worker], outcome: Outcome) -> None:
        """The request has ended. Never raises."""
        if lane is None:
            return
        lane.end_job(outcome)
        if self._on_stop is not None and lane.should_stop():
            on_stop, self._on_stop = self._on_stop, None
            try:
                on_stop()
            except Exception:  # noqa: BLE001, S110 - as above
                pass

    def give_back(self, lane: Optional[Worker]) -> None:
        """Nobody writes the lane any more: another request may have it."""
        if lane is not None and self._here.pid == os.getpid():
            self._here.free.append(lane)

    def _host(self) -> Worker:
        # One that was given before a fork is the parent's.
        worker = self._worker if self._worker is not None and self._pid == os.getpid() else current()
        if worker is None:
            # A server that forks attaches in its children, at their first request.
            with self._attaching:
                worker = current()
                if worker is None:
                    try:
                        worker = attach(self._name)
                    except Error:
                        worker = _living.of(None)
        return worker


def ended_by(error: BaseException) -> Outcome:
    """As a job's block has it: what is no error (a cancelled task, Ctrl-C) cancels."""
    return "failed" if isinstance(error, Exception) else "cancelled"


def named(*parts: Any) -> str:
    """What a request asks for, cut to what a job's id holds."""
    return " ".join(str(part) for part in parts).encode()[:64].decode(errors="ignore")
