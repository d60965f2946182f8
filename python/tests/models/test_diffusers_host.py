"""`hangwatch.integrations.diffusers` and its host: callbacks, errors, stops, threads, and a report that fails."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Dict, List, Tuple, cast

import pytest

import hangwatch
from hangwatch import PHASES
from hangwatch.integrations import diffusers as watching
from slots import FREE, LIVE, Slot, asks_to_stop

torch = pytest.importorskip("torch")
import tiny

made = functools.partial(tiny.made, steps=4)


@pytest.fixture
def installed(worker: hangwatch.Worker) -> Iterator[watching.Installed]:
    with watching.install() as hooks:
        yield hooks


class Callback:
    """A callback of the host's own, which changes what it is given."""

    def __init__(self) -> None:
        self.calls: List[Tuple[int, List[str]]] = []

    def __call__(self, pipe: Any, step: int, timestep: Any, kwargs: Dict[str, Any]) -> Any:
        self.calls.append((step, sorted(kwargs)))
        return {"latents": kwargs["latents"] * 0.5}


def test_a_callback_of_the_hosts_own_is_called_and_answered_as_without(worker: hangwatch.Worker, segment: Path) -> None:
    pipe, without, hooked = tiny.stable_diffusion(), Callback(), Callback()
    tensors = ["latents", "prompt_embeds"]
    alone = made(pipe, callback_on_step_end=without, callback_on_step_end_tensor_inputs=tensors)
    with watching.install():
        beside = made(pipe, callback_on_step_end=hooked, callback_on_step_end_tensor_inputs=tensors)
    assert without.calls == hooked.calls == [(step, tensors) for step in range(4)]
    assert (alone == beside).all() and not (alone == made(pipe)).all(), "what it answers is what the pipeline goes on with"
    assert Slot(segment, 0).jobs == (1, 0, 0)


def test_a_callback_of_diffusers_own_kind_gets_the_tensors_that_it_asks_for(worker: hangwatch.Worker) -> None:
    from diffusers.callbacks import MultiPipelineCallbacks, SDCFGCutoffCallback

    pipe = tiny.stable_diffusion()
    cutoff = SDCFGCutoffCallback(cutoff_step_ratio=None, cutoff_step_index=1)
    for callback in (cutoff, MultiPipelineCallbacks([cutoff])):
        alone = made(pipe, callback_on_step_end=callback)
        with watching.install():
            beside = made(pipe, callback_on_step_end=callback)
        assert (alone == beside).all() and not (alone == made(pipe)).all(), "guidance ends after the second step, as it asks for"


def test_a_pipeline_that_gives_a_callback_what_it_does_not_go_on_with_makes_the_same(worker: hangwatch.Worker, segment: Path) -> None:
    pipe = tiny.ltx_long()

    def frames() -> Any:
        sizes = {"height": 32, "width": 32, "num_frames": 16, "temporal_tile_size": 16, "temporal_overlap": 8, "max_sequence_length": 16}
        return pipe("a b", num_inference_steps=3, seed=0, output_type="latent", generator=torch.Generator().manual_seed(0), **sizes).frames

    without = frames()
    with watching.install():
        assert torch.equal(frames(), without), "no callback is one that changes nothing"
    assert Slot(segment, 0).jobs == (1, 0, 0)


def test_a_callback_that_answers_with_nothing_fails_as_it_does_without(installed: watching.Installed, segment: Path) -> None:
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'pop'"):
        made(tiny.stable_diffusion(), callback_on_step_end=lambda *_: None)
    slot = Slot(segment, 0)
    assert (slot.phase, slot.depth, slot.jobs) == (PHASES["idle"], 0, (0, 1, 0)), "the job has failed, and nothing of it is open"


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
def test_ctrl_c_calls_the_job_off_wherever_it_comes(part: str, installed: watching.Installed, segment: Path) -> None:
    pipe = tiny.stable_diffusion()

    def interrupts(*_: Any) -> None:
        raise KeyboardInterrupt

    module = getattr(pipe, part)
    hook = getattr(module, "decoder", module).register_forward_pre_hook(interrupts)
    with pytest.raises(KeyboardInterrupt):
        made(pipe)
    slot = Slot(segment, 0)
    assert (slot.phase, slot.depth, slot.jobs) == (PHASES["idle"], 0, (0, 0, 1))
    hook.remove()
    made(pipe)
    assert Slot(segment, 0).jobs == (1, 0, 1), "the next call is as ever"


def test_what_a_pipeline_refuses_it_refuses_as_without(installed: watching.Installed) -> None:
    pipe = tiny.stable_diffusion()
    with pytest.raises(TypeError, match="unexpected keyword argument 'num_inference_step'"):
        tiny.ddpm()(num_inference_step=1)
    with pytest.raises(ValueError, match="divisible by 8"):
        pipe("a", height=9, width=9)


def test_a_stop_that_the_monitor_asks_for_interrupts_the_pipeline_which_returns_an_image(
    worker: hangwatch.Worker, segment: Path
) -> None:
    told: List[int] = []
    pipe = tiny.stable_diffusion()
    steps: List[int] = []

    def third(*_: Any) -> None:
        steps.append(1)
        if len(steps) == 3:
            asks_to_stop(segment, worker)

    def on_stop() -> None:
        told.append(len(steps))
        raise RuntimeError

    pipe.unet.register_forward_pre_hook(third)
    with watching.install(on_stop=on_stop):
        images = made(pipe)
        assert images.shape == (1, tiny.SIZE, tiny.SIZE, 3) and images.std() > 0, "what was there is decoded"
        assert (len(steps), told, Slot(segment, 0).jobs) == (3, [3], (0, 0, 1)), "no step more, and the job is called off"
        assert worker.should_stop(), "the host's loop sees it too"
        made(pipe)
        assert (len(steps), told) == (4, [3]), "the host is told once; a call that it makes all the same ends after its first step"


def test_a_pipeline_that_calls_another_is_one_job_whose_steps_count_once_and_which_a_stop_calls_off(
    worker: hangwatch.Worker, segment: Path
) -> None:
    shown: List[Any] = []
    with watching.install():
        pipe = tiny.combined()
        pipe.unet.register_forward_pre_hook(lambda *_: shown.append((Slot(segment, 0).progress, Slot(segment, 0).depth)))
        without = Callback()
        pipe("a b", num_inference_steps=3, callback_on_step_end=without)
        assert shown == [(None, 1), (1, 1), (2, 1)] and [step for step, _ in without.calls] == [0, 1, 2]
        assert Slot(segment, 0).jobs == (1, 0, 0)
        asks_to_stop(segment, worker)
        pipe("a b", num_inference_steps=3)
        assert (len(shown), Slot(segment, 0).jobs) == (4, (1, 0, 1))


def test_a_pipeline_that_cannot_be_interrupted_goes_on_and_the_host_is_told(worker: hangwatch.Worker, segment: Path) -> None:
    told: List[int] = []
    with watching.install(on_stop=lambda: told.append(1)):
        asks_to_stop(segment, worker)
        images = made(tiny.ddpm())
    assert images.shape[0] == 1 and (told, Slot(segment, 0).jobs) == ([1], (1, 0, 0))


def test_of_two_calls_at_once_one_has_the_worker_and_the_other_a_lane_of_its_own(
    installed: watching.Installed, segment: Path
) -> None:
    both = threading.Barrier(2)
    shown: List[List[Tuple[int, int, int]]] = []

    def meets(*_: Any) -> None:
        both.wait()
        if len(shown) < 2:
            shown.append([(slot.tag, slot.phase, slot.total) for slot in (Slot(segment, 0), Slot(segment, 1))])
        both.wait()

    def calls() -> None:
        pipe = tiny.stable_diffusion()
        pipe.unet.register_forward_pre_hook(meets)
        made(pipe)

    threads = [threading.Thread(target=calls) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown[-1] == [(LIVE, PHASES["inference"], 4)] * 2, "each shows its own denoising"
    assert Slot(segment, 0).jobs == (1, 0, 0)
    assert Slot(segment, 1).tag == FREE, "the lane is given back with its thread"
    made(tiny.stable_diffusion())
    assert Slot(segment, 0).jobs == (2, 0, 0), "and the worker with its call"


class Recorder:
    """A worker that notes what is called."""

    attached = True
    in_job = False

    def __init__(self) -> None:
        self.calls: List[Any] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.calls.append((name, args, kwargs)) if name != "should_stop" else False


@pytest.mark.parametrize(
    ("call", "batch"),
    [({"prompt": "a"}, 1), ({"prompt": ["a", "b"]}, 2), ({"prompt": ["a", "b"], "num_images_per_prompt": 3}, 6)],
)
def test_the_jobs_batch_is_the_number_of_images(call: Dict[str, Any], batch: int) -> None:
    recorder = Recorder()
    with watching.install(cast("hangwatch.Worker", recorder)):
        images = tiny.stable_diffusion()(**call, num_inference_steps=1, output_type="np").images
    (begun,) = (kwargs for name, _, kwargs in recorder.calls if name == "begin_job")
    assert begun == {"batch": batch} and len(images) == batch


def test_prompts_that_are_a_list_of_embeddings_are_counted_too() -> None:
    recorder = Recorder()
    with watching.install(cast("hangwatch.Worker", recorder)):
        embeds = [torch.randn(8, 16), torch.randn(6, 16)]
        images = tiny.z_image()(
            prompt_embeds=embeds, guidance_scale=0.0, height=tiny.SIZE, width=tiny.SIZE, num_inference_steps=2, output_type="np"
        ).images
    names = [name for name, *_ in recorder.calls]
    assert [kwargs for name, _, kwargs in recorder.calls if name == "begin_job"] == [{"batch": 2}] and len(images) == 2
    assert names.count("step") == 2 and names[-1] == "end_job"


def test_a_call_whose_size_cannot_be_read_is_a_job_all_the_same(worker: hangwatch.Worker, segment: Path) -> None:
    seen: List[Any] = []

    class Odd(tiny.diffusers().DiffusionPipeline):  # type: ignore[misc]
        def __call__(self, prompt_embeds: object, height: object, image: object) -> None:
            for _ in self.progress_bar(range(2)):
                seen.append((Slot(segment, 0).phase, Slot(segment, 0).progress))

    pipe = Odd()
    pipe.set_progress_bar_config(disable=True)
    with watching.install():
        pipe(object(), object(), [object()])
    assert seen == [(PHASES["inference"], None), (PHASES["inference"], 1)] and Slot(segment, 0).jobs == (1, 0, 0)


def test_what_a_pipeline_does_with_its_bar_it_does_as_without(worker: hangwatch.Worker, segment: Path) -> None:
    steps: List[Any] = []

    class Asks(tiny.diffusers().DiffusionPipeline):  # type: ignore[misc]
        def __call__(self, items: Any) -> List[Any]:
            said: List[Any] = []
            for ask in (lambda bar: list(reversed(bar)), lambda bar: list(bar), len, bool, lambda bar: 2 in bar, lambda bar: bar.iterable[1]):
                bar = self.progress_bar(items)
                try:
                    said.append(ask(bar))
                except Exception as error:  # noqa: BLE001
                    said.append(type(error))
                bar.close()
            for item in self.progress_bar(items):
                steps.append((item, Slot(segment, 0).progress))
            return said

    pipe = Asks()
    pipe.set_progress_bar_config(disable=True)
    for make in (lambda: range(3), lambda: [2, 1], lambda: torch.arange(3), lambda: iter([1, 2]), lambda: {1: 2, 2: 3}):
        without = pipe(make())
        steps.clear()
        with watching.install():
            assert str(pipe(make())) == str(without)
        assert [done for _, done in steps] == [None, 1, 2][: len(steps)]


def test_nothing_that_fails_inside_reaches_the_pipeline() -> None:
    class Broken:
        attached = True
        in_job = False

        def __getattr__(self, name: str) -> Any:
            if name in self.works:
                return lambda *args, **kwargs: None
            raise RuntimeError(name)

        works: Tuple[str, ...] = ()

    pipe, ddpm = tiny.stable_diffusion(), tiny.ddpm()
    without = made(pipe), made(ddpm)
    for works in [(), ("begin_job",), ("begin_job", "enter", "register_phase"), ("begin_job", "enter", "leave", "extend")]:
        broken: Any = Broken()
        broken.works = works
        with watching.install(broken):
            for alone, beside in zip(without, (made(pipe), made(ddpm))):
                assert (alone == beside).all(), works


def test_a_segment_that_is_gone_harms_no_call(installed: watching.Installed, segment: Path) -> None:
    pipe = tiny.stable_diffusion()
    without = made(pipe)
    pipe.unet.register_forward_pre_hook(lambda *_: segment.unlink(missing_ok=True))
    assert (made(pipe) == without).all()


def test_where_nobody_watches_a_pipeline_is_called_as_it_is(segment: Path) -> None:
    given: List[Any] = []

    class Called(tiny.diffusers().DiffusionPipeline):  # type: ignore[misc]
        def __call__(self, callback_on_step_end: Any = None) -> None:
            given.append(callback_on_step_end)

    with watching.install():
        Called()()
        with hangwatch.attach("test", segment=segment):
            Called()()
        Called()()
    assert [callback is None for callback in given] == [True, False, True]


def test_a_second_install_replaces_the_first(worker: hangwatch.Worker, segment: Path) -> None:
    first = Recorder()
    watching.install(cast("hangwatch.Worker", first))
    with watching.install(worker):
        made(tiny.stable_diffusion())
    assert (first.calls, Slot(segment, 0).jobs) == ([], (1, 0, 0))
