"""Loops and calls as jobs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional, TypeVar, cast, overload

from . import _living
from ._hangwatch import UNKNOWN, Worker
from ._stop import Stop

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def _length(iterable: Iterable[object]) -> int:
    try:
        return len(iterable)  # type: ignore[arg-type]
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
    worker to stop; what it raises goes nowhere, so it sets a flag or an event. A loop that would rather ask, asks `worker.should_stop()`.
    """
    worker, stop = _living.of(worker), Stop(on_stop)
    if worker.in_job:
        for item in iterable:
            yield item
            worker.beat()
            stop.heed(worker)
        return
    with worker.job(id, model, total if total is not None else _length(iterable)) as job:
        for item in iterable:
            yield item
            job.step()
            stop.heed(worker)


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
            if held.in_job:
                return await function(*args, **kwargs)
            with held.job(name, model, total):
                return await function(*args, **kwargs)

        return cast("F", awaited)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        held = _living.of(worker)
        if held.in_job:
            return function(*args, **kwargs)
        with held.job(name, model, total):
            return function(*args, **kwargs)

    return cast("F", called)
