"""Moves to a device and adapters: they are loads, whose end a worker waits for as it does for a checkpoint's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest

import hangwatch
from hangwatch import PHASES
from hangwatch.integrations import diffusers, transformers
from slots import Slot

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
import tiny

LOADING, INFERENCE, STARTING = PHASES["loading"], PHASES["inference"], PHASES["starting"]


@pytest.fixture
def installed(worker: hangwatch.Worker) -> Iterator[None]:
    with diffusers.install(), transformers.install():
        yield


class Seen:
    """The phase and the depth of what is open, whenever a method is called."""

    def __init__(self, segment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._segment, self._monkeypatch = segment, monkeypatch
        self.seen: List[Tuple[int, int]] = []

    def at(self, owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def looks(*args: Any, **kwargs: Any) -> Any:
            self.seen.append(self.now())
            return original(*args, **kwargs)

        self._monkeypatch.setattr(owner, name, looks)

    def now(self) -> Tuple[int, int]:
        slot = Slot(self._segment, 0)
        return slot.phase, slot.depth


@pytest.fixture
def seen(segment: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(segment, monkeypatch)


def lora(folder: Path) -> Path:
    """The weights of an adapter of the tiny pipeline's UNet, which change its images."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = tiny.stable_diffusion().unet
    torch.manual_seed(7)
    unet.add_adapter(LoraConfig(r=2, lora_alpha=8, init_lora_weights=False, target_modules=["to_k", "to_q", "to_v", "to_out.0"]))
    weights = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=weights)
    return folder


def image(pipe: Any) -> Any:
    return pipe("a b", num_inference_steps=2, generator=torch.Generator().manual_seed(1), output_type="np").images


def test_lora_weights_are_a_load_and_the_images_are_what_they_are_without(
    worker: hangwatch.Worker, scratch: Path, seen: Seen
) -> None:
    weights = lora(scratch / "lora")
    plain = image(tiny.stable_diffusion())
    pipe = tiny.stable_diffusion()
    pipe.load_lora_weights(weights)
    without = image(pipe)
    assert (without != plain).any(), "the weights count"
    with diffusers.install():
        pipe = tiny.stable_diffusion()
        before = seen.now()
        seen.at(pipe.unet, "load_lora_adapter")
        seen.at(pipe.unet, "fuse_lora")
        pipe.load_lora_weights(weights)
        assert seen.seen == [(LOADING, 1)], "one section, whatever it does within"
        pipe.fuse_lora()
        assert seen.seen == [(LOADING, 1)] * 2 and seen.now() == before
        assert abs(image(pipe) - without).max() < 1e-5, "fused, it is the same model"
        other = tiny.stable_diffusion()
        other.load_lora_weights(weights)
        assert (image(other) == without).all()


def test_a_pipeline_that_is_moved_loads_and_one_that_moves_itself_in_a_call_works_on(
    installed: None, worker: hangwatch.Worker, seen: Seen
) -> None:
    pipe = tiny.stable_diffusion()
    seen.at(pipe.unet, "to")
    assert pipe.to("cpu", torch.float32) is pipe and seen.seen == [(LOADING, 1)]
    assert seen.now() == (STARTING, 0)
    with worker.job("a1"):
        pipe.to("cpu")
        assert seen.now() == (INFERENCE, 0), "and the job's own phase goes on"
    assert seen.seen == [(LOADING, 1)] * 2
    encoder = pipe.text_encoder
    moved: List[Tuple[int, int]] = []

    def moves(*_: Any) -> None:
        encoder.to("cpu")
        moved.append(seen.now())

    pipe.unet.register_forward_pre_hook(moves)
    image(pipe)
    assert moved == [(INFERENCE, 1)] * 2, "what a call moves is a part of it"


def test_a_language_model_that_is_moved_loads(installed: None, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.llama()
    seen.at(torch.nn.Module, "to")
    assert model.to("cpu") is model and seen.seen == [(LOADING, 1)] and seen.now() == (STARTING, 0)
    with pytest.raises((AssertionError, RuntimeError)):
        model.cuda()
    assert seen.now() == (STARTING, 0), "one that fails is left, and what it raises is the caller's"


def test_the_methods_are_their_own_again(worker: hangwatch.Worker) -> None:
    import diffusers as library
    from transformers import PreTrainedModel

    def methods() -> List[Any]:
        pipe = library.StableDiffusionPipeline
        adapters = [pipe.load_lora_weights, pipe.load_ip_adapter, pipe.load_textual_inversion, PreTrainedModel.load_adapter]
        return [*adapters, pipe.to, PreTrainedModel.to, PreTrainedModel.cuda, torch.nn.Module.to, torch.nn.Module.cuda]

    before = methods()
    with diffusers.install(), transformers.install():
        tiny.stable_diffusion()
        changed = [now is not was for now, was in zip(methods(), before)]
    assert changed == [True] * 7 + [False] * 2, "and torch's own are left alone"
    assert methods() == before
