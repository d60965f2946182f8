"""The monitor in threads of this process."""

from __future__ import annotations

import json
import operator
import os
from typing import Callable, Literal, Optional, Union

from . import _living
from ._calls import Calls
from ._errors import NotFoundError
from ._events import Event, Feed
from ._expect import Expect
from ._status import WorkerStatus, extension, worker_of
from ._watching import Policy, Watching

Path = Union[str, "os.PathLike[str]"]


class Monitor(Watching):
    """Watches the workers of every process that attached to a segment, this one's too. It runs from the call on.

    Its threads hold no GIL and wait for none: a process whose GIL a stuck C extension holds is still watched by its own
    monitor. It runs until `stop`, the end of its `with`, or the interpreter's end; a forked child's copy is dead.

    `segment` is a name, or a path with a slash; None is HANGWATCH_SEGMENT, else `default`. It is made if it is absent, with
    `slots` slots of `slot_size` bytes. `policy` is a dict of the configuration file's keys (docs/policy.md).
    `on_event(event)` is called for each `Event` on a thread of its own, with the GIL; what it raises goes to
    `sys.unraisablehook`. `mode` is `observe`, which signals nobody and says what it would do, or `act`, which ends hung
    workers of the same user where it is proven who they are, and never this process. `learnt` is the file in which what is
    learnt is kept, `<segment>.learnt` where none is named. To the file `jsonl` each event is appended as a line of JSON,
    without the GIL. With `unlink_at_end` the segment goes when the monitor stops.

    Raises `HeldError` where another monitor of the segment is alive, `UsageError` where the policy does not hold together, or
    something stands at `learnt` that is not hangwatch's own: it is left as it is.
    """

    def __init__(
        self,
        segment: Optional[Path] = None,
        policy: Optional[Policy] = None,
        on_event: Optional[Callable[[Event], object]] = None,
        *,
        mode: Literal["observe", "act"] = "observe",
        slots: Optional[int] = None,
        slot_size: Optional[int] = None,
        learnt: Optional[Path] = None,
        unlink_at_end: bool = False,
        jsonl: Optional[Path] = None,
    ) -> None:
        what = "cannot start a monitor"
        expect = Expect(what)
        paths = {name: expect.path(name, path) for name, path in (("segment", segment), ("learnt", learnt), ("jsonl", jsonl))}
        expect.callback(on_event)
        expect.one_of("mode", mode, "observe", "act")
        expect.counts(slots=slots, slot_size=slot_size)
        expect.flags(unlink_at_end=unlink_at_end)
        self._feed = Feed()
        start = extension("start_monitor", what)
        self._calls = Calls(what, self._feed, on_event)
        try:
            self._threads = start(
                paths["segment"],
                policy,
                self._calls.native,
                acts=mode == "act",
                slots=slots,
                slot_size=slot_size,
                learnt=paths["learnt"],
                jsonl=paths["jsonl"],
                unlink_at_end=unlink_at_end,
            )
        except BaseException:
            self._calls.native.close()
            raise
        _living.keep_running(self)

    @property
    def segment(self) -> str:
        """The path of the segment that it watches now: another one under the same name once the old one was lost."""
        return os.fsdecode(self._threads.segment)

    def stop(self) -> None:
        """Ends its scan, tells the events that are queued and joins its threads. It waits for the `on_event` that runs.

        The workers go on. A second call does nothing. From its own `on_event` it raises `UsageError`. Ctrl-C ends the wait, and
        the stop goes on by itself; the interpreter's end waits for it.
        """
        self._calls.check_caller("cannot stop a monitor")
        self._threads.stop()
        self._feed.end()
        _living.let_go(self)

    def worker(self, slot: int) -> WorkerStatus:
        """One slot, taken or free. Raises `NotFoundError` where there is none of that number."""
        try:
            number = operator.index(slot)
        except TypeError:
            Expect("cannot read a slot").refuse("slot", slot, "a whole number")
        if not 0 <= number < 2**32:
            raise NotFoundError(f"cannot read slot {number} of segment '{self.segment}'", "no segment has one of that number")
        return worker_of(json.loads(self._threads.worker(number)))

    def __repr__(self) -> str:
        return f"<hangwatch.Monitor of '{self.segment}', {'running' if self.running else 'stopped'}>"
