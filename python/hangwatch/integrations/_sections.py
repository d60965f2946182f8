"""What integrations of loops have in common: the thread that reports, sections at phases of their own, a stop told once."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Optional

from .. import PHASES, Error, Worker, _living
from .._stop import Stop


class Loop:
    """What a loop of one thread says, on a worker that is given or else the one that is current at each call."""

    def __init__(
        self, worker: Optional[Worker], on_stop: Optional[Callable[[], object]], budgets: Optional[Dict[str, float]] = None
    ) -> None:
        self._worker = worker
        self._thread = threading.get_ident()
        self._stop = Stop(on_stop)
        # Seconds for each phase that is no phase of the table.
        self._budgets = dict(budgets or {})
        self._registered: Dict[str, Worker] = {}
        self.stopped = False

    @property
    def worker(self) -> Worker:
        """Whom it reports to now."""
        return _living.of(self._worker)

    @property
    def is_here(self) -> bool:
        """Whether this is the loop's thread: a worker belongs to one."""
        return threading.get_ident() == self._thread

    def say(self, report: str, *args: Any) -> None:
        """One report, by its name."""
        try:
            getattr(_living.of(self._worker), report)(*args)
        except Exception:  # noqa: BLE001, S110 - a report harms no host
            pass

    def move_here(self) -> None:
        """From now on the loop is this thread's."""
        self._thread = threading.get_ident()

    def ask(self) -> bool:
        """Whether the monitor asks the worker to stop. The first time that it does, `on_stop` is called: see `Stop`."""
        if self.stopped or threading.get_ident() != self._thread:
            return self.stopped
        self.stopped = self._stop.is_asked(_living.of(self._worker))
        return self.stopped

    def enter(self, phase: str, total: Optional[int] = None) -> bool:
        """Enters a section; whether there is one to leave."""
        if threading.get_ident() != self._thread:
            return False
        try:
            self._enter(phase, total)
        except Exception:  # noqa: BLE001 - as above
            return False
        return True

    def leave(self) -> None:
        """Leaves the section that was entered last."""
        self.say("leave")

    @contextmanager
    def section(self, phase: str, total: Optional[int] = None) -> Iterator[None]:
        """The same as a block."""
        entered = self.enter(phase, total)
        try:
            yield
        finally:
            if entered:
                self.leave()

    def _enter(self, phase: str, total: Optional[int]) -> None:
        worker = _living.of(self._worker)
        if phase not in PHASES and self._registered.get(phase) is not worker:
            try:
                worker.register_phase(phase, "work", self._budgets.get(phase))
            except Error:
                # No room for one more: then it is a load, which has a budget too.
                phase = "loading"
            else:
                self._registered[phase] = worker
        worker.enter(phase, total)


class Asked:
    """What has a loop, and tells whether that is asked to stop."""

    _loop: Loop

    @property
    def stopped(self) -> bool:
        """Whether the monitor asked it to stop, as far as was looked."""
        return self._loop.stopped

    def should_stop(self) -> bool:
        """Whether the monitor asks the worker to stop now: look between two of its runs, calls or steps."""
        return self._loop.ask()
