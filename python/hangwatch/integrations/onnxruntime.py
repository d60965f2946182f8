"""onnxruntime: loading a session is a phase, and each of its runs a job, a beat or a section.

    import hangwatch
    from hangwatch.integrations import onnxruntime as runs

    hangwatch.attach()
    runs.install()                                   # or: with runs.install(): …
    session = onnxruntime.InferenceSession("model.onnx")
    session.run(None, {"x": x})

onnxruntime calls nothing back within a run, so a run is one unit: it begins and it ends. A loop of runs that has an end in sight is
a job of yours, `with worker.job(…, total=…) as job`, with a `job.step()` after each; then a run is a beat of it at its begin and
at its end.

- **Creating a session** is the phase `loading`. Its graph is optimised there, which may take minutes.
- **A run outside of a job** is a job by the name of the model's file, judged by the heartbeat's budget. `budget` gives runs a phase of
  their own instead, `run`, with so many seconds. `lease` are seconds of silence that are granted to each.
- **A session's first run** is the phase `compiling` where one of its providers builds engines then (TensorRT, MIGraphX, OpenVINO and
  others), or where `warm_up` says so.
- **Threads**: the thread that installed reports to the worker. A run in another one is a job on a lane of that thread, for at most
  `lanes` threads at once; further ones are not reported.
- **A stop** is looked for after each run: `on_stop` is called once. With `terminate` a helper thread looks ten times a second and ends
  the runs that are in progress, by `RunOptions.terminate`: then they raise what onnxruntime raises for that. Without it there is
  no thread.
- `run`, `run_with_iobinding` and `run_with_ort_values` are reported, `run_async` is not: it comes back at once.

What a run returns or raises is what it would be without; nothing here raises but that.
"""

from __future__ import annotations

import importlib
import os
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple
from weakref import WeakKeyDictionary, WeakSet

from .. import Error, Worker
from ._calls import Installation, quietly
from ._sections import Asked, Loop

__all__ = ["Installed", "install"]

_POSITION = {"run": 2, "run_with_iobinding": 1, "run_with_ort_values": 2}
"""Where each of them takes its options."""

_COMPILERS = {"Tensorrt", "NvTensorRTRTX", "MIGraphX", "OpenVINO", "QNN", "CoreML", "VitisAI", "TVM"}

_LOOK_EVERY_S = 0.1


class _Thread(threading.local):
    loop: Optional[Loop] = None


class _Run:
    """A run that is in progress."""

    def __init__(self, loop: Loop, is_job: bool, sections: int) -> None:
        self.loop = loop
        self.is_job = is_job
        self.sections = sections
        self.options: Any = None
        self.was_terminated = False


class Installed(Asked, Installation):
    """The hooks in onnxruntime's class of sessions. `remove`, or the end of a `with` block, takes them out."""

    def __init__(
        self,
        worker: Optional[Worker],
        *,
        budget: Optional[float],
        lease: Optional[float],
        warm_up: Optional[bool],
        lanes: int,
        terminate: bool,
        on_stop: Optional[Callable[[], object]],
    ) -> None:
        module: Any = importlib.import_module("onnxruntime")
        self._gone = threading.Event()
        super().__init__()
        self._module = module
        self._on_stop = on_stop
        self._budgets = {} if budget is None else {"run": budget}
        self._loop = Loop(worker, on_stop, self._budgets)
        self._lease = lease
        self._warm_up = warm_up
        self._most = lanes
        self._here = _Thread()
        self._lanes: WeakSet[Worker] = WeakSet()
        self._names: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._warm: WeakSet[Any] = WeakSet()
        self._running: List[_Run] = []
        for name in ("__init__", *_POSITION):
            owner = next((cls for cls in module.InferenceSession.__mro__ if name in vars(cls)), None)
            if owner is None:
                # Not in this version.
                continue
            original = vars(owner)[name]
            hook = self._created(original) if name == "__init__" else self._ran(original, _POSITION[name])
            hook.__name__, hook.__doc__, hook.__wrapped__ = original.__name__, original.__doc__, original
            self._hooks.put(owner, name, hook)
        self._is_terminating = terminate
        if terminate:
            threading.Thread(target=self._look, name="hangwatch-onnxruntime", daemon=True).start()

    def remove(self) -> None:
        """Takes the hooks out, where nobody has hooked in after them."""
        self._gone.set()
        super().remove()

    def _created(self, original: Any) -> Any:
        def __init__(session: Any, *args: Any, **kwargs: Any) -> None:
            loop = quietly(self._loop_here)
            if loop is not None and loop.enter("loading"):
                try:
                    original(session, *args, **kwargs)
                finally:
                    loop.leave()
            else:
                original(session, *args, **kwargs)
            quietly(self._named, session, args[0] if args else kwargs.get("path_or_bytes"))

        return __init__

    def _ran(self, original: Any, position: int) -> Any:
        def run(session: Any, *args: Any, **kwargs: Any) -> Any:
            run = None if self._gone.is_set() else quietly(self._begin, session)
            if run is None:
                return original(session, *args, **kwargs)
            if self._is_terminating:
                args, kwargs = quietly(self._with_options, run, position, args, kwargs) or (args, kwargs)
            try:
                made = original(session, *args, **kwargs)
            except BaseException as error:
                quietly(self._end, run, error)
                raise
            quietly(self._end, run, None)
            return made

        return run

    def _named(self, session: Any, source: Any) -> None:
        if isinstance(source, (str, os.PathLike)):
            self._names[session] = os.path.basename(os.fspath(source))

    def _name(self, session: Any) -> str:
        if session not in self._names:
            # One that was there before the hooks; onnxruntime keeps the path for itself.
            self._named(session, getattr(session, "_model_path", None))
        return self._names.get(session, "onnxruntime")

    def _loop_here(self) -> Optional[Loop]:
        """What this thread reports to: its own lane, where it is not the one that installed."""
        if self._loop.is_here:
            return self._loop
        if self._here.loop is None and len(self._lanes) < self._most:
            try:
                lane = self._loop.worker.lane("onnxruntime")
            except Error:
                return None
            # Its thread holds it: it is given back when that ends.
            self._here.loop = Loop(lane, None, self._budgets)
            self._lanes.add(lane)
        return self._here.loop

    def _begin(self, session: Any) -> Optional[_Run]:
        loop = self._loop_here()
        if loop is None:
            return None
        worker = loop.worker
        run = _Run(loop, not worker.in_job, 0)
        if run.is_job:
            name = self._name(session)
            worker.begin_job(name, name)
        else:
            worker.beat()
        if self._is_cold(session):
            run.sections += loop.enter("compiling")
        elif self._budgets:
            run.sections += loop.enter("run")
        if self._lease is not None:
            worker.extend(self._lease)
        return run

    def _is_cold(self, session: Any) -> bool:
        if session in self._warm:
            return False
        self._warm.add(session)
        if self._warm_up is not None:
            return self._warm_up
        return any(name.replace("ExecutionProvider", "") in _COMPILERS for name in session.get_providers())

    def _end(self, run: _Run, error: Optional[BaseException]) -> None:
        if run in self._running:
            self._running.remove(run)
        if run.was_terminated:
            # The caller's options are as they were.
            run.options.terminate = False
        worker = run.loop.worker
        for _ in range(run.sections):
            worker.leave()
        if self._lease is not None:
            worker.extend(0)
        if not run.is_job:
            worker.beat()
        elif error is None:
            worker.end_job("ok")
        else:
            worker.end_job("failed" if isinstance(error, Exception) and not run.was_terminated else "cancelled")
        self._loop.ask()

    def _with_options(
        self, run: _Run, position: int, args: Tuple[Any, ...], kwargs: Dict[str, Any]
    ) -> Tuple[Tuple[Any, ...], Dict[str, Any]]:
        """The call's arguments with options by which it can be ended."""
        given = args[position] if len(args) > position else kwargs.get("run_options")
        run.options = self._module.RunOptions() if given is None else given
        self._running.append(run)
        if given is not None:
            return args, kwargs
        if len(args) > position:
            return (*args[:position], run.options, *args[position + 1 :]), kwargs
        return args, {**kwargs, "run_options": run.options}

    def _look(self) -> None:
        while not self._gone.wait(_LOOK_EVERY_S):
            for run in list(self._running):
                if not run.was_terminated and quietly(lambda run=run: run.loop.worker.should_stop()):
                    run.was_terminated = True
                    run.options.terminate = True


def install(
    worker: Optional[Worker] = None,
    *,
    budget: Optional[float] = None,
    lease: Optional[float] = None,
    warm_up: Optional[bool] = None,
    lanes: int = 16,
    terminate: bool = False,
    on_stop: Optional[Callable[[], object]] = None,
) -> Installed:
    """Reports sessions and runs to `worker`, else to the process's current one, from now on: see the module's text.

    `budget` and `lease` are seconds. `warm_up` says whether a session's first run compiles, where its providers do not tell. `on_stop`
    is called once, after a run of the installing thread, when the monitor asks the worker to stop; an `Exception` that it raises goes
    nowhere, so it sets a flag. A second call replaces the first. Raises `ImportError` where there is no onnxruntime.
    """
    return Installed(worker, budget=budget, lease=lease, warm_up=warm_up, lanes=lanes, terminate=terminate, on_stop=on_stop)
