"""An event loop has a lane that answers while the loop does, is idle while it does not run, and goes with it."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Callable, Set

import pytest

import hangwatch
from conftest import script
from hangwatch.integrations.asyncio import watch
from slots import BEAT, LIVE, Slot, taken

IDLE = hangwatch.PHASES["idle"]


def until(so: Callable[[], bool]) -> None:
    while not so():
        time.sleep(0.005)


async def until_on_the_loop(so: Callable[[], bool]) -> None:
    while not so():
        await asyncio.sleep(0.005)


def test_a_loop_that_answers_enters_its_phase_again_and_again_and_its_end_frees_the_lane(
    worker: hangwatch.Worker, segment: Path
) -> None:
    async def main() -> None:
        its = watch(every=0.02)
        assert its.lane.slot == 1 and Slot(segment, 1).tag == LIVE
        await until_on_the_loop(lambda: Slot(segment, 1).phase >= 256)
        before = Slot(segment, 1).words[BEAT]
        await until_on_the_loop(lambda: Slot(segment, 1).words[BEAT] > before + 3)

    asyncio.run(main())
    until(lambda: taken(segment, 4) == [0])


def test_a_loop_that_does_not_run_is_idle_and_goes_on_when_it_does(worker: hangwatch.Worker, segment: Path) -> None:
    loop = asyncio.new_event_loop()
    its = watch(loop, every=0.02)
    assert Slot(segment, 1).phase == IDLE, "before it runs nothing is expected of it"
    for _ in range(2):
        loop.run_until_complete(until_on_the_loop(lambda: Slot(segment, 1).phase != IDLE))
        until(lambda: Slot(segment, 1).phase == IDLE)
    its.stop()
    its.stop()
    assert taken(segment, 4) == [0]
    loop.close()


def test_a_loop_that_is_blocked_says_nothing(worker: hangwatch.Worker, segment: Path) -> None:
    async def main() -> None:
        with watch(every=0.02):
            await until_on_the_loop(lambda: Slot(segment, 1).phase != IDLE)
            time.sleep(0.1)
            before = Slot(segment, 1).words[BEAT]
            time.sleep(0.3)
            assert Slot(segment, 1).words[BEAT] == before, "no helper thread speaks for a loop"

    asyncio.run(main())


def test_two_loops_in_two_threads_have_two_lanes(worker: hangwatch.Worker, segment: Path) -> None:
    both, done = threading.Barrier(2), threading.Barrier(2)
    phases: list[int] = []

    async def main(budget: float) -> None:
        its = watch(worker=worker, every=0.02, budget=budget)
        slot = its.lane.slot
        assert slot is not None
        await until_on_the_loop(lambda: Slot(segment, slot).phase != IDLE)
        phases.append(Slot(segment, slot).phase)
        await asyncio.get_running_loop().run_in_executor(None, both.wait)
        assert taken(segment, 4) == [0, 1, 2]
        await asyncio.get_running_loop().run_in_executor(None, done.wait)

    threads = [threading.Thread(target=lambda budget=budget: asyncio.run(main(budget))) for budget in (60.0, 5.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(phases)) == 2, "another budget is another phase"
    until(lambda: taken(segment, 4) == [0])


def asks_to_stop(segment: Path, slot: int) -> None:
    """Writes the command word as a monitor does: the slot's generation, and `stop`."""
    words = Slot(segment, slot).words
    with open(segment, "r+b") as file:
        header = file.read(256)
        at = int.from_bytes(header[48:56], "little") + int.from_bytes(header[32:40], "little") * slot
        file.seek(at + 22 * 8)
        file.write(((words[16] >> 48) << 48 | 1 << 40).to_bytes(8, "little"))


@pytest.mark.parametrize("slot", [0, 1])
def test_a_monitor_that_asks_the_worker_or_the_lane_to_stop_is_heard_on_the_loop_once(
    worker: hangwatch.Worker, segment: Path, slot: int
) -> None:
    heard: list[str] = []

    async def main() -> None:
        its = watch(every=0.02, on_stop=lambda: heard.append("called"))
        assert not its.should_stop()
        waits = asyncio.create_task(its.asked_to_stop())
        gives_up = asyncio.create_task(its.asked_to_stop())
        await asyncio.sleep(0)
        gives_up.cancel()
        asks_to_stop(segment, slot)
        await waits
        assert its.should_stop() and gives_up.cancelled()
        await its.asked_to_stop()
        before = Slot(segment, 1).words[BEAT]
        await until_on_the_loop(lambda: Slot(segment, 1).words[BEAT] > before + 3)

    asyncio.run(main())
    assert heard == ["called"]


def test_a_host_sees_no_difference(segment: Path) -> None:
    text = """
import asyncio, sys
import hangwatch
worker = hangwatch.attach()
async def main():
    if sys.argv[1] == "watched":
        import hangwatch.integrations.asyncio as loops
        loops.watch(every=0.01)
    await asyncio.sleep(0.1)
    print(len(asyncio.all_tasks()), "task")
    return 5
asyncio.get_event_loop_policy().set_event_loop(asyncio.new_event_loop())
loop = asyncio.get_event_loop_policy().get_event_loop()
loop.set_debug(True)
loop.slow_callback_duration = float("inf")
print(loop.run_until_complete(main()))
loop.close()
"""
    variables = {"PYTHONASYNCIODEBUG": "1", "PYTHONWARNINGS": "error"}
    both = [script(text, way, HANGWATCH_SEGMENT=str(segment), **variables) for way in ("watched", "not")]
    assert [(it.returncode, it.stdout, it.stderr) for it in both] == [(0, "1 task\n5\n", "")] * 2, both
    assert taken(segment, 4) == []


def test_on_a_worker_that_is_not_attached_nothing_is_started() -> None:
    async def main() -> Set[threading.Thread]:
        with watch(worker=hangwatch.detached()) as its:
            assert not its.lane.attached and not its.should_stop()
            return set(threading.enumerate())

    before = set(threading.enumerate())
    assert not asyncio.run(main()) - before
