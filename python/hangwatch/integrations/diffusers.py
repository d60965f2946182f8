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
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple
from weakref import WeakKeyDictionary

from .. import UNKNOWN, Worker
from . import _loads
from ._calls import Call, Hooks, Installation, Outcome, Reporting, current, is_ours, named, ours, quietly, reported
from .tqdm import REPORTED

__all__ = ["Installed", "install"]

_STAGES = {
    "encode_prompt": "encoding",
    "_encode_prompt": "encoding",
    "encode_image": "encoding",
    "decode_latents": "post_processing",
    "run_safety_checker": "safety",
}
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
        self.hooks = Hooks()
        self._shapes = shapes
        self._shape = shape
        self._warm_up = warm_up

    def lease(self, phase: str) -> float:
        """For what a section does for the first time at this size."""
        key = (phase, self._shape)
        if key in self._shapes:
            return 0
        self._shapes.add(key)
        return self._warm_up

    def enter(self, phase: str) -> int:
        return self.call.enter(phase, None, self.lease(phase))

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
        self.hooks.take_out()
        for loop in tuple(self.loops):
            quietly(loop.end)
        self.call.end(outcome)


def _running() -> Optional[_Running]:
    call = current()
    running = getattr(call, "running", None)
    return running if isinstance(running, _Running) else None


class _StepEnd:
    """`callback_on_step_end`: the host's own, then ours. What it returns is what the host's returns, else what it is given."""

    def __init__(self, hosts: Optional[Callable[..., Any]]) -> None:
        self._hosts = hosts

    def __call__(self, pipe: Any, step: int, timestep: Any, kwargs: Dict[str, Any]) -> Any:
        answer = kwargs if self._hosts is None else self._hosts(pipe, step, timestep, kwargs)
        running = _running()
        if running is not None:
            quietly(running.stepped)
        return answer


class _Counted:
    """What a bar goes over: an item is done when the next one is asked for."""

    def __init__(self, items: Any, loop: _Loop) -> None:
        self._items = items
        self._loop = loop

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            yield item
            quietly(self._loop.bar_moved, 1)
        quietly(self._loop.end)


class Installed(Installation):
    """The hooks in diffusers. `remove`, or the end of a `with` block, takes them out."""

    def __init__(self, reporting: Reporting, warm_up: float) -> None:
        super().__init__()
        self._reporting = reporting
        self._warm_up = warm_up
        self._shapes: WeakKeyDictionary[Any, Set[Any]] = WeakKeyDictionary()
        self._base: Any = importlib.import_module("diffusers").DiffusionPipeline
        loaders: Any = importlib.import_module("diffusers.loaders")
        models: Any = importlib.import_module("diffusers.models.modeling_utils").ModelMixin
        for owner in (self._base, models):
            _loads.hook(self._hooks, owner, "from_pretrained", reporting)
        for owner in (loaders.FromSingleFileMixin, loaders.FromOriginalModelMixin):
            _loads.hook(self._hooks, owner, "from_single_file", reporting)
        self._hook_registering()
        classes = [self._base]
        while classes:
            cls = classes.pop()
            self._hook_class(cls)
            classes += cls.__subclasses__()

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
        batch, given = _batch(bound.arguments), bound.arguments
        call = self._reporting.begin(named(getattr(pipe, "name_or_path", None), type(pipe).__name__), batch)
        if call is None:
            return None
        has_callback = "callback_on_step_end" in signature.parameters
        shape = (given.get("height"), given.get("width"), given.get("num_frames"), batch)
        running = _Running(call, pipe, has_callback, self._shapes.setdefault(pipe, set()), shape, self._warm_up)
        call.running = running
        try:
            hosts = given.get("callback_on_step_end")
            if has_callback and not isinstance(hosts, _StepEnd):
                callbacks: Any = sys.modules["diffusers.callbacks"]
                if isinstance(hosts, (callbacks.PipelineCallback, callbacks.MultiPipelineCallbacks)):
                    # The pipeline would ask it for them.
                    given["callback_on_step_end_tensor_inputs"] = hosts.tensor_inputs
                given["callback_on_step_end"] = _StepEnd(hosts)
            _hook_stages(running)
        except Exception:
            running.end("cancelled")
            raise
        return running, bound.args[1:], bound.kwargs


def _batch(given: Dict[str, Any]) -> int:
    """How many the call makes at once."""
    prompt, embeds = given.get("prompt"), given.get("prompt_embeds")
    if isinstance(prompt, (list, tuple)):
        prompts = len(prompt)
    elif prompt is None and embeds is not None:
        prompts = int(embeds.shape[0])
    else:
        prompts = int(given.get("batch_size") or 1)
    return prompts * int(given.get("num_images_per_prompt") or given.get("num_videos_per_prompt") or 1)


def _hook_stages(running: _Running) -> None:
    """For the time of the call: what the pipeline and its parts do is a section. Copies and files of them know nothing of it."""
    pipe = running.pipe
    for name, phase in _STAGES.items():
        quietly(_hook_stage, running.hooks, pipe, name, phase)
    module: Any = sys.modules["torch"].nn.Module
    for part in (quietly(lambda: pipe.components) or {}).values():
        if isinstance(part, module):
            quietly(_hook_stage, running.hooks, part, "encode", "encoding")
            quietly(_hook_stage, running.hooks, part, "decode", "post_processing")
    quietly(_hook_bar, running.hooks, pipe)


def _hook_stage(hooks: Hooks, owner: Any, name: str, phase: str) -> None:
    original = getattr(owner, name, None)
    # Where it is hooked by another call in flight, that one's hook does for this one too.
    if not callable(original) or is_ours(original):
        return

    @functools.wraps(original)
    def stage(*args: Any, **kwargs: Any) -> Any:
        running = _running()
        mark = None if running is None else quietly(running.enter, phase)
        try:
            return original(*args, **kwargs)
        finally:
            if running is not None and mark is not None:
                quietly(running.call.leave, mark)

    hooks.put(owner, name, ours(stage))


def _hook_bar(hooks: Hooks, pipe: Any) -> None:
    original = pipe.progress_bar
    if is_ours(original):
        return

    @functools.wraps(original)
    def progress_bar(*args: Any, **kwargs: Any) -> Any:
        running = _running()
        items = args[0] if args else kwargs.get("iterable")
        loop = None if running is None else quietly(running.begin_loop, _length(items, args[1:], kwargs))
        if loop is not None and items is not None:
            if args:
                args = (_Counted(items, loop), *args[1:])
            else:
                kwargs["iterable"] = _Counted(items, loop)
        bar = original(*args, **kwargs)
        if loop is not None:
            quietly(_follow, bar, loop, items is not None)
        return bar

    hooks.put(pipe, "progress_bar", ours(progress_bar))


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
    called once, between two steps, when the monitor asks the worker to stop; what it raises goes nowhere, so it sets a flag or an
    event. A second call replaces the first. Raises `ImportError` where there is no diffusers.
    """
    return Installed(Reporting(worker, "diffusers", {"encoding": encoding}, on_stop), warm_up)
