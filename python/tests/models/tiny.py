"""Models of random weights, so small that a step is milliseconds on one CPU; nothing is fetched from a hub."""

from __future__ import annotations

from typing import Any

import torch

torch.set_num_threads(1)

SIZE = 16
"""Pixels, each way."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["<|startoftext|>", "<|endoftext|>", "<unk>", *(f"{letter}{end}" for letter in LETTERS for end in ("", "</w>"))]
VOCABULARY = {word: number for number, word in enumerate(WORDS)}
UNET = {
    "layers_per_block": 1,
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "sample_size": 8,
    "attention_head_dim": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}


def clip_tokenizer() -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer(vocab=VOCABULARY, merges=[], model_max_length=16)


def clip_config(**more: Any) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        **more,
    )


def vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        sample_size=SIZE,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
    )


def stable_diffusion() -> Any:
    """A `StableDiffusionPipeline`; 16 by 16 pixels."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    torch.manual_seed(0)
    pipe = StableDiffusionPipeline(
        vae=vae(),
        text_encoder=CLIPTextModel(clip_config()).eval(),
        tokenizer=clip_tokenizer(),
        unet=UNet2DConditionModel(cross_attention_dim=16, **UNET),
        scheduler=DDIMScheduler(num_train_timesteps=100, clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def ddpm() -> Any:
    """Pixels without text or VAE: a pipeline that takes no callback."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    blocks: Any = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    unet = UNet2DModel(sample_size=8, layers_per_block=1, block_out_channels=(8, 8), norm_num_groups=4, **blocks)
    return DDPMPipeline(unet=unet, scheduler=DDPMScheduler(num_train_timesteps=20))


def tokenizer() -> Any:
    """Letters; also what `pipeline` and a chat are given."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = Tokenizer(models.WordLevel({word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", *LETTERS])}, "<unk>"))
    letters.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=letters, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left")


def llama() -> Any:
    """A decoder alone. It never ends a sequence before it may not go on."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=3 + len(LETTERS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config).eval()


def t5() -> Any:
    """An encoder and a decoder."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=3 + len(LETTERS),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    return T5ForConditionalGeneration(config).eval()


def saved(library: str, folder: Any) -> None:
    """A model in a folder, for `from_pretrained`."""
    if library == "diffusers":
        stable_diffusion().save_pretrained(folder)
    else:
        llama().save_pretrained(folder)
        tokenizer().save_pretrained(folder)
