"""The real libraries' hooks, installed by threads that come and go in any order, and below somebody else's."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any, Callable, List

import pytest

import hangwatch
from hangwatch.integrations import diffusers, tqdm as bars, transformers
from quiet_bars import quiet
from slots import Slot

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
import tiny


def methods() -> List[Any]:
    import diffusers as library
    from transformers import GenerationMixin, PreTrainedModel

    pipe, model, bar = library.StableDiffusionPipeline, PreTrainedModel, pytest.importorskip("tqdm").tqdm
    loads = [vars(model)["from_pretrained"], vars(library.DiffusionPipeline)["from_pretrained"]]
    hooked = [pipe.__call__, pipe.to, pipe.load_lora_weights, model.to, model.cuda, GenerationMixin.generate]
    return [*loads, *hooked, bar.__iter__, bar.update, bar.close, bar.reset]


def in_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def test_installed_by_two_threads_and_removed_in_the_order_they_came_nothing_stays(worker: hangwatch.Worker) -> None:
    tiny.stable_diffusion()
    before = methods()
    for _ in range(2):
        first: List[Any] = []
        second: List[Any] = []
        in_thread(lambda: first.extend([diffusers.install(), transformers.install(), bars.install()]))
        in_thread(lambda: second.extend([diffusers.install(), transformers.install(), bars.install()]))
        tiny.stable_diffusion()
        assert all(now is not was for now, was in zip(methods(), before))
        for installed in (*first, *second):
            in_thread(installed.remove)
    assert methods() == before


def test_models_that_are_moved_in_two_threads_at_once_leave_tqdm_as_it_was(worker: hangwatch.Worker) -> None:
    before = methods()
    models = [tiny.llama(), tiny.llama()]
    begin = threading.Barrier(2)

    def moves(model: Any) -> None:
        begin.wait()
        for _ in range(200):
            model.to("cpu")

    with transformers.install():
        threads = [threading.Thread(target=moves, args=(model,)) for model in models]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert methods() == before
    assert list(quiet(range(3))) == [0, 1, 2]


def test_a_wrapper_that_somebody_put_over_generate_goes_on_and_ours_reports_while_it_is_installed_only(
    worker: hangwatch.Worker, segment: Path
) -> None:
    from transformers import GenerationMixin

    original = vars(GenerationMixin)["generate"]
    model, ids = tiny.llama(), torch.tensor([[3, 4]])

    def jobs_of_a_call() -> int:
        before = sum(Slot(segment, 0).jobs)
        model.generate(ids, max_new_tokens=2)
        return sum(Slot(segment, 0).jobs) - before

    installed = transformers.install()
    ours: Any = vars(GenerationMixin)["generate"]

    @functools.wraps(ours)
    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    try:
        GenerationMixin.generate = theirs
        assert jobs_of_a_call() == 1
        installed.remove()
        for _ in range(2):
            assert (GenerationMixin.generate, jobs_of_a_call()) == (theirs, 0)
            with transformers.install():
                assert jobs_of_a_call() == 1
        GenerationMixin.generate = ours
        transformers.install().remove()
        assert vars(GenerationMixin)["generate"] is original
    finally:
        GenerationMixin.generate = original
