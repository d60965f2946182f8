"""The states and heartbeats of AI Horde's worker by their own names, and what each stands for here."""

from __future__ import annotations

import enum
import math
from typing import Any, Literal, Mapping, Optional, Union

PHASES: Mapping[str, str] = {
    "PROCESS_STARTING": "starting",
    "WAITING_FOR_JOB": "idle",
    "PRELOADED_MODEL": "idle",
    "INFERENCE_COMPLETE": "idle",
    "INFERENCE_FAILED": "idle",
    "ALCHEMY_COMPLETE": "idle",
    "ALCHEMY_FAILED": "idle",
    "DOWNLOAD_COMPLETE": "idle",
    "DOWNLOAD_AUX_COMPLETE": "idle",
    "UNLOADED_MODEL_FROM_VRAM": "idle",
    "UNLOADED_MODEL_FROM_RAM": "idle",
    "SAFETY_FAILED": "idle",
    "JOB_RECEIVED": "received",
    "DOWNLOADING_MODEL": "downloading",
    "DOWNLOADING_AUX_MODEL": "downloading_aux",
    "PRELOADING_MODEL": "loading",
    "INFERENCE_STARTING": "inference",
    "ALCHEMY_STARTING": "inference",
    "INFERENCE_POST_PROCESSING": "post_processing",
    "EVALUATING_SAFETY": "safety",
    "PROCESS_ENDING": "ending",
    "PROCESS_ENDED": "ended",
}
"""The phase that each state stands for."""

CALLS: Mapping[str, str] = {"OTHER": "beat", "PIPELINE_STATE_CHANGE": "beat", "INFERENCE_STEP": "step"}
"""The call that each type of heartbeat stands for. A step that carries no percentage is a beat."""

Outcome = Literal["ok", "failed", "cancelled"]

ENDS_A_JOB: Mapping[str, Outcome] = {
    "INFERENCE_COMPLETE": "ok",
    "ALCHEMY_COMPLETE": "ok",
    "INFERENCE_FAILED": "failed",
    "ALCHEMY_FAILED": "failed",
    "WAITING_FOR_JOB": "cancelled",
    "PROCESS_ENDED": "cancelled",
}
"""The states that end a job, with its outcome where nothing had ended it before."""


class HordeProcessState(enum.Enum):
    """The worker's process states."""

    PROCESS_STARTING = enum.auto()
    PROCESS_ENDING = enum.auto()
    PROCESS_ENDED = enum.auto()
    WAITING_FOR_JOB = enum.auto()
    JOB_RECEIVED = enum.auto()
    DOWNLOADING_MODEL = enum.auto()
    DOWNLOADING_AUX_MODEL = enum.auto()
    DOWNLOAD_COMPLETE = enum.auto()
    DOWNLOAD_AUX_COMPLETE = enum.auto()
    PRELOADING_MODEL = enum.auto()
    PRELOADED_MODEL = enum.auto()
    UNLOADED_MODEL_FROM_VRAM = enum.auto()
    UNLOADED_MODEL_FROM_RAM = enum.auto()
    INFERENCE_STARTING = enum.auto()
    INFERENCE_POST_PROCESSING = enum.auto()
    INFERENCE_COMPLETE = enum.auto()
    INFERENCE_FAILED = enum.auto()
    ALCHEMY_STARTING = enum.auto()
    ALCHEMY_COMPLETE = enum.auto()
    ALCHEMY_FAILED = enum.auto()
    EVALUATING_SAFETY = enum.auto()
    SAFETY_FAILED = enum.auto()


class HordeHeartbeatType(enum.Enum):
    """The worker's types of heartbeat."""

    OTHER = enum.auto()
    PIPELINE_STATE_CHANGE = enum.auto()
    INFERENCE_STEP = enum.auto()


# Where programs import them from, so that a pickled member of one version is found by another.
HordeProcessState.__module__ = HordeHeartbeatType.__module__ = "hangwatch.horde"

Named = Union[enum.Enum, str]
"""A member of the worker's enums or of ours, or its name."""


def name(of: object) -> Optional[str]:
    if isinstance(of, enum.Enum):
        return of.name
    return of if isinstance(of, str) else None


def begins_again(mark: Optional[float], percent: float) -> bool:
    """Whether a count that was full (`mark` is the highest of this pass) starts again: another pass, a hires fix."""
    return mark is not None and mark >= 100 and percent < mark


def percent(details: Mapping[str, Any]) -> Optional[float]:
    """The percentage that a heartbeat carries. Versions that send steps too may leave it out."""
    given = details.get("percent_complete")
    if given is None:
        step, total = details.get("current_step"), details.get("total_steps")
        if not isinstance(step, (int, float)) or not isinstance(total, (int, float)) or total <= 0:
            return None
        given = 100 * step / total
    return float(given) if isinstance(given, (int, float)) and math.isfinite(given) else None
