"""However a supervisor ends, its workers end with it; and what cannot be is refused with a sentence."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, List

import pytest

import hangwatch
import targets
from conftest import HERE
from hangwatch import Event, ReplicaResult, Supervisor
from slots import taken
from test_supervisor import POLICY, ended, gone
from waiting import until

HOST = """
import os, signal, sys
import hangwatch
import targets
policy = {"poll_interval": "20ms", "grace": "300ms"}
if __name__ == "__main__":
    supervisor = hangwatch.Supervisor(
        targets.ignores_sigterm_with_a_child, args=(sys.argv[2],), context=sys.argv[3], segment=sys.argv[1], policy=policy
    )
    while not os.path.exists(sys.argv[2]):
        pass
"""
BY_ITSELF = HOST + """
    print("ends")
"""
BY_EXCEPTION = HOST + """
    raise RuntimeError("the host fails")
"""
WAITS = HOST + """
    with supervisor:
        print("waits", flush=True)
        supervisor.wait()
"""


def host(text: str, segment: Path, pids: Path, way: str) -> subprocess.Popen[str]:
    script = pids.parent / "host.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(HERE)!r})\n{text}")
    command = [sys.executable, "-B", str(script), str(segment), str(pids), way]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize(("text", "code"), [(BY_ITSELF, 0), (BY_EXCEPTION, 1)])
def test_an_interpreter_that_ends_takes_the_workers_with_it(segment: Path, scratch: Path, text: str, code: int, way: str) -> None:
    pids = scratch / "pids"
    process = host(text, segment, pids, way)
    out, err = process.communicate()
    assert process.returncode == code, err
    assert ("the host fails" in err) == (code == 1) and (code == 1 or err == ""), err
    assert all(ended(int(pid)) for pid in pids.read_text().split()), "nobody outlives it"
    assert not segment.exists()


def test_ctrl_c_ends_the_wait_and_the_workers(segment: Path, scratch: Path) -> None:
    pids = scratch / "pids"
    process = host(WAITS, segment, pids, "spawn")
    assert process.stdout is not None and process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode in (1, -signal.SIGINT) and err.rstrip().endswith("KeyboardInterrupt"), err
    assert all(ended(int(pid)) for pid in pids.read_text().split()), "nobody outlives it"


def test_one_that_hung_and_is_not_to_be_restarted_was_killed(segment: Path) -> None:
    orders, answers = queues("hang")
    with Supervisor(targets.lives, args=(orders, answers), segment=segment, policy=POLICY, restart="never") as supervisor:
        results = supervisor.wait()
    assert results == (ReplicaResult(0, "killed", starts=1, hangs=1, lost_jobs=1),)


def test_a_second_supervisor_of_a_segment_is_refused_and_the_first_goes_on(segment: Path) -> None:
    orders, answers = queues("hang")
    with Supervisor(targets.lives, args=(orders, answers), segment=segment) as supervisor:
        pid = answers.get()[1]
        with pytest.raises(hangwatch.HeldError, match="another monitor"):
            Supervisor(targets.exits, args=("0",), segment=segment)
        assert supervisor.running and not gone(pid)


def queues(*orders: str) -> Any:
    context = multiprocessing.get_context()
    both = context.Queue(), context.Queue()
    for order in orders:
        both[0].put(order)
    return both


def test_a_forks_copy_is_dead_and_ends_nobody(segment: Path) -> None:
    orders, answers = queues("hang")
    with Supervisor(targets.lives, args=(orders, answers), segment=segment) as supervisor:
        pid = answers.get()[1]
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert not supervisor.running and supervisor.stop() == ()
                with pytest.raises(hangwatch.UsageError, match="forked child"):
                    supervisor.wait()
                with pytest.raises(hangwatch.UsageError, match="forked child"):
                    supervisor.workers()
                del supervisor
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0, "the child is content"
        assert supervisor.running and not gone(pid)


def test_a_start_that_does_not_return_holds_up_no_stop_and_its_child_is_ended(segment: Path, scratch: Path) -> None:
    gate = scratch / "gate"
    policy = {**POLICY, "grace": "50ms", "d_wait": "50ms"}
    supervisor = Supervisor(
        targets.says, args=(targets.Blocks(str(gate)), 0), context="spawn", segment=segment, policy=policy, log_dir=scratch / "logs"
    )
    until(lambda: taken(segment, 4) == [0])
    supervisor._threads.ask_to_stop()
    results = supervisor.wait()
    assert results is not None and [it.end for it in results] == ["stopped"], "nobody waits for it for ever"
    threads = [thread for thread in threading.enumerate() if thread.name == "hangwatch-start-0"]
    gate.touch()
    supervisor.stop()
    for thread in threads:
        thread.join()
    assert threads
    assert not list(scratch.glob("logs/*")), "it was ended before it did anything"


def test_events_come_to_a_loop_and_end_with_the_supervisor(segment: Path) -> None:
    async def main() -> List[str]:
        policy = {**POLICY, "max_restarts": 1}
        supervisor = Supervisor(targets.exits, args=("3",), context="spawn", segment=segment, policy=policy)
        events = supervisor.events()
        loop = asyncio.get_running_loop()
        results = await loop.run_in_executor(None, supervisor.wait)
        assert results is not None and results[0].end == "gave_up"
        await loop.run_in_executor(None, supervisor.stop)
        return [event.event async for event in events if event.slot is not None]

    assert asyncio.run(main()) == ["replaced", "gave_up"]


def test_a_start_that_does_not_return_is_told_of_and_holds_up_no_other(segment: Path, scratch: Path) -> None:
    gate, told = scratch / "gate", scratch / "told"
    told.mkdir()
    seen: List[Event] = []
    started: List[int] = []

    def args(number: int) -> Any:
        started.append(number)
        if number == 0:
            until(gate.exists)
        return (number, str(told))

    # Longer than others wait for their turn.
    policy = {**POLICY, "starting_timeout": "3s"}
    with Supervisor(
        targets.hangs_once, replicas=2, args=args, segment=segment, policy=policy, on_event=seen.append
    ) as supervisor:
        until(lambda: [event for event in seen if event.event == "replaced"])
        until(lambda: [event for event in seen if event.verdict == "never_started"])
        assert started == [0, 1, 1], "the one beside it was made, hung, and was made again"
        gate.touch()
        results = supervisor.wait()
    assert results is not None and [(it.end, it.starts) for it in results] == [("exited", 2), ("exited", 2)]
    (opened,) = [event for event in seen if event.event == "opened" and event.verdict == "never_started"]
    assert opened.slot == 0, opened


def test_one_whose_start_took_long_has_its_own_time_to_attach_and_is_ended_after_it(segment: Path, scratch: Path) -> None:
    gate, told = scratch / "gate", scratch / "told"
    events: List[Event] = []

    def args(number: int) -> Any:
        until(gate.exists)
        return (str(told),)

    policy = {**POLICY, "starting_timeout": "500ms", "require_attach": True}
    with Supervisor(
        targets.sleeps, args=args, segment=segment, policy=policy, on_event=events.append, restart="never"
    ) as supervisor:
        until(lambda: [event for event in events if event.verdict == "never_started"])
        gate.touch()
        results = supervisor.wait()
    assert told.exists() and results == (ReplicaResult(0, "killed", starts=1, hangs=1),), "it hung once it was there"


def test_one_that_hangs_before_it_attaches_is_replaced_where_policy_wants_it_attached(segment: Path, scratch: Path) -> None:
    policy = {**POLICY, "starting_timeout": "500ms", "require_attach": True, "max_restarts": 1}
    events: List[Event] = []
    with Supervisor(
        targets.sleeps,
        args=(str(scratch / "told"),),
        segment=segment,
        policy=policy,
        on_event=events.append,
        evidence=scratch / "evidence",
        faulthandler="SIGUSR1",
    ) as supervisor:
        results = supervisor.wait()
    assert results == (ReplicaResult(0, "gave_up", starts=2, hangs=2),), "each life hung, and none for ever"
    assert [event.verdict for event in events if event.event == "opened"] == ["never_started"] * 2
    tracebacks = [path.read_text() for path in (scratch / "evidence").glob("*/traceback.txt")]
    assert len(tracebacks) == 2 and all("in sleeps" in traceback for traceback in tracebacks), "and it is known where"
