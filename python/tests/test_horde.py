"""`hangwatch.horde`: the origin's traces beside its own rule and its fix, and the rules one by one. On a fake clock."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from hangwatch import horde
from hangwatch.horde import HordeHeartbeatType, HordeProcessState, ProcessMap, Stuck
from origin import JUDGES, Event, Info, beats, play, starts, steps

T = 15.0
HOUR = 3600.0

STEP = HordeHeartbeatType.INFERENCE_STEP
OTHER = HordeHeartbeatType.OTHER

# FIELD's four traces; what the original rule, its fix and hangwatch say, in seconds.
FIELD: Dict[str, Tuple[List[Event], Tuple[Optional[float], Optional[float], Optional[float]]]] = {
    "one step a second to 25 %, then silence": (starts() + steps(1, 25), (None, 40.2, 40.0)),
    "a hang before the first step": (starts(), (None, 15.2, 15.0)),
    "a hang in the decode, after the last step": (
        starts() + steps(1, 100) + [Event(100.5, state="INFERENCE_POST_PROCESSING")],
        (None, None, None),
    ),
}

# The fix's own table and its three scenarios. A retry that stands still steps at 75 %, one that falls back counts up again.
RETRY_FLAT = [Event(75.0 + i, beat="INFERENCE_STEP", percent=75) for i in range(1, 3000)]
RETRY_LOOP = [Event(76.0 + i, beat="INFERENCE_STEP", percent=i % 76) for i in range(3000)]
ORIGIN: Dict[str, Tuple[List[Event], Tuple[Optional[float], Optional[float], Optional[float]]]] = {
    "complete hang at 0 %": (starts() + [Event(1.0, beat="INFERENCE_STEP", percent=0)], (None, 16.2, 16.0)),
    "stalled at 1 %, beating": (starts() + steps(1, 1) + beats(2.0, HOUR, 1), (None, 16.2, 16.0)),
    "stalled at 25 %, beating": (starts() + steps(1, 25) + beats(26.0, HOUR, 25), (None, 40.2, 40.0)),
    "stalled at 50 %, beating": (starts() + steps(1, 50) + beats(51.0, HOUR, 50), (None, 65.2, 65.0)),
    "stalled at 99 %, beating": (starts() + steps(1, 99) + beats(100.0, HOUR, 99), (None, 114.2, 114.0)),
    "normal progress": (starts() + steps(0, 100, every=10.0) + [Event(1001.0, state="INFERENCE_COMPLETE")], (None, None, None)),
    "the GPU driver hangs at 25 %": (starts() + steps(1, 25, every=0.2), (None, 21.0, 20.8)),
    "the load deadlocks at 5 %, a thread beats": (starts() + steps(1, 5) + beats(6.0, HOUR), (None, 20.2, 20.0)),
    "out of memory at 75 %, retries flat": (starts() + steps(1, 75) + RETRY_FLAT, (None, 90.2, 90.0)),
    "out of memory at 75 %, falls back to 0 %": (starts() + steps(1, 75) + RETRY_LOOP, (None, None, 90.0)),
    "beats, reports no progress": (starts() + beats(1.0, HOUR), (None, 15.2, None)),
}


def say(trace: List[Event], until: float = HOUR) -> Tuple[Optional[float], ...]:
    return tuple(None if at is None else round(at, 1) for at in (play(judge(T), trace, until) for judge in JUDGES))


@pytest.mark.parametrize("name", FIELD)
def test_the_origins_hangs_are_missed_by_its_rule_and_found_at_the_timeout_by_ours(name: str) -> None:
    trace, expected = FIELD[name]
    assert say(trace) == expected


@pytest.mark.parametrize("name", ORIGIN)
def test_the_origins_table_and_its_three_scenarios_beside_its_rule_and_its_fix(name: str) -> None:
    trace, expected = ORIGIN[name]
    assert say(trace, 2000.0) == expected


def test_a_slow_step_that_completes_is_called_stuck_by_the_original_when_it_is_over() -> None:
    # 5 steps, one of 20 s, and on; the timeout must be longer than the step for it to be healthy to anybody who looks live.
    trace = starts() + steps(1, 5) + steps(6, 40, at=25.0)
    original, fix, ours = say(trace, 58.0)
    assert (original, fix, ours) == (25.0, 20.2, 20.0), "the original flags it once it is over, the others while it lasts"
    assert [play(judge(21.0), trace, 58.0) for judge in JUDGES] == [None, None, None], "a timeout above the step flags nobody"


class Map:
    """One process, in inference on job `a` from 0 s on."""

    def __init__(self, **kwargs: Any) -> None:
        self.now = 0.0
        self.info: Any = Info()
        self.map = ProcessMap({7: self.info}, clock=lambda: self.now, **kwargs)
        self.map.on_last_job_reference_change(7, "a")
        self.state("INFERENCE_STARTING")

    def state(self, name: str) -> None:
        self.map.on_process_state_change(7, HordeProcessState[name])

    def step(self, percent: Optional[int]) -> None:
        self.map.on_heartbeat(7, STEP, percent_complete=percent)

    def at(self, now: float) -> None:
        """On to then, with a poll a second: a watcher that does not look is one that slept."""
        while self.now < now:
            self.now = min(self.now + 1.0, now)
            self.map.stuck_on_inference(7, 1e9)

    def why(self, timeout: float = T) -> Optional[Stuck]:
        return self.map.stuck_on_inference(7, timeout)

    def verdict(self) -> Optional[str]:
        stuck = self.why()
        return None if stuck is None else stuck.verdict


def test_a_verdict_names_the_clock_and_the_ages_that_prove_it() -> None:
    m = Map()
    m.at(2.0)
    m.step(42)
    m.at(16.0)
    m.map.on_heartbeat(7, OTHER)
    m.at(17.0)
    assert m.why() == Stuck("stalled", 15.0, 15.0, 1.0, 15.0, 42.0, "a")
    m.step(41)
    assert m.verdict() == "looping", "it fell back since the mark rose"
    m.step(43)
    assert m.verdict() is None, "past the mark is progress"
    m.at(32.0)
    assert m.verdict() == "silent"


def test_a_percentage_below_the_mark_is_no_progress_and_one_above_it_is() -> None:
    m = Map()
    for now in range(1, 40):
        m.now = float(now)
        m.step(75 if now < 3 else now % 75)
    assert m.verdict() == "looping"
    m.step(76)
    assert m.verdict() is None


def test_a_job_that_reports_no_percentage_is_judged_by_its_heartbeats_alone() -> None:
    m = Map()
    for now in range(1, 1000):
        m.now = float(now)
        m.step(None)
        assert m.verdict() is None, "beats are all it has, and they come"
    m.at(m.now + T)
    assert m.verdict() == "silent"


def test_where_every_job_reports_progress_its_clock_runs_from_the_start() -> None:
    class Map2(ProcessMap):
        reports_progress = True

    now = 0.0
    processes = Map2({1: Info()}, clock=lambda: now)
    processes.on_process_state_change(1, "INFERENCE_STARTING")
    for at in range(1, 16):
        now = float(at)
        processes.on_heartbeat(1, OTHER)
    stuck = processes.stuck_on_inference(1, T)
    assert stuck is not None and stuck.verdict == "stalled", "a helper's beat does not hide a first step that never comes"


@pytest.mark.parametrize("state", ["WAITING_FOR_JOB", "INFERENCE_COMPLETE", "INFERENCE_FAILED"])
def test_a_state_that_ends_a_job_starts_both_clocks_and_the_mark_anew(state: str) -> None:
    m = Map()
    m.step(90)
    m.at(14.0)
    m.state(state)
    m.at(1000.0)
    assert m.verdict() is None, "idle is not hung"
    m.state("INFERENCE_STARTING")
    m.at(1014.0)
    m.step(1)
    assert m.verdict() is None
    m.at(1028.0)
    assert m.verdict() is None, "1 % of the next job is progress"


def test_another_job_starts_anew_and_the_same_one_named_again_does_not() -> None:
    m = Map()
    m.step(50)
    m.at(14.0)
    m.map.on_last_job_reference_change(7, "a")
    m.at(15.0)
    assert m.verdict() == "silent"
    m.map.on_last_job_reference_change(7, "b")
    assert m.verdict() is None
    m.step(1)
    m.at(29.0)
    assert m.verdict() is None
    m.at(30.0)
    assert m.verdict() == "silent"


def test_a_retry_of_the_same_job_through_loading_keeps_its_mark_and_what_it_had_spent() -> None:
    m = Map()
    m.step(75)
    for _ in range(2):
        m.at(m.now + 5.0)
        assert m.verdict() is None
        m.state("PRELOADING_MODEL")
        m.at(m.now + 60.0)
        assert m.verdict() is None, "another state is not judged here, and its time is not inference's"
        m.state("PRELOADED_MODEL")
        m.state("INFERENCE_STARTING")
        m.step(10)
    m.at(m.now + 5.0)
    assert m.verdict() == "looping", "three times five seconds below 75 %"


def test_the_worker_may_start_all_anew() -> None:
    m = Map()
    m.step(75)
    m.at(14.0)
    m.map.reset_heartbeat_state(7)
    m.step(10)
    m.at(28.0)
    assert m.verdict() is None


def test_a_count_that_was_whole_and_starts_again_is_another_pass_and_an_endless_loop_of_passes_is_caught() -> None:
    m = Map()
    found: List[float] = []
    for whole in range(40):
        for percent in (10, 50, 100):
            m.now += 4.0
            m.step(percent)
            if m.verdict() == "looping":
                found.append(m.now)
        if found:
            break
    # 16 passes of 12 s each are granted; then the mark of 100 stands.
    assert found and found[0] == 16 * 12.0 + 16.0, "the first poll at which 100 % has stood for the timeout"


def test_a_longer_budget_for_the_first_step_ends_with_it() -> None:
    m = Map()
    m.at(16.0)
    assert m.map.is_stuck_on_inference(7, 15)
    assert not m.map.is_stuck_on_inference(7, 15, 90)
    m.step(1)
    m.at(31.0)
    assert m.map.is_stuck_on_inference(7, 15, 90)


def test_only_inference_is_judged() -> None:
    for state in HordeProcessState:
        m = Map()
        m.state(state.name)
        m.now = 5000.0
        assert (m.verdict() is not None) == (state.name == "INFERENCE_STARTING"), state.name


def test_a_watcher_that_slept_accuses_nobody() -> None:
    m = Map()
    for now in range(1, 6):
        m.now = float(now)
        m.step(now)
        assert m.verdict() is None
    m.now = 605.0
    assert m.why(10.0) is None, "the first poll after a gap judges nobody"
    assert m.why(10.0) is not None, "the second does: ten seconds were counted"
    m.now = 606.0
    assert m.verdict() is None, "of ten minutes without a poll ten seconds count"
    for now in range(607, 611):
        m.now = float(now)
        found = m.verdict()
    assert found == "silent", "and the hang is still found"


def test_a_replaced_process_has_no_history() -> None:
    m = Map()
    m.step(50)
    m.at(20.0)
    m.map[7] = Info()
    m.map.on_process_state_change(7, HordeProcessState.INFERENCE_STARTING)
    assert m.verdict() is None
    del m.map[7]
    with pytest.raises(KeyError):
        m.why()


def test_the_fields_that_other_parts_of_the_worker_read_are_kept() -> None:
    m = Map()
    m.step(1)
    m.step(2)
    info = m.info
    assert info.last_process_state is HordeProcessState.INFERENCE_STARTING
    assert (info.last_heartbeat_type, info.heartbeats_inference_steps, info.last_heartbeat_percent_complete) == (STEP, 2, 2)
    assert info.last_job_referenced == "a" and info.last_heartbeat_timestamp <= info.last_received_timestamp
    m.state("WAITING_FOR_JOB")
    assert (info.heartbeats_inference_steps, info.last_heartbeat_percent_complete) == (0, None)


class WorkersOwn(Dict[int, Any]):
    """A worker's own map, of an older version, with a method beyond the detector's."""

    def on_heartbeat(self, process_id: int, heartbeat_type: Any) -> None:
        self[process_id].beats = getattr(self[process_id], "beats", 0) + 1

    def on_process_state_change(self, process_id: int, new_state: Any) -> None:
        self[process_id].last_process_state = new_state
        if new_state.name in ("PRELOADED_MODEL", "WAITING_FOR_JOB"):
            self.reset_heartbeat_state(process_id)

    def on_last_job_reference_change(self, process_id: int, last_job_referenced: Any) -> None:
        self[process_id].last_job_referenced = last_job_referenced

    def reset_heartbeat_state(self, process_id: int) -> None:
        self[process_id].beats = 0

    def is_stuck_on_inference(self, process_id: int, inference_step_timeout: int) -> bool:
        raise AssertionError("its detector is not asked")

    def num_busy_processes(self) -> int:
        return len(self)


def test_the_workers_own_map_keeps_all_it_has_and_its_detector_is_ours() -> None:
    processes = horde.detecting(WorkersOwn)({1: Info()})
    now = 0.0
    processes._clock = lambda: now  # type: ignore[attr-defined]
    processes.on_last_job_reference_change(1, "a")
    processes.on_process_state_change(1, HordeProcessState.INFERENCE_STARTING)
    processes.on_heartbeat(1, STEP)
    assert isinstance(processes, WorkersOwn) and processes.num_busy_processes() == 1 and processes[1].beats == 1
    assert not processes.is_stuck_on_inference(1, 15)
    now = 15.0
    assert processes.is_stuck_on_inference(1, 15)


def test_a_reset_that_the_workers_own_state_change_makes_does_not_hide_a_retry() -> None:
    class Newer(WorkersOwn):
        def on_heartbeat(self, process_id: int, heartbeat_type: Any, *, percent_complete: Optional[int] = None) -> None:
            super().on_heartbeat(process_id, heartbeat_type)

    processes = horde.detecting(Newer)({1: Info()})
    now = 0.0
    processes._clock = lambda: now  # type: ignore[attr-defined]
    processes.on_last_job_reference_change(1, "a")
    for now in (0.0, 8.0, 16.0):
        processes.on_process_state_change(1, HordeProcessState.PRELOADED_MODEL)
        processes.on_process_state_change(1, HordeProcessState.INFERENCE_STARTING)
        processes.on_heartbeat(1, STEP, percent_complete=75 if now == 0.0 else 10)
    assert processes.is_stuck_on_inference(1, 15)


def test_states_are_those_of_the_table_of_phases() -> None:
    table = (Path(__file__).resolve().parents[2] / "src/layout/phase.rs").read_text()
    rows = re.findall(r'= \d+, "(\w+)", .*?\[(.*?)\];', table, re.S)
    ours = {state: phase for phase, states in rows for state in re.findall(r'"(\w+)"', states)}
    assert ours and ours == dict(horde.PHASES), "one table, stated twice"
    assert {state.name for state in HordeProcessState} == set(ours)
    assert set(horde.ENDS_A_JOB) <= set(ours) and set(horde.CALLS) == {kind.name for kind in HordeHeartbeatType}


def test_alchemy_is_judged_by_nobody_but_a_subclass_that_says_so() -> None:
    class Judging(ProcessMap):
        unjudged = ()

    now = 0.0
    maps = [ProcessMap({1: Info()}, clock=lambda: now), Judging({1: Info()}, clock=lambda: now)]
    for processes in maps:
        processes.on_process_state_change(1, "ALCHEMY_STARTING")
    now = 40.0
    assert [processes.is_stuck_on_inference(1, 15) for processes in maps] == [False, True], "as the worker's own rule"


def test_an_unknown_state_of_a_worker_is_added_in_a_subclass() -> None:
    class Forked(ProcessMap):
        phases = {**horde.PHASES, "INFERENCE_PROCESSING": "inference"}

    now = 0.0
    maps = [ProcessMap({1: Info()}, clock=lambda: now), Forked({1: Info()}, clock=lambda: now)]
    for processes in maps:
        processes.on_process_state_change(1, "INFERENCE_PROCESSING")
    now = 16.0
    assert [processes.is_stuck_on_inference(1, 15) for processes in maps] == [False, True]


def test_members_of_the_enums_are_pickled_by_the_name_that_programs_import_them_by() -> None:
    for member in [*HordeProcessState, *HordeHeartbeatType]:
        assert pickle.loads(pickle.dumps(member)) is member and b"hangwatch.horde\n" in pickle.dumps(member, 0)
