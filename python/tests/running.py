"""`hangwatch run` over real workers, until a test has seen what must come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Type, TypeVar

from slots import Slot

T = TypeVar("T")
Event = Dict[str, Any]

PYTHON = (sys.executable, "-B")
EXAMPLES = Path(__file__).parents[2] / "examples"
# What hangs is told of soon; what does not is not, on a machine that is busy.
SOON = ("--inference-step-timeout", "500ms", "--poll", "50ms", "--grace", "300ms")
LATER = ("--inference-step-timeout", "2s", "--poll", "100ms")


def once(grace: str = "300ms") -> Tuple[str, ...]:
    """Whoever is ended leaves its stack, and is not replaced."""
    return ("--poll", "50ms", "--restart", "never", "--faulthandler", "SIGUSR1", "--grace", grace)


def written(scratch: Path, script: str) -> List[str]:
    """The command of a script."""
    path = scratch / "worker.py"
    path.write_text(script)
    return [*PYTHON, str(path)]


def events_of(path: Path) -> List[Event]:
    """The whole lines of a file of events."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def found(events: List[Event], kind: str, **fields: Any) -> Optional[Event]:
    """The first of this kind with these fields."""
    told = (event for event in events if event["event"] == kind)
    return next((event for event in told if all(event[name] == value for name, value in fields.items())), None)


def accusations(events: List[Event]) -> List[Event]:
    """Those about workers, but for what a busy machine brings: a monitor tells of itself that it was late, and whom that starved."""
    return [event for event in events if event["verdict"] not in (None, "starved")]


class Run:
    """Ends its workers and itself with the block, however that ends."""

    def __init__(self, binary: str, scratch: Path, worker: Sequence[str], *flags: str, logs: bool = True) -> None:
        self.segment, self.events_file = scratch / "segment", scratch / "events"
        self.evidence, self.logs = scratch / "evidence", scratch / "logs"
        env = {**os.environ, "HANGWATCH_SEGMENT": str(self.segment)}
        kept = ["--events", str(self.events_file), "--evidence", str(self.evidence)]
        if logs:
            kept += ["--log-dir", str(self.logs)]
        self._output = (scratch / "output").open("w+")
        self.process = subprocess.Popen(
            [binary, "run", *kept, *flags, "--", *worker], env=env, stdout=self._output, stderr=subprocess.STDOUT
        )

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, exc_type: Optional[Type[BaseException]], exc: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.stop()
        self._output.close()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()

    def wait(self) -> int:
        return self.process.wait()

    def output(self) -> str:
        self._output.seek(0)
        return self._output.read()

    def events(self) -> List[Event]:
        return events_of(self.events_file)

    def accusations(self) -> List[Event]:
        """What is told of a worker. A monitor that a busy machine made late tells that of itself, and that it starves a worker."""
        return accusations(self.events())

    def log(self, replica: int = 0) -> str:
        """What the workers of one replica have written, those before the present one too."""
        log = self.logs / f"worker-{replica}.log"
        return log.read_text() if log.exists() else ""

    def bundle(self) -> Path:
        """The evidence of the first worker that was ended."""
        self.until_event("evidence")
        return next(path for path in sorted(self.evidence.iterdir()) if not path.name.startswith("."))

    def stacks(self) -> str:
        """The Python stacks in all its evidence."""
        return "".join(path.read_text() for path in self.evidence.glob("*/traceback.txt"))

    def until(self, look: Callable[[], Optional[T]]) -> T:
        """What `look` finds at last. Fails where the run has ended without it."""
        while True:
            ended = self.process.poll() is not None
            came = look()
            if came:
                return came
            logs = [path.read_text() for path in sorted(self.logs.glob("*.log"))]
            assert not ended, f"the run ended before what must come:\n{self.output()}\n{self.events()}\n{logs}"
            time.sleep(0.01)

    def until_event(self, kind: str, **fields: Any) -> Event:
        return self.until(lambda: found(self.events(), kind, **fields))

    def opened(self, count: int = 1) -> List[Event]:
        """The first episodes of so many workers, by slot; that one was starved before, on a busy machine, is no matter."""

        def look() -> List[Event]:
            first: Dict[int, Event] = {}
            for event in self.events():
                if event["event"] == "opened" and event["verdict"] != "starved":
                    first.setdefault(event["slot"], event)
            return [first[slot] for slot in sorted(first)] if len(first) >= count else []

        return self.until(look)

    def slot(self, index: int = 0) -> Slot:
        return Slot(self.segment, index)
