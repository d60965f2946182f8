"""`hangwatch run` over one real worker, until a test has seen what must come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Type, TypeVar

from slots import Slot

T = TypeVar("T")

PYTHON = (sys.executable, "-B")
EXAMPLES = Path(__file__).parents[2] / "examples"
# What hangs is told of soon; what does not is not, on a machine that is busy.
SOON = ("--inference-step-timeout", "500ms", "--poll", "50ms", "--grace", "300ms")
LATER = ("--inference-step-timeout", "2s", "--poll", "100ms")


class Run:
    """Ends its workers and itself with the block, however that ends."""

    def __init__(self, binary: str, scratch: Path, worker: List[str], *flags: str) -> None:
        self.segment, self.events_file = scratch / "segment", scratch / "events"
        self.evidence, self.logs = scratch / "evidence", scratch / "logs"
        env = {**os.environ, "HANGWATCH_SEGMENT": str(self.segment)}
        kept = ["--events", str(self.events_file), "--evidence", str(self.evidence), "--log-dir", str(self.logs)]
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

    def events(self) -> List[Dict[str, Any]]:
        lines = self.events_file.read_text().splitlines(keepends=True) if self.events_file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def accusations(self) -> List[Dict[str, Any]]:
        """What is told of a worker. A monitor that a busy machine made late tells that of itself."""
        return [event for event in self.events() if event["verdict"] is not None]

    def log(self) -> str:
        """What the workers of this run have written, those before the present one too."""
        log = self.logs / "worker-0.log"
        return log.read_text() if log.exists() else ""

    def until(self, look: Callable[[], Optional[T]]) -> T:
        """What `look` finds at last. Fails where the run has ended without it."""
        while True:
            ended = self.process.poll() is not None
            found = look()
            if found:
                return found
            assert not ended, f"the run ended before what must come:\n{self.output()}\n{self.events()}"
            time.sleep(0.01)

    def until_event(self, kind: str, **fields: Any) -> Dict[str, Any]:
        def look() -> Optional[Dict[str, Any]]:
            told = [event for event in self.events() if event["event"] == kind]
            return next((event for event in told if all(event[name] == value for name, value in fields.items())), None)

        return self.until(look)

    def slot(self, index: int = 0) -> Slot:
        return Slot(self.segment, index)
