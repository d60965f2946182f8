"""How much a pipeline's call makes at once, and of which size. What is given may be anything."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from ._calls import quietly

_TOLD = ("height", "width", "num_frames")
_SHAPED = ("image", "images", "mask_image", "mask", "control_image", "control_mask", "video")


def batch(given: Dict[str, Any]) -> int:
    """How many the call makes at once. May raise."""
    prompt, embeds = given.get("prompt"), given.get("prompt_embeds")
    if isinstance(prompt, (list, tuple)):
        prompts = len(prompt)
    elif prompt is None and embeds is not None:
        prompts = len(embeds)
    else:
        prompts = int(given.get("batch_size") or 1)
    return prompts * int(given.get("num_images_per_prompt") or given.get("num_videos_per_prompt") or 1)


def size(given: Dict[str, Any]) -> Tuple[Any, ...]:
    """What its sections' first times depend on: the size that it is told, and those of what it is to make something of."""
    told = (quietly(int, given[name]) if given.get(name) is not None else None for name in _TOLD)
    return (*told, *(quietly(_shape, given.get(name)) for name in _SHAPED))


def _shape(it: Any) -> Any:
    """Of a tensor, an array, an image, or as many of these as there are."""
    if isinstance(it, (list, tuple)):
        return len(it), frozenset(_shape(item) for item in it)
    # By an attribute, so nothing is copied. A tensor's `size` is a method.
    shape = getattr(it, "shape", None) or getattr(it, "size", None)
    return None if shape is None else tuple(int(length) for length in shape)
