"""ComfyUI: a prompt is a job, its nodes are sections, their progress bars are counts.

    import hangwatch
    from hangwatch.integrations import comfyui

    hangwatch.attach()
    comfyui.install()                    # in a custom node, where ComfyUI's modules are loaded: examples/comfyui_node

- **A prompt** is a job by its id, with the first model that it names. It is ok, failed, or cancelled where it was interrupted. From the
  install on and between prompts the worker is idle.
- **A node** that runs is a section: `loading` where its class is a loader, and while it brings models to the device, else `inference`;
  `phases` says otherwise by class. The note tells which node it is.
- **A progress bar** is the section's count from its first value on. A second bar of the same node begins anew, and one that
  falls back is a further pass of it. A bar that another thread moves is a sign of life alone.
- **A stop** that the monitor asks for interrupts as the button does, at the next node or the next value of a bar, and `on_stop` is
  called once: a queue goes on with its next prompt, which is interrupted as well. With `watch` a helper thread looks twice a second,
  for nodes that look for interrupts without counting.

ComfyUI sets its own progress hook after the custom nodes are loaded, so that one of a node is dead. It throttles: less than 100 ms or
0.5 % after the last value nothing is sent. And where a prompt has no client, as those of scripts, nothing of it is sent at all.
So the hooks are in its classes: `PromptExecutor.execute`, `ProgressRegistry` (in versions that have it), `ProgressBar.update_absolute`, and
`send_sync` of whatever server an executor has. Nodes of prompts without a client are not known in versions without the registry.

What a prompt makes, sends and raises is what it would be without; nothing here raises.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from typing import Any, Callable, Dict, Literal, Mapping, Optional

from .. import UNKNOWN, Worker
from ._calls import Installation, ended_by, quietly
from ._sections import Loop

__all__ = ["Installed", "install"]

_MODEL_INPUTS = ("ckpt_name", "unet_name", "model_name", "model_path", "horde_model_name")
"""Where loaders have a model's name, the first of them that a prompt has."""

_PARTS = 1000
"""Counted for each unit of a bar that goes from 0.0 to 1.0."""

_LOOK_EVERY_S = 0.5


class _Prompt:
    """A prompt that is in progress."""

    def __init__(self, graph: Any, is_job: bool) -> None:
        self.graph = graph
        self.is_job = is_job
        self.thread = threading.get_ident()
        self.outcome: Literal["ok", "failed", "cancelled"] = "ok"
        self.node: Optional[str] = None
        self.phase = "inference"
        self.sections = 0
        self.is_loading = False
        # Which bar counts, and what it said last.
        self.bar: object = None
        self.last = 0.0
        self.is_in_bar = False


class Installed(Installation):
    """The hooks in ComfyUI's classes. `remove`, or the end of a `with` block, takes them out."""

    def __init__(
        self, worker: Optional[Worker], phases: Mapping[str, str], watch: bool, on_stop: Optional[Callable[[], object]]
    ) -> None:
        comfy: Any = importlib.import_module("comfy.utils")
        execution = sys.modules.get("execution")
        if not hasattr(execution, "PromptExecutor"):
            raise ImportError(
                "cannot hook into ComfyUI: its module 'execution' is not loaded\n"
                "  install in a custom node (examples/comfyui_node), or after 'import execution'"
            )
        self._gone = threading.Event()
        super().__init__()
        self._loop = Loop(worker, on_stop)
        self._phases = dict(phases)
        self._prompt: Optional[_Prompt] = None
        executor: Any = execution
        self._hook_executor(executor.PromptExecutor)
        self._hook(comfy.ProgressBar, "update_absolute", self._bar)
        registry = getattr(sys.modules.get("comfy_execution.progress"), "ProgressRegistry", None)
        self._has_registry = registry is not None
        for name, report in (
            ("start_progress", self._started),
            ("update_progress", self._updated),
            ("finish_progress", self._finished),
            ("set_activity", self._activity),
        ):
            if name in vars(registry or object):
                self._hook(registry, name, report)
        if not hasattr(registry, "set_activity"):
            self._hook_loads(importlib.import_module("comfy.model_management"))
        server = getattr(sys.modules.get("server"), "PromptServer", None)
        if server is not None:
            self._hook_server(server)
        if not quietly(lambda: self._loop.worker.in_job):
            self._loop.say("phase", "idle")
        if watch:
            threading.Thread(target=self._look, name="hangwatch-comfyui", daemon=True).start()

    @property
    def stopped(self) -> bool:
        """Whether the monitor asked it to stop, as far as was looked."""
        return self._loop.stopped

    def remove(self) -> None:
        """Takes the hooks out, where nobody has hooked in after them."""
        self._gone.set()
        super().remove()

    def _hook(self, owner: Any, name: str, report: Callable[..., object]) -> None:
        """The method tells us, and does what it did."""
        original = vars(owner)[name]

        @functools.wraps(original)
        def hooked(*args: Any, **kwargs: Any) -> Any:
            if self._gone.is_set():
                return original(*args, **kwargs)
            quietly(lambda: report(*args, **kwargs))
            prompt = self._here()
            if report != self._bar or prompt is None:
                return original(*args, **kwargs)
            # What ComfyUI tells of a bar is what the bar said, thinned out.
            was, prompt.is_in_bar = prompt.is_in_bar, True
            try:
                return original(*args, **kwargs)
            finally:
                prompt.is_in_bar = was

        self._hooks.put(owner, name, hooked)

    def _hook_server(self, cls: Any) -> None:
        owner = next((base for base in cls.__mro__ if "send_sync" in vars(base)), None)
        if owner is not None and not hasattr(vars(owner)["send_sync"], "_hangwatch"):
            self._hook(owner, "send_sync", self._sent)
            vars(owner)["send_sync"]._hangwatch = True

    def _hook_executor(self, cls: Any) -> None:
        if "execute_async" in vars(cls):
            # `execute` runs it to its end, and so do others.
            awaited = vars(cls)["execute_async"]

            @functools.wraps(awaited)
            async def execute_async(executor: Any, *args: Any, **kwargs: Any) -> Any:
                prompt = quietly(self._begin, executor, args, kwargs)
                try:
                    made = await awaited(executor, *args, **kwargs)
                except BaseException as error:
                    quietly(self._end, prompt, executor, error)
                    raise
                quietly(self._end, prompt, executor, None)
                return made

            self._hooks.put(cls, "execute_async", execute_async)
            return
        called = vars(cls)["execute"]

        @functools.wraps(called)
        def execute(executor: Any, *args: Any, **kwargs: Any) -> Any:
            prompt = quietly(self._begin, executor, args, kwargs)
            try:
                made = called(executor, *args, **kwargs)
            except BaseException as error:
                quietly(self._end, prompt, executor, error)
                raise
            quietly(self._end, prompt, executor, None)
            return made

        self._hooks.put(cls, "execute", execute)

    def _hook_loads(self, management: Any) -> None:
        """What newer versions tell of by themselves: models on their way to the device, in the middle of a node."""
        original = getattr(management, "load_models_gpu", None)
        if original is None:
            return

        @functools.wraps(original)
        def load_models_gpu(*args: Any, **kwargs: Any) -> Any:
            prompt = self._here()
            if prompt is None or prompt.is_loading:
                return original(*args, **kwargs)
            quietly(self._loads, prompt, True)
            try:
                return original(*args, **kwargs)
            finally:
                quietly(self._loads, prompt, False)

        self._hooks.put(management, "load_models_gpu", load_models_gpu)

    def _begin(self, executor: Any, args: Any, kwargs: Any) -> Optional[_Prompt]:
        if self._prompt is not None or self._gone.is_set():
            # One in another thread: a worker tells of one at a time.
            return None
        graph = args[0] if args else kwargs.get("prompt")
        identity = args[1] if len(args) > 1 else kwargs.get("prompt_id")
        quietly(self._hook_server, type(executor.server))
        self._loop.move_here()
        worker = self._loop.worker
        prompt = _Prompt(graph, not worker.in_job)
        if prompt.is_job:
            worker.begin_job(identity, quietly(_model, graph) or "")
        self._prompt = prompt
        self._ask()
        return prompt

    def _end(self, prompt: Optional[_Prompt], executor: Any, error: Optional[BaseException]) -> None:
        if prompt is None:
            return
        self._prompt = None
        self._leave(prompt)
        if error is not None:
            prompt.outcome = ended_by(error)
        elif prompt.outcome == "ok":
            # Newer ones keep what they sent, or would have.
            told = [message[0] for message in getattr(executor, "status_messages", [])]
            if "execution_interrupted" in told:
                prompt.outcome = "cancelled"
            elif "execution_error" in told or not getattr(executor, "success", True):
                prompt.outcome = "failed"
        if prompt.is_job:
            self._loop.worker.end_job(prompt.outcome)
        self._loop.ask()

    def _here(self) -> Optional[_Prompt]:
        """The prompt that this thread is in."""
        prompt = self._prompt
        return prompt if prompt is not None and prompt.thread == threading.get_ident() else None

    def _started(self, registry: Any, node: str, *_: Any, **__: Any) -> None:
        prompt = self._here()
        if prompt is None:
            return
        self._leave(prompt)
        name = str(quietly(lambda: registry.dynprompt.get_node(node)["class_type"]) or quietly(lambda: prompt.graph[node]["class_type"]))
        prompt.node, prompt.bar = node, None
        prompt.phase = self._phases.get(name) or ("loading" if "loader" in name.lower() else "inference")
        self._loop.say("note", f"node {node}: {name}")
        self._enter(prompt, prompt.phase)
        self._ask()

    def _finished(self, _: Any, node: str, *__: Any, **___: Any) -> None:
        prompt = self._here()
        # One that was in the cache finishes without having begun; one that waits for a task does while another runs.
        if prompt is not None and prompt.node == node:
            self._leave(prompt)
            prompt.node = None

    def _activity(self, _: Any, node: str, activity: Optional[str], *__: Any, **___: Any) -> None:
        prompt = self._here()
        if prompt is not None and prompt.node == node:
            self._loads(prompt, activity == "loading")

    def _loads(self, prompt: _Prompt, begins: bool) -> None:
        """A load within a node is a section within the node's, which goes on with its count."""
        if begins and not prompt.is_loading and prompt.phase != "loading":
            self._enter(prompt, "loading")
            prompt.is_loading = True
        elif not begins and prompt.is_loading:
            self._leave(prompt, prompt.sections - 1)

    def _updated(self, _: Any, node: str, value: float, max_value: float, *__: Any, **___: Any) -> None:
        self._count(("node", node), value, max_value)

    def _bar(self, bar: Any, value: float, total: Optional[float] = None, *_: Any, **__: Any) -> None:
        self._count(bar, value, bar.total if total is None else total)

    def _sent(self, _: Any, event: Any, data: Any, *__: Any, **___: Any) -> None:
        prompt = self._here()
        if prompt is None or not isinstance(event, str):
            return
        if event == "executing" and not self._has_registry and data.get("node") is not None:
            self._started(None, data["node"])
        elif event == "progress":
            self._count(("node", data.get("node")), data["value"], data["max"])
        elif event == "execution_interrupted":
            prompt.outcome = "cancelled"
        elif event == "execution_error":
            prompt.outcome = "failed"

    def _count(self, bar: object, value: float, total: float) -> None:
        prompt = self._here()
        if prompt is None:
            if self._prompt is not None:
                self._loop.say("alive")
            return
        if prompt.is_in_bar:
            return
        parts = _PARTS if total == 1.0 and isinstance(total, float) else 1
        if prompt.bar != bar:
            prompt.bar = bar
            self._leave(prompt)
            self._enter(prompt, prompt.phase, max(1, int(total * parts)) if total > 0 else UNKNOWN)
        elif value < prompt.last:
            # Only so often: one that falls back for ever gets nowhere.
            self._loop.say("begin_pass")
        prompt.last = value
        self._loop.say("step", int(value * parts))
        self._ask()

    def _enter(self, prompt: _Prompt, phase: str, total: Optional[int] = None) -> None:
        prompt.sections += self._loop.enter(phase, total)

    def _leave(self, prompt: _Prompt, left: int = 0) -> None:
        prompt.is_loading = False
        while prompt.sections > left:
            prompt.sections -= 1
            self._loop.leave()

    def _ask(self) -> None:
        # Again at each: a prompt that begins takes the interrupt of the one before back.
        if self._loop.ask():
            _interrupt()

    def _look(self) -> None:
        while not self._gone.wait(_LOOK_EVERY_S):
            if self._prompt is not None and quietly(lambda: self._loop.worker.should_stop()):
                _interrupt()


def _interrupt() -> None:
    quietly(lambda: importlib.import_module("comfy.model_management").interrupt_current_processing(True))


def _model(graph: Dict[str, Any]) -> str:
    for wanted in _MODEL_INPUTS:
        for node in graph.values():
            name = node.get("inputs", {}).get(wanted)
            if isinstance(name, str):
                return name
    return ""


def install(
    worker: Optional[Worker] = None,
    *,
    phases: Optional[Mapping[str, str]] = None,
    watch: bool = False,
    on_stop: Optional[Callable[[], object]] = None,
) -> Installed:
    """Reports prompts to `worker`, else to the process's current one, from now on: see the module's text.

    `phases` names phases by the class of a node. `on_stop` is called once, when the monitor asks the worker to stop; an `Exception` that
    it raises goes nowhere, so it sets a flag. A second call replaces the first. Raises `ImportError` where there is no
    ComfyUI, or its executor is not loaded yet.
    """
    return Installed(worker, phases or {}, watch, on_stop)
