"""Stand-ins for a worker: one that notes what is called, and one on which every call fails."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import hangwatch


class Noted:
    """Notes the calls. It is asked to stop once `stop` is set, or once `stop_at` was called."""

    def __init__(self) -> None:
        self.calls: List[Any] = []
        self.budgets: Dict[str, Optional[float]] = {}
        self.in_job = False
        self.stop = False
        self.stop_at: Any = None

    def register_phase(self, name: str, cls: str, budget: Optional[float]) -> int:
        self.budgets[name] = budget
        return 256

    def phase(self, phase: str) -> None:
        self.calls.append(phase)

    def enter(self, phase: str, total: Optional[int]) -> None:
        self.calls.append(phase if total is None else (phase, total))

    def leave(self) -> None:
        self.calls.append("leave")

    def begin_job(self, *said: Any) -> None:
        """Id, model, and the total where one is said."""
        self.in_job = True
        self.calls.append(tuple("?" if word == hangwatch.UNKNOWN else word for word in said))

    def end_job(self, outcome: str) -> None:
        self.in_job = False
        self.calls.append(outcome)

    def step(self, done: int) -> None:
        self.calls.append(done)

    def beat(self) -> None:
        self.calls.append("beat")

    def alive(self) -> None:
        self.calls.append("alive")

    def note(self, text: str) -> None:
        self.calls.append(text)

    def extend(self, seconds: float) -> None:
        self.calls.append(f"extend {seconds:.0f}")

    def should_stop(self) -> bool:
        return self.stop or (self.stop_at is not None and self.stop_at in self.calls)


class Broken:
    """Whatever is called raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)
