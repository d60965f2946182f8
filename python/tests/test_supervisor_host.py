"""Hosts that are not as most are: one that ignores its children's ends, and one without standard streams."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import targets
from conftest import HERE
from hangwatch import Supervisor
from test_supervisor import POLICY, WAYS


def test_children_of_a_host_that_ignores_their_ends_are_kept_by_nobody(segment: Path) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        policy = {**POLICY, "max_restarts": 2}
        with Supervisor(
            targets.exits, args=("3",), replicas=2, context="fork", segment=segment, policy=policy, restart="always"
        ) as supervisor:
            results = supervisor.wait()
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert results is not None and [it.end for it in results] == ["gave_up"] * 2
    assert multiprocessing.active_children() == [], "their statuses are not to be had, and nobody looks for them for ever"


CLOSED = """
import os, sys
sys.path.insert(0, sys.argv[1])
import hangwatch
import targets
if __name__ == "__main__":
    assert sys.stdout is None
    folder, way = sys.argv[2:]
    with hangwatch.Supervisor(
        targets.says, args=(folder, 0), context=way, segment=folder + "/segment", log_dir=folder, policy={"max_restarts": 0}
    ) as supervisor:
        results = supervisor.wait()
    with open(folder + "/results", "w") as file:
        file.write(f"{results[0].end} {results[0].code}")
"""


@pytest.mark.parametrize("way", WAYS)
def test_the_log_of_a_worker_whose_host_has_no_standard_stream_has_its_output(scratch: Path, way: str) -> None:
    script = scratch / "host.py"
    script.write_text(CLOSED)
    arguments = [str(script), str(HERE), str(scratch), way]
    closing = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-B", *arguments]
    process = subprocess.run(closing, env={**os.environ, "PYTHONPATH": str(HERE)})
    assert process.returncode == 0 and (scratch / "results").read_text() == "exited 0"
    assert (scratch / "worker-0.log").read_text() == "0 ['0', None, None, None]\nand an error"
