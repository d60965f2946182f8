"""The monitor's word 'stop', told to a host in its own way."""

from __future__ import annotations

from typing import Callable, List, Optional

from ._hangwatch import Worker


class Stop:
    """Calls `on_stop` once, at the first look after the monitor asked: by one thread, however many look.

    An `Exception` that it raises goes nowhere. What is none (an exit, Ctrl-C) is the host's own wish, and goes on from wherever the look
    stands.
    """

    def __init__(self, on_stop: Optional[Callable[[], object]]) -> None:
        self._calls: List[Callable[[], object]] = [] if on_stop is None else [on_stop]

    def heed(self, worker: Worker) -> None:
        """Looks, where there is still somebody to tell."""
        if self._calls:
            self.is_asked(worker)

    def is_asked(self, worker: Worker) -> bool:
        """Whether the monitor asks the worker to stop."""
        asked = False
        try:
            asked = worker.should_stop()
            if asked and self._calls:
                # Taken before it is called: the list gives it to one thread, and to none that it calls itself.
                self._calls.pop()()
        except Exception:  # noqa: BLE001, S110 - as said
            pass
        return asked
