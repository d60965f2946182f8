"""What a segment says, and how a monitor is: plain data, under the names of `hangwatch status --json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional, Tuple, Union

from . import _hangwatch
from ._errors import UsageError
from ._expect import Expect


@dataclass(frozen=True)
class WorkerStatus:
    """A slot. Ages and durations in seconds. Whatever is not known is None."""

    slot: int
    name: Optional[str]
    lane: Optional[str]
    kind: Optional[str]
    """`worker`, `lane`, `gpu` or `unknown`; None while nobody has claimed the slot."""
    device: Optional[int]
    pid: Optional[int]
    """In the worker's own pid namespace."""
    phase: Optional[str]
    verdict: str
    """The last poll's where a monitor is alive, else by the worker's stamps, else `unknown`."""
    heartbeat_age_s: Optional[float]
    """Since the last beat or step. A helper's `alive` counts in an event's age, and in judgement."""
    progress_age_s: Optional[float]
    """Since progress last passed its mark."""
    done: Optional[int]
    total: Optional[int]
    percent: Optional[float]
    rate_per_s: Optional[float]
    eta_s: Optional[float]
    job: Optional[str]
    """The open job's id; `#n` where it has none, None without a job."""
    model: Optional[str]
    restarts: int
    lease_s: Optional[float]
    """What is left of a lease in force."""
    acting: bool
    """Whether a monitor that may act acts upon the verdict."""
    clock: Optional[str]
    """The clock that expired, if one did."""
    source: str
    """Where verdict and ages come from: `monitor`, `stamps` or `nothing`."""
    state: str
    """`free`, `claiming`, `live`, `reserved` or `quarantined`."""
    generation: int
    """How often the slot was claimed, modulo 2**16."""
    tid: Optional[int]
    """The thread that claimed it."""
    episode: Optional[int]
    """Number of the open episode."""
    reports_progress: bool
    """Whether the job counts units, known total or not."""
    job_number: Optional[int]
    pass_number: Optional[int]
    """How often the count legitimately started again, from 0."""
    falls: Optional[int]
    """How often progress fell back."""
    jobs_ok: int
    jobs_failed: int
    jobs_cancelled: int
    batch: Optional[int]
    size: Optional[int]
    deadline_s: Optional[float]
    """From the job's beginning."""
    job_age_s: Optional[float]
    heartbeat_budget_s: Optional[float]
    """The budgets that run, from `Monitor.workers` and `Monitor.worker` alone: a reader knows no monitor's policy."""
    progress_budget_s: Optional[float]
    phase_budget_s: Optional[float]
    """Of a phase other than inference; before the first beat the start's."""
    detail: Optional[str]
    """`Worker.note`."""


@dataclass(frozen=True)
class SegmentMonitor:
    """A segment's monitor, whoever runs it."""

    alive: bool
    pid: Optional[int]
    """As this process sees it."""
    interval_s: Optional[float]
    worst_case_detection_s: Optional[float]
    """The latest that it sees a hang in inference, while its polls are on time."""


@dataclass(frozen=True)
class SegmentStatus:
    """A segment at one moment."""

    segment: str
    """Its path."""
    presence: str
    """What became of its file: `present`, `unlinked`, `replaced` or `superseded`."""
    slots: int
    slot_size: int
    monitor: SegmentMonitor
    workers: Tuple[WorkerStatus, ...]
    """Every slot that is anybody's."""


@dataclass(frozen=True)
class MonitorStatus:
    """How a monitor of this process is, or was when it was stopped. Durations in seconds."""

    running: bool
    segment: str
    presence: str
    """What became of the segment's file: `present`, `unlinked`, `replaced`, `truncated`, `superseded` or `erased`."""
    polls: int
    good_polls: int
    """Polls at which every slot could be read and judged."""
    events_lost: int
    """Events that `on_event` or the file was too slow for."""
    interval_s: float
    last_poll_age_s: Optional[float]
    late_s: float
    """By how much the last poll came late."""
    worst_late_s: float
    worst_case_detection_s: float
    """The latest that it sees a hang in inference, while its polls are on time."""


def extension(name: str, what: str) -> Any:
    """What the cargo feature `monitor` adds to the extension."""
    try:
        return getattr(_hangwatch, name)
    except AttributeError:
        raise UsageError(
            what,
            "this build of hangwatch is the worker's side alone",
            ("build the package with the cargo feature 'monitor', which is on unless it is turned off",),
        ) from None


def worker_of(told: Mapping[str, Any]) -> WorkerStatus:
    """Of the extension's JSON."""
    return WorkerStatus(**told)


def status(
    segment: Union[str, os.PathLike[str], None] = None, *, policy: Optional[Mapping[str, Any]] = None
) -> SegmentStatus:
    """What the segment says now: a live monitor's words first, else the workers' own stamps, judged by `policy`.

    `segment` is a name, or a path with a slash; None is HANGWATCH_SEGMENT, else `default`. It needs no monitor and disturbs
    nobody. Raises `NotFoundError` where there is none, `BadSegmentError` where it is damaged or was cut while it was read.
    """
    what = "cannot read a segment"
    told = json.loads(extension("segment_status", what)(Expect(what).path("segment", segment), policy))
    workers = tuple(map(worker_of, told.pop("workers")))
    return SegmentStatus(monitor=SegmentMonitor(**told.pop("monitor")), workers=workers, **told)
