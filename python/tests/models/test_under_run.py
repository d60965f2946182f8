"""Workers of the real libraries under `hangwatch run`, each its own place where it blocks, all at once: an import is seconds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional
from unittest.mock import ANY

import pytest

pytest.importorskip("torch")
import tiny
from child import BUDGET, STEPS, SLOW, WARM_UP

HERE = Path(__file__).parent
POLL = 0.1
POLICY = f"""
hangwatch: 1
inference_step_timeout: {BUDGET}
loading_timeout: {BUDGET}
post_processing_timeout: {BUDGET}
post_processing_per_batch: 0s
poll_interval: {POLL}
grace: 300ms
backoff: 100ms
max_model_hangs: 0
# All that work may hang at one moment here, each by itself.
max_kills: 8
"""


class Hang(NamedTuple):
    """What is told of a worker that blocks: of the second call, which meets nothing for the first time."""

    verdict: str
    phase: str
    clock: str
    done: Optional[int] = None
    total: Optional[int] = None
    job: Optional[str] = "call-2"


LIBRARIES = {
    # A worker each: where it blocks when it is started for the first time, then for the second time.
    "diffusers": [
        # Of its five parts, which come in any order.
        {"load": Hang("overdue", "loading", "phase", ANY, 5, None), "encoding": Hang("overdue", "encoding", "phase"), "step": Hang("silent", "inference", "heartbeat", 2, STEPS)},
        {"move": Hang("overdue", "loading", "phase", job=None), "decode": Hang("overdue", "post_processing", "phase")},
    ],
    "transformers": [
        {"load": Hang("overdue", "loading", "phase", job=None), "step": Hang("silent", "inference", "heartbeat", 2, STEPS)},
        {"prefill": Hang("overdue", "prefill", "phase")},
    ],
}


def seen_in_its_slow_step(run: subprocess.Popen[bytes], binary: str, segment: Path) -> Optional[Dict[str, Any]]:
    """What `hangwatch status` says of the worker in slot 0 meanwhile."""
    while run.poll() is None:
        status = subprocess.run([binary, "status", "--json", "--segment", segment], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        workers: List[Dict[str, Any]] = json.loads(status.stdout or "{}").get("workers", [])
        for worker in workers:
            if worker["slot"] == 0 and (worker["job"], worker["phase"]) == ("call-2", "inference") and worker["lease_s"]:
                return worker
        time.sleep(0.1)
    return None


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_block_anywhere_is_caught_in_its_window_and_replaced_and_a_slow_first_step_is_not(
    library: str, binary: str, scratch: Path
) -> None:
    assert BUDGET + 2 * POLL < SLOW < WARM_UP, "what is slow is so by every budget but the one of a first time"
    hanging = LIBRARIES[library]
    places = ["well", *map("+".join, hanging)]
    segment, folder, marks, policy, events = (scratch / it for it in ("segment", "tiny-model", "marks", "policy.yaml", "events"))
    tiny.saved(library, folder)
    marks.mkdir()
    policy.write_text(POLICY)
    command: List[Any] = [binary, "run", "--config", policy, "--events", events, "--evidence", "none"]
    command += ["--log-dir", scratch / "logs", "--quiet-workers", "--replicas", str(len(places))]
    command += ["--", sys.executable, "-B", "child.py", library, folder, marks, ",".join(places), "{i}"]
    run = subprocess.Popen(command, env={**os.environ, "HANGWATCH_SEGMENT": str(segment)}, cwd=HERE, stderr=subprocess.DEVNULL)
    try:
        slow = seen_in_its_slow_step(run, binary, segment)
        code = run.wait()
    finally:
        # Its workers go with it.
        run.send_signal(signal.SIGTERM)
        run.wait()
    logs = {place: (scratch / "logs" / f"worker-{i}.log").read_text() for i, place in enumerate(places)}
    told: List[Dict[str, Any]] = [json.loads(line) for line in events.read_text().splitlines()]
    assert code == 0, f"each runs through, a blocked one when it is started again: {told} {logs}"
    assert slow is not None and (slow["verdict"], slow["model"], slow["total"]) == ("ok", "tiny-model", STEPS), slow
    # `starved` is about a machine that is busy, and never acts.
    assert [it for it in told if it["slot"] == 0 and it["verdict"] != "starved"] == [], "of a worker that is well nothing is told"
    # The first poll after a gap of the monitor's own judges nobody, and its clock counts two intervals of one.
    latest = BUDGET + 2 * POLL * (1 + sum(it["event"] == "monitor_gap" for it in told))
    for slot, hangs in enumerate(hanging, 1):
        of_it = [it for it in told if it["slot"] == slot and it["verdict"] != "starved"]
        opened, replaced = ([it for it in of_it if it["event"] == event] for event in ("opened", "replaced"))
        for place, hang, episode in zip(hangs, hangs.values(), opened, strict=True):
            assert hang == Hang(*(episode[field] for field in Hang._fields)), f"blocked in {place}: {episode}"
            assert episode["model"] == (None if hang.job is None else "tiny-model"), episode
            assert episode["budget_s"] == BUDGET <= episode["spent_s"] < latest, f"at the first poll that could tell: {episode}"
        pids = [opened[0]["pid"], *(it["pid"] for it in replaced)]
        assert len(set(pids)) == len(hangs) + 1, f"another process has its place each time: {pids}"
