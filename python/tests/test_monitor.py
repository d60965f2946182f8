"""The monitor in threads of this process: workers that really hang, here and in other processes."""

from __future__ import annotations

import json
import queue
import sys
import threading
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Set

import pytest

import hangwatch
from waiting import SOON, Events, hangs, until



def test_a_worker_of_another_process_that_hangs_is_told_of_with_the_sentence_that_proves_it(segment: Path) -> None:
    events = Events()
    with hangwatch.Monitor(segment, SOON, events) as monitor, hangs(segment, "other", done=21) as other:
        opened = events.first("opened")
        assert (opened.verdict, opened.worker, opened.pid) == ("silent", "other", other.pid)
        assert opened.sentence.startswith("worker 0 (sdxl) silent in inference: last heartbeat "), opened
        assert ", at 42% (21/50), job a1b2c3d4" in opened.sentence and str(opened) == opened.sentence
        would = events.first("would_act")
        assert would.episode == opened.episode and would.sentence.startswith("would replace worker 0 (sdxl): ")
        assert monitor.running and other.poll() is None, "who observes signals nobody"


def test_a_worker_of_its_own_process_is_watched_as_any_other(segment: Path, worker: hangwatch.Worker) -> None:
    events = Events()
    with hangwatch.Monitor(segment, SOON, events) as monitor:
        worker.begin_job("own", "sdxl", 4)
        worker.step(1)
        assert events.first("opened").verdict == "silent"
        status = monitor.worker(0)
        assert (status.verdict, status.acting, status.source) == ("silent", True, "monitor")
        worker.end_job()
        assert events.first("closed").episode == status.episode, "a sign of life ends its episode"


def test_an_event_has_the_fields_of_the_line_that_is_written_to_the_file(segment: Path, scratch: Path) -> None:
    events, lines = Events(), scratch / "events.jsonl"
    with hangwatch.Monitor(segment, SOON, events, jsonl=lines), hangs(segment):
        events.first("would_act")
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [line["event"] for line in told] == [event.event for event in events.all]
    for line, event in zip(told, events.all):
        assert line.pop("schema_version") == 1
        assert {"sentence": event.sentence, **line} == vars(event), "each field under the name that the JSON has, and no other"


def test_the_policy_is_the_files_and_its_entries_are_for_models_and_workers(segment: Path) -> None:
    policy = {**SOON, "profile": "low-end", "models": {"sdxl*": {"heartbeat_timeout": "10m"}}, "workers": {"late": {"progress_timeout": 77}}}
    with hangwatch.Monitor(segment, policy) as monitor, hangs(segment, "late"):
        until(lambda: monitor.worker(0).source == "monitor")
        seen = monitor.worker(0)
        assert (seen.heartbeat_budget_s, seen.progress_budget_s) == (600.0, 77.0), "a model's and a worker's key, over everybody's"
        assert monitor.status().worst_case_detection_s == pytest.approx(0.34), "of everybody's budget, over the profile's"


def test_another_policy_is_in_force_from_the_next_poll_on_and_a_bad_one_changes_nothing(segment: Path) -> None:
    events = Events()
    with hangwatch.Monitor(segment, {**SOON, "inference_step_timeout": "10m"}, events) as monitor, hangs(segment):
        until(lambda: monitor.status().polls > 2)
        with pytest.raises(hangwatch.UsageError, match="unknown key 'progres_timeout'\n  did you mean 'progress_timeout'?"):
            monitor.reload({"progres_timeout": 1})
        monitor.reload(SOON)
        assert [events.first(kind).event for kind in ("config_reloaded", "opened")] == ["config_reloaded", "opened"]
        monitor.reload(None)
        until(lambda: monitor.status().interval_s == 1.0)


def test_a_second_monitor_of_a_segment_is_refused_and_the_first_goes_on(segment: Path) -> None:
    with hangwatch.Monitor(segment, SOON) as monitor:
        with pytest.raises(hangwatch.HeldError, match="another monitor is alive"):
            hangwatch.Monitor(segment, SOON)
        polls = monitor.status().polls
        until(lambda: monitor.status().polls > polls)
    with hangwatch.Monitor(segment, SOON) as successor:
        assert successor.running, "a monitor that was stopped lets the next one in"


def test_a_stop_joins_its_threads_and_what_is_asked_later_has_an_answer(segment: Path) -> None:
    before = threads()
    monitor = hangwatch.Monitor(segment, SOON, print)
    assert threads() - before and monitor.segment == str(segment) and "running" in repr(monitor)
    monitor.stop()
    monitor.stop()
    until(lambda: not threads() - before)
    assert not monitor.running and not monitor.status().running and "stopped" in repr(monitor)
    for ask in (monitor.workers, lambda: monitor.worker(0), lambda: monitor.reload(None)):
        with pytest.raises(hangwatch.UsageError, match="it was stopped"):
            ask()


def threads() -> Set[str]:
    """Those of this process; some of a test before may just be ending."""
    return {task.name for task in Path("/proc/self/task").iterdir()}


def test_its_own_callback_may_ask_and_reload_but_not_stop_it(segment: Path, worker: hangwatch.Worker) -> None:
    answers: queue.Queue[Any] = queue.Queue()

    def ask(event: hangwatch.Event) -> None:
        if event.event == "opened":
            try:
                monitor.stop()
            except hangwatch.UsageError as e:
                answers.put((e.why, monitor.worker(0).verdict, monitor.status().running, threading.current_thread()))

    monitor = hangwatch.Monitor(segment, SOON, ask)
    worker.begin_job("own")
    why, verdict, running, thread = answers.get()
    assert why == "this is its own callback, which the stop would wait for" and verdict == "silent" and running
    assert thread is not threading.main_thread(), "it is called on a thread of the monitor's"
    monitor.stop()


def test_a_callback_that_raises_is_unraisable_and_called_again(
    segment: Path, worker: hangwatch.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable, events = queue.Queue[Any](), Events()
    monkeypatch.setattr(sys, "unraisablehook", lambda it: unraisable.put((it.exc_value, it.object)))

    def raises(event: hangwatch.Event) -> None:
        events(event)
        raise SystemExit(event.event)

    with hangwatch.Monitor(segment, SOON, raises):
        worker.begin_job("own")
        events.first("would_act")
        count = [event.event for event in events.all].index("would_act") + 1
        told = [unraisable.get() for _ in range(count)]
    assert [str(e) for e, _ in told] == [event.event for event in events.all[:count]], "each is told though the one before raised"
    assert count > 1 and all(of is raises for _, of in told)


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ({"loading_timeout": "soon"}, "loading_timeout is 'soon', expected a duration\n  write it like 2s, 100ms"),
        ({"max_batch": 1.5}, "max_batch is 1.5, expected a count"),
        ({"max_batch": True}, "max_batch is True, expected a count"),
        ({"respawn_unkillable": 1}, "respawn_unkillable is 1, expected a flag"),
        ({"adaptive": "always"}, "adaptive is 'always', expected one of off, suspect, act"),
        ({"loading_timeout": timedelta(seconds=-5)}, "loading_timeout is -5, expected a duration"),
        ({"slow_factor": timedelta(seconds=5)}, "slow_factor is 5s, expected a factor"),
        ({"loading_timeout": float("nan")}, "loading_timeout is NaN, expected a duration"),
        ({"preload_timeout": 80}, "unknown key 'preload_timeout'\n  AI Horde's preload_timeout is loading_timeout here"),
        ({"loading_timeout": None}, "loading_timeout is None, expected a duration"),
        ({"loading_timeout": [1]}, "loading_timeout is a list, expected a duration"),
        ({"loading_timout": 80}, "unknown key 'loading_timout'\n  did you mean 'loading_timeout'?"),
        ({"profile": "midrange"}, "there is no profile 'midrange'\n  did you mean 'mid-range'?"),
        ({"profile": 7}, "profile is 7, expected a name"),
        ({"hangwatch": 2}, "version 2, this build reads 1"),
        ({"hooks": []}, "hooks is of the configuration file alone\n  give on_event="),
        ({"models": ["sdxl"]}, "models is a list, expected names with keys"),
        ({"models": {"sdxl*": 60}}, 'models."sdxl*" is 60, expected keys with values'),
        ({"models": {"sdxl*": {"slow": 60}}}, 'models."sdxl*": unknown key \'slow\''),
        ({"workers": {"a": {"grace": 1}}}, 'grace = 1s (policy, workers."a"): it has one value for the whole monitor'),
        ({"loading_timeout": "1s"}, "loading_timeout = 1s (policy): a threshold under twice the poll interval of 1s"),
        ({7: 1}, "a key is 7, expected a name"),
        ("bridgeData.yaml", "it is 'bridgeData.yaml', expected a dict"),
    ],
)
def test_a_policy_that_does_not_hold_is_refused_with_the_key_the_value_and_the_way_out(
    segment: Path, policy: Any, sentence: str
) -> None:
    with pytest.raises(hangwatch.UsageError) as refused:
        hangwatch.Monitor(segment, policy)
    assert sentence in str(refused.value) and str(refused.value).startswith("cannot use "), refused.value
    assert not segment.exists(), "nothing is made for a policy that is none"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(timedelta(minutes=1, milliseconds=500), 60.5), (90, 90.0), (0.5, 0.5), ("1h 30m", 5400.0), (Fraction(5, 2), 2.5)],
)
def test_a_duration_is_taken_in_each_form_that_python_has(segment: Path, worker: hangwatch.Worker, value: Any, seconds: float) -> None:
    worker.begin_job()
    policy = MappingProxyType({"hangwatch": 1, "poll_interval": timedelta(milliseconds=20), "heartbeat_timeout": value, "models": None})
    with hangwatch.Monitor(segment, policy) as monitor:
        until(lambda: monitor.worker(0).source == "monitor")
        assert monitor.worker(0).heartbeat_budget_s == seconds


def test_a_callback_that_cannot_be_called_or_would_not_be_awaited_is_refused(segment: Path) -> None:
    async def on_event(event: hangwatch.Event) -> None: ...

    with pytest.raises(hangwatch.UsageError, match="a coroutine function, which nobody would await\n  write 'async for"):
        hangwatch.Monitor(segment, None, on_event)
    with pytest.raises(hangwatch.UsageError, match="on_event is 7, expected a function of one event"):
        hangwatch.Monitor(segment, None, 7)  # type: ignore[arg-type]
    assert not segment.exists()


def test_a_mode_that_is_none_and_a_segment_that_cannot_be_are_refused(segment: Path, scratch: Path) -> None:
    with pytest.raises(hangwatch.UsageError, match="mode is 'kill', expected 'observe' or 'act'"):
        hangwatch.Monitor(segment, mode="kill")  # type: ignore[arg-type]
    (scratch / "garbage").write_bytes(b"\xff" * 8192)
    with pytest.raises(hangwatch.BadSegmentError):
        hangwatch.Monitor(scratch / "garbage")
    with pytest.raises(hangwatch.Error, match="cannot write events to "):
        hangwatch.Monitor(segment, jsonl=scratch / "no" / "such" / "folder")
    assert not hangwatch.status(segment).monitor.alive, "one that was not started holds nothing"


def test_a_build_without_the_monitor_says_so_and_its_workers_work(segment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hangwatch import _hangwatch

    for name in ("Monitor", "start_monitor", "segment_status"):
        monkeypatch.delattr(_hangwatch, name)
    with hangwatch.attach(segment=segment) as worker:
        worker.step(1)
    for call in (hangwatch.Monitor, hangwatch.status):
        with pytest.raises(hangwatch.UsageError, match="this build of hangwatch is the worker's side alone\n  build the package with"):
            call(segment)
