"""Which workers this process has, and which one is meant where none is named."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, Any, Optional, Protocol, Set, Union
from weakref import WeakSet

from . import _hangwatch

if TYPE_CHECKING:
    from ._hangwatch import Worker



class Running(Protocol):
    """What has threads in this process: a monitor."""

    def _end(self) -> None:
        """The interpreter ends, or it is no longer wanted."""

    def _forget(self) -> None:
        """This is a forked child, which has none of its threads."""


_living: WeakSet[Worker] = WeakSet()
_running: Set[Running] = set()
_current: Optional[Worker] = None
_nobody = _hangwatch.detached()
_finalized_in: Optional[int] = None


def attach(
    name: Optional[str] = None,
    *,
    segment: Union[str, os.PathLike[str], None] = None,
    device: Optional[int] = None,
    stamps: bool = True,
) -> Worker:
    """Attaches: into `segment` (a name, or a path with a slash), else as the environment says.

    With no segment named anywhere the worker is detached, and everything on it does nothing. Raises a subclass of `Error` where a
    segment is named and cannot be had. The first worker of a process is its `current()` one. `name` is a label (40 bytes),
    `device` the number of the device it works on; without `stamps` a step is quicker by a clock, and a reader without a live
    monitor sees no age.
    """
    global _current
    worker = _hangwatch.attach(name, segment=segment, device=device, stamps=stamps)
    if _current is None or not _current.attached:
        _current = worker
    return worker


def current() -> Optional[Worker]:
    """This process's worker: the first that it attached, or the one that was set. In a forked child there is none."""
    return _current


def set_current(worker: Optional[Worker]) -> None:
    """Sets the worker that is meant where none is named."""
    global _current
    _current = worker


def of(worker: Optional[Worker]) -> Worker:
    """`worker`, else the current one, else one on which everything does nothing."""
    return worker or _current or _nobody


def keep(worker: Worker) -> None:
    """Called by the extension for each worker and lane: its slot is given back when the interpreter ends, at the latest."""
    _living.add(worker)
    _finalize_here()


def keep_running(it: Running) -> None:
    """Like a thread it lives until it ends, whoever still holds it, and at the interpreter's end at the latest."""
    _running.add(it)
    _finalize_here()


def let_go(it: Running) -> None:
    """It has ended."""
    _running.discard(it)


def _finalize_here() -> None:
    # A child of multiprocessing ends by os._exit, which runs none of atexit's functions before 3.13, but its own finalizers.
    global _finalized_in
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and _finalized_in != os.getpid():
        _finalized_in = os.getpid()
        util.Finalize(None, _end_all, exitpriority=0)


def _end_all() -> None:
    # The workers first: a monitor that still looks sees that they left, and not that they hang.
    for worker in list(_living):
        worker.detach()
    for running in list(_running):
        running._end()


def _forget() -> None:
    # What a forked child inherits is its parent's; the handles know that by themselves.
    global _current
    _current = None
    _living.clear()
    for running in list(_running):
        running._forget()
    _running.clear()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_forget)
