"""Every tqdm bar of this thread becomes progress, in whichever library its loop stands.

    import hangwatch
    from hangwatch.integrations import tqdm as bars

    hangwatch.attach()
    bars.install()                       # or: with bars.install(): …

A bar is a section with a count of its own, at phase `inference` where no other is named: both of its clocks run, and when it
ends, what was around it goes on: a job, a phase, an outer bar, idling. So a bar inside `w.job()` or `w.phase("loading")` harms
neither. A loop that is a job itself is written `hangwatch.track(…)`.

- A bar that is iterated begins with its loop and ends with it, disabled or not. One that is updated by hand begins with its first
  update, and ends when it is full or closed: a bar that waits is not hung.
- Of bars that are open at once the newest counts; an update of one around it is a beat.
- Outside of bars a worker that has shown nothing but `starting` is `idle` from `install()` on: what it does there is not judged, unless
  it names a phase.
- Bars of other threads are not reported: a worker belongs to one thread.
- What tqdm shows, returns and raises is what it would be without; nothing here raises.
"""

from __future__ import annotations

import importlib
import math
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional

from .. import UNKNOWN, Worker, _living
from .._block import Block
from .._stop import Stop
from ._calls import Hooks, quietly

__all__ = ["Installed", "install"]

_RECORD = "_hangwatch_bar"
REPORTED = "_hangwatch_reported"
"""An attribute of a bar that another integration reports: it is not reported twice."""
_installed: Dict[int, Installed] = {}  # by thread

_PARTS = 1000  # counted for each unit of a total that is a float: a bar may go from 0.0 to 1.0


class _Bar:
    """One bar's section."""

    def __init__(self, total: Any, is_iterated: bool) -> None:
        is_known = isinstance(total, (int, float)) and math.isfinite(total) and total > 0
        self.parts = _PARTS if isinstance(total, float) else 1
        self.total = max(1, int(total * self.parts)) if is_known else UNKNOWN
        self.is_iterated = is_iterated
        self.is_open = True
        self.n: float = 0


class Installed(Block):
    """The hooks in tqdm's class. `remove`, or the end of a `with` block, takes them out."""

    def __init__(self, worker: Optional[Worker], phase: str, on_stop: Optional[Callable[[], object]]) -> None:
        self._worker = worker
        self._phase = phase
        self._stop = Stop(on_stop)
        self._thread = threading.get_ident()
        self.elsewhere: Optional[Callable[[Any, float], object]] = None
        """Is told of a bar of another thread, and by how much it moved."""
        # Open bars, the innermost last, with those that were closed under an open one.
        self._bars: List[_Bar] = []
        self._class: Any = importlib.import_module("tqdm.std").tqdm
        former = _installed.get(self._thread)
        if former is not None:
            # Else each bar would be two sections.
            former.remove()
        _installed[self._thread] = self
        quietly(lambda: _living.settle(_living.of(worker)))
        self._hooks = Hooks()
        for name, hook in self._made().items():
            self._hooks.put(self._class, name, hook)

    def remove(self) -> None:
        """Takes the hooks out, where nobody has hooked in after them. Bars that are open then are reported no more."""
        if _installed.get(self._thread) is self:
            del _installed[self._thread]
        self._thread = 0
        self._hooks.take_out()
        quietly(self._end_all)

    def _exit(self) -> None:
        self.remove()

    def _made(self) -> Dict[str, Any]:
        """Each calls the original, and gives what it gives."""
        originals = {name: vars(self._class)[name] for name in ("__iter__", "update", "reset", "close")}
        ours = self

        def __iter__(self: Any) -> Iterator[Any]:
            items = originals["__iter__"](self)
            bar = quietly(ours._begin, self, True)
            if bar is None:
                yield from items
                return
            try:
                for item in items:
                    yield item
                    quietly(ours._advance, bar, bar.n + 1)
            finally:
                quietly(ours._end, bar)
                # A loop that is left closes its bar now, as it would without us.
                items.close()

        def update(self: Any, n: float = 1) -> Any:
            shown = originals["update"](self, n)
            quietly(ours._updated, self, n)
            return shown

        def reset(self: Any, total: Any = None) -> Any:
            quietly(ours._closed, self)
            return originals["reset"](self, total)

        def close(self: Any) -> Any:
            quietly(ours._closed, self)
            return originals["close"](self)

        hooks = {"__iter__": __iter__, "update": update, "reset": reset, "close": close}
        for name, hook in hooks.items():
            hook.__doc__ = originals[name].__doc__
        return hooks

    def _begin(self, host: Any, is_iterated: bool) -> Optional[_Bar]:
        if threading.get_ident() != self._thread or getattr(host, REPORTED, False):
            return None
        bar = _Bar(getattr(host, "total", None), is_iterated)
        setattr(host, _RECORD, bar)
        _living.of(self._worker).enter(self._phase, bar.total)
        self._bars.append(bar)
        return bar

    def _updated(self, host: Any, n: float) -> None:
        if threading.get_ident() != self._thread:
            if self._thread and self.elsewhere is not None:
                self.elsewhere(host, n)
            return
        bar = getattr(host, _RECORD, None)
        if bar is None:
            bar = self._begin(host, False)
        # The loop counts for itself: tqdm updates only as often as it draws.
        if bar is None or bar.is_iterated or not bar.is_open:
            return
        # A disabled bar does not count.
        self._advance(bar, bar.n + n if getattr(host, "disable", False) else host.n)
        if bar.total != UNKNOWN and bar.n * bar.parts >= bar.total:
            self._end(bar)

    def _advance(self, bar: _Bar, n: float) -> None:
        if threading.get_ident() != self._thread:
            return
        worker = _living.of(self._worker)
        bar.n = n
        if self._bars and self._bars[-1] is bar:
            worker.step(max(0, int(n * bar.parts)))
        else:
            worker.beat()
        self._stop.heed(worker)

    def _closed(self, host: Any) -> None:
        bar = getattr(host, _RECORD, None)
        # A loop ends its own, after tqdm has closed it from within.
        if isinstance(bar, _Bar) and not bar.is_iterated:
            delattr(host, _RECORD)
            self._end(bar)

    def _end(self, bar: _Bar) -> None:
        bar.is_open = False
        if threading.get_ident() == self._thread:
            self._leave()

    def _end_all(self) -> None:
        for bar in self._bars:
            bar.is_open = False
        self._leave()

    def _leave(self) -> None:
        worker = _living.of(self._worker)
        while self._bars and not self._bars[-1].is_open:
            self._bars.pop()
            worker.leave()


def is_installed() -> bool:
    """Whether the bars of the calling thread are reported."""
    return threading.get_ident() in _installed


def install(
    worker: Optional[Worker] = None, *, phase: str = "inference", on_stop: Optional[Callable[[], object]] = None
) -> Installed:
    """Reports the bars of the calling thread to `worker`, else to the process's current one, from now on.

    `phase` is what a bar's section is shown as. `on_stop` is called once, between two units of a bar, when the monitor asks the
    worker to stop; what it raises goes nowhere, so it sets a flag or an event. Raises `ImportError` where there is no tqdm.
    """
    return Installed(worker, phase, on_stop)
