"""`hangwatch.integrations.diffusers` and the parts of pipelines: their copies, their files, those that are shared or compiled."""

from __future__ import annotations

import copy
import functools
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, List, Set, Tuple

import pytest

import hangwatch
from hangwatch import PHASES
from hangwatch.integrations import diffusers as watching
from hangwatch.integrations._calls import here, is_ours
from slots import Slot

torch = pytest.importorskip("torch")
import tiny

HOOKED = ("__call__", "to", "encode_prompt", "progress_bar", "encode", "decode")

made = functools.partial(tiny.made, steps=2)


@pytest.fixture
def installed(worker: hangwatch.Worker) -> Iterator[watching.Installed]:
    with watching.install() as hooks:
        yield hooks


def at_first_step(look: Callable[[Any, Any], None]) -> Callable[..., Any]:
    def callback(pipe: Any, step: int, timestep: Any, kwargs: Any) -> Any:
        if step == 0:
            look(pipe, kwargs["latents"])
        return kwargs

    return callback


def hooked(*classes: type) -> Set[Tuple[str, str]]:
    return {(it.__name__, name) for cls in classes for it in cls.__mro__ for name in HOOKED if is_ours(vars(it).get(name))}


class Decodes:
    """What a host may put into the place of a VAE's method."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae

    def __call__(self, latents: Any, **_: Any) -> Any:
        return self.vae._decode(latents, return_dict=False)


@pytest.mark.parametrize("has_own", [False, True])
def test_a_copy_and_a_file_of_a_part_made_during_a_call_know_nothing_of_it(has_own: bool, installed: watching.Installed) -> None:
    pipe = tiny.stable_diffusion()
    if has_own:
        pipe.vae.decode = Decodes(pipe.vae)
    without = made(pipe)
    before = [dict(vars(it)) for it in (pipe, pipe.vae)]
    made_of: List[Any] = []

    def copies(pipe: Any, latents: Any) -> None:
        file = io.BytesIO()
        torch.save(pipe.vae, file)
        file.seek(0)
        for part in (copy.deepcopy(pipe.vae), torch.load(file, weights_only=False), copy.deepcopy(pipe).vae):
            assert part is not pipe.vae and type(vars(part).get("decode")) in (type(None), Decodes)
            assert torch.equal(part.decode(latents, return_dict=False)[0], pipe.vae.decode(latents, return_dict=False)[0])
            with torch.no_grad():
                for weights in part.parameters():
                    weights.zero_()
            made_of.append(bool((part.decode(latents, return_dict=False)[0] == 0).all()))

    assert (made(pipe, callback_on_step_end=at_first_step(copies)) == without).all()
    assert made_of == [True] * 3, "each decodes with weights of its own"
    assert [dict(vars(it)).keys() for it in (pipe, pipe.vae)] == [was.keys() for was in before]
    assert vars(pipe.vae).get("decode") is before[1].get("decode"), "what the host put there is there"


def test_what_is_compiled_as_a_whole_is_compiled_without_the_hooks_and_is_a_section(
    installed: watching.Installed, segment: Path
) -> None:
    pipe = tiny.stable_diffusion()
    without = made(pipe)
    phases: List[int] = []
    graphs: List[Any] = []

    def compiled(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)

        def run(*args: Any) -> Any:
            phases.append(Slot(segment, 0).phase)
            return graph(*args)

        return run

    pipe.vae.decode = torch.compile(pipe.vae.decode, fullgraph=True, backend=compiled)
    with torch.no_grad():
        pipe.vae.decode(torch.zeros(1, 4, 8, 8), return_dict=False, generator=torch.Generator())
    for _ in range(2):
        assert (made(pipe) == without).all()
    assert phases == [PHASES["idle"], *[PHASES["post_processing"]] * 2]
    assert len(graphs) == 1, "nothing of a call is compiled in, so that once is enough"
    torch._dynamo.reset()


@pytest.mark.parametrize("has_own", [False, True])
def test_of_two_calls_that_share_a_part_the_first_to_end_leaves_the_other_its_sections(
    has_own: bool, installed: watching.Installed
) -> None:
    first, second = tiny.stable_diffusion(), tiny.stable_diffusion()
    second.register_modules(vae=first.vae)
    own = Decodes(first.vae)
    if has_own:
        first.vae.decode = own
    seen: List[Tuple[str, Any]] = []
    first.vae.decoder.register_forward_pre_hook(
        lambda *_: seen.append((threading.current_thread().name, here.call and here.call.worker.phase_id))
    )
    began, both, ended = threading.Event(), threading.Event(), threading.Event()

    def waits_for_both(*_: Any) -> None:
        began.set()
        both.wait()

    def waits_for_the_end(*_: Any) -> None:
        both.set()
        ended.wait()

    def runs_first() -> None:
        try:
            made(first, callback_on_step_end=at_first_step(waits_for_both))
        finally:
            began.set()
            ended.set()

    def runs_second() -> None:
        began.wait()
        try:
            made(second, callback_on_step_end=at_first_step(waits_for_the_end))
        finally:
            both.set()

    threads = [threading.Thread(target=run, name=run.__name__) for run in (runs_first, runs_second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [("runs_first", PHASES["post_processing"]), ("runs_second", PHASES["post_processing"])]
    assert vars(first.vae).get("decode") is (own if has_own else None)


def test_a_part_that_is_not_the_pipelines_is_no_section_of_its_call(installed: watching.Installed, segment: Path) -> None:
    pipe, preview = tiny.stable_diffusion(), tiny.vae()
    seen: List[int] = []
    preview.decoder.register_forward_pre_hook(lambda *_: seen.append(Slot(segment, 0).phase))
    made(pipe)
    made(pipe, callback_on_step_end=at_first_step(lambda _, latents: preview.decode(latents)))
    preview.decode(torch.zeros(1, 4, 8, 8))
    assert seen == [PHASES["inference"], PHASES["idle"]]


def test_a_method_that_calls_its_bases_is_one_section_and_one_that_is_inherited_is_hooked_in_its_base(
    installed: watching.Installed, segment: Path
) -> None:
    base = type(tiny.vae())
    seen: List[Tuple[int, int]] = []

    class Inherits(base):  # type: ignore[misc,valid-type]
        pass

    class Calls(Inherits):
        def decode(self, *args: Any, **kwargs: Any) -> Any:
            return super().decode(*args, **kwargs)

    for cls in (Inherits, Calls):
        pipe = tiny.stable_diffusion()
        pipe.vae.__class__ = cls
        pipe.vae.decoder.register_forward_pre_hook(lambda *_: seen.append((Slot(segment, 0).phase, Slot(segment, 0).depth)))
        made(pipe)
    assert seen == [(PHASES["post_processing"], 1)] * 2
    assert {name for name, method in hooked(Calls) if method == "decode"} == {"Calls", base.__name__}


def test_remove_takes_the_hooks_out_of_all_classes_once_no_call_is_in_flight(installed: watching.Installed, segment: Path) -> None:
    pipe, other = tiny.stable_diffusion(), tiny.flux()
    classes = (type(pipe), type(other), type(pipe.vae), tiny.diffusers().DiffusionPipeline)
    owned = [dict(vars(cls)) for cls in classes]
    phases: List[int] = []
    made(other)
    pipe.vae.decoder.register_forward_pre_hook(lambda *_: phases.append(Slot(segment, 0).phase))
    made(pipe)
    assert {name for _, name in hooked(*classes)} == {*HOOKED}
    made(pipe, callback_on_step_end=at_first_step(lambda *_: installed.remove()))
    assert phases == [PHASES["post_processing"]] * 2, "a call that is in flight is reported to its end"
    assert hooked(*classes) == set() and [dict(vars(cls)).keys() for cls in classes] == [was.keys() for was in owned]
    for name in ("from_pretrained", "register_modules"):
        it = vars(tiny.diffusers().DiffusionPipeline)[name]
        assert getattr(it, "__func__", it).__module__.startswith("diffusers."), f"{name} is its own again"
    installed.remove()
    with watching.install():
        made(pipe)
        assert {name for _, name in hooked(*classes)} == {*HOOKED}
    assert hooked(*classes) == set() and Slot(segment, 0).jobs == (4, 0, 0)
