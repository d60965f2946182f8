"""`hangwatch.integrations.tqdm` beside the bars of the real diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional, Tuple

import pytest

import hangwatch
from hangwatch.integrations import tqdm as bars
from slots import Slot

pytest.importorskip("torch")
import tiny


def test_the_bar_of_a_diffusers_pipeline_is_progress(worker: hangwatch.Worker, segment: Path) -> None:
    seen: List[Tuple[int, Optional[int]]] = []

    def look(*_: Any) -> None:
        slot = Slot(segment, 0)
        seen.append((slot.total, slot.progress))

    pipe = tiny.ddpm()
    pipe.set_progress_bar_config(disable=True)
    pipe.unet.register_forward_pre_hook(look)
    with bars.install(worker):
        pipe(num_inference_steps=3)
    assert seen == [(3, None), (3, 1), (3, 2)], "each step of the loop is seen from outside while the next one is made"
