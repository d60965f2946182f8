"""Models of random weights, so small that a step is milliseconds on one CPU; nothing is fetched from a hub."""

from __future__ import annotations

from typing import Any

import torch

torch.set_num_threads(1)


def ddpm() -> Any:
    """Pixels without text or VAE: a pipeline that takes no callback."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    blocks: Any = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    unet = UNet2DModel(sample_size=8, layers_per_block=1, block_out_channels=(8, 8), norm_num_groups=4, **blocks)
    return DDPMPipeline(unet=unet, scheduler=DDPMScheduler(num_train_timesteps=20))
