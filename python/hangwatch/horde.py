"""AI Horde's worker: its states and heartbeats by their own names, and its process map with hangwatch's rules.

`ProcessMap` is called as the worker calls its own, and answers `is_stuck_on_inference` so, in inference only:

    ==========  ===========================================================================================
    silent      no heartbeat of any type for the timeout
    stalled     the percentage has not passed its mark of this job for the timeout, at any percentage
    looping     the same, and it fell back since the mark last rose: a retry loop
    ==========  ===========================================================================================

A job that reports no percentage is judged by its heartbeats alone. A new job starts anew, and so does a state that ends one.
A retry of the same job through another state keeps its mark, and what its clock had spent. A count that reached 100 and
starts again is another pass of the job (a hires fix); the first 16 start the mark anew.

`Reporter` is the other side: a child process that reports its states and heartbeats to a hangwatch slot.

`policy_of` reads the worker's `bridgeData.yaml` as a policy for `hangwatch.Monitor`.

Nothing of `horde_worker_regen` is imported: members of its enums are taken by their names.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Collection, Deque, Dict, Mapping, NamedTuple, Optional, Type, TypeVar, cast

from ._bridge import policy_of
from ._horde_names import CALLS, ENDS_A_JOB, PHASES, HordeHeartbeatType, HordeProcessState, Named, begins_again, name, percent
from ._horde_reporter import Reporter

__all__ = [
    "CALLS",
    "ENDS_A_JOB",
    "PHASES",
    "Detector",
    "HordeHeartbeatType",
    "HordeProcessState",
    "ProcessMap",
    "Reporter",
    "Stuck",
    "detecting",
    "policy_of",
]

MAX_PASSES = 16
"""Passes of a job that start its mark anew: the policy's default, so that an endless loop of whole passes is caught too."""

MIN_GAP_S = 10.0
"""A watcher that was not called for so long was held up itself. Above the five seconds between the worker's memory reports,
which keep coming while its manager pauses its checks."""


class Stuck(NamedTuple):
    """Why a process is stuck, with the ages that prove it, in seconds of the map's own clock."""

    verdict: str
    """`silent`, `stalled` or `looping`."""
    age: float
    budget: float
    heartbeat_age: float
    progress_age: Optional[float]
    """None where the job reports no percentage."""
    percent: Optional[float]
    """The last one reported."""
    job: Any
    """The job last referenced."""


class _Track:
    """What is remembered of one process."""

    def __init__(self, info: object, state: Optional[str], reports_progress: bool, now: float) -> None:
        self.info = info
        self.state = state
        self.job: Any = getattr(info, "last_job_referenced", None)
        self.reports_progress = reports_progress
        self.looked_at: Optional[float] = None
        self.gaps_known = 0
        self.in_inference = False
        self.restart(now)

    def restart(self, now: float) -> None:
        """A new job: both clocks and the mark anew."""
        self.passes = 1
        self.beat_at = now
        # While another state is shown the clock stands, at what it has spent.
        self.spent = 0.0
        self.restart_count(now)

    def restart_count(self, now: float) -> None:
        self.mark: Optional[float] = None
        self.last: Optional[float] = None
        self.fell_back = False
        self.progress_at = now
        self.spent = 0.0

    def enter(self, state: Optional[str], in_inference: bool, now: float) -> None:
        if self.in_inference and not in_inference:
            self.spent = now - self.progress_at
        elif in_inference and not self.in_inference:
            self.progress_at = now - self.spent
        self.state, self.in_inference = state, in_inference
        self.beat_at = now
        if state in ENDS_A_JOB:
            self.restart(now)

    def progress(self, percent: float, now: float) -> None:
        if begins_again(self.mark, percent) and self.passes < MAX_PASSES:
            self.passes += 1
            self.restart_count(now)
        self.last = percent
        if self.mark is None or percent > self.mark:
            self.mark, self.progress_at, self.spent, self.fell_back = percent, now, 0.0, False
        elif percent < self.mark:
            self.fell_back = True

    def progress_age(self, now: float) -> Optional[float]:
        return now - self.progress_at if self.mark is not None or self.reports_progress else None


class _Book(Dict[int, Any]):
    """The fields of a process's info that other parts of the worker read, kept as its own map keeps them."""

    def on_heartbeat(self, process_id: int, heartbeat_type: Named, **details: Any) -> None:
        info, now = self[process_id], time.time()
        info.last_heartbeat_delta = now - getattr(info, "last_heartbeat_timestamp", now)
        info.last_heartbeat_timestamp = info.last_received_timestamp = now
        info.last_heartbeat_type = heartbeat_type
        is_step = name(heartbeat_type) == "INFERENCE_STEP"
        info.heartbeats_inference_steps = getattr(info, "heartbeats_inference_steps", 0) + 1 if is_step else 0
        info.last_heartbeat_percent_complete = details.get("percent_complete")

    def on_process_state_change(self, process_id: int, new_state: Named) -> None:
        info = self[process_id]
        info.last_process_state = new_state
        info.last_received_timestamp = time.time()
        if name(new_state) in ENDS_A_JOB:
            _Book.reset_heartbeat_state(self, process_id)

    def on_last_job_reference_change(self, process_id: int, last_job_referenced: Any) -> None:
        info = self[process_id]
        if last_job_referenced is not None and last_job_referenced != getattr(info, "last_job_referenced", None):
            _Book.reset_heartbeat_state(self, process_id)
        info.last_job_referenced = last_job_referenced
        info.last_received_timestamp = time.time()

    def reset_heartbeat_state(self, process_id: int) -> None:
        info = self[process_id]
        info.last_heartbeat_delta = 0
        info.last_heartbeat_timestamp = time.time()
        info.heartbeats_inference_steps = 0
        info.last_heartbeat_percent_complete = None


if TYPE_CHECKING:
    _Host = _Book
else:
    # At run time the host is whatever map stands behind it, see `detecting`.
    _Host = object


class Detector(_Host):
    """hangwatch's rules in front of a process map. Each call is passed on to that map, which keeps its own fields."""

    phases: Mapping[str, str] = PHASES
    """A worker with states of its own adds them in a subclass. A state that is not in it is never stuck in inference."""

    unjudged: Collection[str] = ("ALCHEMY_STARTING",)
    """States that are never stuck in inference though their phase is that: the worker's own rule judges no alchemy, which reports
    nothing until it is done."""

    reports_progress: bool = False
    """True: every job reports a percentage, so its clock runs from the start of inference and not from the first report."""

    def __init__(self, *args: Any, clock: Callable[[], float] = time.monotonic, **kwargs: Any) -> None:
        """`clock` gives seconds and never goes back."""
        super().__init__(*args, **kwargs)
        self._clock = clock
        self._tracks: Dict[int, _Track] = {}
        self._called_at: Optional[float] = None
        self._excused = 0.0
        self._gaps = 0
        self._rounds: Deque[float] = deque(maxlen=8)
        self._is_inside = False

    def on_heartbeat(self, process_id: int, heartbeat_type: Named, **details: Any) -> None:
        """A heartbeat of any type has come; `percent_complete=` is its progress."""
        super().on_heartbeat(process_id, heartbeat_type, **details)
        now = self._now()
        track = self._track(process_id, now)
        track.beat_at = now
        done = percent(details)
        if done is not None and track.in_inference:
            track.progress(done, now)

    def on_process_state_change(self, process_id: int, new_state: Named) -> None:
        """The process is in another state, or says again that it is in this one."""
        self._pass_on(super().on_process_state_change, process_id, new_state)
        now = self._now()
        self._enter(self._track(process_id, now), name(new_state), now)

    def on_last_job_reference_change(self, process_id: int, last_job_referenced: Any) -> None:
        """The process has another job, or none."""
        self._pass_on(super().on_last_job_reference_change, process_id, last_job_referenced)
        self._track(process_id, self._now())

    def reset_heartbeat_state(self, process_id: int) -> None:
        """The worker says that all starts anew: both clocks and the mark."""
        super().reset_heartbeat_state(process_id)
        # A state change of the host resets too, and there the rules know better: a retry of a job keeps its mark.
        if not self._is_inside:
            now = self._now()
            self._track(process_id, now).restart(now)

    def is_stuck_on_inference(
        self,
        process_id: int,
        inference_step_timeout: float = 600.0,
        first_step_timeout: Optional[float] = None,
        *_: Any,
        **__: Any,
    ) -> bool:
        """Whether the process is stuck in inference, see `stuck_on_inference`. Timeouts in seconds."""
        return self.stuck_on_inference(process_id, inference_step_timeout, first_step_timeout) is not None

    def stuck_on_inference(
        self, process_id: int, inference_step_timeout: float = 600.0, first_step_timeout: Optional[float] = None
    ) -> Optional[Stuck]:
        """Why the process is stuck in inference, or None. Called in the worker's own loop, it answers at the first call at
        which an age has reached the timeout. Up to the first percentage above 0 a longer `first_step_timeout` stands."""
        now = self._now()
        track = self._track(process_id, now)
        if track.looked_at is not None:
            self._rounds.append(now - track.looked_at)
        track.looked_at = now
        after_gap, track.gaps_known = track.gaps_known < self._gaps, self._gaps
        if not track.in_inference or after_gap:
            return None
        budget = float(inference_step_timeout)
        if first_step_timeout is not None and not track.mark:
            budget = max(budget, float(first_step_timeout))
        silence, still = now - track.beat_at, track.progress_age(now)
        if silence >= budget:
            return Stuck("silent", silence, budget, silence, still, track.last, track.job)
        if still is not None and still >= budget:
            verdict = "looping" if track.fell_back else "stalled"
            return Stuck(verdict, still, budget, silence, still, track.last, track.job)
        return None

    def _now(self) -> float:
        """The map's own clock: time in which the watcher itself was held up counts for no more than a gap."""
        at = self._clock()
        held_up = 0.0 if self._called_at is None else at - self._called_at
        self._called_at = at
        if self._rounds and held_up > MIN_GAP_S:
            most = max(MIN_GAP_S, 2 * statistics.median(self._rounds))
            if held_up > most:
                self._excused += held_up - most
                self._gaps += 1
        return at - self._excused

    def _track(self, process_id: int, now: float) -> _Track:
        """What is known of the process, in step with its info: a replaced process has an info of its own."""
        info = self[process_id]
        state = name(getattr(info, "last_process_state", None))
        track = self._tracks.get(process_id)
        if track is None or track.info is not info:
            for gone in self._tracks.keys() - self.keys():
                del self._tracks[gone]
            track = self._tracks[process_id] = _Track(info, state, self.reports_progress, now)
            track.gaps_known = self._gaps
            self._enter(track, state, now)
        job = getattr(info, "last_job_referenced", None)
        if job is not track.job:
            if job is not None and job != track.job:
                track.restart(now)
            track.job = job
        # The worker writes this field past its own map in places.
        if state != track.state:
            self._enter(track, state, now)
        return track

    def _enter(self, track: _Track, state: Optional[str], now: float) -> None:
        judged = state is not None and state not in self.unjudged
        track.enter(state, judged and self.phases.get(state or "") == "inference", now)

    def _pass_on(self, call: Callable[..., None], *args: Any) -> None:
        self._is_inside = True
        try:
            call(*args)
        finally:
            self._is_inside = False


class ProcessMap(Detector, _Book):
    """The worker's `ProcessMap`, as far as its detector goes: process ids to infos, any objects that take attributes."""


_Map = TypeVar("_Map", bound=Dict[int, Any])


def detecting(process_map: Type[_Map]) -> Type[_Map]:
    """The worker's own `ProcessMap` class, all of it, with `is_stuck_on_inference` answered by hangwatch's rules."""
    return cast("Type[_Map]", type(process_map.__name__, (Detector, process_map), {"__module__": process_map.__module__}))
