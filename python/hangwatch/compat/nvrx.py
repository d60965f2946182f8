"""The rank monitor client of NVIDIA's resiliency extension, reporting to a hangwatch slot: the same calls.

    from hangwatch.compat.nvrx import RankMonitorClient

A section is a phase of its own with the section's timeout for a budget; between sections the slot shows the phase
`workload`, whose budget is the heartbeat timeout, or the out-of-section timeout where that is shorter. Where the process is
attached to nothing, every call still works and reports to nobody.

What differs from the original:

- Timeouts are given here (there, by the launcher's configuration), and any section may be opened; one without a timeout is
  shown and not judged, and opening it twice or closing what is not open is no error.
- An iteration is a section `step` (there, Megatron's count). In the first `num_warmup_iters` of them a step has the timeout of the
  section `warmup`, if that has one, else none, and what is outside of sections is not judged by the out-of-section timeout.
- hangwatch starts workers and has no rendezvous, so `send_workload_control_request` only tells: the request is the slot's note, which
  `hangwatch status` shows, and `on_control` gets it, to do what its host can. Where nobody does and something was to be done, it is a
  `RuntimeError`, as it is there without the launcher. `hangwatch run` does not start a worker again that ended with exit code 0.
- A heartbeat within a section restarts the section's budget, as any beat does in a phase. The policy's `max_phase_factor`
  bounds the section in all.
- A segment has room for 48 phases, and a phase keeps the budget it was registered with. So each budget is a phase, `NAME/30s`,
  and a calculated timeout is rounded up to a power of two seconds there. `hb_timeouts` and `section_timeouts` tell it exactly.
- Ranks are told apart by `RANK`, and calculate for themselves. `reduce` makes them agree: it takes the longest times seen and
  returns their maximum over all ranks (an `all_reduce`).
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional, Set, Tuple

import hangwatch

from .._stop import Stop
from ._nvrx_data import HeartbeatTimeouts, SectionTimeouts, WorkloadAction, WorkloadControlRequest

__all__ = [
    "HeartbeatTimeouts",
    "RankMonitorClient",
    "RankMonitorClientError",
    "SectionTimeouts",
    "WorkloadAction",
    "WorkloadControlRequest",
]

_WORKLOAD = "workload"
_STEP, _WARMUP = "step", "warmup"  # sections that mean something there
_NAME_MAX = 48  # bytes that a phase's name may have
_HEARTBEAT, _SECTION = "heartbeat", "section"


class RankMonitorClientError(Exception):
    """A call that makes no sense now, or an attach that failed."""


@dataclasses.dataclass
class _Longest:
    """The longest times seen, in seconds; 0 where none was."""

    to_first_beat: float = 0.0
    between_beats: float = 0.0
    out_of_section: float = 0.0
    sections: Dict[str, float] = dataclasses.field(default_factory=dict)


class RankMonitorClient:
    """Reports a rank's heartbeats and sections. Belongs to the thread that works."""

    CURRENT_TIMEOUTS_STATE_KEY = "current_timeouts"

    def __init__(
        self,
        *,
        worker: Optional[hangwatch.Worker] = None,
        initial_rank_heartbeat_timeout: Optional[float] = 3600.0,
        rank_heartbeat_timeout: Optional[float] = 2700.0,
        rank_section_timeouts: Optional[Mapping[str, Optional[float]]] = None,
        rank_out_of_section_timeout: Optional[float] = None,
        safety_factor: float = 5.0,
        reduce: Optional[Callable[[List[float]], List[float]]] = None,
        clock: Callable[[], float] = time.monotonic,
        on_stop: Optional[Callable[[], object]] = None,
        on_control: Optional[Callable[[WorkloadControlRequest], object]] = None,
    ) -> None:
        """Timeouts in seconds. A worker that is given stays attached at the end; without one the process is attached. `on_stop` is
        called once, at the first heartbeat or section after the monitor asked the worker to stop; an `Exception` that it raises goes nowhere.
        `on_control` carries out what `send_workload_control_request` asks for."""
        self.is_initialized = False
        self.hb_timeouts = HeartbeatTimeouts(initial_rank_heartbeat_timeout, rank_heartbeat_timeout, False)
        self.section_timeouts = SectionTimeouts(dict(rank_section_timeouts or {}), rank_out_of_section_timeout)
        self._given = worker
        self._worker: Optional[hangwatch.Worker] = None
        # Names that the worker knows by now.
        self._registered: Set[str] = set()
        self._safety_factor = safety_factor
        self._reduce = reduce
        self._clock = clock
        self._stop = Stop(on_stop)
        self._on_control = on_control

    def init_workload_monitoring(self, num_warmup_iters: Optional[int] = None) -> None:
        """Attaches. From here on the time up to the first heartbeat runs. The first `num_warmup_iters` sections `step` are not judged
        by the timeout of a step; None is none of them."""
        if self.is_initialized:
            raise RankMonitorClientError("RankMonitorClient is already initialized")
        if self._given is None:
            self._registered.clear()
        self._worker = self._given if self._given is not None else self._attach()
        self._longest = _Longest()
        self._warmup = num_warmup_iters or 0
        self._steps = 0
        self._started_at = self._closed_at = self._clock()
        self._beat_at: Optional[float] = None
        # Section to the instant it was opened, in that order.
        self._open: Dict[str, float] = {}
        # What the slot holds: the same, with sections that were closed under an open one.
        self._entered: List[Tuple[str, bool]] = []
        self._shown: Optional[str] = None
        self.is_initialized = True
        self._show_workload()

    def shutdown_workload_monitoring(self) -> None:
        """Ends what is open and detaches. May be called twice."""
        if not self.is_initialized:
            return
        worker = self._ready()
        self.end_all_sections()
        self.is_initialized = False
        self._worker = None
        worker.phase("idle")
        if self._given is None:
            worker.detach()

    def send_heartbeat(self) -> None:
        """The rank lives and works."""
        worker, now = self._ready(), self._clock()
        worker.beat()
        if self._beat_at is None:
            self._longest.to_first_beat = max(self._longest.to_first_beat, now - self._started_at)
        else:
            self._longest.between_beats = max(self._longest.between_beats, now - self._beat_at)
        self._beat_at = now
        self._show_workload()
        self._stop.heed(worker)

    def start_section(self, section: str) -> None:
        """Opens a section within those that are open."""
        worker, now = self._ready(), self._clock()
        if section in self._open:
            return self._misused(section, f"cannot open section '{section}': it is open already")
        if section == _STEP:
            self._steps += 1
        self._note_out_of_section(now)
        self._open[section] = now
        self._enter(worker, section)
        self._stop.heed(worker)

    def end_section(self, section: str) -> None:
        """Closes a section, whichever others are open."""
        self._ready()
        if section not in self._open:
            return self._misused(section, f"cannot close section '{section}': it is not open")
        self._close(section)
        self._leave_closed()

    def end_all_sections(self) -> None:
        """Closes what is open; nothing, for one."""
        self._ready()
        for section in reversed(list(self._open)):
            self._close(section)
        self._leave_closed()

    def calculate_and_set_hb_timeouts(self, skip_if_not_ready: bool = False) -> bool:
        """Sets both heartbeat timeouts to the safety factor times the longest seen; half of that and half of the one in use,
        where that one was calculated too. False where too little was seen and that is to be skipped."""
        self._ready()
        self._agree()
        longest, current = self._longest, self.hb_timeouts
        if longest.to_first_beat <= 0 or longest.between_beats <= 0:
            return self._not_ready(skip_if_not_ready)
        was = current.were_calculated
        self.hb_timeouts = HeartbeatTimeouts(
            self._timeout(longest.to_first_beat, current.initial if was else None),
            self._timeout(longest.between_beats, current.subsequent if was else None),
            True,
        )
        self._show_workload()
        return True

    def calculate_and_set_section_timeouts(
        self,
        selected_sections: Optional[Collection[str]] = None,
        calc_out_of_section: bool = True,
        skip_if_not_ready: bool = False,
    ) -> bool:
        """The same for sections, all that are known or those selected. Sections that are open keep their budget."""
        self._ready()
        self._note_out_of_section(self._clock())
        self._agree()
        longest, current = self._longest, self.section_timeouts
        known = {**dict.fromkeys(current.section), **dict.fromkeys(longest.sections)}
        selected = list(known) if selected_sections is None else list(selected_sections)
        seen = all(longest.sections.get(name, 0.0) > 0 for name in selected)
        if not seen or (calc_out_of_section and longest.out_of_section <= 0):
            return self._not_ready(skip_if_not_ready)
        calculated = current.calculated_sections
        section = {name: current.section.get(name) for name in known}
        for name in selected:
            section[name] = self._timeout(longest.sections[name], section[name] if name in calculated else None)
        out_of_section = current.out_of_section
        if calc_out_of_section:
            was = out_of_section if current.is_out_of_section_calculated else None
            out_of_section = self._timeout(longest.out_of_section, was)
        self.section_timeouts = SectionTimeouts(
            section, out_of_section, calculated | set(selected), current.is_out_of_section_calculated or calc_out_of_section
        )
        self._show_workload()
        return True

    def state_dict(self) -> Mapping[str, Any]:
        """The calculated timeouts, fit for JSON."""
        state: Dict[str, Any] = {}
        if self.hb_timeouts.were_calculated and self.hb_timeouts.are_valid:
            state[_HEARTBEAT] = dataclasses.asdict(self.hb_timeouts)
        sections = self.section_timeouts
        if sections.calculated_sections or sections.is_out_of_section_calculated:
            state[_SECTION] = dataclasses.asdict(sections)
            state[_SECTION]["calculated_sections"] = sorted(sections.calculated_sections)
        return {self.CURRENT_TIMEOUTS_STATE_KEY: state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes timeouts that were calculated before, at any moment. What is not in the state is kept."""
        current = state.get(self.CURRENT_TIMEOUTS_STATE_KEY, {})
        if _HEARTBEAT in current:
            self.hb_timeouts = HeartbeatTimeouts(**current[_HEARTBEAT])
        if _SECTION in current:
            self.section_timeouts = SectionTimeouts(**current[_SECTION])
        if self.is_initialized:
            self._show_workload()

    def send_workload_control_request(self, req: WorkloadControlRequest) -> None:
        """Tells whoever starts the ranks what is to become of the workload: by the slot's note, and to `on_control`, whose exceptions
        are the caller's. Raises `RuntimeError` where there is no `on_control` and the action is another than `Continue`."""
        if self._worker is not None:
            self._worker.note(f"{req.action.name}: {req.description}")
        if self._on_control is not None:
            self._on_control(req)
        elif req.action is not WorkloadAction.Continue:
            raise RuntimeError(
                f"cannot carry out {req.action.name}: hangwatch has no rendezvous that it could change\n"
                "  RankMonitorClient(on_control=...) is called with the request, and does what its host can\n"
                "  'hangwatch run' does not start a worker again that ends with exit code 0"
            )

    def _misused(self, section: str, what: str) -> None:
        if section in self.section_timeouts.section:
            raise RankMonitorClientError(what)

    def _attach(self) -> hangwatch.Worker:
        rank = os.environ.get("RANK")
        try:
            return hangwatch.attach(None if rank is None else f"rank{rank}")
        except hangwatch.Error as error:
            raise RankMonitorClientError(f"RankMonitorClient could not attach: {error}") from error

    def _ready(self) -> hangwatch.Worker:
        if not self.is_initialized or self._worker is None:
            raise RankMonitorClientError("RankMonitorClient is not initialized")
        return self._worker

    @staticmethod
    def _not_ready(skip: bool) -> bool:
        if skip:
            return False
        raise RankMonitorClientError("Not enough data to compute timeouts.")

    def _timeout(self, longest: float, current: Optional[float]) -> float:
        new = self._safety_factor * longest
        return new if current is None else (new + current) / 2

    def _agree(self) -> None:
        if self._reduce is None:
            return
        longest, names = self._longest, sorted(self._longest.sections)
        mine = [longest.to_first_beat, longest.between_beats, longest.out_of_section]
        ours = self._reduce(mine + [longest.sections[name] for name in names])
        self._longest = _Longest(ours[0], ours[1], ours[2], dict(zip(names, ours[3:])))

    def _note_out_of_section(self, now: float) -> None:
        if not self._open:
            self._longest.out_of_section = max(self._longest.out_of_section, now - self._closed_at)

    def _close(self, section: str) -> None:
        now = self._clock()
        lasted = now - self._open.pop(section)
        self._longest.sections[section] = max(self._longest.sections.get(section, 0.0), lasted)
        if not self._open:
            self._closed_at = now

    def _enter(self, worker: hangwatch.Worker, section: str) -> None:
        timeouts = self.section_timeouts
        judged_as = _WARMUP if section == _STEP and self._steps <= self._warmup else section
        phase = self._phase(worker, section, timeouts.section.get(judged_as), judged_as in timeouts.calculated_sections)
        if phase is not None:
            worker.enter(phase)
        self._entered.append((section, phase is not None))

    def _leave_closed(self) -> None:
        """The slot shows the innermost that is open. One that was closed under it is left with it."""
        worker = self._ready()
        while self._entered and self._entered[-1][0] not in self._open:
            _, is_shown = self._entered.pop()
            if is_shown:
                worker.leave()
        self._show_workload()
        self._stop.heed(worker)

    def _show_workload(self) -> None:
        """Outside of sections: the phase whose budget is the timeout that stands now."""
        if self._entered:
            return
        beats, sections = self.hb_timeouts, self.section_timeouts
        beat = beats.initial if self._beat_at is None else beats.subsequent
        outside = None if self._steps < self._warmup else sections.out_of_section
        known = [timeout for timeout in (beat, outside) if timeout is not None]
        calculated = bool(beats.were_calculated) or sections.is_out_of_section_calculated
        worker = self._ready()
        phase = self._phase(worker, _WORKLOAD, min(known, default=None), calculated)
        if phase is not None and phase != self._shown:
            worker.phase(phase)
        self._shown = phase

    def _phase(self, worker: hangwatch.Worker, name: str, budget: Optional[float], calculated: bool) -> Optional[str]:
        """The registered phase of that name and budget; None where there is no room for it: work goes on unshown."""
        tail = ""
        if budget is not None:
            budget = 2.0 ** max(0, math.ceil(math.log2(max(budget, 1.0)))) if calculated else max(budget, 0.001)
            tail = f"/{budget:g}s"
        head = name.encode()[: _NAME_MAX - len(tail)].decode(errors="ignore")
        if head + tail not in self._registered:
            try:
                worker.register_phase(head + tail, "work", budget)
            except hangwatch.Error:
                return None
            self._registered.add(head + tail)
        return head + tail
