"""A blocked event loop as a verdict of its own.

    import hangwatch.integrations.asyncio as hangwatch_asyncio

    async def main():
        watch = hangwatch_asyncio.watch(on_stop=server.shutdown)    # of the loop that runs
        …

The loop has a lane (a slot of its own) in the phase `event_loop`, with a budget: a callback that does not return within it makes the
lane `overdue`, whatever jobs are open and whatever else the process does. A helper thread asks the loop for a sign of life each
`every` seconds, one at a time; while the loop does not run, the lane is idle, and when it is closed, the lane is given back. A
monitor that asks the worker to stop is heard on the loop.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import TYPE_CHECKING, Callable, Optional

from .. import _living, _pulse
from .._block import Block

if TYPE_CHECKING:
    
    from .._hangwatch import Worker

_PHASE = "event_loop"
_BUDGET = 60.0
# Those at work: nobody else need keep them.
_at_work: set[LoopWatch] = set()


class LoopWatch(Block):
    """The watch of one event loop, until `stop`, the end of its block, or of the loop. `watch` makes it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        worker: Worker,
        name: str,
        budget: float,
        every: float,
        on_stop: Optional[Callable[[], object]],
    ) -> None:
        self._loop = weakref.ref(loop)
        self._worker = worker
        self._on_stop = on_stop
        self._asked = False
        self._waiting: list[asyncio.Future[None]] = []
        self._on_its_way = False
        self.lane = worker.lane(name)
        """The loop's slot. `lane.extend(seconds)` where a callback is known to take long."""
        # A phase has one budget in a segment: another budget is another phase.
        self._phase = self.lane.register_phase(_PHASE if budget == _BUDGET else f"{_PHASE}_{budget:g}s", "work", budget)
        # Until it runs nothing is expected of it.
        self.lane.phase("idle")
        if self.lane.attached:
            _at_work.add(self)
            _pulse.every(every, self._look)

    def should_stop(self) -> bool:
        """Whether a monitor asks the worker to stop."""
        return self._asked or self.lane.should_stop() or self._worker.should_stop()

    async def asked_to_stop(self) -> None:
        """Waits until a monitor asks the worker to stop. Used on the loop that is watched."""
        if not self.should_stop():
            waits = asyncio.get_running_loop().create_future()
            self._waiting.append(waits)
            try:
                await waits
            finally:
                if waits in self._waiting:
                    self._waiting.remove(waits)

    def stop(self) -> None:
        """Ends the watch and gives its lane back. Any number of times."""
        _at_work.discard(self)
        _pulse.no_more(self._look)
        self.lane.detach()

    def _look(self) -> None:
        # On the helper thread.
        loop = self._loop()
        if loop is None or loop.is_closed():
            self.stop()
        elif not loop.is_running():
            self._on_its_way = False
            self.lane.phase("idle")
        elif not self._on_its_way:
            self._on_its_way = True
            try:
                loop.call_soon_threadsafe(self._beat)
            except RuntimeError:
                self.stop()  # it was closed just now

    def _beat(self) -> None:
        # On the loop. Each time the phase is entered anew: a loop that answers may run for ever.
        self._on_its_way = False
        self.lane.phase(self._phase)
        if not self._asked and self.should_stop():
            self._asked = True
            for waits in self._waiting:
                if not waits.done():
                    waits.set_result(None)
            if self._on_stop is not None:
                # A call of its own: what it raises is the loop's to handle, as for any callback.
                asyncio.get_running_loop().call_soon(self._on_stop)

    def _exit(self) -> None:
        self.stop()


def watch(
    loop: Optional[asyncio.AbstractEventLoop] = None,
    worker: Optional[Worker] = None,
    *,
    name: str = "asyncio",
    budget: float = _BUDGET,
    every: float = 1.0,
    on_stop: Optional[Callable[[], object]] = None,
) -> LoopWatch:
    """Watches `loop`, by default the one that runs, beside `worker`, by default the current one.

    The lane is called `name`, and is overdue where the loop does not answer for `budget` seconds (with another budget than 60 the phase
    is called so too: `event_loop_5s`); it is asked each `every` seconds, which should be much less. `on_stop` is called once, on the
    loop, when a monitor asks the worker to stop: a task's `cancel`, an event's `set`. Raises `hangwatch.Error` where there is no
    slot left. Where the worker is not attached nothing is started.
    """
    if loop is None:
        loop = asyncio.get_running_loop()
    return LoopWatch(loop, _living.of(worker), name, budget, every, on_stop)


os.register_at_fork(after_in_child=_at_work.clear)
