"""`hangwatch.integrations.torch`, calls of a model, with the real torch."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any, List

import hangwatch
import pytest
from noted import Broken, Noted
from slots import Slot

torch: Any = pytest.importorskip("torch")
from hangwatch.integrations import torch as loops  # noqa: E402

INFERENCE, COMPILING = hangwatch.PHASES["inference"], hangwatch.PHASES["compiling"]
torch.set_num_threads(1)


def net() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))


def test_a_call_of_a_model_is_a_job_and_a_layer_a_step(calls: Noted) -> None:
    model = net().eval()
    with loops.inference(model, layers=model, model="tiny"):
        with torch.inference_mode():
            model(torch.ones(1, 4))
    model(torch.ones(1, 4))
    assert calls.calls == [("Sequential", "tiny", 3), 1, 2, 3, "ok"], "and nothing more once the hooks are out"


def test_a_call_within_a_job_is_beats_and_of_two_models_each_is_its_own_job(calls: Noted) -> None:
    inner, outer = net().eval(), torch.nn.Sequential(torch.nn.Linear(1, 4))
    with loops.inference(inner, layers=inner[:1], id="inner"), loops.inference(outer, id="outer"):
        outer(torch.ones(1, 1))
        inner(torch.ones(1, 4))
        calls.calls.append("--")
        outer.append(inner)
        outer(torch.ones(1, 1))
    assert calls.calls[:5] == [("outer", "", None), "ok", ("inner", "", 1), 1, "ok"]
    assert calls.calls[6:] == [("outer", "", None), "beat", "beat", "beat", "ok"], "begin, layer and end of the one within"


def test_a_module_that_calls_itself_is_one_job(calls: Noted) -> None:
    class Twice(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any, deep: int = 2) -> Any:
            return self(x, deep - 1) if deep else x

    module = Twice()
    with loops.inference(module):
        module(torch.ones(1))
        module(torch.ones(1))
    assert calls.calls == [("Twice", "", None), "ok"] * 2


def test_a_call_that_raises_is_a_failed_job_and_one_within_an_except_is_not(calls: Noted) -> None:
    model = net()
    with loops.inference(model, id="a"):
        with pytest.raises(RuntimeError):
            model(torch.ones(1, 5))
        try:
            raise ValueError
        except ValueError:
            model(torch.ones(1, 4))
    assert calls.calls == [("a", "", None), "failed", ("a", "", None), "ok"]


def test_a_call_that_ctrl_c_ends_is_over_at_the_next_one_or_at_the_hooks_end(calls: Noted) -> None:
    model = net()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    watched = loops.inference(model, id="a")
    for _ in range(2):
        with_it = model.register_forward_pre_hook(interrupt)
        with pytest.raises(KeyboardInterrupt):
            model(torch.ones(1, 4))
        with_it.remove()
        if _ == 0:
            model(torch.ones(1, 4))
    watched.remove()
    assert calls.calls == [("a", "", None), ("a", "", None), "ok", ("a", "", None), "cancelled"]


def test_outputs_are_the_same_and_copies_and_pickles_of_a_watched_model_are_not_watched(worker: hangwatch.Worker, segment: Path) -> None:
    model = net().eval()
    x = torch.ones(2, 4)
    without = model(x)
    with loops.inference(model, layers=model) as watched:
        assert torch.equal(model(x), without) and Slot(segment, 0).jobs == (1, 0, 0)
        saved = io.BytesIO()
        torch.save(model, saved)
        clone = copy.deepcopy(model)
        ema = torch.optim.swa_utils.AveragedModel(model)
        assert torch.equal(clone(x), without) and torch.equal(ema(x), without)
        assert Slot(segment, 0).jobs == (1, 0, 0), "a copy is not the model that is watched"
        assert not watched.should_stop()
    assert b"hangwatch" not in saved.getvalue(), "what is saved is loaded without hangwatch"
    saved.seek(0)
    assert torch.equal(torch.load(saved, weights_only=False)(x), without)
    hangwatch.set_current(Broken())  # type: ignore[arg-type]
    with loops.inference(model, layers=model):
        assert torch.equal(model(x), without), "whatever is wrong with a report"
    hangwatch.set_current(None)


def test_a_compile_is_a_phase_at_the_first_call_and_at_a_shape_that_is_met_later(worker: hangwatch.Worker, segment: Path) -> None:
    seen: List[int] = []

    def backend(graph: Any, _: Any) -> Any:
        seen.append(Slot(segment, 0).phase)
        return graph.forward

    model = net().eval()
    compiled = torch.compile(model, backend=backend, dynamic=False)
    expected = [model(torch.ones(n, 4)) for n in (2, 2, 3)]
    with loops.inference(compiled, layers=model), loops.training(total=1):
        for n, out in zip((2, 2, 3), expected):
            assert torch.equal(compiled(torch.ones(n, 4)), out)
            seen.append(Slot(segment, 0).phase)
    assert seen == [COMPILING, INFERENCE, INFERENCE, COMPILING, INFERENCE]
    assert Slot(segment, 0).depth == 0
