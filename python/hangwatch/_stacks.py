"""The worker's own traceback as evidence of a hang (docs/evidence.md)."""

from __future__ import annotations

import faulthandler
import signal as signals
import sys
from typing import Optional, TextIO, Union


def dump_stacks_on(
    signal: Union[int, str] = signals.SIGUSR1, file: Optional[TextIO] = None, *, all_threads: bool = True
) -> None:
    """At this signal, the stacks of all threads go to `file`, by default standard error: the worker's log under `hangwatch run`.

    For `hangwatch run --faulthandler SIGUSR1`, which sends it to a hung worker before it ends it and keeps what was written. It works
    though the interpreter is stuck in C or the GIL is held. `file` must have a descriptor, and is kept open.
    """
    number = signals.Signals[signal] if isinstance(signal, str) else signals.Signals(signal)
    target = file if file is not None else (sys.__stderr__ or sys.stderr)
    faulthandler.register(number, file=target, all_threads=all_threads, chain=False)
