"""`examples/llama_cpp.c` with llama.cpp itself, on the CPU: `bash tests/llama/run --full`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from watched import Run

BUILT = Path(os.environ["LLAMA"])
BINARY = os.environ["CARGO_BIN_EXE_hangwatch"]
PROMPT = "Once upon a time there was a worker that hung, and nobody knew where. " * 2
PROGRAM = [str(BUILT / "llama_cpp"), str(BUILT / "tiny.gguf"), PROMPT]


@pytest.fixture
def scratch() -> Iterator[Path]:
    folder = tempfile.mkdtemp(dir="/dev/shm")
    yield Path(folder)
    shutil.rmtree(folder)


def output(words: List[str], variables: Dict[str, str]) -> Any:
    ran = subprocess.run(words, env={**os.environ, **variables}, capture_output=True, text=True)
    return ran.returncode, ran.stdout, ran.stderr


def watched(scratch: Path, hang: str, *flags: str) -> Run:
    policy = scratch / "policy.yaml"
    policy.write_text("hangwatch: 1\ninference_step_timeout: 1s\nloading_timeout: 1s\n")
    return Run(BINARY, scratch, ["--config", str(policy), *flags], [*PROGRAM, "50", *([hang] if hang else [])], python=())


def test_what_it_makes_is_the_same_watched_or_not(scratch: Path) -> None:
    without = output([*PROGRAM, "50"], {})
    assert without[0] == 0 and "50 of 50 tokens" in without[1]
    assert output([*PROGRAM, "50"], {"HANGWATCH_SEGMENT": str(scratch / "alone")}) == without
    with watched(scratch, "") as run:
        assert run.end() == 0
    assert run.log(0) == without[1]


@pytest.mark.parametrize(
    ("hang", "told"),
    [
        ("load", ("overdue", "loading", 1000, None)),
        ("prompt", ("overdue", "prefill", 142, None)),
        ("decode", ("silent", "inference", 50, 5)),
    ],
)
def test_where_it_hangs_is_told(scratch: Path, hang: str, told: Any) -> None:
    with watched(scratch, hang) as run:
        (opened,) = run.opened()
        run.end()
    verdict, phase, total, done = told
    assert (opened["verdict"], opened["phase"], opened["total"]) == (verdict, phase, total), opened
    if done is not None:
        assert (opened["done"], opened["model"], opened["job"]) == (done, "tiny.gguf", "prompt"), opened


def test_one_that_computes_and_gets_nowhere_is_stalled_and_its_decode_aborts_when_it_is_asked_to_stop(scratch: Path) -> None:
    with watched(scratch, "loop", "--grace", "10m") as run:
        (opened,) = run.opened()
        run.end()
    assert (opened["verdict"], opened["done"]) == ("stalled", 5), opened
    assert run.log(0).splitlines()[-1] == "5 of 50 tokens, stopped", run.log(0)
