"""The examples, under `hangwatch run`: complete programs, whose models here are of random weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from running import accusations

pytest.importorskip("torch")

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize(("name", "flag", "suffix"), [("diffusers", "--steps", "png"), ("transformers", "--tokens", "txt")])
def test_an_example_answers_each_line_and_what_was_answered_before_stays(
    name: str, flag: str, suffix: str, binary: str, scratch: Path
) -> None:
    prompts, out, events = scratch / "prompts", scratch / "out", scratch / "events"
    prompts.write_text("a b\nc d\ne f\n")
    out.mkdir()
    (out / f"0.{suffix}").write_bytes(b"of another worker")
    command: List[Any] = [binary, "run", "--events", events, "--log-dir", scratch / "logs", "--quiet-workers", "--"]
    command += [sys.executable, "-B", EXAMPLES / f"{name}_worker.py", "--tiny", flag, "2", prompts, out]
    env = {**os.environ, "HANGWATCH_SEGMENT": str(scratch / "segment"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, stderr=subprocess.DEVNULL)
    log = (scratch / "logs" / "worker-0.log").read_text()
    told: Any = [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
    assert (done.returncode, accusations(told)) == (0, []), log
    files: Dict[str, bytes] = {it.name: it.read_bytes() for it in out.iterdir()}
    assert sorted(files) == [f"{number}.{suffix}" for number in range(3)] and files[f"0.{suffix}"] == b"of another worker"
    assert all(files.values()), "each has something in it"
