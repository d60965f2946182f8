"""Every diffusers pipeline of this process: loads are phases, a call is a job, denoising is its progress.

    import hangwatch
    from hangwatch.integrations import diffusers as watching

    hangwatch.attach()
    watching.install()                   # or: with watching.install(): …

    pipe = StableDiffusionPipeline.from_pretrained(…)
    images = pipe("a lighthouse", num_inference_steps=50).images

    ==================  ===================================================================================================
    `downloading`       what `from_pretrained` fetches, in bytes
    `loading`           `from_pretrained` and `from_single_file` of pipelines and their models: parts and weights as its count;
                        `to` and offloading of a pipeline, LoRA weights and other adapters
    `encoding`          `encode_prompt`, `encode_image`, the VAE's `encode`: no sign of life comes from inside
    `inference`         denoising: a step for each of the scheduler's timesteps, of as many as this call has
    `post_processing`   the VAE's `decode`: no sign of life comes from inside; its budget grows with the job's batch
    `safety`            the safety checker
    ==================  ===================================================================================================

- A call is the job `call-N` with the model's name; in a `worker.job(…)` of yours it is a part of that one, as it is where a
  pipeline calls another. A second pass, a refiner, a loop for each tile: each has a count of its own.
- The first meeting of a pipeline with a size has `warm_up` seconds in each of these before a budget runs: it compiles, and tunes.
  A size is the call's, and those of the images, masks and videos that it is given.
- Steps come by `callback_on_step_end`, after yours, which is called and answered as without; in a pipeline that takes no callback,
  by its progress bar, shown or not.
- Where the monitor asks to stop, the pipeline is interrupted (`pipe._interrupt`): it decodes what it has and returns. One that
  cannot be interrupted goes on to its end. `on_stop` is called once, before that; it tells your loop.
- Calls in several threads at once: the first has the worker, another a lane of its own.
- What a pipeline returns and raises is what it would be without; nothing here raises.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Set, Tuple
from weakref import WeakKeyDictionary, WeakSet

from .. import UNKNOWN, Worker
from . import _loads, _sizes
from ._calls import Call, Installation, Outcome, Reporting, current, is_ours, named, ours, quietly, reported
from ._proxies import StandIn
from ._stages import Does, Own, Stages
from .tqdm import REPORTED

__all__ = ["Installed", "install"]

_STAGES = {
    "encode_prompt": "encoding",
    "_encode_prompt": "encoding",
    "encode_image": "encoding",
    "decode_latents": "post_processing",
    "run_safety_checker": "safety",
}
_PART_STAGES = {"encode": "encoding", "decode": "post_processing"}
_LOADS = (
    *("to", "enable_model_cpu_offload", "enable_sequential_cpu_offload", "enable_group_offload"),
    *("load_lora_weights", "fuse_lora", "unfuse_lora", "load_textual_inversion", "load_ip_adapter"),
)


class _Loop:
    """One denoising loop: a section with a count. It lets go of its call at its end: bars live longer."""

    def __init__(self, running: _Running, shown: int) -> None:
        # A bar shows what was asked for. With a scheduler of the second order each of these is two timesteps, and a callback.
        steps, order = getattr(running.pipe, "_num_timesteps", None), getattr(getattr(running.pipe, "scheduler", None), "order", 1)
        is_of_now = isinstance(steps, int) and (shown == UNKNOWN or shown <= steps <= shown * order)
        self._shown = shown
        self._total: int = steps if is_of_now and running.has_callback else shown  # type: ignore[assignment]
        self._done = 0
        self._by_callback = False
        self._mark = running.call.enter("inference", self._total, running.lease("inference"))
        self._running: Optional[_Running] = running

    def step(self) -> None:
        self._by_callback = True
        self._done += 1
        if self._running is not None:
            self._running.call.worker.step(self._done)

    def bar_moved(self, n: float) -> None:
        """It moves after each callback; in a pipeline that has none, it is all that comes."""
        if self._by_callback or self._running is None:
            return
        self._done += int(n)
        known = UNKNOWN not in (self._shown, self._total) and self._shown > 0
        self._running.call.worker.step(self._done * self._total // self._shown if known else self._done)
        self._running.asked()

    def end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.loops.remove(self)
            running.call.leave(self._mark)


class _Running:
    """A pipeline's call."""

    def __init__(self, call: Call, pipe: Any, has_callback: bool, shapes: Set[Any], shape: Any, warm_up: float) -> None:
        self.call = call
        self.pipe = pipe
        self.has_callback = has_callback
        self.loops: List[_Loop] = []
        self.parts: WeakSet[Any] = WeakSet()
        """Whose methods are stages of this call."""
        self.inside: Set[Tuple[int, str]] = set()
        """The objects and their methods that it is in."""
        self.own: List[Own] = []
        self._shapes = shapes
        self._shape = shape
        self._warm_up = warm_up
        _hooks.hold()

    def lease(self, what: str) -> float:
        """For what is done for the first time at this size."""
        key = (what, self._shape)
        if key in self._shapes:
            return 0
        self._shapes.add(key)
        return self._warm_up

    def enter_stage(self, it: Any, name: str, phase: str) -> Optional[int]:
        """Unless it is of another call, or within itself, as a method of a class that calls its base's."""
        if (id(it), name) in self.inside or not (it is self.pipe or it in self.parts):
            return None
        # An image is encoded by another part than a prompt.
        mark = self.call.enter(phase, None, self.lease(name))
        self.inside.add((id(it), name))
        return mark

    def leave_stage(self, it: Any, name: str, mark: int) -> None:
        self.inside.discard((id(it), name))
        self.call.leave(mark)

    def begin_loop(self, shown: int) -> _Loop:
        loop = _Loop(self, shown)
        self.loops.append(loop)
        return loop

    def stepped(self) -> None:
        # A pipeline without a bar begins with its first step.
        (self.loops[-1] if self.loops else self.begin_loop(UNKNOWN)).step()
        self.asked()

    def asked(self) -> None:
        if self.call.asks_to_stop() and hasattr(self.pipe, "_interrupt"):
            self.pipe._interrupt = True
            self.call.is_stopped = True

    def end(self, outcome: Outcome) -> None:
        quietly(_hooks.let_go, self.own)
        for loop in tuple(self.loops):
            quietly(loop.end)
        self.call.end(outcome)


def _running() -> Optional[_Running]:
    call = current()
    running = getattr(call, "running", None)
    return running if isinstance(running, _Running) else None


class _StepEnd:
    """`callback_on_step_end`: the host's own, then ours. What it returns is what the host's returns, else that nothing is changed."""

    def __init__(self, hosts: Optional[Callable[..., Any]]) -> None:
        self._hosts = hosts

    def __call__(self, pipe: Any, step: int, timestep: Any, kwargs: Dict[str, Any]) -> Any:
        # Not what it is given: a pipeline may give what it does not go on with.
        answer = {} if self._hosts is None else self._hosts(pipe, step, timestep, kwargs)
        running = _running()
        if running is not None:
            quietly(running.stepped)
        return answer


class _Counted(StandIn):
    """What a bar goes over: an item is done when the next one is asked for."""

    def __init__(self, items: Any, loop: _Loop) -> None:
        super().__init__(items)
        self._loop = loop

    def __iter__(self) -> Iterator[Any]:
        return self._counting(self._original)

    def __reversed__(self) -> Iterator[Any]:
        return self._counting(reversed(self._original))

    def _counting(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            yield item
            quietly(self._loop.bar_moved, 1)
        quietly(self._loop.end)


class Installed(Installation):
    """The hooks in diffusers. `remove`, or the end of a `with` block, takes them out."""

    def __init__(self, reporting: Reporting, warm_up: float) -> None:
        super().__init__()
        self._reporting = reporting
        self._warm_up = warm_up
        self._holds = False
        self._shapes: WeakKeyDictionary[Any, Set[Any]] = WeakKeyDictionary()
        self._base: Any = importlib.import_module("diffusers").DiffusionPipeline
        loaders: Any = importlib.import_module("diffusers.loaders")
        models: Any = importlib.import_module("diffusers.models.modeling_utils").ModelMixin
        for owner in (self._base, models):
            _loads.hook(self._hooks, owner, "from_pretrained", reporting)
        for owner in (loaders.FromSingleFileMixin, loaders.FromOriginalModelMixin):
            _loads.hook(self._hooks, owner, "from_single_file", reporting)
        _hooks.hold()
        self._holds = True
        self._hook_registering()
        classes = [self._base]
        while classes:
            cls = classes.pop()
            self._hook_class(cls)
            classes += cls.__subclasses__()

    def remove(self) -> None:
        super().remove()
        if self._holds:
            self._holds = False
            _hooks.let_go([])

    def _hook_registering(self) -> None:
        # Called when a pipeline is made: the class may be one that nobody had imported before.
        original, ours = vars(self._base)["register_modules"], self

        @functools.wraps(original)
        def register_modules(pipe: Any, *args: Any, **kwargs: Any) -> Any:
            quietly(ours._hook_class, type(pipe))
            return original(pipe, *args, **kwargs)

        self._hooks.put(self._base, "register_modules", register_modules)

    def _hook_class(self, pipeline: Any) -> None:
        for cls in pipeline.__mro__:
            self._hook_call(cls)
            for name in _LOADS:
                _loads.hook_method(self._hooks, cls, name, self._reporting)

    def _hook_call(self, cls: Any) -> None:
        original = vars(cls).get("__call__")
        if not (inspect.isfunction(original) and issubclass(cls, self._base)) or is_ours(original):
            return
        self._hooks.put(cls, "__call__", ours(reported(original, self._begin)))

    def _begin(
        self, pipe: Any, signature: inspect.Signature, args: Tuple[Any, ...], kwargs: Dict[str, Any]
    ) -> Optional[Tuple[_Running, Tuple[Any, ...], Dict[str, Any]]]:
        bound = signature.bind(pipe, *args, **kwargs)
        given = bound.arguments
        # Whatever these are, they are the pipeline's to judge.
        batch = quietly(_sizes.batch, given) or 0
        call = self._reporting.begin(named(getattr(pipe, "name_or_path", None), type(pipe).__name__), batch)
        if call is None:
            return None
        running: Optional[_Running] = None
        try:
            has_callback = "callback_on_step_end" in signature.parameters
            shapes = self._shapes.setdefault(pipe, set())
            running = _Running(call, pipe, has_callback, shapes, (quietly(_sizes.size, given), batch), self._warm_up)
            call.running = running
            hosts = given.get("callback_on_step_end")
            if has_callback and not isinstance(hosts, _StepEnd):
                callbacks: Any = sys.modules["diffusers.callbacks"]
                if isinstance(hosts, (callbacks.PipelineCallback, callbacks.MultiPipelineCallbacks)):
                    # The pipeline would ask it for them.
                    given["callback_on_step_end_tensor_inputs"] = hosts.tensor_inputs
                given["callback_on_step_end"] = _StepEnd(hosts)
            _hook_stages(running)
        except Exception:
            (call if running is None else running).end("cancelled")
            raise
        return running, bound.args[1:], bound.kwargs


def _hook_stages(running: _Running) -> None:
    """What the pipeline and its parts do is a section."""
    pipe, module = running.pipe, sys.modules["torch"].nn.Module
    for name, does in {**_OF_PIPELINES, "progress_bar": _bar}.items():
        quietly(_hook_stage, running, pipe, name, does)
    for part in (quietly(lambda: pipe.components) or {}).values():
        # What `torch.compile` makes of a module calls that one's methods.
        for it in (part, getattr(part, "_orig_mod", None)):
            if isinstance(it, module):
                running.parts.add(it)
                for name, does in _OF_PARTS.items():
                    quietly(_hook_stage, running, it, name, does)


def _hook_stage(running: _Running, owner: Any, name: str, does: Does) -> None:
    own = _hooks.hook(owner, name, does)
    if own is not None:
        running.own.append(own)


def _stage(name: str, phase: str) -> Does:
    def does(it: Any, original: Callable[..., Any], args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
        running = _running()
        mark = None if running is None else quietly(running.enter_stage, it, name, phase)
        try:
            return original(*args, **kwargs)
        finally:
            if running is not None and mark is not None:
                quietly(running.leave_stage, it, name, mark)

    return does


def _bar(pipe: Any, original: Callable[..., Any], args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
    running, key = _running(), (id(pipe), "progress_bar")
    if running is None or pipe is not running.pipe or key in running.inside:
        return original(*args, **kwargs)
    items = args[0] if args else kwargs.get("iterable")
    loop = quietly(running.begin_loop, _length(items, args[1:], kwargs))
    if loop is not None and items is not None:
        if args:
            args = (_Counted(items, loop), *args[1:])
        else:
            kwargs["iterable"] = _Counted(items, loop)
    running.inside.add(key)
    try:
        bar = original(*args, **kwargs)
    finally:
        running.inside.discard(key)
    if loop is not None:
        quietly(_follow, bar, loop, items is not None)
    return bar


_hooks = Stages()
_OF_PIPELINES = {name: _stage(name, phase) for name, phase in _STAGES.items()}
_OF_PARTS = {name: _stage(name, phase) for name, phase in _PART_STAGES.items()}


def _length(items: Any, rest: Tuple[Any, ...], kwargs: Dict[str, Any]) -> int:
    length = quietly(len, items) if items is not None else rest[0] if rest else kwargs.get("total")
    return length if isinstance(length, int) and length >= 0 else UNKNOWN


def _follow(bar: Any, loop: _Loop, is_iterated: bool) -> None:
    """Of one bar, not of its class."""
    setattr(bar, REPORTED, True)
    update, close = bar.update, bar.close

    @functools.wraps(update)
    def updated(n: float = 1) -> Any:
        shown = update(n)
        quietly(loop.bar_moved, n)
        return shown

    @functools.wraps(close)
    def closed() -> Any:
        quietly(loop.end)
        return close()

    if not is_iterated:
        bar.update = updated
    bar.close = closed


def install(
    worker: Optional[Worker] = None,
    *,
    encoding: float = 80,
    warm_up: float = 300,
    on_stop: Optional[Callable[[], object]] = None,
) -> Installed:
    """Reports the pipelines of this process to `worker`, else to the process's current one, from now on.

    `encoding` is the budget of that phase in seconds; the first in a segment that names one has set it. `warm_up` is how many
    seconds a section may be silent the first time that a pipeline meets a size, before its budget runs; 0 for none. `on_stop` is
    called once, between two steps, when the monitor asks the worker to stop; an `Exception` that it raises goes nowhere, so it sets a
    flag or an event. A second call replaces the first. Raises `ImportError` where there is no diffusers.
    """
    return Installed(Reporting(worker, "diffusers", {"encoding": encoding}, on_stop), warm_up)
