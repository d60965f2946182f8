"""Lanes for requests: each in flight holds a slot of its own, so that one that hangs is not masked by those that go on."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Generic, List, Optional, TypeVar

from .. import PHASES, Error, Worker, _living, attach, current
from .._stop import Stop
from ._calls import Outcome

App = TypeVar("App")
Asked = TypeVar("Asked")


class _Thread(threading.local):
    """The free lanes of a thread: a lane belongs to the thread that writes it."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.free: List[Worker] = []
        self.made = 0
        self.client: int = PHASES["idle"]


class Lanes:
    """Lends a lane to each request, at most `most` at once in a thread. A request for which there is none is not reported."""

    def __init__(
        self, worker: Optional[Worker], name: str, most: int, on_stop: Optional[Callable[[], object]]
    ) -> None:
        self._worker = worker
        self._pid = os.getpid()
        self._stop = Stop(on_stop)
        self._name = name
        self._most = most
        self._here = _Thread()
        self._attaching = threading.Lock()
        # A server may wait long for its first request.
        _living.settle(_living.of(worker))

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
                host = self._host()
                _living.settle(host)
                lane = host.lane(self._name)
                here.made += 1
                here.client = _client_of(lane)
            else:
                return None
            lane.begin_job(path())
            return lane
        except Exception:  # noqa: BLE001 - a request goes on, reported or not
            return None

    def step(self, lane: Worker, sent: int) -> None:
        """So many parts of the answer are sent. Never raises."""
        lane.step(sent)
        self._heed(lane)

    def waits(self, lane: Worker) -> None:
        """The client is waited for, as long as it takes: no budget runs. Never raises."""
        lane.enter(self._here.client)

    def goes_on(self, lane: Worker) -> None:
        """It is not any more."""
        lane.leave()

    def end(self, lane: Worker, outcome: Outcome) -> None:
        """The request has ended. Never raises."""
        lane.end_job(outcome)
        self._heed(lane)

    def _heed(self, lane: Worker) -> None:
        # All lanes of a process are asked at once, so one that goes on hears it for one that hangs.
        self._stop.heed(lane)

    def give_back(self, lane: Worker) -> None:
        """Nobody writes the lane any more: another request may have it."""
        if self._here.pid == os.getpid():
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


def _client_of(lane: Worker) -> int:
    """The phase in which a client is waited for."""
    try:
        return lane.register_phase("client", "idle")
    except Error:
        return PHASES["idle"]  # where there is no room for it


class Wrapped(Generic[App, Asked]):
    """`app`, with its requests on lanes: at most `lanes` at once in a thread, further ones are not reported.

    The lanes hang beside `worker`, and `name` is their label. `skip` says of a request that it is not to be reported (an endless stream
    of events). `on_stop` is called once, at the next message or end of any request after the monitor asked this process to stop: it
    tells the server to; an `Exception` that it raises goes nowhere.
    """

    def __init__(
        self,
        app: App,
        *,
        worker: Optional[Worker] = None,
        name: str = "request",
        lanes: int = 16,
        skip: Optional[Callable[[Asked], bool]] = None,
        on_stop: Optional[Callable[[], object]] = None,
    ) -> None:
        self.app = app
        self._lanes = Lanes(worker, name, lanes, on_stop)
        self._skip = skip

    def _is_skipped(self, asked: Asked) -> bool:
        try:
            return self._skip is not None and self._skip(asked)
        except Exception:  # noqa: BLE001 - a question of ours fails no request
            return False


def named(*parts: Any) -> str:
    """What a request asks for, cut to what a job's id holds."""
    return " ".join(str(part) for part in parts).encode()[:64].decode(errors="ignore")
