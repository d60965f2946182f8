"""Children of `multiprocessing` that a supervisor asks for, and that are reaped when it says so."""

from __future__ import annotations

# Loaded before the supervisor is kept: at the interpreter's end it waits for every child, and the supervisor must end those before.
import multiprocessing.util
import threading
import time
from collections.abc import Iterable
from multiprocessing.context import BaseContext
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from ._child import Variables, run

Args = Union[Tuple[Any, ...], Callable[[int], Tuple[Any, ...]]]

# To the end of the threads that make them: one may be in a start that never returns.
_PATIENCE = 5.0
# For a start, before others are made beside it: it may hang, and then those must not.
_TURN = 1.0
# As `multiprocessing` has it for a child whose status is not to be had.
_UNKNOWN = 255


class Children:
    """Makes them one after the other; one whose start takes long holds up nobody."""

    def __init__(
        self,
        target: Callable[..., object],
        args: Args,
        kwargs: Mapping[str, Any],
        context: BaseContext,
        name: str,
        faulthandler: Optional[int],
    ) -> None:
        self._context: Any = context
        self._target, self._args, self._kwargs = target, args, dict(kwargs)
        self._name, self._faulthandler = name, faulthandler
        self._processes: Dict[int, Any] = {}
        self._thread: Optional[threading.Thread] = None
        self._starts: List[threading.Thread] = []

    def serve(self, native: Any) -> None:
        """Does what `native` asks for, until it has ended."""
        self._thread = threading.Thread(target=self._serve, args=(native,), name="hangwatch-children", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """After the end of all that asks."""
        thread, self._thread = self._thread, None
        threads = [] if thread is None else [thread, *self._starts]
        until = time.monotonic() + _PATIENCE
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def ended(self, pid: int) -> Optional[int]:
        """The exit code of one that somebody here has reaped already: `multiprocessing` reaps whoever has ended as it goes along."""
        process = self._processes.get(pid)
        return None if process is None else process.exitcode

    def _serve(self, native: Any) -> None:
        while True:
            asked = native.next()
            if asked is None:
                return
            if isinstance(asked, int):
                self._reap(asked)
            else:
                self._give_turn(asked)

    def _give_turn(self, start: Any) -> None:
        thread = threading.Thread(target=self._start, args=(start,), name=f"hangwatch-start-{start.replica}", daemon=True)
        try:
            thread.start()
        except RuntimeError as e:
            start.failed(f"{type(e).__name__}: {e}")
            return
        thread.join(_TURN)
        self._starts = [it for it in (*self._starts, thread) if it.is_alive()]

    def _start(self, start: Any) -> None:
        try:
            process = self._make(start)
            try:
                process.start()
            except AttributeError:
                # `multiprocessing` looks first at those before, and stumbles over one that a thread of the host is just closing.
                if process.pid is not None:
                    raise
                process.start()
        except BaseException as e:
            # Whatever it is, the supervisor is told, and goes on.
            start.failed(f"{type(e).__name__}: {e}")
            return
        self._processes[process.pid] = process
        if not start.started(process.pid, lambda: process.exitcode is None):
            process.kill()
            self._reap(process.pid)

    def _make(self, start: Any) -> Any:
        number = start.replica
        args = self._args(number) if callable(self._args) else self._args
        # A text's characters are not meant.
        if isinstance(args, (str, bytes)) or not isinstance(args, Iterable):
            raise TypeError(f"args gave {args!r} for replica {number}, expected a tuple")
        given = (Variables(dict(start.variables)), start.log, self._faulthandler, self._target, tuple(args), self._kwargs)
        return self._context.Process(target=run, args=given, name=f"{self._name}-{number}")

    def _reap(self, pid: int) -> None:
        process = self._processes.pop(pid, None)
        if process is None:
            return
        try:
            process.join()
            ended = process._popen
            if ended.returncode is None:
                # It is gone, and nobody's child any more: the host ignores SIGCHLD, or another thread of it has reaped it and notes that
                # just now. Without a status `multiprocessing` would keep it among its children for ever.
                ended.returncode = _UNKNOWN
            process.close()
        except ValueError:
            pass  # the host has closed it
