"""Training loops."""

from __future__ import annotations

import atexit
import importlib
import sys
import time
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Callable, Generic, Iterable, Iterator, List, Literal, Optional, Type, TypeVar

from ... import UNKNOWN, Worker
from .._calls import quietly
from ..._track import length
from .._sections import Asked, Loop
from ._compiling import Compiling

T = TypeVar("T")

_PATIENCE = {"data": 300.0, "validation": 600.0, "checkpoint": 1800.0, "collective": 1800.0}


class Training(Asked):
    """A training loop as a job: see `training`. As a block it ends with it."""

    def __init__(
        self,
        optimizers: List[Any],
        *,
        any_optimizer: bool,
        total: Optional[int],
        start: int,
        id: str,  # noqa: A002 - the word of the vocabulary
        model: str,
        warm_up: Optional[float],
        worker: Optional[Worker],
        on_stop: Optional[Callable[[], object]],
        patience: Optional[dict[str, float]],
    ) -> None:
        self._loop = Loop(worker, on_stop, {**_PATIENCE, **(patience or {})})
        self._has_optimizer = any_optimizer or bool(optimizers)
        self._start = self._done = start
        # Before the job: where one cannot be hooked, none has begun.
        self._hooks = [
            _hookable(optimizer).register_step_post_hook(self._beats if index else self._stepped)
            for index, optimizer in enumerate(optimizers)
        ]
        if any_optimizer:
            every: Any = importlib.import_module("torch.optim.optimizer")
            self._hooks.append(every.register_optimizer_step_post_hook(self._stepped))
        self._is_open = True
        said = UNKNOWN if total is None else max(1, total)
        # A job that the caller began stays his: the loop is a section of it, with a count of its own.
        self._is_job = not quietly(lambda: self._loop.worker.in_job)
        if self._is_job:
            self._loop.say("begin_job", id, model, said)
        else:
            self._loop.enter("inference", said)
        if start:
            self._loop.say("step", start)
        self._first_by = time.monotonic() + (warm_up or 0)
        self._warm()
        self._compiling = Compiling(self._loop)
        atexit.register(self._exits)

    @property
    def done(self) -> int:
        """How many steps are done, `start` included."""
        return self._done

    def step(self, done: Optional[int] = None) -> None:
        """One more step is done, or so many: for a loop that has no optimizer of torch's."""
        self._advance(self._done + 1 if done is None else done)

    def epochs(self, epochs: int, start: int = 0) -> Iterator[int]:
        """The numbers of the epochs from `start` on, up to a stop."""
        for epoch in range(start, epochs):
            if self.should_stop():
                return
            yield epoch

    def batches(self, loader: Iterable[T]) -> Batches[T]:
        """The loader's batches, up to a stop; waiting for one is the phase `data`. It has the loader's length."""
        return Batches(self, loader, None)

    def validation(self, loader: Iterable[T]) -> Batches[T]:
        """The loader's batches as the phase `validation`, with a count of its own; up to a stop as well."""
        return Batches(self, loader, "validation")

    @contextmanager
    def checkpoint(self, lease: Optional[float] = None) -> Iterator[None]:
        """A block that saves or loads: the phase `checkpoint`; with `lease`, so many seconds of silence in it are no hang."""
        with self._loop.section("checkpoint"):
            if lease is not None:
                self._loop.say("extend", lease)
            yield

    @contextmanager
    def collective(self) -> Iterator[None]:
        """A block that waits for other ranks: the phase `collective`. So a rank that waits is told from the one it waits for."""
        with self._loop.section("collective"):
            yield

    def end(self, outcome: Literal["ok", "failed", "cancelled"] = "ok") -> None:
        """Ends the job and takes the hooks out. A loop that was stopped is cancelled, whatever is said here."""
        if not self._is_open:
            return
        self._is_open = False
        atexit.unregister(self._exits)
        for hook in self._hooks:
            quietly(hook.remove)
        self._compiling.remove()
        if not self._is_job:
            self._loop.leave()
        elif self._loop.is_here:
            self._loop.say("end_job", "cancelled" if self._loop.stopped else outcome)

    def __enter__(self) -> Training:
        return self

    def __exit__(
        self, exc_type: Optional[Type[BaseException]], exc: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        failed = exc_type is not None and issubclass(exc_type, Exception)
        self.end("failed" if failed else "cancelled" if exc_type is not None else "ok")

    def _warm(self) -> None:
        # A lease ends by itself at the first step, and at every change of phase.
        left = self._first_by - time.monotonic() if self._done == self._start else 0
        if left > 0:
            self._loop.say("extend", left)

    def _exits(self) -> None:
        # A program that ends by an exception has shown it by now.
        self.end("failed" if hasattr(sys, "last_type") else "ok")

    def _stepped(self, *_: Any) -> None:
        self._advance(self._done + 1)

    def _beats(self, *_: Any) -> None:
        if self._is_open and self._loop.is_here:
            self._loop.say("beat")

    def _advance(self, done: int) -> None:
        self._done = done
        if self._is_open and self._loop.is_here:
            self._loop.say("step", done)
            self._loop.ask()


class Batches(Generic[T]):
    """A loader's batches. Each iteration is one epoch of it."""

    def __init__(self, training: Training, loader: Iterable[T], phase: Optional[str]) -> None:
        self._training = training
        self._loader = loader
        self._phase = phase

    def __len__(self) -> int:
        return len(self._loader)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[T]:
        training, loop = self._training, self._training._loop
        if self._phase is None:
            yield from self._gone_over(lambda _: training._beats() if training._has_optimizer else training.step())
            return
        with loop.section(self._phase, length(self._loader)):
            yield from self._gone_over(lambda done: loop.say("step", done))

    def _gone_over(self, done: Callable[[int], object]) -> Iterator[T]:
        loop, count = self._training._loop, 0
        with loop.section("data"):
            # Its workers are made here.
            items = iter(self._loader)
        while not loop.ask():
            entered = loop.enter("data")
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                if entered:
                    loop.leave()
            self._training._warm()
            yield item
            count += 1
            if self._training._is_open and loop.is_here:
                done(count)


def _hookable(optimizer: Any) -> Any:
    """The optimizer within those that a library wraps around it: accelerate's has no hooks of its own."""
    while not hasattr(optimizer, "_optimizer_step_post_hooks") and hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def training(
    *optimizers: Any,
    any_optimizer: bool = False,
    total: Optional[int] = None,
    start: int = 0,
    id: str = "training",  # noqa: A002
    model: str = "",
    warm_up: Optional[float] = None,
    worker: Optional[Worker] = None,
    on_stop: Optional[Callable[[], object]] = None,
    patience: Optional[dict[str, float]] = None,
) -> Training:
    """Begins a job that is a training loop, on `worker` or else the process's current one. `end`, or the end of a block, ends it.

    `total` is the number of steps in all epochs, `start` how many were done before, in a run that this one resumes. `warm_up` are
    seconds of silence that are granted before the first step. `on_stop` is called once, after a step, when the monitor asks the
    worker to stop; an `Exception` that it raises goes nowhere, so it sets a flag. `patience` are the seconds that the phases `data` (300),
    `validation` (600), `checkpoint` (1800) and `collective` (1800) may be without a sign of life.

    Where the optimizer is made by others (transformers' Trainer, Lightning), `any_optimizer` counts the steps of whichever is at work in
    this thread. Within a job that is open already it is no job of its own but a section of that one, with its own count. Raises
    `AttributeError` where one of the `optimizers` is none.
    """
    return Training(
        list(optimizers),
        any_optimizer=any_optimizer,
        total=total,
        start=start,
        id=id,
        model=model,
        warm_up=warm_up,
        worker=worker,
        on_stop=on_stop,
        patience=patience,
    )
