"""What a segment says to a program that only looks: the same as the command says, with no monitor alive too."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest

import hangwatch
from waiting import SOON, hangs, until

OF_AN_INSTANT = ("heartbeat_age_s", "progress_age_s", "rate_per_s", "eta_s", "job_age_s")


def test_a_slot_has_every_field_of_the_commands_json_and_its_value(segment: Path, binary: str) -> None:
    with hangs(segment, "reported", done=21):
        told = json.loads(subprocess.run([binary, "status", "--json", "--segment", str(segment)], stdout=subprocess.PIPE).stdout)
        status = hangwatch.status(segment)
    (theirs,), (ours,) = told["workers"], status.workers
    own = dataclasses.asdict(ours)
    assert set(theirs) <= set(own), "each field under the name that the JSON has"
    same = set(theirs) - set(OF_AN_INSTANT)
    assert {name: own[name] for name in same} == {name: theirs[name] for name in same}
    for name in set(OF_AN_INSTANT) & set(theirs):
        assert type(own[name]) is type(theirs[name]), name
    assert isinstance(ours.heartbeat_age_s, float) and isinstance(ours.progress_age_s, float), "ages are seconds"
    assert told["segment"] == status.segment == str(segment)
    assert {name: dataclasses.asdict(status.monitor)[name] for name in told["monitor"]} == told["monitor"]


def test_without_a_monitor_a_worker_is_judged_by_its_stamps_and_the_policy_that_is_given(segment: Path) -> None:
    with hangs(segment) as process:
        lenient = hangwatch.status(segment)
        (seen,) = until(lambda: [it for it in hangwatch.status(segment, policy=SOON).workers if it.verdict == "silent"])
    assert not lenient.monitor.alive and lenient.monitor.pid is None and lenient.monitor.interval_s is None
    assert lenient.workers[0].verdict == "ok" and not lenient.workers[0].acting
    assert (seen.source, seen.acting, seen.clock, seen.pid) == ("stamps", True, "heartbeat", process.pid)
    assert (seen.state, seen.phase, seen.percent, seen.reports_progress) == ("live", "inference", 2.0, True)
    assert seen.heartbeat_budget_s is None, "a reader knows no monitor's policy"
    assert (lenient.presence, lenient.slots, lenient.slot_size) == ("present", 64, 1024)


def test_all_that_a_worker_says_is_in_its_slot(segment: Path, worker: hangwatch.Worker) -> None:
    worker.begin_job("one")
    worker.end_job("failed")
    worker.begin_job("two", "sdxl", 50, batch=4, size=7, deadline=60.0, device=3)
    worker.step(50)
    worker.begin_pass()
    worker.step(5)
    worker.step(2)
    worker.note("upscaling")
    worker.extend(30)
    (seen,) = hangwatch.status(segment).workers
    assert (seen.name, seen.job, seen.model, seen.detail, seen.device) == ("test", "two", "sdxl", "upscaling", 3)
    assert (seen.done, seen.total, seen.percent, seen.batch, seen.size, seen.deadline_s) == (2, 50, 4.0, 4, 7, 60.0)
    assert (seen.job_number, seen.pass_number, seen.falls) == (2, 1, 1)
    assert (seen.jobs_ok, seen.jobs_failed, seen.jobs_cancelled, seen.restarts) == (0, 1, 0, 0)
    assert seen.lease_s is not None and 0 < seen.lease_s <= 30 and seen.job_age_s is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen.slot = 1  # type: ignore[misc]


def test_a_monitor_of_this_process_is_seen_and_not_disturbed(segment: Path, worker: hangwatch.Worker) -> None:
    with hangwatch.Monitor(segment, SOON) as monitor:
        until(lambda: hangwatch.status(segment).workers[0].source == "monitor")
        status = hangwatch.status(segment)
        assert status.monitor.alive and status.monitor.interval_s == 0.02
        assert status.monitor.worst_case_detection_s == monitor.status().worst_case_detection_s
        # Closing a file that is locked gives the lock away, where it is done without care.
        with pytest.raises(hangwatch.HeldError):
            hangwatch.Monitor(segment, SOON)
    assert not hangwatch.status(segment).monitor.alive


def test_a_segment_that_is_not_there_or_is_none_is_said(segment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(hangwatch.NotFoundError, match="there is no such segment"):
        hangwatch.status(segment)
    segment.write_bytes(b"no segment" * 1000)
    with pytest.raises(hangwatch.BadSegmentError):
        hangwatch.status(segment)
    segment.unlink()
    hangwatch.attach(segment=segment).detach()
    monkeypatch.setenv("HANGWATCH_SEGMENT", str(segment))
    assert hangwatch.status().segment == str(segment), "without a name the environment's"
    assert hangwatch.status().workers == ()


def test_a_slot_that_is_free_or_not_there_is_told_by_its_number(segment: Path) -> None:
    with hangwatch.Monitor(segment, SOON, slots=4) as monitor:
        assert (monitor.worker(3).state, monitor.workers()) == ("free", [])
        with pytest.raises(hangwatch.NotFoundError, match="it has 4 slots, numbered from 0"):
            monitor.worker(4)
        for number in (-1, 2**32, 10**30):
            with pytest.raises(hangwatch.NotFoundError, match=f"cannot read slot {number} of .*: no segment has one of that number"):
                monitor.worker(number)
        for none in ("0", 1.5, None):
            with pytest.raises(hangwatch.UsageError, match=f"cannot read a slot: slot is {none!r}, expected a whole number"):
                monitor.worker(none)  # type: ignore[arg-type]
