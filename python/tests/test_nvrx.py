"""`hangwatch.compat.nvrx`: the calls of the rank monitor client, and the phases that they show."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any, List

import hangwatch
import pytest
from hangwatch.compat import nvrx
from hangwatch.compat.nvrx import RankMonitorClient, RankMonitorClientError, WorkloadAction, WorkloadControlRequest
from nvrx_rank import Rank


def test_a_rank_shows_the_timeout_that_stands_before_and_after_its_first_heartbeat() -> None:
    rank = Rank()
    rank.client.init_workload_monitoring()
    assert rank.worker.shown[-1] == "workload/3600s"
    rank.beat_at(5.0)
    assert rank.worker.shown[-1] == "workload/2700s" and rank.worker.beats == 1
    assert rank.worker.budgets == {"workload/3600s": 3600.0, "workload/2700s": 2700.0}


def test_a_timeout_that_is_not_used_is_no_budget_and_the_shorter_of_two_stands() -> None:
    rank = Rank(initial_rank_heartbeat_timeout=None, rank_heartbeat_timeout=90.0, rank_out_of_section_timeout=30.0)
    rank.client.init_workload_monitoring()
    assert rank.worker.shown[-1] == "workload/30s"
    rank = Rank(rank_heartbeat_timeout=90.0)
    rank.client.init_workload_monitoring()
    assert rank.worker.budgets == {"workload/none": None}
    rank = Rank(initial_rank_heartbeat_timeout=float("inf"))
    rank.client.init_workload_monitoring()
    assert rank.worker.budgets == {"workload/none": None}


def test_a_section_is_a_phase_with_its_timeout_for_a_budget() -> None:
    rank = Rank(rank_section_timeouts={"setup": 600.0, "step": 12.5})
    rank.client.init_workload_monitoring()
    rank.client.start_section("setup")
    rank.client.start_section("step")
    rank.client.end_section("step")
    rank.client.end_all_sections()
    rank.client.end_all_sections()
    assert rank.worker.shown[1:] == ["workload/none", "setup/600s", "step/12.5s", "setup/600s", "workload/none"]
    assert rank.worker.budgets == {"workload/none": None, "setup/600s": 600.0, "step/12.5s": 12.5}


def test_the_shortest_of_the_timeouts_that_run_stands_whatever_is_opened_within() -> None:
    given = {"checkpoint": 20.0, "eval": 60.0, "io": None}
    rank = Rank(rank_heartbeat_timeout=30.0, rank_section_timeouts=given, rank_out_of_section_timeout=10.0)
    rank.client.init_workload_monitoring()
    rank.client.start_section("eval")
    assert rank.worker.shown[-1] == "eval/60s", "no heartbeat was sent, and none has a timeout up to the first"
    rank.beat_at(1.0)
    assert rank.worker.shown[-1] == "eval/30s", "the heartbeat's goes on in a section"
    rank.client.start_section("checkpoint")
    for inner in ("io", "not given"):
        rank.client.start_section(inner)
        assert rank.worker.shown[-1] == f"{inner}/20s", "and so does that of the section around it"
    rank.client.end_section("checkpoint")
    assert rank.worker.shown[-1] == "not given/30s", "until that is closed, in whatever order"
    rank.client.end_all_sections()
    rank.client.start_section("step")
    assert rank.worker.shown[-2:] == ["workload/30s", "step/30s"], "before a step, what is out of sections is not judged"
    with_steps = Rank(rank_heartbeat_timeout=30.0, rank_section_timeouts={"step": 5.0}, rank_out_of_section_timeout=10.0)
    with_steps.client.init_workload_monitoring()
    assert with_steps.worker.shown[-1] == "workload/none"
    with_steps.client.start_section("step")
    with_steps.client.end_section("step")
    with_steps.client.start_section("not given")
    assert with_steps.worker.shown[-2:] == ["workload/10s", "not given/10s"], "one that was not given is out of sections"


def test_a_section_that_bears_the_name_of_a_phase_is_not_judged_as_that() -> None:
    rank = Rank(rank_section_timeouts={"loading": None})
    rank.client.init_workload_monitoring()
    rank.client.start_section("loading")
    assert rank.worker.shown[-1] == "loading/3600s"
    unlimited = Rank(initial_rank_heartbeat_timeout=float("inf"))
    unlimited.client.init_workload_monitoring()
    unlimited.client.start_section("loading")
    assert unlimited.worker.shown[-1] == "loading/none"


def test_sections_that_overlap_show_the_innermost_that_is_open() -> None:
    rank = Rank()
    rank.client.init_workload_monitoring()
    for section in ("a", "b"):
        rank.client.start_section(section)
    rank.client.end_section("a")
    rank.client.start_section("a")
    rank.client.end_section("b")
    rank.client.end_section("a")
    assert rank.worker.shown[1:] == [f"{name}/3600s" for name in ("workload", "a", "b", "a", "workload")]


def test_a_phase_in_which_heartbeats_come_for_longer_than_a_budget_is_entered_again() -> None:
    rank = Rank(initial_rank_heartbeat_timeout=10.0, rank_heartbeat_timeout=10.0, rank_section_timeouts={"setup": 25.0})
    rank.client.init_workload_monitoring()
    rank.beat_at(4.0, 8.0)
    assert rank.worker.shown[1:] == ["workload/10s"]
    rank.beat_at(*range(12, 100, 4))
    again = len(rank.worker.shown) - 1
    assert set(rank.worker.shown[1:]) == {"workload/10s"} and 96 / 20 < again <= 96 / 10, "it lasts some budgets at most, of all"
    rank.client.start_section("setup")
    beats = rank.worker.beats
    rank.beat_at(100.0, 108.0, 116.0, 121.0)
    assert rank.worker.beats == beats + 4, "the section was opened at 96 s"
    rank.beat_at(121.5, 130.0)
    assert rank.worker.beats == beats + 4, "no heartbeat hides that a section has had all its time"
    rank.client.end_section("setup")
    rank.beat_at(131.0)
    assert rank.worker.beats == beats + 5 and rank.worker.shown[-1] == "workload/10s"


def test_calls_that_make_no_sense_say_so() -> None:
    rank = Rank(rank_section_timeouts={"a": None, "b": None})
    for call in (rank.client.send_heartbeat, rank.client.end_all_sections, lambda: rank.client.start_section("a")):
        with pytest.raises(RankMonitorClientError, match="not initialized"):
            call()
    rank.client.init_workload_monitoring()
    with pytest.raises(RankMonitorClientError, match="already initialized"):
        rank.client.init_workload_monitoring()
    rank.client.start_section("a")
    with pytest.raises(RankMonitorClientError, match="'a': it is open already"):
        rank.client.start_section("a")
    with pytest.raises(RankMonitorClientError, match="'b': it is not open"):
        rank.client.end_section("b")
    for _ in range(2):
        rank.client.start_section("without a timeout")
    for _ in range(2):
        rank.client.end_section("without a timeout")
    rank.client.end_section("a")
    assert rank.worker.shown[-1] == "workload/3600s", "as there, what nobody watches is nobody's misuse"


def test_shutdown_ends_all_and_leaves_a_worker_that_was_given_attached() -> None:
    rank = Rank()
    rank.client.shutdown_workload_monitoring()
    rank.client.init_workload_monitoring()
    rank.client.start_section("a")
    rank.client.shutdown_workload_monitoring()
    rank.client.shutdown_workload_monitoring()
    assert rank.worker.shown[-1] == "idle" and not rank.worker.is_detached
    rank.client.init_workload_monitoring()
    assert rank.worker.shown[-1] == "workload/3600s", "and it may begin again"


def test_where_no_phase_has_room_the_nearest_that_is_no_shorter_is_shown() -> None:
    rank = Rank(room=2, initial_rank_heartbeat_timeout=50.0, rank_section_timeouts={"a": 30.0, "b": 40.0, "c": 20.0})
    rank.client.init_workload_monitoring()
    for section in ("a", "b", "c"):
        rank.client.start_section(section)
        rank.client.end_section(section)
    wanted = ["workload/50s", "a/30s", "workload/50s", "workload/50s", "workload/50s", "a/30s", "workload/50s"]
    assert rank.worker.shown[1:] == wanted, "and each is entered, with its whole budget"
    rank.beat_at(1.0)
    assert rank.worker.shown[-1] == "idle", "nobody is judged by a budget that is shorter than his"


def test_it_attaches_by_itself_and_gives_the_slot_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANGWATCH_SEGMENT", str(tmp_path / "segment"))
    monkeypatch.setenv("RANK", "3")
    hangwatch.set_current(None)
    client = RankMonitorClient(rank_section_timeouts={"step": 5.0})
    client.init_workload_monitoring()
    client.send_heartbeat()
    client.start_section("step")
    beside = hangwatch.attach()
    assert beside.slot == 1, "the rank holds the first slot"
    content = (tmp_path / "segment").read_bytes()
    rank = hangwatch.current()
    assert rank is not None and rank.slot == 0
    assert b"rank3\0" in content and b"step/5s\0" in content and b"workload/none\0" in content
    client.shutdown_workload_monitoring()
    assert not rank.attached
    beside.detach()


def test_where_nothing_watches_every_call_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANGWATCH_SEGMENT", raising=False)
    client = RankMonitorClient()
    client.init_workload_monitoring()
    client.start_section("step")
    client.send_heartbeat()
    client.end_section("step")
    client.shutdown_workload_monitoring()


def test_an_attach_that_fails_is_the_clients_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANGWATCH_SEGMENT", "/nowhere/at/all")
    with pytest.raises(RankMonitorClientError, match="could not attach"):
        RankMonitorClient().init_workload_monitoring()


def test_every_name_that_a_user_of_the_original_meets_is_here() -> None:
    original = json.loads((Path(__file__).parent / "nvrx_surface.json").read_text())
    compared = 0
    for name, wanted in [("RankMonitorClient", original["RankMonitorClient"])] + [
        (name, of["methods"]) for name, of in original["data"].items()
    ]:
        cls = getattr(nvrx, name)
        for method, parameters in wanted.items():
            has = getattr(cls, method)
            if isinstance(has, property):
                continue
            named = [it.name for it in inspect.signature(has).parameters.values() if it.name != "self"]
            assert named[: len(parameters)] == parameters, f"{name}.{method} of {original['version']}: in this order, by these names"
            more = [it for it in inspect.signature(has).parameters.values() if it.name in named[len(parameters) :]]
            assert all(it.kind is it.KEYWORD_ONLY for it in more), f"{name}.{method}: what is ours is named"
            compared += 1
    for name, of in original["data"].items():
        has_fields = list(WorkloadAction.__members__) if name == "WorkloadAction" else [f.name for f in data_fields(name)]
        assert has_fields == of["fields"], name
    for constant in original["constants"]:
        assert isinstance(getattr(RankMonitorClient, constant), str)
    assert compared >= 13, "the table was read"


def data_fields(name: str) -> Any:
    cls = getattr(nvrx, name)
    return dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()


def test_a_request_about_the_workload_is_told_and_carried_out_by_whoever_can() -> None:
    done: List[WorkloadControlRequest] = []
    rank = Rank(on_control=done.append)
    request = WorkloadControlRequest(WorkloadAction.ExcludeThisNode, description="ECC errors")
    rank.client.init_workload_monitoring()
    rank.client.send_workload_control_request(request)
    assert done == [request] and rank.worker.notes == ["ExcludeThisNode: ECC errors"]
    assert str(request) == "WorkloadControlRequest(action=WorkloadAction.ExcludeThisNode, description=ECC errors)"
    assert WorkloadControlRequest(WorkloadAction.Continue).description == "<not set>"


def test_a_request_that_nobody_can_carry_out_is_an_error_that_says_what_to_do_and_going_on_is_none() -> None:
    rank = Rank()
    rank.client.init_workload_monitoring()
    rank.client.send_workload_control_request(WorkloadControlRequest(WorkloadAction.Continue))
    with pytest.raises(RuntimeError, match=r"(?s)cannot carry out ShutdownWorkload.*on_control.*exit code 0"):
        rank.client.send_workload_control_request(WorkloadControlRequest(WorkloadAction.ShutdownWorkload, "loss is NaN"))
    assert rank.worker.notes == ["Continue: <not set>", "ShutdownWorkload: loss is NaN"], "told all the same"


def test_warm_up_steps_have_the_warm_ups_timeout_and_what_is_outside_of_them_none() -> None:
    rank = Rank(rank_section_timeouts={"step": 10.0, "warmup": 300.0}, rank_out_of_section_timeout=30.0)
    rank.client.init_workload_monitoring(num_warmup_iters=2)
    shown = []
    for _ in range(3):
        shown.append(rank.worker.shown[-1])
        rank.client.start_section("step")
        shown.append(rank.worker.shown[-1])
        rank.client.end_section("step")
    assert shown == ["workload/none", "step/300s", "workload/none", "step/300s", "workload/30s", "step/10s"]
    rank = Rank(rank_section_timeouts={"step": 10.0})
    rank.client.init_workload_monitoring(1)
    rank.client.start_section("step")
    assert rank.worker.budgets["step/none"] is None, "and none where there is none"


def test_a_stop_that_the_monitor_asks_for_is_told_once_at_a_heartbeat_or_a_section() -> None:
    told: List[int] = []
    for call in ("send_heartbeat", "start_section", "end_all_sections"):
        rank = Rank(on_stop=lambda: told.append(1))
        rank.client.init_workload_monitoring()
        rank.client.send_heartbeat()
        rank.worker.stop = True
        for _ in range(2):
            getattr(rank.client, call)(*["a"] * (call == "start_section"))
    assert told == [1, 1, 1]
