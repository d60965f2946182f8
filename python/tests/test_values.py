"""A report raises nothing, whatever it is given."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from hangwatch import Worker
from slots import Slot


class Number:
    """As numpy's scalars: a number that is no int."""

    def __index__(self) -> int:
        return 41


class Broken:
    def __index__(self) -> int:
        raise ValueError

    def __float__(self) -> float:
        raise ValueError

    def __str__(self) -> str:
        raise ValueError


class Interrupted(Broken):
    def __index__(self) -> int:
        raise KeyboardInterrupt

    def __float__(self) -> float:
        raise KeyboardInterrupt

    def __str__(self) -> str:
        raise KeyboardInterrupt


ODD: list[Any] = [
    *(None, True, -1, 2**63, 2**64 - 1, 2**64, 10**400, -(10**400), 1.5, -1.5, 1e300, float("nan"), float("inf")),
    *("", "x", "\ud800", "a\0b", b"x", [], {}, object(), Number(), Broken(), Fraction(7, 2), timedelta(seconds=3)),
]


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_a_report_of_any_value_raises_nothing_and_the_slot_is_whole(worker: Worker, segment: Path, value: Any) -> None:
    with worker.job(value, value, value, batch=value, size=value, deadline=value, device=value) as job:
        for report in (worker.step, job.step, worker.extend, worker.note, worker.phase, worker.section, job.end):
            assert report(value) is not NotImplemented
        worker.enter(value, value)
        worker.leave()
        worker.end_job(value)
        worker.begin_job(value, value, value, batch=value, size=value, deadline=value, device=value)
    assert Slot(segment, 0).pid > 0 and Slot(segment, 0).texts is not None


@pytest.mark.parametrize(
    ("value", "progress"),
    [
        (7, 7),
        (7.9, 7),
        (True, 1),
        (Number(), 41),
        (-5, 0),
        (float("inf"), 2**64 - 2),
        (2**64 - 1, 2**64 - 2),
        (10**400, 2**64 - 2),
        (-(10**400), 0),
    ],
)
def test_a_count_is_the_nearest_that_there_is(worker: Worker, segment: Path, value: Any, progress: int) -> None:
    with worker.job("a1") as job:
        for step in (worker.step, job.step):
            step(value)
            assert Slot(segment, 0).progress == progress
            step(0)


@pytest.mark.parametrize("value", ["7", object(), Broken(), float("nan"), b"7"])
def test_what_is_no_number_is_a_beat(worker: Worker, segment: Path, value: Any) -> None:
    with worker.job("a1", total=9) as job:
        job.step(3)
        for step in (worker.step, job.step):
            before = Slot(segment, 0)
            step(value)
            after = Slot(segment, 0)
            assert (after.progress, after.beats) == (3, before.beats + 1)


def test_an_interruption_goes_on_whoever_is_asked_for_a_value(worker: Worker) -> None:
    for report in (worker.step, worker.extend, worker.note, worker.phase):
        with pytest.raises(KeyboardInterrupt):
            report(Interrupted())  # type: ignore[arg-type]


def test_seconds_are_a_lease_of_at_least_as_long(worker: Worker, segment: Path) -> None:
    seconds: list[tuple[Any, int]] = [(1.5, 1500), (0.0001, 1), (3, 3000), (timedelta(minutes=1), 60000), (-1, 0), (1e300, (1 << 48) - 1)]
    for silence, ms in seconds:
        worker.extend(silence)
        assert Slot(segment, 0).lease_ms == ms
