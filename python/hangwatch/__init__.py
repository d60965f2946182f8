"""Reports of an inference worker: heartbeat, phase and progress as plain stores into shared memory.

    import hangwatch

    w = hangwatch.attach()                      # where nothing watches, every call on it does nothing
    with w.phase("loading"):
        model = load()
    with w.job("a1b2c3d4", model="sdxl", total=50) as job:
        for _ in range(50):
            denoise()
            job.step()

A report never raises. A child of `fork` reports nothing through what it inherited; it attaches itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING

from ._interpreter import refuse_subinterpreters

refuse_subinterpreters()

from ._errors import (  # noqa: E402
    BadSegmentError,
    DeniedError,
    Error,
    FullError,
    HeldError,
    NotFoundError,
    SystemCallError,
    UsageError,
)
from ._hangwatch import PHASES, UNKNOWN, Job, Section, Worker, __version__, detached  # noqa: E402
from ._living import attach, current, set_current  # noqa: E402
from ._stacks import dump_stacks_on  # noqa: E402
from ._track import track, watched  # noqa: E402
from ._watch import InterpreterWatch, watch_interpreter  # noqa: E402

if _TYPE_CHECKING:
    from ._events import Event, EventStream
    from ._monitor import Monitor
    from ._status import MonitorStatus, SegmentMonitor, SegmentStatus, WorkerStatus, status
    from ._supervisor import ReplicaResult, Supervisor

_LATER = {
    "Event": "_events",
    "EventStream": "_events",
    "Monitor": "_monitor",
    "MonitorStatus": "_status",
    "ReplicaResult": "_supervisor",
    "SegmentMonitor": "_status",
    "SegmentStatus": "_status",
    "Supervisor": "_supervisor",
    "WorkerStatus": "_status",
    "status": "_status",
}
"""Names of the monitor's side and their modules, which a worker's start does not pay for."""

__all__ = [
    "PHASES",
    "UNKNOWN",
    "BadSegmentError",
    "DeniedError",
    "Error",
    "Event",
    "EventStream",
    "FullError",
    "HeldError",
    "InterpreterWatch",
    "Job",
    "Monitor",
    "MonitorStatus",
    "NotFoundError",
    "ReplicaResult",
    "Section",
    "SegmentMonitor",
    "SegmentStatus",
    "Supervisor",
    "SystemCallError",
    "UsageError",
    "Worker",
    "WorkerStatus",
    "__version__",
    "attach",
    "current",
    "detached",
    "dump_stacks_on",
    "set_current",
    "status",
    "track",
    "watch_interpreter",
    "watched",
]


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'hangwatch' has no attribute '{name}'")
    from importlib import import_module

    found = getattr(import_module("." + _LATER[name], __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
