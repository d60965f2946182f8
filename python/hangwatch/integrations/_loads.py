"""Loads: a method that loads, or moves what was loaded to a device, is a section, with tqdm's bars as its count.

What is fetched meanwhile moves bars in other threads, disabled ones too: that is a section of its own within the load, at phase
`downloading`, and counts bytes. It ends with the next sign of the thread that loads. So a file of many gigabytes is no load that
stands still, and a download that does is found.
"""

from __future__ import annotations

import functools
import inspect
from types import TracebackType
from typing import Any, Callable, Optional, Type, cast

from .. import UNKNOWN, Worker, _living
from . import _calls
from ._calls import Hooks, Reporting, here, is_ours, ours, quietly

__all__ = ["hook", "hook_method"]


def hook(hooks: Hooks, owner: Any, name: str, reporting: Reporting) -> None:
    """Makes a section of each call. A method that this version of the library lacks is left out."""
    original = getattr(vars(owner).get(name), "__func__", None)
    if original is None:
        return

    @functools.wraps(original)
    def loaded(cls: Any, *args: Any, **kwargs: Any) -> Any:
        with _Load(reporting):
            return original(cls, *args, **kwargs)

    hooks.put(owner, name, classmethod(loaded))


def hook_method(hooks: Hooks, owner: Any, name: str, reporting: Reporting) -> None:
    """The same of a method of an instance. Within a reported call it is a part of that: models are moved to and fro there."""
    original = vars(owner).get(name)
    if not inspect.isfunction(original) or is_ours(original):
        return

    @functools.wraps(original)
    def loaded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if here.call is not None:
            return original(self, *args, **kwargs)
        with _Load(reporting):
            return original(self, *args, **kwargs)

    hooks.put(owner, name, ours(loaded))


class _Load:
    """A load that goes on. One within it is a part of it: a section of its own would hide how far this one is. Never raises."""

    def __init__(self, reporting: Reporting) -> None:
        self._reporting = reporting
        self._worker: Optional[Worker] = None
        self._is_taken = False
        self._bars: Any = None
        self._host: Optional[_Bars] = None
        self._open = 0
        self._fetched: Optional[int] = None

    def __enter__(self) -> None:
        quietly(self._begin)

    def __exit__(
        self, exc_type: Optional[Type[BaseException]], exc: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        quietly(self._end)

    def _begin(self) -> None:
        if here.load is not None or self._reporting.is_over:
            return
        call = here.call
        worker, is_taken = (call.worker, False) if call is not None else self._reporting.take()
        try:
            if not worker.attached:
                self._reporting.give_back(worker, is_taken)
                return
            worker.enter("loading")
        except Exception:
            self._reporting.give_back(worker, is_taken)
            raise
        self._worker, self._is_taken = worker, is_taken
        here.load = self
        from . import tqdm

        bars = tqdm.here()
        if bars is None:
            self._bars = bars = tqdm.install(cast("Worker", _Bars(self, worker)), phase="loading")
            bars.listen(bars.worker, self._fetches)
        else:
            # Bars that the host has reported already go on to be its own.
            self._bars, self._open, self._host = bars, bars.open, _Bars(self, bars.worker)
            bars.listen(cast("Worker", self._host), self._fetches)

    def _end(self) -> None:
        if self._worker is None:
            return
        here.load = None
        with _calls.reports:
            worker, self._worker = self._worker, None
            try:
                self._settle(worker)
                if self._host is not None:
                    # Those of the load that nobody closed.
                    self._bars.end_all(self._open)
                    self._bars.listen(self._host.host, None)
                elif self._bars is not None:
                    self._bars.remove()
            finally:
                try:
                    worker.leave()
                finally:
                    self._reporting.give_back(worker, self._is_taken)

    def _fetches(self, bar: Any, n: float) -> bool:
        """What another thread moved: whether that is a sign of this load."""
        # A bar that is disabled has no unit; the hub's count bytes. What another thread counts otherwise is none.
        if getattr(bar, "unit", None) != "B" and not type(bar).__module__.startswith("huggingface_hub."):
            return False
        # Several threads fetch.
        with _calls.reports:
            if self._worker is None:
                return False
            if self._fetched is None:
                self._worker.enter("downloading", UNKNOWN)
                self._fetched = 0
            # A file that begins again goes back.
            self._fetched += max(0, int(n))
            self._worker.step(self._fetched)
            return True

    def _settle(self, worker: Worker) -> None:
        if self._fetched is not None:
            self._fetched = None
            worker.leave()

    def goes_on(self) -> None:
        """The thread that loads says something: nothing is fetched around it any more."""
        if self._worker is not None:
            self._settle(self._worker)


class _Bars:
    """The worker that bars of the thread that loads report to, for the time of the load: `host`, else the current one."""

    def __init__(self, load: _Load, host: Optional[Worker]) -> None:
        self._load = load
        self.host = host

    def _say(self, report: str, *args: Any) -> None:
        with _calls.reports:
            self._load.goes_on()
            getattr(_living.of(self.host), report)(*args)

    def enter(self, phase: str, total: int) -> None:
        self._say("enter", phase, total)

    def leave(self) -> None:
        self._say("leave")

    def step(self, done: int) -> None:
        self._say("step", done)

    def beat(self) -> None:
        self._say("beat")

    def should_stop(self) -> bool:
        return _living.of(self.host).should_stop()

    @property
    def phase_id(self) -> Optional[int]:
        return _living.of(self.host).phase_id

    @property
    def in_job(self) -> bool:
        return _living.of(self.host).in_job
