"""Models of random weights, so small that a step is milliseconds on one CPU; nothing is fetched from a hub."""

from __future__ import annotations

from typing import Any, Dict

import torch

torch.set_num_threads(1)

SIZE = 16
"""Pixels, each way."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["<|startoftext|>", "<|endoftext|>", *(f"{letter}{end}" for letter in LETTERS for end in ("", "</w>"))]
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


def vae(latent_channels: int = 4, **more: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        sample_size=SIZE,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=latent_channels,
        **more,
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


def stable_diffusion_xl() -> Any:
    """Two text encoders, another UNet."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    pipe = StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=CLIPTextModel(clip_config()).eval(),
        text_encoder_2=CLIPTextModelWithProjection(clip_config(projection_dim=16)).eval(),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        unet=UNet2DConditionModel(
            cross_attention_dim=32,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 16,
            use_linear_projection=True,
            **UNET,
        ),
        scheduler=EulerDiscreteScheduler(steps_offset=1),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def flux() -> Any:
    """A transformer in the UNet's place, T5 beside CLIP, and a scheduler of flow matching."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextModel, T5EncoderModel

    torch.manual_seed(0)
    pipe = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(latent_channels=1, shift_factor=0.1),
        text_encoder=CLIPTextModel(clip_config(projection_dim=16)).eval(),
        tokenizer=clip_tokenizer(),
        text_encoder_2=T5EncoderModel(t5_config()).eval(),
        tokenizer_2=tokenizer(),
        transformer=FluxTransformer2DModel(
            in_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=1,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            axes_dims_rope=(4, 4, 8),
        ),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def z_image() -> Any:
    """It takes prompts as a list of embeddings."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel

    torch.manual_seed(0)
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    )
    with torch.no_grad():
        # As they come they are what the memory had.
        for token in (transformer.x_pad_token, transformer.cap_pad_token):
            token.fill_(1)
    pipe = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(latent_channels=16, shift_factor=0.1),
        text_encoder=None,
        tokenizer=None,
        transformer=transformer,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def ltx_long() -> Any:
    """It gives its callback latents with which it does not go on."""
    from diffusers import AutoencoderKLLTXVideo, LTXEulerAncestralRFScheduler, LTXI2VLongMultiPromptPipeline, LTXVideoTransformer3DModel
    from transformers import T5EncoderModel

    torch.manual_seed(0)
    widths = (8, 8, 8, 8)
    pipe = LTXI2VLongMultiPromptPipeline(
        scheduler=LTXEulerAncestralRFScheduler(),
        vae=AutoencoderKLLTXVideo(
            latent_channels=8,
            block_out_channels=widths,
            decoder_block_out_channels=widths,
            layers_per_block=(1,) * 5,
            decoder_layers_per_block=(1,) * 5,
            spatio_temporal_scaling=(True, True, False, False),
            decoder_spatio_temporal_scaling=(True, True, False, False),
            decoder_inject_noise=(False,) * 5,
            upsample_residual=(False,) * 4,
            upsample_factor=(1,) * 4,
            patch_size=1,
        ),
        text_encoder=T5EncoderModel(t5_config()).eval(),
        tokenizer=tokenizer(),
        transformer=LTXVideoTransformer3DModel(
            in_channels=8,
            out_channels=8,
            num_attention_heads=4,
            attention_head_dim=8,
            cross_attention_dim=32,
            num_layers=1,
            caption_channels=16,
        ),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def with_scheduler(name: str, **more: Any) -> Any:
    pipe = stable_diffusion()
    pipe.scheduler = getattr(diffusers(), name).from_config(pipe.scheduler.config, **more)
    return pipe


def second_order() -> Any:
    """Two timesteps for each step but the last one."""
    return with_scheduler("HeunDiscreteScheduler")


def dpm() -> Any:
    return with_scheduler("DPMSolverMultistepScheduler")


def image_to_image() -> Any:
    """It makes as many of its steps as its strength says."""
    pipe = diffusers().StableDiffusionImg2ImgPipeline(**stable_diffusion().components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def combined() -> Any:
    """A pipeline that calls another one, as Kandinsky's do. Its class is one that nobody has seen before."""

    class Combined(diffusers().DiffusionPipeline):  # type: ignore[misc]
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner
            self.register_modules(unet=inner.unet)

        def __call__(self, prompt: str, num_inference_steps: int = 2, callback_on_step_end: Any = None, **more: Any) -> Any:
            return self.inner(prompt, num_inference_steps=num_inference_steps, callback_on_step_end=callback_on_step_end, **more)

    return Combined(stable_diffusion())


def diffusers() -> Any:
    import diffusers

    return diffusers


def inputs(pipe: Any) -> Dict[str, Any]:
    """What a pipeline is called with, for images of the tiny size."""
    if not hasattr(pipe, "vae"):
        return {}
    if "Img2Img" in type(pipe).__name__:
        return {"prompt": "a b", "image": torch.linspace(-1, 1, 3 * SIZE * SIZE).reshape(1, 3, SIZE, SIZE)}
    more = {"max_sequence_length": 16} if hasattr(pipe, "transformer") else {}
    return {"prompt": "a b", "height": SIZE, "width": SIZE, **more}


def ddpm() -> Any:
    """Pixels without text or VAE: a pipeline that takes no callback."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    blocks: Any = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    unet = UNet2DModel(sample_size=8, layers_per_block=1, block_out_channels=(8, 8), norm_num_groups=4, **blocks)
    pipe = DDPMPipeline(unet=unet, scheduler=DDPMScheduler(num_train_timesteps=20))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def by_hand(pipe: Any) -> Any:
    """The same, with a bar that is moved by hand, and a callback that it takes and never calls."""

    class ByHand(type(pipe)):  # type: ignore[misc]
        def __call__(self, num_inference_steps: int, callback_on_step_end: Any = None) -> None:
            self.scheduler.set_timesteps(num_inference_steps)
            self._num_timesteps = 2 * num_inference_steps - 1
            with self.progress_bar(total=num_inference_steps) as bar:
                for t in self.scheduler.timesteps:
                    self.unet(torch.zeros(1, 3, 8, 8), t)
                    bar.update()

    made = ByHand(pipe.unet, pipe.scheduler)
    made.scheduler.order = 2
    made.set_progress_bar_config(disable=True)
    return made


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


def t5_config() -> Any:
    from transformers import T5Config

    return T5Config(
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


def t5() -> Any:
    """An encoder and a decoder."""
    from transformers import T5ForConditionalGeneration

    torch.manual_seed(0)
    return T5ForConditionalGeneration(t5_config()).eval()


def saved(library: str, folder: Any) -> None:
    """A model in a folder, for `from_pretrained`."""
    if library == "diffusers":
        stable_diffusion().save_pretrained(folder)
    else:
        llama().save_pretrained(folder)
        tokenizer().save_pretrained(folder)


def made(pipe: Any, steps: int, **call: Any) -> Any:
    """What it makes of one seed."""
    generator = torch.Generator().manual_seed(1)
    return pipe(**inputs(pipe), num_inference_steps=steps, generator=generator, output_type="np", **call).images
