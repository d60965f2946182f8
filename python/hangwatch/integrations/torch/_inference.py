"""Calls of a model."""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import FrameType
from typing import Any, Callable, Iterable, List, Optional, Tuple

from ... import Worker
from ..._block import Block
from .._calls import quietly
from .._sections import Asked, Loop
from ._compiling import Compiling


class _Hook:
    """A hook that stays with the module it was made for: a copy or a pickle of that has one that does nothing."""

    def __init__(self, call: Callable[[FrameType], None]) -> None:
        self._call = call
        self._is_compiling: Callable[[], bool] = importlib.import_module("torch.compiler").is_compiling

    def __call__(self, *_: Any) -> None:
        # In a graph that is compiled there is no hook: it is traced as nothing, and breaks no graph.
        if not self._is_compiling():
            quietly(self._call, sys._getframe(1))

    def __reduce__(self) -> Tuple[Any, ...]:
        # A function of the standard library that takes anything and gives None: what is saved is loaded without us, and a copy has it too.
        return getattr, (contextlib.nullcontext(), "__exit__")


class Inference(Asked, Block):
    """A model's calls as jobs: see `inference`. `remove`, or the end of a `with` block, takes the hooks out."""

    def __init__(
        self,
        module: Any,
        layers: List[Any],
        *,
        id: str,  # noqa: A002 - the word of the vocabulary
        model: str,
        worker: Optional[Worker],
        on_stop: Optional[Callable[[], object]],
    ) -> None:
        self._loop = Loop(worker, on_stop)
        self._said = (id or type(module).__name__, model, len(layers) or None)
        # The frame of the call that is in progress, how many of the same module are within it, and what was being handled at its begin.
        self._frame: Optional[FrameType] = None
        self._within = 0
        self._handled: Optional[BaseException] = None
        self._is_job = False
        self._done = 0
        self._compiling = Compiling(self._loop)
        self._hooks = [
            module.register_forward_pre_hook(_Hook(self._began), prepend=True),
            # Called where the model raises, too.
            module.register_forward_hook(_Hook(self._ended), always_call=True),
            *(layer.register_forward_hook(_Hook(self._layer_done)) for layer in layers),
        ]

    def remove(self) -> None:
        """Takes the hooks out."""
        for hook in self._hooks:
            quietly(hook.remove)
        self._compiling.remove()
        if self._is_job:
            self._loop.say("end_job", "cancelled")
        self._frame, self._is_job = None, False

    def _exit(self) -> None:
        self.remove()

    def _began(self, frame: FrameType) -> None:
        if not self._loop.is_here:
            return
        if self._frame is not None and _is_within(frame, self._frame):
            self._within += 1
            return
        # None, or one that Ctrl-C ended, of which torch tells no hook.
        self._frame, self._within, self._done = frame, 0, 0
        self._handled = sys.exc_info()[1]
        self._compiling.look()
        worker = self._loop.worker
        self._is_job = self._is_job or not worker.in_job
        if self._is_job:
            worker.begin_job(*self._said)
        else:
            worker.beat()

    def _ended(self, _: FrameType) -> None:
        if not self._loop.is_here or self._frame is None:
            return
        if self._within:
            self._within -= 1
            return
        self._frame = None
        worker = self._loop.worker
        if self._is_job:
            self._is_job = False
            worker.end_job("ok" if sys.exc_info()[1] is self._handled else "failed")
        else:
            worker.beat()
        self._loop.ask()

    def _layer_done(self, _: FrameType) -> None:
        if not self._loop.is_here:
            return
        if self._is_job:
            self._done += 1
            self._loop.worker.step(self._done)
        else:
            self._loop.worker.beat()


def _is_within(frame: Optional[FrameType], outer: FrameType) -> bool:
    while frame is not None and frame is not outer:
        frame = frame.f_back
    return frame is outer


def inference(
    module: Any,
    *,
    layers: Iterable[Any] = (),
    id: str = "",  # noqa: A002
    model: str = "",
    worker: Optional[Worker] = None,
    on_stop: Optional[Callable[[], object]] = None,
) -> Inference:
    """From now on each call of `module` is a job of `worker` or else of the process's current one, by the module's class where there is
    no `id`. It is judged by its heartbeat; with `layers`, submodules that run one after another, each of them done is a step.

    A call within a job that is open already is a beat of that one, at its begin, at its end and at each layer. A call that raises is a
    failed job; one that Ctrl-C ends stays open until the next or until `remove`, since torch tells no hook of it. `on_stop` is called
    once, at the end of a call, when the monitor asks the worker to stop; an `Exception` that it raises goes nowhere, so it sets a
    flag.

    A model that `torch.compile` made is watched as what that returned. Layers within a compiled graph are not told.
    """
    return Inference(module, list(layers), id=id, model=model, worker=worker, on_stop=on_stop)
