"""The examples of the monitor's side, as a user runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str) -> str:
    said = subprocess.run([sys.executable, "-B", str(EXAMPLES / name), *arguments], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, ""), said.stderr
    return said.stdout


def test_a_host_that_embeds_the_monitor_prints_the_sentence_of_the_worker_that_hangs(segment: Path) -> None:
    said = run("python_monitor.py", "--segment", str(segment), "--timeout", "1s")
    sentence = r"worker 0 \(stable_diffusion_xl\) \w+ in inference: last heartbeat [\d.]+s ago, last progress [\d.]+s ago, at 42% \(21/50\)"
    assert re.search(f"^{sentence}, job a1b2c3d4", said, re.MULTILINE), said
    assert re.search(r"^slot 0: \w+ in inference, 42\.0 % of job a1b2c3d4, budget 1\.0 s$", said, re.MULTILINE), said
    assert not segment.exists(), "its segment goes with it"


def test_a_manager_of_hordes_kind_finds_the_child_that_deadlocks_and_replaces_it(segment: Path, scratch: Path) -> None:
    bridge = scratch / "bridgeData.yaml"
    bridge.write_text("api_key: x\ninference_step_timeout: 60\nprocess_timeout: 900\nmax_batch: 4\n")
    said = run("horde_manager.py", "--segment", str(segment), "--timeout", "2", "--bridge-data", str(bridge))
    stuck = re.search(r"^process (\d) is (\w+) at (\d+) % of job-1, pid (\d+)$", said, re.MULTILINE)
    assert stuck is not None and stuck.group(1, 2, 3) == ("1", "stalled", "42"), said
    assert not Path(f"/proc/{stuck.group(4)}").exists(), "the process that hung is gone"
    assert said.splitlines()[-1] == "processes [0, 1] have done their jobs", said
    assert re.search(r"^its slot says inference, 42\.0 % of job-1, last progress [\d.]+ s ago$", said, re.MULTILINE), said


def test_the_same_manager_replaces_nobody_where_all_goes_well(segment: Path) -> None:
    assert run("horde_manager.py", "--segment", str(segment), "--timeout", "60", "--no-hang") == "processes [0, 1] have done their jobs\n"


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_a_supervisors_worker_that_hangs_is_replaced_and_its_job_is_done_by_another(segment: Path, method: str) -> None:
    said = run("python_supervisor.py", "--segment", str(segment), "--timeout", "500ms", "--method", method)
    replaced = re.search(r"^worker (\d) \(stable_diffusion_xl\) replaced: pid (\d+) -> (\d+), generation \d, job job-1 lost$", said, re.MULTILINE)
    assert replaced is not None, said
    assert re.search(r"at 42% \(21/50\), job job-1", said), said
    by = dict(re.findall(r"^(job-\d) is done by pid (\d+)$", said, re.MULTILINE))
    assert sorted(by) == [f"job-{number}" for number in range(4)] and by["job-1"] != replaced.group(2), said
    ends = re.findall(r"^replica \d: exited with 0, (\d) starts, (\d) hangs$", said, re.MULTILINE)
    assert sorted(ends) == [("1", "0"), ("2", "1")], said
