"""Events as Python has them, and their way to whoever wants them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, fields
from typing import Any, Deque, Dict, Optional, Tuple
from weakref import ref

CAPACITY = 1024
"""Events that a stream keeps for a loop that is busy: a monitor of some hundred workers that all hang at once fits."""


@dataclass(frozen=True)
class Event:
    """What happened: the fields of the JSON event (README, `--events`), and its sentence. Ages in seconds, by the monitor's clock."""

    sentence: str
    """The log line: `worker 2 (sdxl) stalled in inference: last heartbeat 2.3s ago, …`."""
    time: str
    """Wall clock, RFC 3339 in UTC."""
    event: str
    """What: `opened`, `reminder`, `closed`, `would_act`, …"""
    segment: str
    episode: Optional[int] = None
    slot: Optional[int] = None
    generation: Optional[int] = None
    pid: Optional[int] = None
    """In the worker's own pid namespace."""
    kind: Optional[str] = None
    """What reports through the slot: `worker`, `lane` or `gpu`."""
    device: Optional[int] = None
    worker: Optional[str] = None
    """The worker's label."""
    lane: Optional[str] = None
    """The lane's name; None where it is about a worker's own slot."""
    verdict: Optional[str] = None
    phase: Optional[str] = None
    heartbeat_age_s: Optional[float] = None
    progress_age_s: Optional[float] = None
    clock: Optional[str] = None
    """The clock that expired: `heartbeat`, `progress`, `start`, `phase`, `max_phase`, `deadline` or `learnt`."""
    budget_s: Optional[float] = None
    spent_s: Optional[float] = None
    done: Optional[int] = None
    total: Optional[int] = None
    job: Optional[str] = None
    """The open job's id; `#n` where it has none."""
    model: Optional[str] = None
    detail: Optional[str] = None

    def __str__(self) -> str:
        return self.sentence


_FIELDS = frozenset(field.name for field in fields(Event))


def event_of(line: str, sentence: str) -> Event:
    """The event of a JSON line. A field that a newer monitor added is skipped."""
    told: Dict[str, Any] = json.loads(line)
    return Event(sentence=sentence, **{name: value for name, value in told.items() if name in _FIELDS})


class EventStream:
    """Events from here on, for `async for`. It ends when its monitor stops, after what is queued.

    Any loop of asyncio may wait, several tasks at once: each event goes to one of them.
    """

    def __init__(self, feed: Feed, capacity: int) -> None:
        self._feed = feed
        self._capacity = max(1, capacity)
        self._queued: Deque[Event] = deque()
        self._waiting: Deque[Tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._lost = 0
        self._ended = False

    @property
    def lost(self) -> int:
        """Events that did not fit the queue, since nobody took the ones before."""
        return self._lost

    def close(self) -> None:
        """Ends it: whoever waits gets what is queued, and then the end."""
        self._feed.forget(self)
        self._end()

    def _put(self, event: Event) -> None:
        # On the thread that calls back, which must not wait.
        if len(self._queued) >= self._capacity:
            self._lost += 1
            return
        self._queued.append(event)
        self._wake()

    def _end(self) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            try:
                loop, future = self._waiting.popleft()
                loop.call_soon_threadsafe(_settle, future)
            except (IndexError, RuntimeError):
                continue  # taken by another thread meanwhile, or its loop is closed and nobody waits any more

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        while True:
            if self._queued:
                return self._queued.popleft()
            if self._ended:
                raise StopAsyncIteration
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            waiting = (loop, future)
            self._waiting.append(waiting)
            # What came before somebody was seen to wait wakes nobody.
            if self._queued or self._ended:
                _settle(future)
            try:
                await future
            finally:
                try:
                    self._waiting.remove(waiting)
                except ValueError:
                    pass


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Feed:
    """Called for each event by the thread that calls back; hands it to the streams. No lock: what a fork copies halfway must not be one."""

    def __init__(self) -> None:
        self._streams: Dict[int, ref[EventStream]] = {}
        self._ended = False

    def event(self, line: str, sentence: str) -> Event:
        """The event, which every stream has by now."""
        event = event_of(line, sentence)
        for held in list(self._streams.values()):
            stream = held()
            if stream is not None:
                stream._put(event)
        return event

    def stream(self, capacity: int) -> EventStream:
        """A stream of what comes from here on."""
        stream, number = EventStream(self, capacity), 0
        number = id(stream)
        self._streams[number] = ref(stream, lambda _: self._streams.pop(number, None))
        if self._ended:
            stream._end()
        return stream

    def forget(self, stream: EventStream) -> None:
        self._streams.pop(id(stream), None)

    def end(self) -> None:
        """Nothing comes any more."""
        self._ended = True
        for held in list(self._streams.values()):
            stream = held()
            if stream is not None:
                stream._end()
