"""A child process of AI Horde's worker, as a hangwatch slot."""

from __future__ import annotations

from typing import Any, Optional, Protocol

from ._horde_names import CALLS, ENDS_A_JOB, PHASES, Named, Outcome, begins_again, name, percent


class _Worker(Protocol):
    def step(self, done: int, /) -> object: ...
    def beat(self) -> object: ...
    def extend(self, seconds: float) -> object: ...
    def begin_pass(self) -> object: ...
    def phase(self, phase: str) -> object: ...
    def begin_job(self, id: str = ..., model: str = ..., total: Optional[int] = ...) -> object: ...
    def end_job(self, outcome: Outcome) -> object: ...


ALCHEMY_S = 600.0
"""How long alchemy may be silent: it reports nothing until it is done, and a step's timeout may be far shorter."""


class Reporter:
    """A child process of the worker that reports to its hangwatch slot: states as phases and jobs, heartbeats as calls."""

    def __init__(self, worker: _Worker) -> None:
        self._worker = worker
        self._job: Any = None
        self._is_open = False
        # The highest percentage of this pass.
        self._mark = 0

    def on_last_job_reference_change(self, job: Any) -> None:
        """The job that the next inference is of: its `id_` (or `id`) and `model` are told with it."""
        if self._is_open and job != self._job:
            self._end("cancelled")
        self._job = job

    def on_process_state_change(self, new_state: Named) -> None:
        """The child is in another state. One that is not in the table changes nothing."""
        state = name(new_state) or ""
        phase = PHASES.get(state)
        if phase is None:
            return
        if self._is_open and state in ENDS_A_JOB:
            self._end(ENDS_A_JOB[state])
        if phase == "inference" and not self._is_open:
            self._begin(total=100 if state == "INFERENCE_STARTING" else None)
            if state == "ALCHEMY_STARTING":
                self._worker.extend(ALCHEMY_S)
        else:
            self._worker.phase(phase)

    def on_heartbeat(self, heartbeat_type: Named, **details: Any) -> None:
        """A heartbeat is sent; `percent_complete=` is its progress."""
        done = percent(details)
        if done is not None and CALLS.get(name(heartbeat_type) or "") == "step":
            if begins_again(self._mark, done):
                self._worker.begin_pass()
                self._mark = 0
            self._mark = max(self._mark, int(done))
            self._worker.step(int(done))
        else:
            self._worker.beat()

    def _begin(self, total: Optional[int]) -> None:
        ids = [getattr(self._job, field, None) for field in ("id_", "id")]
        job_id = next((str(it) for it in ids if it is not None), "")
        self._worker.begin_job(id=job_id, model=str(getattr(self._job, "model", None) or ""), total=total)
        self._is_open = True
        self._mark = 0

    def _end(self, outcome: Outcome) -> None:
        self._worker.end_job(outcome)
        self._is_open = False
