"""What a monitor and a supervisor have in common: native threads that watch a segment, and what they tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, List, Optional

from ._block import Block
from ._events import CAPACITY, EventStream, Feed
from ._status import MonitorStatus, WorkerStatus, worker_of

Policy = Mapping[str, Any]


class Watching(Block):
    """Asked by any thread."""

    _threads: Any
    _feed: Feed

    @property
    def running(self) -> bool:
        """Whether its scan goes on: until `stop`."""
        return bool(self._threads.running)

    def stop(self) -> object:
        raise NotImplementedError

    def reload(self, policy: Optional[Policy]) -> None:
        """From the next poll on this policy is in force (None: the defaults), and every age goes on.

        Told as `config_reloaded`. One that does not hold together raises `UsageError`, and the one in force stays.
        """
        self._threads.reload(policy)

    def status(self) -> MonitorStatus:
        """How it is. Never waits for a poll."""
        return MonitorStatus(**json.loads(self._threads.status()))

    def workers(self) -> List[WorkerStatus]:
        """Every slot that is anybody's, with the budgets that run: verdicts of the last poll, ages of this instant."""
        return [worker_of(told) for told in json.loads(self._threads.workers())]

    def events(self, capacity: int = CAPACITY) -> EventStream:
        """Events from here on, for `async for` in any loop of asyncio. It ends when this stops.

        At most `capacity` wait for a loop that is busy; what does not fit is counted by its `lost`.
        """
        return self._feed.stream(capacity)

    def _exit(self) -> None:
        self.stop()

    def _end(self) -> None:
        # At the interpreter's end.
        self.stop()

    def _forget(self) -> None:
        # In a forked child: nothing comes any more, and nobody waits for ever.
        self._feed.end()
