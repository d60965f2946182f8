"""`hangwatch.compat.nvrx`: timeouts that are calculated, agreed on by ranks, and kept in a state."""

from __future__ import annotations

import dataclasses
import json
from typing import List

import pytest
from hangwatch.compat.nvrx import HeartbeatTimeouts, RankMonitorClientError, SectionTimeouts
from nvrx_rank import Rank


def test_heartbeat_timeouts_are_the_safety_factor_times_the_longest_and_move_by_halves() -> None:
    rank = Rank()
    rank.client.init_workload_monitoring()
    rank.beat_at(10.0)
    assert rank.client.calculate_and_set_hb_timeouts(skip_if_not_ready=True) is False
    with pytest.raises(RankMonitorClientError, match="Not enough data"):
        rank.client.calculate_and_set_hb_timeouts()
    rank.beat_at(11.0, 14.0, 15.0)
    assert rank.client.calculate_and_set_hb_timeouts() is True
    assert rank.client.hb_timeouts == HeartbeatTimeouts(50.0, 15.0, True)
    assert rank.worker.shown[-1] == "workload/16s", "up to a power of two, so that a segment has room"
    rank.beat_at(22.0)
    rank.client.calculate_and_set_hb_timeouts()
    assert rank.client.hb_timeouts == HeartbeatTimeouts(50.0, 25.0, True)


def test_section_timeouts_are_calculated_for_all_or_for_those_selected() -> None:
    rank = Rank(rank_section_timeouts={"setup": 600.0, "step": None})
    rank.client.init_workload_monitoring()
    rank.now = 2.0
    rank.client.start_section("step")
    rank.now = 5.0
    rank.client.end_section("step")
    assert rank.client.calculate_and_set_section_timeouts(skip_if_not_ready=True) is False, "setup was never seen"
    assert rank.client.calculate_and_set_section_timeouts(["step"])
    timeouts = rank.client.section_timeouts
    assert timeouts == SectionTimeouts({"setup": 600.0, "step": 15.0}, 10.0, {"step"}, True)
    assert not timeouts.were_calculated and timeouts.are_valid
    rank.client.start_section("step")
    assert rank.worker.shown[-2:] == ["workload/16s", "step/16s"]


def test_ranks_agree_where_they_are_given_a_way_to() -> None:
    rank = Rank(reduce=lambda mine: [max(value, 100.0) for value in mine])
    rank.client.init_workload_monitoring()
    rank.beat_at(1.0, 2.0)
    rank.client.calculate_and_set_hb_timeouts()
    assert rank.client.hb_timeouts == HeartbeatTimeouts(500.0, 500.0, True)


def test_ranks_that_saw_other_sections_reduce_the_same_ones() -> None:
    told: List[List[float]] = []

    def all_reduce(mine: List[float]) -> List[float]:
        told.append(mine)
        return [max(of) for of in zip(*told)]

    seen = {"saves": "checkpoint", "evaluates": "eval"}
    given = {"step": None, "checkpoint": None, "eval": 60.0}
    ranks = {name: Rank(rank_section_timeouts=given, reduce=all_reduce) for name in seen}
    for name, rank in ranks.items():
        rank.client.init_workload_monitoring()
        rank.now = 1.0
        for section, seconds in (("step", 2.0), (seen[name], 7.0), ("not given", 90.0)):
            rank.client.start_section(section)
            rank.now += seconds
            rank.client.end_section(section)
        rank.client.calculate_and_set_section_timeouts(["step"], calc_out_of_section=False)
        assert rank.client.section_timeouts == SectionTimeouts({**given, "step": 10.0}, None, {"step"}, False)
    assert len(told[0]) == len(told[1]) == 6, "as many numbers of every rank"
    last = ranks["evaluates"].client
    assert last.calculate_and_set_section_timeouts(["checkpoint", "eval"], calc_out_of_section=False)
    assert last.section_timeouts.section == {"step": 10.0, "checkpoint": 35.0, "eval": 35.0}, "by its own place in the list"
    with pytest.raises(RankMonitorClientError, match="(?s)of section 'not given': it was not given.*it names 'step', 'checkpoint', 'eval'"):
        last.calculate_and_set_section_timeouts(["not given"])
    short = Rank(reduce=lambda mine: mine[:-1])
    short.client.init_workload_monitoring()
    with pytest.raises(RankMonitorClientError, match="reduce returned 2 numbers for 3"):
        short.client.calculate_and_set_hb_timeouts()


def test_calculated_timeouts_go_through_a_state_and_json_before_and_after_init() -> None:
    rank = Rank(rank_section_timeouts={"step": None})
    rank.client.init_workload_monitoring()
    assert rank.client.state_dict() == {"current_timeouts": {}}, "nothing was calculated"
    rank.beat_at(10.0, 13.0)
    rank.client.start_section("step")
    rank.now = 15.0
    rank.client.end_section("step")
    rank.client.calculate_and_set_hb_timeouts()
    rank.client.calculate_and_set_section_timeouts()
    state = json.loads(json.dumps(rank.client.state_dict()))
    early, late = (Rank(rank_section_timeouts={"step": None, "new": 30.0}) for _ in range(2))
    early.client.load_state_dict(state)
    early.client.init_workload_monitoring()
    late.client.init_workload_monitoring()
    late.client.load_state_dict(state)
    for other in (early, late):
        assert other.client.hb_timeouts == rank.client.hb_timeouts == HeartbeatTimeouts(50.0, 15.0, True)
        sections = rank.client.section_timeouts
        assert other.client.section_timeouts == dataclasses.replace(sections, section={"step": 10.0, "new": 30.0})
        assert other.worker.shown[-1] == "workload/64s"


def test_a_state_of_the_original_is_taken_and_given_back_as_it_was() -> None:
    state = {
        "current_timeouts": {
            "heartbeat": {"initial": 51.5, "subsequent": 20.0, "were_calculated": True},
            "section": {
                "section": {"setup": 600.0, "step": 12.5},
                "out_of_section": 30.0,
                "calculated_sections": ["step"],
                "is_out_of_section_calculated": True,
            },
        }
    }
    rank = Rank()
    rank.client.load_state_dict(state)
    assert rank.client.state_dict() == state == json.loads(json.dumps(rank.client.state_dict()))
    rank.client.load_state_dict({"of": "something else"})
    assert rank.client.state_dict() == state
