"""hangwatch for ComfyUI: copy this folder into `custom_nodes/`, `pip install` hangwatch where ComfyUI's Python is, and start it under it:

    hangwatch run --inference-step-timeout 5m -- python main.py

Each prompt is a job then, each node a section, each progress bar a count. Where nothing watches, it does nothing.
"""

from __future__ import annotations

import logging
from typing import Any, Dict, Tuple

import hangwatch
from hangwatch.integrations import comfyui

try:
    worker = hangwatch.current() or hangwatch.attach("comfyui")
except hangwatch.Error as error:
    # A segment that is named and cannot be had stops no ComfyUI.
    logging.warning("%s", error)
    worker = hangwatch.detached()
# For `hangwatch run --log-dir DIR --faulthandler SIGUSR1`: the stacks of a hung ComfyUI.
hangwatch.dump_stacks_on("SIGUSR1")
installed = comfyui.install(worker, watch=worker.attached)


class HangwatchStatus:
    """Says, in a graph, whether ComfyUI is watched."""

    CATEGORY = "utils"
    FUNCTION = "status"
    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls) -> Dict[str, Any]:
        return {"required": {}}

    @classmethod
    def IS_CHANGED(cls) -> float:
        # Never from the cache.
        return float("nan")

    def status(self) -> Tuple[str]:
        return (f"slot {worker.slot} of {worker.segment}" if worker.attached else "not watched",)


NODE_CLASS_MAPPINGS = {"HangwatchStatus": HangwatchStatus}
NODE_DISPLAY_NAME_MAPPINGS = {"HangwatchStatus": "hangwatch: status"}
