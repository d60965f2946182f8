"""Programs under the real `hangwatch run`, and what it tells of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

EXAMPLES = Path(__file__).parents[2] / "examples"

Event = Dict[str, Any]


def events_of(path: Path) -> List[Event]:
    """The whole lines of a file of events."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


class Run:
    """`hangwatch run` on a folder of its own, not replacing whom it ends. As a block it is ended with it."""

    def __init__(
        self, binary: str, scratch: Path, flags: List[str], command: List[str], python: Sequence[str] = (sys.executable, "-B")
    ) -> None:
        self.events, self.logs, self.evidence = scratch / "events", scratch / "logs", scratch / "evidence"
        fixed = "--poll 50ms --restart never --faulthandler SIGUSR1".split()
        if "--grace" not in flags:
            fixed += ["--grace", "300ms"]
        places = ["--events", str(self.events), "--log-dir", str(self.logs), "--evidence", str(self.evidence)]
        env = {**os.environ, "HANGWATCH_SEGMENT": str(scratch / "segment")}
        words = [binary, "run", *fixed, *places, *flags, "--", *python, *command]
        self._process: subprocess.Popen[bytes] = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()

    def until(self, met: Callable[[List[Event]], Any]) -> Any:
        """What `met` finds in the events, once it finds something; or at the run's end."""
        while True:
            ended = self._process.poll() is not None
            found = met(events_of(self.events))
            if found:
                return found
            assert not ended, (events_of(self.events), [self.log(i) for i in range(len(list(self.logs.glob("*.log"))))])
            time.sleep(0.02)

    def opened(self, count: int = 1) -> List[Event]:
        """The first episodes of so many workers, by slot; that one was starved before, on a busy machine, is no matter."""

        def met(events: List[Event]) -> List[Event]:
            first: Dict[int, Event] = {}
            for event in events:
                if event["event"] == "opened" and event["verdict"] != "starved":
                    first.setdefault(event["slot"], event)
            return [first[slot] for slot in sorted(first)] if len(first) >= count else []

        found: List[Event] = self.until(met)
        return found

    def end(self) -> int:
        """The code with which it ends by itself."""
        return self._process.wait()

    def log(self, replica: int) -> str:
        """What a worker wrote."""
        path = self.logs / f"worker-{replica}.log"
        return path.read_text() if path.exists() else ""

    def stacks(self) -> str:
        """The Python stacks in its evidence."""
        return "".join(path.read_text() for path in self.evidence.glob("*/traceback.txt"))
