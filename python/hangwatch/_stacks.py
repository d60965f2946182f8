"""The worker's own traceback as evidence of a hang (docs/evidence.md)."""

from __future__ import annotations

import faulthandler
import fcntl
import os
import signal as signals
import sys
from typing import Optional, TextIO, Union

from ._errors import UsageError

# Whoever gathers evidence finds the file by this name among those that the worker has open: `src/evidence/traceback.rs`.
_NAME = "hangwatch-traceback"
# Many tracebacks of many threads. It takes memory as it is written.
_SIZE = 4 << 20


class _Own:
    """This process's file in memory, and the signals at which it is written."""

    def __init__(self) -> None:
        self.file: Optional[int] = None
        self.signals: set[int] = set()

    def open(self) -> Optional[int]:
        """The file; `None` where this system has none in memory."""
        if self.file is None:
            self.file = _in_memory()
        return self.file

    def after_fork(self) -> None:
        """What a child inherited is its parent's: it gets a file of its own under the same number, which is where it writes."""
        if self.file is None:
            return
        new = _in_memory()
        if new is not None:
            os.dup2(new, self.file, inheritable=False)
            os.close(new)
            return
        for number in self.signals:
            faulthandler.unregister(number)
        self.signals.clear()
        os.close(self.file)
        self.file = None


def _in_memory() -> Optional[int]:
    try:
        file = os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (AttributeError, OSError):
        return None
    try:
        os.ftruncate(file, _SIZE)
        # Whatever comes, it has this size: what does not fit is not written.
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    except OSError:
        os.close(file)
        return None
    return file


_own = _Own()


def dump_stacks_on(
    signal: Union[int, str] = signals.SIGUSR1, file: Optional[TextIO] = None, *, all_threads: bool = True
) -> None:
    """At this signal, the stacks of all threads are written down for whoever gathers evidence.

    With `--faulthandler SIGUSR1` a monitor that acts sends the signal to a hung worker before it ends it, and keeps what was written.
    It goes into a file in memory that belongs to this process alone (4 MiB at most, a forked child has its own), into standard error
    where the system has none such, or into `file`, which must have a descriptor and is kept open: the monitor looks into the first,
    and else into the worker's log. It works though the interpreter is stuck in C or the GIL is held. Raises `UsageError`.
    """
    what = f"cannot dump stacks on signal '{signal}'"
    try:
        number = signals.Signals[signal] if isinstance(signal, str) else signals.Signals(signal)
    except (KeyError, ValueError):
        raise UsageError(what, "there is no such signal", ("'hangwatch run --faulthandler' takes SIGUSR1 or SIGUSR2",)) from None
    own = _own.open() if file is None else None
    target: Union[int, TextIO] = own if own is not None else file if file is not None else (sys.__stderr__ or sys.stderr)
    try:
        faulthandler.register(number, file=target, all_threads=all_threads, chain=False)
    except (AttributeError, OSError, RuntimeError, ValueError) as e:
        raise UsageError(what, str(e), ("the file needs a descriptor, and the signal must be one that may be caught",)) from e
    if own is not None:
        _own.signals.add(number)
    else:
        _own.signals.discard(number)


os.register_at_fork(after_in_child=_own.after_fork)
