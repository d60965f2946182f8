"""What a supervisor leaves behind that is killed itself, and what the next one of its segment makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import List

import pytest

import targets
from conftest import HERE
from hangwatch import Event, ReplicaResult, Supervisor
from slots import taken
from test_supervisor import WAYS, ended
from waiting import until

# Nobody hangs here.
POLICY = {"poll_interval": 0.02, "grace": "300ms", "backoff": "10ms", "inference_step_timeout": "1h"}
HOST = """
import sys
import hangwatch
import targets
segment, pids, what = sys.argv[1:]
policy = {"poll_interval": "20ms"}
if __name__ == "__main__":
    if what == "command":
        script = "import sys, targets; targets.works_with_a_child(sys.argv[1])"
        supervisor = hangwatch.Supervisor([sys.executable, "-B", "-c", script, pids], segment=segment, policy=policy)
    else:
        supervisor = hangwatch.Supervisor(targets.works_with_a_child, args=(pids,), context=what, segment=segment, policy=policy)
    supervisor.wait()
"""


def told_of(events: List[Event]) -> List[str]:
    """Kinds of those about a worker; that one whose end is on its way is dead, a poll may see and tell, and that it is starved."""
    return [event.event for event in events if event.slot is not None and event.verdict not in ("dead", "zombie", "starved")]


class Left:
    """Workers whose host was killed."""

    def __init__(self, segment: Path, scratch: Path, what: str) -> None:
        script, told = scratch / "host.py", scratch / f"pids-{what}"
        script.write_text(f"import sys; sys.path.insert(0, {str(HERE)!r})\n{HOST}")
        command = [sys.executable, "-B", str(script), str(segment), str(told), what]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(HERE)})
        until(told.exists)
        # Its host has heard of it too, and a successor can find it.
        until(lambda: len(Path(f"{segment}.children").read_text().splitlines()) == 2)
        self.pids = [int(pid) for pid in told.read_text().split()]
        process.kill()
        process.wait()

    def live(self) -> bool:
        return not any(ended(pid) for pid in self.pids)

    def ended(self) -> bool:
        return all(ended(pid) for pid in self.pids)


@pytest.fixture
def told() -> Iterator[List[Event]]:
    yield []


@pytest.mark.parametrize("way", WAYS)
def test_children_of_a_host_that_was_killed_are_ended_before_their_place_is_taken(
    segment: Path, scratch: Path, told: List[Event], way: str
) -> None:
    left = Left(segment, scratch, way)
    assert left.live(), "they outlive it, for nobody ends them"
    seen = scratch / "seen"
    with Supervisor(
        targets.notes_who_lives, args=(str(seen), left.pids), segment=segment, policy=POLICY, on_event=told.append
    ) as supervisor:
        results = supervisor.wait()
    assert results == (ReplicaResult(0, "exited", code=0, starts=1, lost_jobs=1),), "this supervisor's first start is no restart"
    assert seen.read_text() == "0 []", "it starts in their slot, when all of them are gone"
    (action,) = [event for event in told if event.event == "action"]
    assert action.pid == left.pids[0] and "the program that has made it is gone" in str(action.detail), action
    (lost,) = [event for event in told if event.event == "lost_job"]
    assert (lost.job, lost.pid) == ("left", left.pids[0])
    assert told_of(told) == ["action", "lost_job"], "nobody was hung, adopted or replaced"
    assert not Path(f"{segment}.children").exists()


def test_one_for_whom_there_is_no_place_any_more_is_ended_too(segment: Path, scratch: Path, told: List[Event]) -> None:
    left = Left(segment, scratch, "spawn")
    Path(f"{segment}.children").write_text(Path(f"{segment}.children").read_text().replace("\n0 ", "\n7 "))
    with Supervisor(targets.exits, args=("0",), segment=segment, policy=POLICY, on_event=told.append) as supervisor:
        results = supervisor.wait()
    assert left.ended(), "its queues lead nowhere"
    assert results is not None and [it.end for it in results] == ["exited", "signalled"]


def test_a_host_that_follows_on_commands_ends_them(segment: Path, scratch: Path, told: List[Event]) -> None:
    left = Left(segment, scratch, "command")
    with Supervisor(targets.exits, args=("0",), segment=segment, policy=POLICY, on_event=told.append) as supervisor:
        supervisor.wait()
    assert left.ended() and told_of(told) == ["action", "lost_job"]


def test_commands_that_follow_on_a_host_end_its_children_and_adopt_none(segment: Path, scratch: Path, told: List[Event]) -> None:
    left = Left(segment, scratch, "fork")
    with Supervisor(["true"], segment=segment, policy=POLICY, on_event=told.append) as supervisor:
        results = supervisor.wait()
    assert left.ended() and results == (ReplicaResult(0, "exited", code=0, starts=1, lost_jobs=1),)
    assert told_of(told) == ["action", "lost_job"], told


def test_commands_of_a_host_that_was_killed_are_adopted_and_live_on(segment: Path, scratch: Path, told: List[Event]) -> None:
    left = Left(segment, scratch, "command")
    with Supervisor(["false"], segment=segment, policy=POLICY, on_event=told.append) as supervisor:
        until(lambda: [event for event in told if event.event == "adopted"])
        assert left.live() and taken(segment, 4) == [0]
        supervisor.stop()
    assert left.ended()
    assert [event.pid for event in told if event.event == "adopted"] == left.pids[:1]
