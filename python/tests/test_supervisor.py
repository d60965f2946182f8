"""Real targets that really hang, by each start method and as commands: they are replaced, and nobody outlives their supervisor."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Dict, List

import pytest

import hangwatch
import targets
from hangwatch import Event, ReplicaResult, Supervisor
from slots import taken
from waiting import SOON, until

POLICY: Dict[str, Any] = {**SOON, "grace": "300ms", "backoff": "10ms", "d_wait": "5s"}
WAYS = ["fork", "spawn", "forkserver"]


def gone(pid: int) -> bool:
    """Neither there nor a zombie."""
    return not os.path.exists(f"/proc/{pid}")


def ended(pid: int) -> bool:
    """The same, or a zombie: that of a worker's own child is process 1's to reap."""
    return not targets.lives_on(pid)


@pytest.fixture
def told() -> List[Event]:
    return []


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    before = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= before, "no child is left"


@pytest.mark.parametrize("way", WAYS)
def test_a_function_that_hangs_is_replaced_with_its_queues_and_its_stack_is_kept(
    segment: Path, scratch: Path, told: List[Event], way: str
) -> None:
    context: Any = multiprocessing.get_context(way)
    orders, answers = context.Queue(), context.Queue()
    for order in ("hang", "end"):
        orders.put(order)
    with Supervisor(
        targets.lives,
        args=(orders, answers),
        context=context,
        segment=segment,
        policy=POLICY,
        on_event=told.append,
        evidence=scratch / "evidence",
        faulthandler="SIGUSR1",
    ) as supervisor:
        results = supervisor.wait()
        first, second = answers.get(), answers.get()
    assert results == (ReplicaResult(0, "exited", code=0, starts=2, hangs=1, lost_jobs=1),)
    assert (first[0], second[0]) == ("hang", "end"), "the queues work in the life before and in the life after"
    assert first[1] != second[1] and first[2] == second[2], "another process has its slot"
    assert all(session == pid for _, pid, _, session in (first, second)), "each leads a session of its own"
    assert gone(first[1]) and gone(second[1]), "no zombie is left"
    (replaced,) = [event for event in told if event.event == "replaced"]
    assert (replaced.pid, replaced.slot, replaced.job) == (second[1], second[2], "a1"), replaced
    assert f"pid {first[1]} -> {second[1]}" in str(replaced.detail) and "job a1 lost" in str(replaced.detail)
    (lost,) = [event for event in told if event.event == "lost_job"]
    assert (lost.job, lost.model) == ("a1", "sdxl")
    (traceback,) = (scratch / "evidence").glob("*/traceback.txt")
    assert "the_target_that_hangs" in traceback.read_text()


COMMAND = """
import os, sys, time
import hangwatch
hangwatch.dump_stacks_on()
worker = hangwatch.attach()
def the_command_that_hangs(): time.sleep(600)
print(sys.argv[2], os.environ["CUDA_VISIBLE_DEVICES"], os.environ["PORT"], flush=True)
with worker.job("a1", total=9) as job:
    job.step()
    try:
        os.close(os.open(sys.argv[1] + "-hung-" + sys.argv[2], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        sys.exit(0)
    the_command_that_hangs()
"""


def test_commands_that_hang_are_replaced_as_run_does_it(segment: Path, scratch: Path, told: List[Event]) -> None:
    script = scratch / "worker.py"
    script.write_text(COMMAND)
    with Supervisor(
        [sys.executable, "-B", script, scratch / "mark", "{i}"],
        replicas=2,
        segment=segment,
        policy={**POLICY, "max_kills_window": "100ms"},  # both hang at once, as if the host were frozen
        on_event=told.append,
        devices=[3, "GPU-1"],
        env={"PORT": "80{i}"},
        log_dir=scratch / "logs",
        evidence=scratch / "evidence",
        faulthandler="SIGUSR1",
    ) as supervisor:
        results = supervisor.wait()
    assert results == tuple(ReplicaResult(i, "exited", code=0, starts=2, hangs=1, lost_jobs=1) for i in range(2))
    logs = [(scratch / "logs" / f"worker-{i}.log").read_text() for i in range(2)]
    assert logs == ["0 3 800\n" * 2, "1 GPU-1 801\n" * 2]
    assert sorted(event.slot or 0 for event in told if event.event == "replaced") == [0, 1]
    tracebacks = [path.read_text() for path in (scratch / "evidence").glob("*/traceback.txt")]
    assert len(tracebacks) == 2 and all("the_command_that_hangs" in text for text in tracebacks)
    assert not segment.exists(), "its segment goes with it"


ENDS = [
    ("0", "exited", 0, None),
    ("3", "exited", 3, None),
    ("raise", "exited", 1, None),
    ("kill", "signalled", None, 9),
]


@pytest.mark.parametrize("way", WAYS)
def test_however_a_function_ends_is_told(segment: Path, way: str) -> None:
    with Supervisor(
        targets.exits,
        args=lambda number: (ENDS[number][0],),
        replicas=len(ENDS),
        context=way,
        segment=segment,
        policy=POLICY,
        restart="never",
        log_dir=segment.parent / "logs",
    ) as supervisor:
        results = supervisor.wait()
    assert results is not None
    assert [(it.end, it.code, it.signal) for it in results] == [end[1:] for end in ENDS]
    assert "RuntimeError: it fails" in (segment.parent / "logs" / "worker-2.log").read_text()


def test_an_exit_that_its_host_has_reaped_is_told_all_the_same(segment: Path) -> None:
    over = threading.Event()

    def reaps() -> None:
        while not over.is_set():
            try:
                multiprocessing.active_children()
            except AttributeError:
                pass  # before 3.10 it meets one that another thread is just closing

    thread = threading.Thread(target=reaps)
    thread.start()
    try:
        with Supervisor(targets.exits, args=("0",), replicas=8, context="spawn", segment=segment, policy=POLICY) as supervisor:
            results = supervisor.wait()
    finally:
        over.set()
        thread.join()
    assert results is not None and all((it.end, it.code) == ("exited", 0) for it in results), results


def test_one_that_fails_is_restarted_until_it_is_given_up(segment: Path, scratch: Path, told: List[Event]) -> None:
    lives = scratch / "lives"
    policy = {**POLICY, "max_restarts": 2}
    with Supervisor(
        targets.exits, args=("raise", str(lives)), segment=segment, policy=policy, on_event=told.append, log_dir=scratch / "logs"
    ) as supervisor:
        results = supervisor.wait()
    assert results == (ReplicaResult(0, "gave_up", starts=3),), "the library's budget, and its end"
    assert len(set(lives.read_text().split())) == 3
    assert [event.event for event in told].count("gave_up") == 1


def test_one_that_cannot_be_made_says_why(segment: Path) -> None:
    with Supervisor(lambda: None, context="spawn", segment=segment, policy=POLICY) as supervisor:
        results = supervisor.wait()
    assert results is not None and results[0].end == "not_started"
    assert "<lambda>" in str(results[0].why), "the reason is multiprocessing's own"


def test_one_that_was_there_and_cannot_be_made_for_a_while_is_told_of_and_comes_back(segment: Path, told: List[Event]) -> None:
    starts: List[int] = []

    def args(number: int) -> Any:
        starts.append(number)
        if len(starts) in (2, 3):
            raise OSError("no room for a process")
        return ("0" if len(starts) > 3 else "raise",)

    with Supervisor(
        targets.exits, args=args, segment=segment, policy=POLICY, on_event=told.append, log_dir=segment.parent / "logs"
    ) as supervisor:
        results = supervisor.wait()
    assert results == (ReplicaResult(0, "exited", code=0, starts=2),)
    seen = [event for event in told if event.event in ("opened", "replaced", "gave_up")]
    assert [(event.event, event.verdict) for event in seen][:2] == [("opened", "never_started")] * 2
    assert [event.event for event in seen[2:]] == ["replaced"]
    assert "no room for a process" in str(seen[0].detail), "at once, and why"


@pytest.mark.parametrize("way", WAYS)
def test_what_does_not_hear_sigterm_goes_with_all_that_it_started(segment: Path, scratch: Path, way: str) -> None:
    with Supervisor(
        targets.ignores_sigterm_with_a_child, args=(str(scratch / "pids"),), context=way, segment=segment, policy=POLICY
    ) as supervisor:
        until((scratch / "pids").exists)
        pids = [int(pid) for pid in (scratch / "pids").read_text().split()]
        results = supervisor.stop()
        assert results == supervisor.stop() == supervisor.wait(), "a second stop does nothing"
    assert [it.end for it in results] == ["stopped"]
    assert gone(pids[0]) and all(ended(pid) for pid in pids), "nobody is left, nor a zombie of its own"


def test_a_worker_is_asked_by_its_command_word_besides(segment: Path, scratch: Path) -> None:
    policy = {**POLICY, "grace": "60s"}
    with Supervisor(targets.waits_to_be_asked, args=(str(scratch / "told"),), segment=segment, policy=policy) as supervisor:
        until(lambda: any(worker.phase == "inference" for worker in supervisor.workers()))
    assert (scratch / "told").read_text() == "asked", "no signal ended it"


@pytest.mark.parametrize("way", WAYS)
def test_each_replica_has_its_own_device_environment_and_log(
    segment: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/of/the/supervisor")
    logs = scratch / "logs"
    logs.mkdir()
    (logs / "worker-1.log").write_text("left open")
    with Supervisor(
        targets.says,
        args=lambda number: (str(scratch), number),
        replicas=2,
        context=way,
        segment=segment,
        policy=POLICY,
        devices=["5", "GPU-1"],
        env={"PORT": "80{i}"},
        log_dir=logs,
    ) as supervisor:
        supervisor.wait()
    said = [(logs / f"worker-{i}.log").read_text() for i in range(2)]
    assert said[0] == "0 ['5', '5', '800', None]\nand an error"
    assert said[1] == "left open\n1 ['1', 'GPU-1', '801', None]\nand an error", "a line of its own"
    assert os.environ.get("PORT") is None, "its host's environment is as it was"
    assert (logs / "worker-0.log").stat().st_mode & 0o777 == 0o600


def test_a_supervisor_that_observes_says_what_it_would_do(segment: Path, told: List[Event]) -> None:
    orders, answers = multiprocessing.Queue(), multiprocessing.Queue()  # type: ignore[var-annotated]
    orders.put("hang")
    with Supervisor(
        targets.lives, args=(orders, answers), segment=segment, policy=POLICY, on_event=told.append, mode="observe"
    ) as supervisor:
        until(lambda: any(event.event == "would_act" for event in told))
        assert supervisor.wait(0.0) is None, "it goes on"
        (worker,) = supervisor.workers()
        assert (worker.verdict, worker.pid) == ("silent", answers.get()[1])
        assert supervisor.status().running


def test_how_a_child_ended_is_known_though_its_host_reaped_it(segment: Path) -> None:
    done = threading.Event()

    def reap() -> None:
        while not done.is_set():
            multiprocessing.active_children()

    thread = threading.Thread(target=reap)
    thread.start()
    try:
        with Supervisor(targets.exits, args=("7",), replicas=8, context="fork", segment=segment, policy=POLICY, restart="never") as it:
            results = it.wait()
    finally:
        done.set()
        thread.join()
    assert results is not None and [(result.end, result.code) for result in results] == [("exited", 7)] * 8
