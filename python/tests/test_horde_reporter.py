"""`hangwatch.horde.Reporter`: what a child process says, by its own states and heartbeats."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional

import hangwatch
from hangwatch import horde
from hangwatch.horde import HordeHeartbeatType, HordeProcessState
from slots import Slot

STEP = HordeHeartbeatType.INFERENCE_STEP


class Calls:
    """A worker that notes what is called."""

    def __init__(self) -> None:
        self.calls: List[Any] = []

    def step(self, done: int, /) -> None:
        self.calls.append(("step", done))

    def beat(self) -> None:
        self.calls.append("beat")

    def extend(self, seconds: float) -> None:
        self.calls.append(("extend", seconds))

    def begin_pass(self) -> None:
        self.calls.append("pass")

    def phase(self, phase: str) -> None:
        self.calls.append(phase)

    def begin_job(self, id: str = "", model: str = "", total: Optional[int] = None) -> None:
        self.calls.append(("begin", id, model, total))

    def end_job(self, outcome: str) -> None:
        self.calls.append(("end", outcome))


class Job:
    id_ = "a1b2"
    model = "sdxl"


def test_a_childs_states_and_heartbeats_become_phases_jobs_and_steps() -> None:
    worker = Calls()
    child = horde.Reporter(worker)
    child.on_process_state_change(HordeProcessState.PRELOADING_MODEL)
    child.on_last_job_reference_change(Job())
    child.on_process_state_change("INFERENCE_STARTING")
    child.on_heartbeat(HordeHeartbeatType.PIPELINE_STATE_CHANGE)
    child.on_heartbeat(STEP, percent_complete=42)
    child.on_heartbeat(STEP)
    child.on_process_state_change("INFERENCE_POST_PROCESSING")
    child.on_process_state_change("INFERENCE_COMPLETE")
    child.on_process_state_change("WAITING_FOR_JOB")
    child.on_process_state_change("A_STATE_OF_THE_FUTURE")
    assert worker.calls == [
        "loading", ("begin", "a1b2", "sdxl", 100), "beat", ("step", 42), "beat", "post_processing", ("end", "ok"), "idle", "idle",
    ]  # fmt: skip


def test_a_childs_failed_job_and_one_that_another_takes_the_place_of_are_told_apart() -> None:
    worker = Calls()
    child = horde.Reporter(worker)
    child.on_process_state_change("ALCHEMY_STARTING")
    child.on_process_state_change("ALCHEMY_FAILED")
    child.on_process_state_change("INFERENCE_STARTING")
    child.on_last_job_reference_change(Job())
    alchemy = [("begin", "", "", None), ("extend", 600.0), ("end", "failed"), "idle"]
    assert worker.calls == [*alchemy, ("begin", "", "", 100), ("end", "cancelled")], "alchemy reports nothing until it is done"


def test_a_childs_count_that_was_full_and_starts_again_is_another_pass_and_a_retry_is_none() -> None:
    worker = Calls()
    child = horde.Reporter(worker)
    for _ in range(2):
        child.on_process_state_change("INFERENCE_STARTING")
        for percent in (50, 100, 5, 60, 30):
            child.on_heartbeat(STEP, percent_complete=percent)
        child.on_process_state_change("INFERENCE_COMPLETE")
    job = [("begin", "", "", 100), ("step", 50), ("step", 100), "pass", ("step", 5), ("step", 60), ("step", 30), ("end", "ok"), "idle"]
    assert worker.calls == job * 2


def test_a_childs_reports_reach_its_slot(segment: Path) -> None:
    with hangwatch.attach(segment=segment) as worker:
        child = horde.Reporter(worker)
        for state, phase in horde.PHASES.items():
            if phase != "inference":
                child.on_process_state_change(state)
                assert Slot(segment, 0).phase == hangwatch.PHASES[phase], state
        child.on_last_job_reference_change(Job())
        child.on_process_state_change("INFERENCE_STARTING")
        child.on_heartbeat(STEP, percent_complete=42)
        slot = Slot(segment, 0)
        assert (slot.phase, slot.progress, slot.total) == (hangwatch.PHASES["inference"], 42, 100)
        assert slot.texts[:2] == ("a1b2", "sdxl")
        child.on_process_state_change("INFERENCE_FAILED")
        assert Slot(segment, 0).jobs == (0, 1, 0)
