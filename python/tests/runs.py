"""`hangwatch run` around a script, with budgets of half a second: what it told, and what it kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

SOON = "--inference-step-timeout 500ms --poll 50ms --grace 300ms --faulthandler SIGUSR1 --max-restarts 0".split()


class Run:
    """`hangwatch run` of a Python script, until the end of its block."""

    def __init__(self, binary: str, scratch: Path, script: str, *flags: str, events: str = "events") -> None:
        path = scratch / "worker.py"
        path.write_text(script)
        self.events, self.evidence = scratch / events, scratch / "evidence"
        env = {**os.environ, "HANGWATCH_SEGMENT": str(scratch / "segment"), "HANGWATCH_SLOTS": "8"}
        command = [binary, "run", "--events", str(self.events), "--evidence", str(self.evidence), *SOON, *flags, "--"]
        self.process = subprocess.Popen(
            [*command, sys.executable, "-B", str(path)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def told(self, event: str, **fields: object) -> dict[str, Any]:
        """The first event of this kind with these fields; waits for it."""
        return told(self.events, event, **fields)

    def bundle(self) -> Path:
        """The evidence of the first worker that was ended."""
        self.told("evidence")
        return next(path for path in sorted(self.evidence.iterdir()) if not path.name.startswith("."))

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, exc_type: Optional[type[BaseException]], exc: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def told(events: Path, event: str, **fields: object) -> dict[str, Any]:
    while True:
        lines = events.read_text().splitlines(keepends=True) if events.exists() else []
        for line in lines:
            if line.endswith("\n"):
                found: dict[str, Any] = json.loads(line)
                if found["event"] == event and all(found.get(name) == value for name, value in fields.items()):
                    return found
        time.sleep(0.01)
