"""What tests of bars have in common: a worker that notes their sections, and bars that show nothing."""

from __future__ import annotations

import importlib
import io
from typing import Any, List

import hangwatch


class Calls:
    """A worker that notes what is called."""

    def __init__(self) -> None:
        self.calls: List[Any] = []
        self.depth = 0
        self.stop = False
        self.in_job = False
        self.phase_id = hangwatch.PHASES["inference"]

    def enter(self, phase: str, total: int) -> None:
        self.depth += 1
        self.calls.append((phase, "?" if total == hangwatch.UNKNOWN else total))

    def leave(self) -> None:
        self.depth -= 1
        assert self.depth >= 0, "what is left was entered"
        self.calls.append("leave")

    def step(self, done: int) -> None:
        self.calls.append(done)

    def beat(self) -> None:
        self.calls.append("beat")

    def should_stop(self) -> bool:
        return self.stop


def quiet(*args: Any, **kwargs: Any) -> Any:
    return importlib.import_module("tqdm").tqdm(*args, file=io.StringIO(), **kwargs)
