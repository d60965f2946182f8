"""A worker's name and device, of its rank."""

from __future__ import annotations

import importlib
import os
from typing import Any, Optional, Union

import hangwatch


def attach(
    name: Optional[str] = None,
    *,
    segment: Union[str, os.PathLike[str], None] = None,
    device: Optional[int] = None,
) -> hangwatch.Worker:
    """As `hangwatch.attach`, with the name `rank3` and the rank's device where none are given.

    The rank is `torch.distributed`'s where that is initialised, else the launcher's `RANK`. The device is `LOCAL_RANK`, the
    convention of launchers, where `HANGWATCH_DEVICE` says nothing else. Raises as `hangwatch.attach`.
    """
    if name is None:
        rank = _rank()
        name = None if rank is None else f"rank{rank}"
    if device is None and "HANGWATCH_DEVICE" not in os.environ:
        device = _number(os.environ.get("LOCAL_RANK"))
    return hangwatch.attach(name, segment=segment, device=device)


def _rank() -> Optional[int]:
    distributed: Any = importlib.import_module("torch.distributed")
    if distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    return _number(os.environ.get("RANK"))


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text is not None and text.isdecimal() else None
