"""Every `generate` of this process: loads are phases, a call is a job, tokens are its progress.

    import hangwatch
    from hangwatch.integrations import transformers as watching

    hangwatch.attach()
    watching.install()                   # or: with watching.install(): …

    model = AutoModelForCausalLM.from_pretrained(…)
    model.generate(**inputs, max_new_tokens=200)        # or pipeline("text-generation", model=model)

    ==================  ===================================================================================================
    `downloading`       what that fetches, in bytes
    `loading`           `from_pretrained` of models: weights as its count; `to` and `cuda` of a model, LoRA weights
    `prefill`           from the call to its first token, an encoder included: no sign of life comes from inside
    `inference`         decoding: a step a token, of as many as may be made; an end of sequence comes before that
    ==================  ===================================================================================================

- A call is the job `call-N` with the model's name; in a `worker.job(…)` of yours it is a part of that one. Rows of a batch, beams
  and what is drafted by an assistant advance together: the count is of the longest.
- The first call of a model has `warm_up` seconds for its prefill, and again for its second token, before a budget runs: it
  compiles, and tunes.
- Tokens come by a `StoppingCriteria`, after yours, in every mode: greedy, sampled, beams, assisted. A criterion sees what a
  streamer would, and batches and beams as well.
- Where the monitor asks to stop, the criterion says so: `generate` returns what it has. `on_stop` is called once, before that; it
  tells your loop.
- Calls in several threads at once: the first has the worker, another a lane of its own.
- Not reported: continuous batching (`generate_batch`, a paged cache), which takes no criteria; `custom_generate`, whose loop is not
  known; a model's own `generate` that never calls the library's.
- What `generate` returns and raises is what it would be without; nothing here raises.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import Any, Callable, Dict, Optional, Tuple
from weakref import WeakSet

from .. import UNKNOWN, Worker
from . import _loads
from ._calls import Call, Installation, Reporting, current, named, quietly, reported

__all__ = ["Installed", "install"]


class _Generating:
    """A call of `generate`."""

    def __init__(self, call: Call, model: Any, given: Dict[str, Any], lease: float) -> None:
        self.call = call
        self._model = model
        self._given = given
        self._lease = lease
        self._before: Optional[int] = _prompt(model, given)
        self._prefill: Optional[int] = call.enter("prefill", None, lease)

    def seen(self, length: int) -> bool:
        """So many tokens are there, a prompt's included. Whether to stop."""
        if self._before is None:
            self._before = length - 1
        if self._prefill is not None:
            mark, self._prefill = self._prefill, None
            self.call.leave(mark)
            self.call.enter("inference", _most(self._model, self._given, self._before))
        worker = self.call.worker
        worker.step(max(0, length - self._before))
        lease, self._lease = self._lease, 0
        if lease > 0:
            # A compiled model compiles anew for a single token.
            worker.extend(lease)
        if self.call.asks_to_stop():
            self.call.is_stopped = True
        return self.call.is_stopped


class _Criterion:
    """The stopping criterion that counts: a bool tensor, one for each row."""

    def __init__(self, generating: _Generating) -> None:
        self._generating = generating

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        stop = quietly(self._generating.seen, input_ids.shape[-1]) is True
        torch: Any = sys.modules["torch"]
        return torch.full((input_ids.shape[0],), stop, dtype=torch.bool, device=input_ids.device)


def _ids(given: Dict[str, Any]) -> Any:
    """The prompt's tokens, where they are what is given."""
    ids = given.get("inputs", given.get("input_ids"))
    return ids if ids is not None and ids.dim() == 2 and not ids.is_floating_point() else None


def _prompt(model: Any, given: Dict[str, Any]) -> Optional[int]:
    """How many tokens are there before the first; `None` where the first one tells."""
    ids = _ids(given)
    if ids is None or model.config.is_encoder_decoder or given.get("inputs_embeds") is not None:
        return None
    return int(ids.shape[1])


def _said(model: Any, given: Dict[str, Any], name: str) -> Any:
    """What a call says of its generation, else its configuration, else the model's."""
    for said in (given.get(name), getattr(given.get("generation_config"), name, None), getattr(model.generation_config, name, None)):
        if said is not None:
            return said
    return None


def _most(model: Any, given: Dict[str, Any], before: int) -> int:
    """How many tokens may be made."""
    new, length = _said(model, given, "max_new_tokens"), _said(model, given, "max_length")
    if new is not None:
        return int(new)
    return UNKNOWN if length is None else max(0, int(length) - before)


class Installed(Installation):
    """The hooks in transformers. `remove`, or the end of a `with` block, takes them out."""

    def __init__(self, reporting: Reporting, warm_up: float) -> None:
        super().__init__()
        self._reporting = reporting
        self._warm_up = warm_up
        self._warm: WeakSet[Any] = WeakSet()
        mixin: Any = importlib.import_module("transformers.generation").GenerationMixin
        self._hooks.put(mixin, "generate", reported(vars(mixin)["generate"], self._begin))
        model: Any = importlib.import_module("transformers").PreTrainedModel
        _loads.hook(self._hooks, model, "from_pretrained", reporting)
        # Not torch's own classes among its bases: modules of others are none of this one's.
        for cls in (cls for cls in model.__mro__ if cls.__module__.startswith("transformers.")):
            for name in ("to", "cuda", "load_adapter"):
                _loads.hook_method(self._hooks, cls, name, reporting)

    def _begin(
        self, model: Any, signature: inspect.Signature, args: Tuple[Any, ...], kwargs: Dict[str, Any]
    ) -> Optional[Tuple[Call, Tuple[Any, ...], Dict[str, Any]]]:
        around = current()
        if around is not None and isinstance(around.running, _Generating):
            # An assistant's draft is a part of the call that it drafts for.
            return None
        bound = signature.bind(model, *args, **kwargs)
        given = {**bound.arguments, **bound.arguments.get("kwargs", {})}
        if given.get("custom_generate") is not None or _said(model, given, "cache_implementation") == "paged":
            return None
        ids = _ids(given)
        call = self._reporting.begin(named(model.name_or_path, type(model).__name__), 0 if ids is None else int(ids.shape[0]))
        if call is None:
            return None
        try:
            lease = 0 if model in self._warm else self._warm_up
            self._warm.add(model)
            generating = _Generating(call, model, given, lease)
            call.running = generating
            criteria: Any = importlib.import_module("transformers").StoppingCriteriaList
            bound.arguments["stopping_criteria"] = criteria([*(given.get("stopping_criteria") or ()), _Criterion(generating)])
        except Exception:
            call.end("cancelled")
            raise
        return call, bound.args[1:], bound.kwargs


def install(
    worker: Optional[Worker] = None,
    *,
    prefill: float = 300,
    warm_up: float = 300,
    on_stop: Optional[Callable[[], object]] = None,
) -> Installed:
    """Reports each `generate` of this process to `worker`, else to the process's current one, from now on.

    `prefill` is the budget of that phase in seconds; the first in a segment that names one has set it. `warm_up` is how many
    seconds a model's first call may be silent before its first token, and before its second one, besides their budgets; 0 for
    none. `on_stop` is called once, between two tokens, when the monitor asks the worker to stop; an `Exception` that it raises goes
    nowhere, so it sets a flag or an event. A second call replaces the first. Raises `ImportError` where there is no transformers.
    """
    return Installed(Reporting(worker, "transformers", {"prefill": prefill}, on_stop), warm_up)
