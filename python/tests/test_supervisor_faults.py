"""Every way in which a worker can fail, one after the other in each replica: each is found, none is counted twice, and nothing is left."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any, Dict, List

import pytest

import targets
from hangwatch import Event, ReplicaResult, Supervisor
from test_supervisor import ended

# Far above what a start takes, and what a life that hangs nowhere leaves open at its end: on a machine that is busy too.
POLICY: Dict[str, Any] = {
    "poll_interval": "20ms",
    "inference_step_timeout": "1s",
    "loading_timeout": "1s",
    "starting_timeout": "5s",
    "require_attach": True,
    "grace": "200ms",
    "backoff": "10ms",
    "backoff_max": "20ms",
    "max_restarts": 100,
    "storm_restarts": 1000,
    "max_model_hangs": 0,
    "max_kills": 100,
}
HANGS = {"before_attach", "in_a_load", "in_a_step", "in_a_loop", "deaf_to_sigterm"}
LOSES = {"in_a_step", "in_a_loop", "deaf_to_sigterm", "killed", "fault", "exits_in_a_job"}


@pytest.mark.parametrize(("way", "replicas"), [("fork", 4), ("forkserver", 2)])
def test_each_fault_is_found_and_counted_once_and_the_last_life_is_well(segment: Path, scratch: Path, way: str, replicas: int) -> None:
    lives = scratch / "lives"
    lives.mkdir()
    events: List[Event] = []
    with Supervisor(
        targets.fails_in_each_way,
        replicas=replicas,
        args=lambda number: (number, str(lives)),
        context=way,
        segment=segment,
        policy=POLICY,
        on_event=events.append,
        log_dir=scratch / "logs",
    ) as supervisor:
        results = supervisor.wait()
    faults = list(targets.FAULTS)
    assert HANGS | LOSES <= set(faults)
    each = dict(code=0, starts=len(faults) + 1, hangs=len(HANGS), lost_jobs=len(LOSES))
    assert results == tuple(ReplicaResult(number, "exited", **each) for number in range(replicas)), events  # type: ignore[arg-type]
    for number in range(replicas):
        of_it = [event for event in events if event.slot == number]
        assert [event.event for event in of_it].count("replaced") == len(faults)
        lost = [event.job for event in of_it if event.event == "lost_job"]
        assert sorted(map(str, lost)) == sorted(LOSES), "each by its name"
        pids = [int(pid) for pid in (lives / str(number)).read_text().split()]
        assert len(pids) == 2 * len(faults) + 1, "a child of each that fails"
        assert not [(life, pid) for life, pid in enumerate(pids) if not ended(pid)], "nobody is left"
    assert not multiprocessing.active_children() and not os.path.exists(f"{segment}.children")
