"""`hangwatch.integrations.diffusers` with real pipelines of random weights: what is seen from outside, and that nothing else changes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

import hangwatch
from hangwatch import PHASES, UNKNOWN
from hangwatch.integrations import diffusers as watching
from slots import Slot

torch = pytest.importorskip("torch")
import tiny

ENCODING = 256  # the first phase of a segment's own


@pytest.fixture
def installed(worker: hangwatch.Worker) -> Iterator[watching.Installed]:
    with watching.install() as hooks:
        yield hooks


def seed(number: int = 1) -> Any:
    return torch.Generator().manual_seed(number)


class Seen:
    """What the slot's file says whenever a part of a pipeline is at work."""

    def __init__(self, segment: Path, pipe: Any) -> None:
        self.segment = segment
        self.seen: List[Tuple[str, int, Optional[int], int]] = []
        for name, part in pipe.components.items():
            if isinstance(part, torch.nn.Module):
                (part.decoder if name == "vae" else part).register_forward_pre_hook(self.looks(name))

    def looks(self, name: str) -> Callable[..., None]:
        def look(*_: Any) -> None:
            slot = Slot(self.segment, 0)
            assert slot.depth == 1, "one section within the job: those before it were left"
            self.seen.append((name, slot.phase, slot.progress, slot.total))

        return look

    def steps(self) -> List[Tuple[Optional[int], int]]:
        return [(done, total) for name, phase, done, total in self.seen if phase == PHASES["inference"] and name in ("unet", "transformer")]


def test_a_call_is_a_job_that_encodes_denoises_and_decodes(installed: watching.Installed, segment: Path) -> None:
    pipe = tiny.stable_diffusion()
    seen = Seen(segment, pipe)
    pipe("a b", num_inference_steps=3, generator=seed())
    text, image = ("text_encoder", ENCODING, None, 0), ("vae", PHASES["post_processing"], None, 0)
    denoising = [("unet", PHASES["inference"], done, 3) for done in (None, 1, 2)]
    assert seen.seen == [text, text, *denoising, image], "each is seen while it goes on, with what is done until then"
    slot = Slot(segment, 0)
    assert (slot.phase, slot.depth, slot.jobs) == (PHASES["idle"], 0, (1, 0, 0)), "then it is idle, and a job is done"


def test_hangwatch_status_tells_the_phase_and_the_percentage_meanwhile(
    installed: watching.Installed, segment: Path, binary: str
) -> None:
    told: List[Any] = []

    def tell(*_: Any) -> None:
        status = subprocess.run([binary, "status", "--json", "--segment", segment], stdout=subprocess.PIPE, check=True)
        (worker,) = json.loads(status.stdout)["workers"]
        told.append(tuple(worker[field] for field in ("phase", "done", "total", "percent", "model", "verdict")))

    pipe = tiny.stable_diffusion()
    for part in (pipe.text_encoder, pipe.unet, pipe.vae.decoder):
        part.register_forward_pre_hook(tell)
    pipe("a b", num_inference_steps=4, guidance_scale=0)
    name = ("StableDiffusionPipeline", "ok")
    denoising = [("inference", done, 4, done and done * 25, *name) for done in (None, 1, 2, 3)]
    assert told == [("encoding", None, None, None, *name), *denoising, ("post_processing", None, None, None, *name)]


@pytest.mark.parametrize(
    ("make", "call", "total"),
    [
        (tiny.stable_diffusion, {"num_inference_steps": 4}, 4),
        (tiny.stable_diffusion_xl, {"num_inference_steps": 2}, 2),
        (tiny.flux, {"num_inference_steps": 3}, 3),
        (tiny.second_order, {"num_inference_steps": 4}, 7),
        (tiny.second_order, {"num_inference_steps": 1}, 1),
        (tiny.image_to_image, {"num_inference_steps": 10, "strength": 0.5}, 5),
        (tiny.dpm, {"timesteps": [90, 60, 30]}, 3),
        (tiny.flux, {"sigmas": [1.0, 0.6, 0.2], "num_inference_steps": 3}, 3),
    ],
)
def test_the_total_is_the_number_of_steps_that_are_made(
    make: Callable[[], Any], call: Dict[str, Any], total: int, installed: watching.Installed, segment: Path
) -> None:
    pipe = make()
    seen = Seen(segment, pipe)
    pipe(**tiny.inputs(pipe), **call)
    assert seen.steps() == [(done or None, total) for done in range(total)], "as many as the scheduler has timesteps in this call"


def test_a_pipeline_that_takes_no_callback_is_followed_by_its_bar(installed: watching.Installed, segment: Path) -> None:
    pipe = tiny.ddpm()
    seen = Seen(segment, pipe)
    pipe(num_inference_steps=3)
    assert seen.steps() == [(None, 3), (1, 3), (2, 3)]


def test_a_callback_that_is_taken_and_never_called_leaves_the_count_to_the_bar(
    installed: watching.Installed, segment: Path
) -> None:
    pipe = tiny.by_hand(tiny.ddpm())
    seen = Seen(segment, pipe)
    pipe(num_inference_steps=3)
    assert seen.steps() == [(None, 5), (1, 5), (3, 5)], "of the timesteps that it says there are"


def made(pipe: Any, **call: Any) -> Any:
    return pipe(**tiny.inputs(pipe), num_inference_steps=4, generator=seed(), output_type="np", **call).images


@pytest.mark.parametrize("make", [tiny.stable_diffusion, tiny.stable_diffusion_xl, tiny.flux, tiny.second_order, tiny.image_to_image])
def test_the_images_are_bit_for_bit_what_they_are_without(make: Callable[[], Any], worker: hangwatch.Worker, segment: Path) -> None:
    pipe = make()
    without = made(pipe)
    with watching.install():
        hooked = made(pipe)
    assert (hooked == without).all() and without.std() > 0
    assert Slot(segment, 0).jobs == (1, 0, 0), "and it was reported"


def test_a_load_is_a_phase_with_a_count(installed: watching.Installed, segment: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from diffusers import AutoencoderKL, StableDiffusionPipeline

    tiny.stable_diffusion().save_pretrained(tmp_path / "tiny")
    seen: List[Tuple[int, int]] = []
    original = AutoencoderKL.load_config

    def looks(*args: Any, **kwargs: Any) -> Any:
        slot = Slot(segment, 0)
        seen.append((slot.phase, slot.total))
        return original(*args, **kwargs)

    monkeypatch.setattr(AutoencoderKL, "load_config", looks)
    with hangwatch.current().phase("idle"):  # type: ignore[union-attr]
        pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "tiny")
        assert Slot(segment, 0).phase == PHASES["idle"], "what was around it goes on"
    AutoencoderKL.from_pretrained(tmp_path / "tiny" / "vae")
    loading = PHASES["loading"]
    assert seen == [(loading, 5), (loading, 0)], "of a pipeline's five parts; and a part alone"
    assert pipe(**tiny.inputs(pipe), num_inference_steps=1).images
    assert Slot(segment, 0).texts[1] == "tiny", "its folder's name is the model's"


@pytest.mark.parametrize("name", ["StableDiffusionPipeline", "AutoencoderKL"])
def test_a_load_of_a_single_file_is_a_phase_and_fails_as_it_does_without(
    name: str, installed: watching.Installed, segment: Path, monkeypatch: Any
) -> None:
    import importlib

    seen: List[int] = []

    def fails(*args: Any, **kwargs: Any) -> Any:
        seen.append(Slot(segment, 0).phase)
        raise OSError("no such file")

    for module in ("single_file", "single_file_model"):
        monkeypatch.setattr(importlib.import_module(f"diffusers.loaders.{module}"), "load_single_file_checkpoint", fails)
    with pytest.raises(OSError, match="no such file"):
        getattr(tiny.diffusers(), name).from_single_file("model.safetensors")
    assert (seen, Slot(segment, 0).phase) == ([PHASES["loading"]], PHASES["starting"])


def test_what_an_image_is_made_from_is_encoded_too_and_what_the_host_put_into_a_pipelines_place_stays(
    installed: watching.Installed, segment: Path
) -> None:
    seen: List[Tuple[str, int]] = []

    def look(part: str) -> None:
        seen.append((part, Slot(segment, 0).phase))

    def checks(image: Any, device: Any, dtype: Any) -> Any:
        look("checker")
        return image, None

    pipe = tiny.image_to_image()
    decode = pipe.vae.decode

    def decodes(*args: Any, **kwargs: Any) -> Any:
        look("decode")
        return decode(*args, **kwargs)

    # As one does with what torch.compile makes of it.
    pipe.vae.decode, pipe.run_safety_checker = decodes, checks
    pipe.vae.encoder.register_forward_pre_hook(lambda *_: look("encode"))
    made(pipe)
    phases = {"encode": ENCODING, "decode": PHASES["post_processing"], "checker": PHASES["safety"]}
    assert seen == list(phases.items())
    assert (vars(pipe.vae)["decode"], vars(pipe)["run_safety_checker"]) == (decodes, checks)


def test_what_meets_a_size_for_the_first_time_has_a_lease_and_the_next_has_none(
    installed: watching.Installed, segment: Path
) -> None:
    pipe = tiny.stable_diffusion()
    leases: List[int] = []
    pipe.unet.register_forward_pre_hook(lambda *_: leases.append(Slot(segment, 0).lease_ms))
    for size in (16, 16, 24):
        pipe("a b", height=size, width=size, num_inference_steps=1)
    assert leases == [300_000, 0, 300_000]


def test_the_size_of_what_an_image_is_made_from_counts_and_each_part_has_its_own_first_time(
    installed: watching.Installed, segment: Path
) -> None:
    pipe = tiny.image_to_image()
    leases: Dict[str, List[int]] = {"text_encoder": [], "encoder": [], "unet": [], "decoder": []}
    for name, module in (
        ("text_encoder", pipe.text_encoder),
        ("encoder", pipe.vae.encoder),
        ("unet", pipe.unet),
        ("decoder", pipe.vae.decoder),
    ):
        module.register_forward_pre_hook(lambda *_, seen=leases[name]: seen.append(Slot(segment, 0).lease_ms))
    for size in (16, 16, 32):
        pipe("a b", image=torch.zeros(1, 3, size, size), num_inference_steps=2, strength=0.5, guidance_scale=0)
    assert leases == dict.fromkeys(leases, [300_000, 0, 300_000])


def test_a_size_is_known_by_whatever_has_it() -> None:
    import numpy
    from PIL import Image

    from hangwatch.integrations import _sizes

    def of(**given: Any) -> Any:
        return _sizes.size({"height": 16, "width": 16, **given})

    for make in (lambda n: torch.zeros(1, 3, n, n), lambda n: numpy.zeros((n, n, 3)), lambda n: Image.new("RGB", (n, n))):
        for name in ("image", "mask_image", "control_image", "video"):
            for shaped in (make, lambda n, make=make: [make(n)] * 3, lambda n, make=make: [[make(n)], [make(8)]]):
                assert of(**{name: shaped(16)}) == of(**{name: shaped(16)}) != of(**{name: shaped(24)})
        assert of(video=[make(16)] * 3) != of(video=[make(16)] * 4), "frames count too"
    assert of() != of(height=24) and of(num_frames=3) != of(num_frames=4)
    assert len({of(), of(image="a path"), of(image=None)}) == 1, "what has no size counts as nothing"


def test_a_call_within_a_job_of_ones_own_is_a_part_of_it_and_so_is_a_second_pass(
    installed: watching.Installed, worker: hangwatch.Worker, segment: Path
) -> None:
    base, refiner = tiny.stable_diffusion(), tiny.image_to_image()
    first, second = Seen(segment, base), Seen(segment, refiner)
    with worker.job("a1b2", model="sdxl", total=9) as job:
        job.step(3)
        images = base("a b", num_inference_steps=2, output_type="np").images
        assert Slot(segment, 0).progress == 3, "the job's own count is what it was"
        refiner("a b", image=torch.tensor(images).permute(0, 3, 1, 2), strength=0.5, num_inference_steps=4)
        assert job.open and Slot(segment, 0).texts[:2] == ("a1b2", "sdxl")
    assert first.steps() == second.steps() == [(None, 2), (1, 2)], "each pass has its count"
    assert Slot(segment, 0).jobs == (1, 0, 0)


def test_bars_that_are_reported_by_tqdms_hooks_too_are_reported_once(installed: watching.Installed, segment: Path) -> None:
    from hangwatch.integrations import tqdm as bars

    with bars.install():
        for pipe, steps in ((tiny.second_order(), 3), (tiny.ddpm(), 3)):
            seen = Seen(segment, pipe)
            pipe(**tiny.inputs(pipe), num_inference_steps=2 if steps == 3 and hasattr(pipe, "vae") else 3)
            assert seen.steps() == [(None, steps), (1, steps), (2, steps)]


def test_a_total_that_nobody_knows_is_not_known(installed: watching.Installed, segment: Path) -> None:
    pipe = tiny.ddpm()
    pipe.scheduler.set_timesteps(2)
    seen: List[int] = []
    pipe.unet.register_forward_pre_hook(lambda *_: seen.append(Slot(segment, 0).total))

    class Endless(type(pipe)):  # type: ignore[misc]
        def __call__(self) -> None:
            for t in self.progress_bar(iter(self.scheduler.timesteps)):
                self.unet(torch.zeros(1, 3, 8, 8), t)

    Endless(pipe.unet, pipe.scheduler)()
    assert seen == [UNKNOWN] * 2
