"""A worker that makes an image of each line of a file, with diffusers.

    hangwatch run --inference-step-timeout 60s --log-dir logs --faulthandler SIGUSR1 -- \\
        python examples/diffusers_worker.py --model stabilityai/stable-diffusion-xl-base-1.0 prompts images
    python examples/diffusers_worker.py --tiny prompts images        # random weights, no hub

Its load, its prompts, its steps and its decoding are seen by `hangwatch status` meanwhile. It needs
`pip install './python[diffusers]' transformers` in a checkout.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import hangwatch

# First of all: importing torch takes seconds in which nothing can be said.
hangwatch.dump_stacks_on("SIGUSR1")
worker = hangwatch.attach("diffusers")

import torch  # noqa: E402
from diffusers import DiffusionPipeline  # noqa: E402

from hangwatch.integrations import diffusers as watching  # noqa: E402


def tiny() -> Any:
    """A Stable Diffusion of random weights, which makes noise of 16 by 16 pixels in a moment."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    words = ["<|startoftext|>", "<|endoftext|>", *(f"{chr(it)}{end}" for it in range(97, 123) for end in ("", "</w>"))]
    sizes: Any = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    blocks: Any = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}
    return StableDiffusionPipeline(
        tokenizer=CLIPTokenizer(vocab={word: at for at, word in enumerate(words)}, merges=[], model_max_length=16),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(vocab_size=len(words), max_position_embeddings=16, bos_token_id=0, eos_token_id=1, **sizes)
        ),
        unet=UNet2DConditionModel(
            sample_size=8,
            cross_attention_dim=16,
            attention_head_dim=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            **blocks,
        ),
        vae=AutoencoderKL(
            sample_size=16,
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            **blocks,
        ),
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes an image of each line of a file.")
    parser.add_argument("--model", help="a name on the hub, or a folder")
    parser.add_argument("--tiny", action="store_true", help="random weights instead of a model")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("prompts", type=Path, help="a file, a prompt a line")
    parser.add_argument("out", type=Path, help="the folder of the images")
    given = parser.parse_args()
    if given.tiny == bool(given.model):
        parser.error("either --model or --tiny")

    watching.install()
    pipe = tiny() if given.tiny else DiffusionPipeline.from_pretrained(given.model)
    with worker.phase("loading"):
        pipe = pipe.to("cuda" if torch.cuda.is_available() else "cpu")
    # It waits: no budget runs until the next job.
    worker.phase("idle")
    given.out.mkdir(parents=True, exist_ok=True)
    for number, prompt in enumerate(given.prompts.read_text().splitlines()):
        image = given.out / f"{number}.png"
        # A worker that takes a hung one's place goes on where that one was.
        if image.exists():
            continue
        with worker.job(f"{number}", model=given.model or "tiny", batch=1) as job:
            made = pipe(prompt, num_inference_steps=given.steps).images[0]
            if worker.should_stop():
                # It was interrupted: what there is, is no answer.
                job.end("cancelled")
                break
        made.save(image)


if __name__ == "__main__":
    main()
