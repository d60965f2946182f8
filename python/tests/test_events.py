"""Events for loops of asyncio: none is missed or told twice, and what does not fit is counted."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, List

import hangwatch
from hangwatch._events import Feed
from waiting import SOON, Events, hangs, until

LINE = '{"schema_version":1,"time":"2026-01-01T00:00:00.000Z","event":"opened","segment":"/s","slot":%d,"of_a_newer_monitor":1}'


def tell(feed: Feed, *slots: int) -> None:
    """As the telling thread does."""

    def told() -> None:
        for slot in slots:
            assert feed.event(LINE % slot, f"worker {slot}").slot == slot

    with ThreadPoolExecutor(1) as thread:
        thread.submit(told).result()


def test_a_loop_gets_each_event_of_a_worker_that_hangs_and_the_end_when_the_monitor_stops(segment: Path) -> None:
    async def watch() -> List[hangwatch.Event]:
        seen = []
        with hangwatch.Monitor(segment, SOON, told) as monitor:
            async for event in monitor.events():
                seen.append(event)
                if event.event == "would_act":
                    # Another thread: the stop waits for the callback.
                    await asyncio.get_running_loop().run_in_executor(None, monitor.stop)
        return seen

    told = Events()
    with hangs(segment, "loop"):
        seen = asyncio.run(watch())
    assert [event.sentence for event in seen] == [event.sentence for event in told.all], "as on_event has them, to the last"
    assert {"opened", "would_act"} <= {event.event for event in seen}


def test_a_loop_that_waits_is_woken_from_the_telling_thread_and_is_not_held_up_meanwhile() -> None:
    feed, ticks, hold = Feed(), 0, threading.Event()

    def later() -> None:
        hold.wait()
        tell(feed, 7)

    async def watch() -> hangwatch.Event:
        nonlocal ticks
        stream = feed.stream(4)
        waiting = asyncio.ensure_future(stream.__anext__())
        while ticks < 3:
            await asyncio.sleep(0)
            ticks += 1
        assert not waiting.done()
        # Nothing else wakes the loop.
        threading.Thread(target=later).start()
        asyncio.get_running_loop().call_soon(hold.set)
        return await waiting

    assert asyncio.run(watch()).slot == 7 and ticks == 3


def test_an_event_that_comes_between_the_look_and_the_wait_is_not_missed() -> None:
    feed = Feed()

    class Late(deque[Any]):
        def append(self, waiting: Any) -> None:
            tell(feed, 5)
            super().append(waiting)

    async def watch() -> hangwatch.Event:
        stream = feed.stream(4)
        stream._waiting = Late()
        return await stream.__anext__()

    assert asyncio.run(watch()).slot == 5


def test_a_queue_that_is_full_loses_what_comes_and_counts_it() -> None:
    feed = Feed()
    small, large = feed.stream(2), feed.stream(9)
    tell(feed, 0, 1, 2, 3)
    feed.end()

    async def slots(stream: hangwatch.EventStream) -> List[object]:
        return [event.slot async for event in stream]

    assert asyncio.run(slots(small)) == [0, 1] and small.lost == 2, "it keeps what it has, in order"
    assert asyncio.run(slots(large)) == [0, 1, 2, 3] and large.lost == 0, "one that is slow costs another nothing"


def test_several_tasks_share_a_stream_and_each_event_goes_to_one() -> None:
    feed = Feed()

    async def watch() -> List[object]:
        stream = feed.stream(99)
        seen: List[object] = []

        async def take() -> None:
            async for event in stream:
                seen.append(event.slot)

        tasks = [asyncio.ensure_future(take()) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, tell, feed, *range(20))
        feed.end()
        await asyncio.gather(*tasks)
        return seen

    assert sorted(map(str, asyncio.run(watch()))) == sorted(map(str, range(20)))


def test_a_task_that_is_cancelled_takes_no_event_with_it() -> None:
    feed = Feed()

    async def watch() -> hangwatch.Event:
        stream = feed.stream(4)
        cancelled = asyncio.ensure_future(stream.__anext__())
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(None, tell, feed, 1)
        return await stream.__anext__()

    assert asyncio.run(watch()).slot == 1


def test_a_loop_that_was_closed_while_it_waited_harms_nobody() -> None:
    feed, streams = Feed(), []

    async def leave() -> None:
        streams.append(feed.stream(4))
        asyncio.ensure_future(streams[0].__anext__())
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # a task that is left pending is said at its end
    loop.run_until_complete(leave())
    loop.close()
    tell(feed, 1)
    assert asyncio.run(streams[0].__anext__()).slot == 1, "another loop goes on with it"


def test_a_stream_that_nobody_holds_or_that_was_closed_is_forgotten() -> None:
    feed = Feed()
    feed.stream(4)
    assert feed._streams == {}
    stream = feed.stream(4)
    tell(feed, 1)
    stream.close()
    tell(feed, 2)

    async def slots() -> List[object]:
        return [event.slot async for event in stream]

    assert asyncio.run(slots()) == [1], "what was queued, and the end"


def test_a_stream_of_a_monitor_that_was_stopped_ends_at_once(segment: Path) -> None:
    monitor = hangwatch.Monitor(segment)
    monitor.stop()

    async def count() -> int:
        return len([event async for event in monitor.events()])

    assert asyncio.run(count()) == 0


def test_an_event_that_came_before_the_stream_is_not_of_it_and_the_monitor_counts_no_loss(segment: Path) -> None:
    told = Events()
    with hangwatch.Monitor(segment, SOON, told) as monitor, hangs(segment):
        told.first("would_act")
        stream = monitor.events()
        until(lambda: monitor.status().polls > 3)
        assert monitor.status().events_lost == 0 and stream.lost == 0
    until(lambda: not monitor.running)

    async def kinds() -> List[str]:
        return [event.event async for event in stream]

    assert "would_act" not in asyncio.run(kinds())
