"""The thread that calls back. Only frames of Python are on its stack: the interpreter's end may end it wherever it is."""

from __future__ import annotations

import os
import sys
import threading
from collections import namedtuple
from typing import Any, Callable, List, Optional

from ._errors import SystemCallError, UsageError
from ._events import Event, Feed
from ._status import extension

OnEvent = Callable[[Event], object]
_NAME = "hangwatch-events"


class Calls:
    """Takes events out of the extension, one at a time, makes what Python gets of them, and calls back with it."""

    def __init__(self, what: str, feed: Feed, on_event: Optional[OnEvent]) -> None:
        self._home = os.getpid()
        self.native: Any = extension("Calls", what)()
        """What the extension tells through. Its end ends the thread."""
        self._here: List[int] = []
        try:
            _begin(_serve, self._home, self._here, self.native, feed, on_event)
        except BaseException as e:
            self.native.close()
            if isinstance(e, RuntimeError):
                raise SystemCallError(what, f"no thread can be started for its events: {e}") from None
            raise

    def check_caller(self, what: str) -> None:
        """Refuses what waits for the callback in the callback itself."""
        if os.getpid() == self._home and threading.get_native_id() in self._here:
            hint = "let the callback tell another thread to stop it"
            raise UsageError(what, "this is its own callback, which the stop would wait for", (hint,))


def _begin(target: Callable[..., None], *args: Any) -> None:
    """Runs it on a thread of the system's, not on one of gevent's or eventlet's, which would hold up all the others as it waits."""
    gevent: Any = sys.modules.get("gevent.monkey")
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        gevent.get_original("_thread", "start_new_thread")(target, args)
    elif eventlet is not None and eventlet.is_monkey_patched("thread"):
        eventlet.original("threading").Thread(target=target, args=args, name=_NAME, daemon=True).start()
    else:
        threading.Thread(target=target, args=args, name=_NAME, daemon=True).start()


def _serve(home: int, here: List[int], native: Any, feed: Feed, on_event: Optional[OnEvent]) -> None:
    here.append(threading.get_native_id())
    try:
        # A child that a callback forks has this thread alone, and nobody who tells it anything.
        while os.getpid() == home:
            told = native.next()
            if told is None:
                return
            _call(told, feed, on_event)
            del told
    finally:
        # Whatever ended it: nobody waits for it any more, and another thread may have its number.
        here.clear()
        if os.getpid() == home:
            native.close()


def _call(told: Any, feed: Feed, on_event: Optional[OnEvent]) -> None:
    of: Optional[object] = None
    try:
        event = feed.event(*told)
        if on_event is not None:
            of = on_event
            on_event(event)
    except BaseException as e:
        # Whatever it is, the next event is called back as ever.
        _tell_unraisable(e, of)


# What a hook gets: the interpreter's own type, which no module names, and which its own hook insists on.
_AsTheirs: Any = namedtuple("_AsTheirs", ("exc_type", "exc_value", "exc_traceback", "err_msg", "object"))
_HookArgs: Any = next((it for it in tuple.__subclasses__() if it.__name__ == "UnraisableHookArgs"), _AsTheirs._make)


def _tell_unraisable(e: BaseException, of: Optional[object]) -> None:
    """As the interpreter does it where C has nobody to raise to."""
    hook: Any = getattr(sys, "unraisablehook", None) or sys.__unraisablehook__
    try:
        hook(_HookArgs((type(e), e, e.__traceback__, None, of)))
    except BaseException as e:
        try:
            sys.__unraisablehook__(_HookArgs((type(e), e, e.__traceback__, "Exception ignored in sys.unraisablehook", hook)))
        except BaseException:  # noqa: S110 - standard error is gone too
            pass
