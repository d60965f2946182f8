"""Who ends a supervisor's workers, and how: stops side by side, and signals that are its host's or its workers' alone."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import List

import pytest

import hangwatch
import targets
from hangwatch import Event, Supervisor
from test_supervisor import POLICY, WAYS, ended, gone
from test_supervisor_life import WAITS, host, queues
from waiting import until


def test_a_second_ctrl_c_leaves_the_grace_out(segment: Path, scratch: Path) -> None:
    pids = scratch / "pids"
    on_event = "on_event=lambda it: it.event == 'action' and print('action', flush=True)"
    text = WAITS.replace('"300ms"', '"1h"').replace("policy=policy", f"policy=policy, {on_event}")
    process = host(text, segment, pids, "spawn")
    assert process.stdout is not None and process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "action\n", "SIGTERM, which it does not hear"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert err.rstrip().endswith("KeyboardInterrupt") and all(ended(int(pid)) for pid in pids.read_text().split()), err


AGAIN = """
import os, signal, sys, threading
import hangwatch
import targets
segment, told, how = sys.argv[1:]

class Says(hangwatch.Supervisor):
    def wait(self, timeout=None):
        if timeout is None:
            print("waits", flush=True)
        return super().wait(timeout)

def again(*_):
    if how == "a thread":
        threading.Thread(target=supervisor.stop).start()
    elif how == "a handler":
        supervisor.stop()
    else:
        sys.exit(9)

policy = {"poll_interval": "20ms", "grace": "1h"}
supervisor = Says(targets.takes_leave, args=(told,), context="fork", segment=segment, policy=policy)
signal.signal(signal.SIGTERM, again)
while not os.path.exists(told):
    pass
supervisor.stop()
"""


@pytest.mark.parametrize("how", ["a thread", "a handler", "the interpreter's end"])
def test_a_second_stop_waits_for_the_same_end_and_takes_nothing_of_the_grace(segment: Path, scratch: Path, how: str) -> None:
    told = scratch / "told"
    process = host(AGAIN, segment, told, how)
    assert process.stdout is not None and process.stdout.readline() == "waits\n"
    until((scratch / "told.asked").exists)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "waits\n", "it has asked, as far as it does"
    (scratch / "told.gate").touch()
    out, err = process.communicate()
    assert (process.returncode, err) == (9 if how == "the interpreter's end" else 0, "")
    assert (scratch / "told.goodbye").exists(), "it was left its time"


def test_a_supervisor_is_not_stopped_by_its_own_callback_and_goes_on(segment: Path) -> None:
    refused: List[BaseException] = []
    orders, answers = queues("hang")

    def on_event(event: Event) -> None:
        try:
            supervisor.stop()
        except hangwatch.UsageError as e:
            refused.append(e)

    with Supervisor(
        targets.lives, args=(orders, answers), segment=segment, policy=POLICY, on_event=on_event, mode="observe"
    ) as supervisor:
        pid = answers.get()[1]
        until(lambda: refused)
        assert not ended(pid), "it was refused before anything was ended"
        polls = supervisor.status().polls
        until(lambda: supervisor.status().polls > polls + 5)
        assert not ended(pid) and supervisor.running and supervisor.wait(0.0) is None, "and nothing was ended since"
    assert "this is its own callback" in str(refused[0])
    assert gone(pid), "the end of its block is another's stop"


def test_the_loop_of_a_host_hears_nothing_of_signals_to_its_forked_worker(segment: Path, scratch: Path) -> None:
    heard: List[str] = []
    told = scratch / "told"
    (scratch / "told.gate").touch()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, heard.append, "the worker's")
        policy = {**POLICY, "grace": "1h"}
        with Supervisor(targets.takes_leave, args=(str(told),), context="fork", segment=segment, policy=policy):
            await loop.run_in_executor(None, until, told.exists)
        # What a worker that is gone wrote is there by now: each turn reads and runs what there is.
        for _ in range(9):
            await asyncio.sleep(0)
        loop.remove_signal_handler(signal.SIGTERM)

    asyncio.run(main())
    assert (scratch / "told.goodbye").exists() and heard == [], "the handler is the worker's own"


@pytest.mark.parametrize("way", WAYS)
def test_a_worker_hears_the_signals_that_its_host_blocks(segment: Path, scratch: Path, way: str) -> None:
    told = scratch / "told"
    (scratch / "told.gate").touch()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        policy = {**POLICY, "grace": "1h"}
        with Supervisor(targets.takes_leave, args=(str(told),), context=way, segment=segment, policy=policy):
            until(told.exists)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert (scratch / "told.goodbye").exists()


def test_a_forked_worker_has_not_its_hosts_handler_of_sigterm(segment: Path, scratch: Path) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        policy = {**POLICY, "grace": "1h"}
        with Supervisor(targets.sleeps, args=(str(scratch / "told"),), context="fork", segment=segment, policy=policy):
            until((scratch / "told").exists)
    finally:
        signal.signal(signal.SIGTERM, before)
