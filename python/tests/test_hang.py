"""A script that hangs, under `hangwatch run`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TEN_LINES = """
import time
import hangwatch
hangwatch.dump_stacks_on("SIGUSR1")
worker = hangwatch.attach()
with worker.phase("loading"):
    time.sleep(0.01)
with worker.job("a1b2c3d4", model="sdxl", total=50) as job:
    for step in range(21):
        job.step()
    def the_step_that_hangs(): time.sleep(600)
    the_step_that_hangs()
"""
SOON = "--inference-step-timeout 500ms --poll 50ms --grace 300ms --faulthandler SIGUSR1".split()


def until(events: Path, kind: str) -> dict[str, Any]:
    while True:
        lines = events.read_text().splitlines(keepends=True) if events.exists() else []
        for line in lines:
            if line.endswith("\n") and json.loads(line)["event"] == kind:
                found: dict[str, Any] = json.loads(line)
                return found
        time.sleep(0.01)


def test_a_script_of_ten_lines_that_hangs_is_caught_and_replaced_and_its_stack_is_kept(binary: str, scratch: Path) -> None:
    script, events, evidence = scratch / "worker.py", scratch / "events", scratch / "evidence"
    script.write_text(TEN_LINES)
    env = {**os.environ, "HANGWATCH_SEGMENT": str(scratch / "segment")}
    command = [binary, "run", "--events", str(events), "--evidence", str(evidence), "--log-dir", str(scratch / "logs"), *SOON]
    run = subprocess.Popen([*command, "--", sys.executable, "-B", str(script)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        opened, replaced = until(events, "opened"), until(events, "replaced")
    finally:
        run.send_signal(signal.SIGTERM)
        code = run.wait()
    assert code == 0
    assert (opened["verdict"], opened["phase"], opened["model"]) == ("silent", "inference", "sdxl"), opened
    assert (opened["done"], opened["total"], opened["job"]) == (21, 50, "a1b2c3d4"), "it is told where it hangs: at 42 %"
    assert replaced["slot"] == opened["slot"] and replaced["pid"] != opened["pid"], "another process has its slot"
    tracebacks = [path.read_text() for path in evidence.glob("*/traceback.txt")]
    assert any("the_step_that_hangs" in text for text in tracebacks), "the bundle has the stack of the hung worker"
