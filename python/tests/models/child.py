"""A worker that loads a tiny model from a folder and calls it twice: `child.py LIBRARY FOLDER MARKS PLACES REPLICA`.

Its own of the PLACES (`load+step`) are where its load or its second call blocks for good, by a lock that is never released: each
time that it is started it blocks in the next one, and at last it runs through. Files in MARKS say how often it was started. One
that is `well` takes longer than any budget once: for what it does for the first time in its second call, which is of another size
or another model.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import hangwatch

BUDGET, WARM_UP, SLOW = 2.0, 6.0, 4.0
"""Of a step and of each phase, in seconds; of what is done for the first time; how long that takes where it is slow."""
STEPS = 6


class Child:
    """What happens where."""

    def __init__(self, folder: str, marks: str, places: str, replica: str) -> None:
        self.folder = folder
        own = places.split(",")[int(replica)].split("+")
        mark = Path(marks) / replica
        starts = len(mark.read_text()) if mark.exists() else 0
        mark.write_text("." * (starts + 1))
        self.place = own[starts] if starts < len(own) else ""
        self.call = 0
        self.step = 0
        self.slow_steps = 1

    def at(self, place: str) -> None:
        if place == self.place:
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()

    def loads(self, cls: Any, name: str) -> None:
        original = getattr(cls, name)

        def loading(*args: Any, **kwargs: Any) -> Any:
            self.at("load")
            return original(*args, **kwargs)

        setattr(cls, name, loading)

    def moves(self, module: Any) -> None:
        original = module.to

        def to(*args: Any, **kwargs: Any) -> Any:
            self.at("move")
            return original(*args, **kwargs)

        module.to = to

    def stage(self, place: str) -> Any:
        """A hook for a module's forward."""

        def hook(*_: Any) -> None:
            if self.call == 2:
                self.at(place)

        return hook

    def stepped(self, *_: Any) -> None:
        """The same for one that is called at each step."""
        self.step += 1
        if self.call == 2 and self.step == 3:
            self.at("step")
        if self.call == 2 and self.step <= self.slow_steps and self.place == "well":
            time.sleep(SLOW)

    def begins(self, call: int) -> None:
        self.call, self.step = call, 0


def diffusers(child: Child) -> None:
    import tiny
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    from hangwatch.integrations import diffusers as watching

    watching.install(encoding=BUDGET, warm_up=WARM_UP)
    child.loads(UNet2DConditionModel, "load_config")
    pipe = StableDiffusionPipeline.from_pretrained(child.folder)
    pipe.set_progress_bar_config(disable=True)
    child.moves(pipe.unet)
    pipe.to("cpu")
    pipe.text_encoder.register_forward_pre_hook(child.stage("encoding"))
    pipe.unet.register_forward_pre_hook(child.stepped)
    pipe.vae.decoder.register_forward_pre_hook(child.stage("decode"))
    for call in (1, 2):
        child.begins(call)
        size = tiny.SIZE + 8 * (call == 2 and child.place == "well")
        images = pipe("a b", num_inference_steps=STEPS, height=size, width=size, output_type="np").images
        assert images.shape == (1, size, size, 3), "it is called as ever"


def transformers(child: Child) -> None:
    import tiny  # noqa: F401 - one thread for torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    from hangwatch.integrations import transformers as watching

    watching.install(prefill=BUDGET, warm_up=WARM_UP)
    # The prompt, and the second token, which the first one begins to make.
    child.slow_steps = 2
    child.loads(LlamaForCausalLM, "_load_pretrained_model")
    prompt = AutoTokenizer.from_pretrained(child.folder)("a b c", return_tensors="pt").input_ids
    model: Any = None

    def forward(*_: Any) -> None:
        if child.step == 0:
            child.stage("prefill")()
        child.stepped()

    for call in (1, 2):
        child.begins(call)
        if call == 1 or child.place == "well":
            model = AutoModelForCausalLM.from_pretrained(child.folder)
            model.register_forward_pre_hook(forward)
        tokens = model.generate(prompt, max_new_tokens=STEPS)
        assert tokens.shape == (1, 3 + STEPS), "it is called as ever"


if __name__ == "__main__":
    _, library, *rest = sys.argv
    hangwatch.attach()
    {"diffusers": diffusers, "transformers": transformers}[library](Child(*rest))
