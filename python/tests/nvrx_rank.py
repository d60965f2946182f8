"""A rank of `hangwatch.compat.nvrx` on a fake clock, and what its slot would show."""

from __future__ import annotations

from typing import Any, List, cast

import hangwatch
from hangwatch.compat.nvrx import RankMonitorClient


class Calls:
    """A worker that notes what is called; `shown` are the phases that its slot was in, one after another."""

    def __init__(self, room: int = 48) -> None:
        self.shown: List[str] = ["starting"]
        self.budgets: dict[str, Any] = {}
        self.room = room
        self.beats = 0
        self.is_detached = False
        self.notes: List[str] = []
        self.stop = False

    def note(self, text: str) -> None:
        self.notes.append(text)

    def should_stop(self) -> bool:
        return self.stop

    def register_phase(self, name: str, cls: str = "work", budget: Any = None) -> int:
        assert name not in self.budgets, "a phase is registered once by a client"
        if len(self.budgets) >= self.room:
            raise hangwatch.FullError("cannot register phase", "all are taken")
        assert len(name.encode()) <= 48
        self.budgets[name] = budget
        return 256 + len(self.budgets)

    def phase(self, name: str) -> None:
        self.shown.append(name)

    def beat(self) -> None:
        self.beats += 1

    def detach(self) -> None:
        self.is_detached = True


class Rank:
    """A client on a fake clock."""

    def __init__(self, room: int = 48, **kwargs: Any) -> None:
        self.now = 0.0
        self.worker = Calls(room)
        worker = cast("hangwatch.Worker", self.worker)
        self.client = RankMonitorClient(worker=worker, clock=lambda: self.now, **kwargs)

    def beat_at(self, *instants: float) -> None:
        for self.now in instants:
            self.client.send_heartbeat()
