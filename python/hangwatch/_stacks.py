"""The worker's own traceback as evidence of a hang (docs/evidence.md)."""

from __future__ import annotations

import faulthandler
import signal as signals
import sys
from typing import Optional, TextIO, Union

from ._errors import UsageError


def dump_stacks_on(
    signal: Union[int, str] = signals.SIGUSR1, file: Optional[TextIO] = None, *, all_threads: bool = True
) -> None:
    """At this signal, the stacks of all threads go to `file`, by default standard error.

    For `hangwatch run --log-dir DIR --faulthandler SIGUSR1`: there standard error is the worker's own log, and a hung worker is sent the
    signal before it is ended, and what it wrote is kept as evidence. It works though the interpreter is stuck in C or the GIL is
    held. `file` must have a descriptor, and is kept open. Raises `UsageError`.
    """
    what = f"cannot dump stacks on signal '{signal}'"
    try:
        number = signals.Signals[signal] if isinstance(signal, str) else signals.Signals(signal)
    except (KeyError, ValueError):
        raise UsageError(what, "there is no such signal", ("'hangwatch run --faulthandler' takes SIGUSR1 or SIGUSR2",)) from None
    target = file if file is not None else (sys.__stderr__ or sys.stderr)
    try:
        faulthandler.register(number, file=target, all_threads=all_threads, chain=False)
    except (AttributeError, OSError, RuntimeError, ValueError) as e:
        raise UsageError(what, str(e), ("the file needs a descriptor, and the signal must be one that may be caught",)) from e
