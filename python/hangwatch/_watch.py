"""Whether the interpreter runs while no step comes: docs/python-hangs.md says what this tells apart, and what it cannot."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Optional
from weakref import ref

from . import _hangwatch, _living, _pulse
from ._block import Block

if TYPE_CHECKING:
    from ._hangwatch import Worker

_LEAST, _MOST = 0.01, 60.0
# Those at work: nobody else need keep them.
_at_work: set[InterpreterWatch] = set()


class InterpreterWatch(Block):
    """A watch at work, until `stop`, the end of its block or the interpreter's. `watch_interpreter` makes it."""

    def __init__(self, worker: Worker, every: float) -> None:
        self._worker = ref(worker)
        self._native: Optional[_hangwatch.InterpreterWatch] = None
        if worker.attached:
            self._native = _hangwatch.watch_interpreter(worker, every)
            _pulse.every(every, self._native.pulse)
            _at_work.add(self)

    @property
    def worker(self) -> Optional[Worker]:
        """Beside which worker it watches; `None` where that is gone."""
        return self._worker()

    @property
    def running(self) -> bool:
        """Whether it watches: not on a worker that was detached, in a forked child, or after `stop`."""
        return self._native is not None and self._native.running

    def stop(self) -> None:
        """Ends it, and waits for its native thread. Any number of times."""
        native, self._native = self._native, None
        _at_work.discard(self)
        if native is not None:
            _pulse.no_more(native.pulse)
            native.stop()

    def _exit(self) -> None:
        self.stop()


def watch_interpreter(worker: Optional[Worker] = None, every: float = 1.0) -> InterpreterWatch:
    """Watches the interpreter beside `worker`, by default the current one, each `every` seconds (0.01 to 60).

    A pending call says `alive` from the main thread whenever that runs Python code; a helper thread tells whether any thread can.
    So the evidence of a hang names one of three: the main thread runs Python and no step comes (`runs`); it is in C code that has
    released the GIL, or waits (`in_c`); C code holds the GIL (`gil_held`). A job that reports no progress is kept alive by its
    working thread alone, as without a watch.

    It costs two threads that sleep but for about 0.2 ms an interval. Where the worker is not attached nothing is started. One watch
    a worker: another one takes its place.
    """
    worker = _living.of(worker)
    for other in [watch for watch in _at_work if watch.worker is worker]:
        other.stop()
    return InterpreterWatch(worker, min(_MOST, max(_LEAST, float(every))))


def _stop_all() -> None:
    for watch in list(_at_work):
        watch.stop()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_at_work.clear)
