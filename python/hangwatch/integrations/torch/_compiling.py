"""`torch.compile` at work is a phase of its own, whenever it is: a shape that is met later compiles in the middle of a loop."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from .._calls import quietly
from .._sections import Loop


class Compiling:
    """A section `compiling` while dynamo compiles in the loop's thread. `remove` takes its callbacks out."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._is_entered = False
        self._handler: Any = None
        self.look()

    def look(self) -> None:
        """Puts the callbacks in once there is a compiler: it is a second's import, which who compiles nothing never makes."""
        if self._handler is None and "torch._dynamo" in sys.modules:
            # Not public, and not in every version: without it a compile is a long step.
            self._handler = quietly(lambda: importlib.import_module("torch._dynamo.callback").callback_handler)
            quietly(lambda: self._handler.register_start_callback(self._began))
            quietly(lambda: self._handler.register_end_callback(self._ended))

    def remove(self) -> None:
        """From here on compiles are not reported."""
        quietly(lambda: self._handler.remove_start_callback(self._began))
        quietly(lambda: self._handler.remove_end_callback(self._ended))
        self._ended(None)

    def _began(self, _: Any) -> None:
        self._is_entered = self._loop.enter("compiling")

    def _ended(self, _: Any) -> None:
        # Of compiles in several threads at once dynamo tells the last end, in whichever thread that is.
        if self._is_entered:
            self._is_entered = False
            self._loop.leave()
