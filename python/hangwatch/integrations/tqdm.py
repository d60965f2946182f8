"""Every tqdm bar of this thread becomes progress, in whichever library its loop stands.

    import hangwatch
    from hangwatch.integrations import tqdm as bars

    hangwatch.attach()
    bars.install()                       # or: with bars.install(): …

A bar is a section with a count of its own, at phase `inference` where no other is named: both of its clocks run, and when it
ends, what was around it goes on: a job, a phase, an outer bar, idling. So a bar inside `w.job()` or `w.phase("loading")` harms
neither. A loop that is a job itself is written `hangwatch.track(…)`.

- A bar that is iterated begins with its loop and ends with it, disabled or not. One that is updated by hand begins with its first
  update, and ends when it is full or closed: a bar that waits is not hung. Past its end an update is a beat; if its total was
  raised meanwhile, it begins again.
- It counts whole units; where its total or an update is none, parts of them, a thousand or more a unit.
- Of bars that are open at once the newest counts; an update of one around it is a beat.
- **A job ends the sections around it**, and what comes after it is `idle`, as the end of any job is. So in
  `for prompt in tqdm(prompts): pipe(prompt); save()`, where the call of `pipe` is a job, a hang in `save` is not found: until the
  bar's next advance nothing is judged. With that advance the bar goes on where it was. Within one job around the loop,
  `with worker.job(…):`, calls are parts of that job, and nothing is lost.
- Outside of bars a worker that has shown nothing but `starting` is `idle` from `install()` on: what it does there is not judged, unless
  it names a phase.
- Bars of other threads are not reported: a worker belongs to one thread. One that began in this thread is, whichever thread moves it on
  (`thread_map`).
- What tqdm shows, returns and raises is what it would be without; nothing here raises.
"""

from __future__ import annotations

import importlib
import math
import numbers
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .. import PHASES, UNKNOWN, Worker, _living
from .._block import Block
from .._stop import Stop
from . import _calls
from ._calls import Hooks, quietly

__all__ = ["Installed", "install"]

_RECORD = "_hangwatch_bar"
REPORTED = "_hangwatch_reported"
"""An attribute of a bar that another integration reports: it is not reported twice."""

# All of it changes under `_calls.reports`.
_installed: Dict[int, Installed] = {}  # by thread
_listening: Tuple[Installed, ...] = ()  # those with an `elsewhere`
_hooks: Optional[Hooks] = None  # one set, for however many threads

_PARTS = 1000
"""Counted for each unit, where units are not whole: a bar may go from 0.0 to 1.0."""
_FINEST = 10**6

_IDLE = PHASES["idle"]


class _Bar:
    """One bar's section."""

    def __init__(self, owner: Installed, total: Any, by: float, is_iterated: bool) -> None:
        self.owner = owner
        self.is_iterated = is_iterated
        self.is_open = True
        self.is_closed = False
        self.in_job = False
        """Whether a job was open around it when its section began."""
        self.n: float = 0
        self.parts = 1
        self.total = UNKNOWN
        self.scale = 0
        """Which of its measures this is."""
        self.shown = 0
        """The one that its section has."""
        self._said: Any = self
        self.measure(total, by)

    def measure(self, total: Any, by: float) -> None:
        """Its total is this now, and so far it moved."""
        if total is self._said and type(by) is int:
            return
        self._said, former = total, (self.total, self.parts)
        is_known = isinstance(total, numbers.Real) and math.isfinite(total) and float(total) > 0
        if self.parts == 1 and not (float(by).is_integer() and (not is_known or isinstance(total, numbers.Integral))):
            self.parts = _PARTS
        while self.parts < _FINEST and 0 < abs(by) * self.parts < 1:
            self.parts *= 10
        self.total = max(1, round(float(total) * self.parts)) if is_known else UNKNOWN
        self.scale += (self.total, self.parts) != former

    @property
    def done(self) -> int:
        n = self.n
        if type(n) is int and self.parts == 1:
            return n if n > 0 else 0
        # What was added up of fractions may be short of its total by less than a part.
        return max(0, round(float(n) * self.parts))

    @property
    def is_full(self) -> bool:
        return self.total != UNKNOWN and self.done >= self.total


class Installed(Block):
    """The hooks in tqdm's class, for one thread. `remove`, or the end of a `with` block, takes them out with the last thread's."""

    def __init__(self, worker: Optional[Worker], phase: str, on_stop: Optional[Callable[[], object]]) -> None:
        cls: Any = importlib.import_module("tqdm.std").tqdm
        self.worker = worker
        self.elsewhere: Optional[Callable[[Any, float], bool]] = None
        """Is told of a bar of a thread that reports none, and by how much it moved; answers whether that is its own."""
        self.is_over = False
        self._phase = phase
        self._stop = Stop(on_stop)
        self._thread = threading.get_ident()
        # Open bars, the innermost last, with those that were closed under an open one.
        self._bars: List[_Bar] = []
        with _calls.reports:
            former = _installed.get(self._thread)
            if former is not None:
                # Else each bar would be two sections.
                former.remove()
            _installed[self._thread] = self
            _put(cls)
        quietly(lambda: _living.settle(_living.of(worker)))

    def remove(self) -> None:
        """This thread's bars are reported no more, those that are open neither. The last thread's takes the hooks out of tqdm."""
        with _calls.reports:
            if _installed.get(self._thread) is self:
                del _installed[self._thread]
            self.listen(self.worker, None)
            if not _installed:
                _take_out()
            quietly(self.end_all)
            self.is_over = True

    def _exit(self) -> None:
        self.remove()

    def listen(self, worker: Optional[Worker], elsewhere: Optional[Callable[[Any, float], bool]]) -> None:
        """From now on its bars report to `worker`, and `elsewhere` is told."""
        global _listening
        with _calls.reports:
            self.worker, self.elsewhere = worker, elsewhere
            _listening = tuple(one for one in _installed.values() if one.elsewhere is not None)

    @property
    def open(self) -> int:
        """How many bars are."""
        return len(self._bars)

    def begin(self, host: Any, by: float, is_iterated: bool) -> Optional[_Bar]:
        """A bar of this thread begins."""
        if getattr(host, REPORTED, False):
            return None
        with _calls.reports:
            former: Optional[_Bar] = getattr(host, _RECORD, None)
            if former is not None:
                # Moved by hand before its loop begins, or a loop that goes over it again.
                former.owner.end(former)
            bar = _Bar(self, getattr(host, "total", None), by, is_iterated)
            setattr(host, _RECORD, bar)
            self._open(bar)
            return bar

    def advance(self, bar: _Bar, n: float) -> None:
        """A loop's bar has come to `n`."""
        with _calls.reports:
            if self.is_over:
                return
            bar.n = n
            worker = _living.of(self.worker)
            self._say(bar, worker)
        self._stop.heed(worker)

    def update(self, host: Any, n: float) -> None:
        """A bar was moved by hand, or by its loop as it draws; one that began here perhaps by another thread."""
        with _calls.reports:
            if self.is_over:
                return
            bar: Optional[_Bar] = getattr(host, _RECORD, None)
            if bar is None or bar.owner is not self:
                bar = self.begin(host, n, False)
            # A loop counts for itself: tqdm updates only as often as it draws.
            if bar is None or bar.is_iterated:
                return
            # A disabled bar does not count.
            bar.n = bar.n + n if getattr(host, "disable", False) else host.n
            bar.measure(getattr(host, "total", None), n)
            if not bar.is_open and not bar.is_full and not bar.is_closed:
                # More of it came in sight.
                bar.is_open = True
                if bar not in self._bars:
                    self._open(bar)
            worker = _living.of(self.worker)
            self._say(bar, worker)
            if bar.is_open and bar.is_full:
                self.end(bar)
        self._stop.heed(worker)

    def end(self, bar: _Bar) -> None:
        """It ends; its section does once those within have."""
        with _calls.reports:
            bar.is_open = False
            if not self.is_over:
                self._leave()

    def end_all(self, after: int = 0) -> None:
        """But for so many, which began first."""
        with _calls.reports:
            for bar in self._bars[after:]:
                bar.is_open = False
            self._leave()

    def _say(self, bar: _Bar, worker: Worker) -> None:
        """How far it is. Its section may have ended meanwhile, with a job's begin."""
        if not self._are_there(worker) or not self._bars or self._bars[-1] is not bar or not bar.is_open:
            worker.beat()
            return
        if bar.shown != bar.scale:
            worker.leave()
            self._enter(bar, worker)
        worker.step(bar.done)

    def _open(self, bar: _Bar) -> None:
        worker = _living.of(self.worker)
        self._are_there(worker)
        self._bars.append(bar)
        self._enter(bar, worker)

    def _enter(self, bar: _Bar, worker: Worker) -> None:
        bar.in_job, bar.shown = worker.in_job, bar.scale
        worker.enter(self._phase, bar.total)

    def _leave(self) -> None:
        worker = _living.of(self.worker)
        while self._bars and not self._bars[-1].is_open:
            if not _is_lost(self._bars.pop(), worker):
                worker.leave()

    def _are_there(self, worker: Worker) -> bool:
        """Whether its sections are open, the innermost at least. Those that a job has ended begin again once it is over."""
        if not self._bars or not _is_lost(self._bars[-1], worker):
            return True
        if worker.in_job and not self._bars[-1].in_job:
            return False
        self._bars = [bar for bar in self._bars if bar.is_open]
        for bar in self._bars:
            self._enter(bar, worker)
            if bar.n:
                worker.step(bar.done)
        return True


def _is_lost(bar: _Bar, worker: Worker) -> bool:
    """Whether its section ended, with all that were open, for a job began within or ended."""
    return worker.in_job != bar.in_job or worker.phase_id == _IDLE


def here() -> Optional[Installed]:
    """What reports the bars of the calling thread."""
    return _installed.get(threading.get_ident())


def is_installed() -> bool:
    """Whether the bars of the calling thread are reported."""
    return here() is not None


def _looped(host: Any) -> Optional[_Bar]:
    reporting = here()
    return None if reporting is None else reporting.begin(host, 1, True)


def _moved(host: Any, n: float) -> None:
    reporting = here()
    bar: Optional[_Bar] = getattr(host, _RECORD, None)
    owner = reporting if bar is None or bar.owner.is_over else bar.owner
    if reporting is None:
        for other in _listening:
            if other.elsewhere is not None and other.elsewhere(host, n) and other is owner:
                owner = None
    if owner is not None:
        owner.update(host, n)


def _closed(host: Any, is_anew: bool) -> None:
    bar: Optional[_Bar] = getattr(host, _RECORD, None)
    # A loop ends its own, after tqdm has closed it from within.
    if bar is not None and not bar.is_iterated:
        bar.is_closed = True
        if is_anew:
            delattr(host, _RECORD)
        bar.owner.end(bar)


def _put(cls: Any) -> None:
    global _hooks
    if _hooks is None:
        _hooks = Hooks()
        for name, hook in _made(cls, _hooks).items():
            _hooks.put(cls, name, hook)


def _take_out() -> None:
    global _hooks
    hooks, _hooks = _hooks, None
    if hooks is not None:
        hooks.take_out()


def _made(cls: Any, hooks: Hooks) -> Dict[str, Any]:
    """Each calls the original, and gives what it gives. One that had to stay below somebody else's does nothing more."""
    originals = {name: vars(cls)[name] for name in ("__iter__", "update", "reset", "close")}

    def __iter__(self: Any) -> Iterator[Any]:
        items = originals["__iter__"](self)
        bar = quietly(_looped, self) if hooks.are_in else None
        if bar is None:
            yield from items
            return
        try:
            for item in items:
                yield item
                quietly(bar.owner.advance, bar, bar.n + 1)
        finally:
            quietly(bar.owner.end, bar)
            # A loop that is left closes its bar now, as it would without us.
            items.close()

    def update(self: Any, n: float = 1) -> Any:
        shown = originals["update"](self, n)
        if hooks.are_in:
            quietly(_moved, self, n)
        return shown

    def reset(self: Any, total: Any = None) -> Any:
        quietly(_closed, self, True)
        return originals["reset"](self, total)

    def close(self: Any) -> Any:
        quietly(_closed, self, False)
        return originals["close"](self)

    made = {"__iter__": __iter__, "update": update, "reset": reset, "close": close}
    for name, hook in made.items():
        hook.__doc__ = originals[name].__doc__
    return made


def install(
    worker: Optional[Worker] = None, *, phase: str = "inference", on_stop: Optional[Callable[[], object]] = None
) -> Installed:
    """Reports the bars of the calling thread to `worker`, else to the process's current one, from now on.

    `phase` is what a bar's section is shown as. `on_stop` is called once, between two units of a bar, when the monitor asks the
    worker to stop; an `Exception` that it raises goes nowhere, so it sets a flag or an event. Raises `ImportError` where there is
    no tqdm.
    """
    return Installed(worker, phase, on_stop)
