"""What a supervised child does before its target: it is in a process of its own by then."""

from __future__ import annotations

import os
import signal as signals
import sys
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

# A service manager's words to the supervisor: a worker that took them for its own would speak for it.
_NOT_INHERITED = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def _enter(variables: Mapping[str, str]) -> Variables:
    it = Variables(variables)
    it.set()
    return it


class Variables:
    """The worker's environment. It is set as soon as it is unpickled, before whatever comes behind it is imported."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables: Dict[str, str] = dict(variables)

    def set(self) -> None:
        for name in _NOT_INHERITED:
            os.environ.pop(name, None)
        os.environ.update(self._variables)

    def __reduce__(self) -> Tuple[Callable[[Mapping[str, str]], Variables], Tuple[Mapping[str, str]]]:
        return _enter, (self._variables,)


def run(
    variables: Variables,
    log: Optional[str],
    faulthandler: Optional[int],
    target: Callable[..., object],
    args: Tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> None:
    """The child's whole life."""
    variables.set()
    try:
        # It leads a session: what it starts is ended with it, and a terminal's Ctrl-C is the supervisor's to hear.
        os.setsid()
    except OSError:
        pass  # it leads one already
    # A forked child has its parent's handlers, the pipe by which the parent's loop hears of signals, and its parent's mask.
    signals.set_wakeup_fd(-1)
    signals.signal(signals.SIGTERM, signals.SIG_DFL)
    signals.signal(signals.SIGINT, signals.default_int_handler)
    signals.pthread_sigmask(signals.SIG_SETMASK, ())
    if log is not None:
        _redirect(log)
    if faulthandler is not None:
        from ._stacks import dump_stacks_on

        dump_stacks_on(faulthandler)
    target(*args, **kwargs)


def _redirect(log: str) -> None:
    """Standard output and error into the log, of which a new line begins."""
    # Read too: opening a FIFO only to write would wait for its other end.
    file = os.open(log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC, 0o600)
    size = os.fstat(file).st_size
    if size > 0 and os.pread(file, 1, size - 1) != b"\n":
        os.write(file, b"\n")
    for stream in (1, 2):
        os.dup2(file, stream)
        # Where the host has closed it, the log may have been opened as this very one.
        os.set_inheritable(stream, True)
    if file not in (1, 2):
        os.close(file)
    # A forked child may have its parent's streams, which go anywhere.
    sys.stdout, sys.stderr = (open(stream, "w", buffering=1, errors="backslashreplace", closefd=False) for stream in (1, 2))
