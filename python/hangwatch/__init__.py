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

__all__ = [
    "PHASES",
    "UNKNOWN",
    "BadSegmentError",
    "DeniedError",
    "Error",
    "FullError",
    "HeldError",
    "InterpreterWatch",
    "Job",
    "NotFoundError",
    "Section",
    "SystemCallError",
    "UsageError",
    "Worker",
    "__version__",
    "attach",
    "current",
    "detached",
    "dump_stacks_on",
    "set_current",
    "track",
    "watch_interpreter",
    "watched",
]
