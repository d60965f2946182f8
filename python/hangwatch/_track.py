"""Loops and calls as jobs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Callable, Optional, Set, TypeVar, cast, overload
from weakref import WeakKeyDictionary

from . import _living
from ._hangwatch import UNKNOWN, Job, Worker
from ._stop import Stop

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def length(items: object) -> int:
    """How many there are, or that it is not known: an endless set of data has no length, and raises what it likes."""
    try:
        return len(items)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - whatever an object of others does here, its loop goes on
        return UNKNOWN


def track(
    iterable: Iterable[T],
    *,
    worker: Optional[Worker] = None,
    id: str = "",  # noqa: A002 - the word of the vocabulary
    model: str = "",
    total: Optional[int] = None,
    on_stop: Optional[Callable[[], object]] = None,
) -> Iterator[T]:
    """Goes over `iterable` as a job of `worker`: a step an item, once it is done with. In the manner of tqdm.

    The job is ok when the iterable is exhausted, failed when it raises, cancelled when the loop is left before. Inside a job
    that is open already it is no job, and an item is a beat. `on_stop` is called once, between two items, when the monitor asks the
    worker to stop; an `Exception` that it raises goes nowhere, so it sets a flag or an event. A loop that would rather ask, asks
    `worker.should_stop()`.
    """
    worker, stop = _living.of(worker), Stop(on_stop)
    if worker.in_job:
        for item in iterable:
            yield item
            worker.beat()
            stop.heed(worker)
        return
    with worker.job(id, model, total if total is not None else length(iterable)) as job:
        for item in iterable:
            yield item
            job.step()
            stop.heed(worker)


class _Shared:
    """The job of coroutines that overlap: it begins with the first and ends with the last."""

    def __init__(self, job: Job) -> None:
        self.job = job.__enter__()
        # What tells it from others in the contexts of tasks, which may outlive it.
        self._mark = object()
        self._inside = 0
        self._outcomes: Set[str] = set()

    async def has(self, begin: Callable[[], Awaitable[T]]) -> T:
        """One of them. What is called by one of them is a part of it: whether it failed, its caller decides."""
        around = _within.get()
        outcome = "ok"
        _within.set(self._mark)
        self._inside += 1
        try:
            # Here, since arguments that do not fit fail the job too.
            return await begin()
        except BaseException as error:
            outcome = "failed" if isinstance(error, Exception) else "cancelled"
            raise
        finally:
            # Not by a token: a coroutine may be closed in another context than it began in.
            _within.set(around)
            if around is not self._mark:
                self._outcomes.add(outcome)
            self._inside -= 1
            if self._inside == 0:
                self._end()

    def _end(self) -> None:
        worker = self.job.worker
        if _shared.get(worker) is self:
            del _shared[worker]
        self.job.end("failed" if "failed" in self._outcomes else "cancelled" if "cancelled" in self._outcomes else "ok")


_shared: WeakKeyDictionary[Worker, _Shared] = WeakKeyDictionary()
_within: ContextVar[object] = ContextVar("hangwatch.watched", default=None)


@overload
def watched(function: F) -> F: ...
@overload
def watched(
    *, worker: Optional[Worker] = None, id: str = "", model: str = "", total: Optional[int] = None
) -> Callable[[F], F]: ...
def watched(
    function: Optional[F] = None,
    *,
    worker: Optional[Worker] = None,
    id: str = "",  # noqa: A002
    model: str = "",
    total: Optional[int] = None,
) -> Any:
    """Makes a job of each call of a function or coroutine function, by the function's name where there is no `id`.

    A call inside a job that is open already belongs to that one. Without a `worker` it is the one that is current at the call.

    Coroutines that overlap are one job, by the first one's name: it ends with the last of them, failed where one of them has failed. What
    hangs in one is masked by those that go on: one that is to be watched by itself needs a lane (`worker=host.lane(name)`).
    """
    if function is None:
        return functools.partial(watched, worker=worker, id=id, model=model, total=total)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError("hangwatch.watched is for functions and coroutines; go over a generator with hangwatch.track")
    name = id or getattr(function, "__qualname__", "")

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            held = _living.of(worker)
            shared = _shared.get(held)
            if shared is None or not shared.job.open:
                if held.in_job:
                    return await function(*args, **kwargs)
                shared = _shared[held] = _Shared(held.job(name, model, total))
            return cast("object", await shared.has(functools.partial(function, *args, **kwargs)))

        return cast("F", awaited)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        held = _living.of(worker)
        if held.in_job:
            return function(*args, **kwargs)
        with held.job(name, model, total):
            return function(*args, **kwargs)

    return cast("F", called)
