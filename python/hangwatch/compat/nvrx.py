"""The rank monitor client of NVIDIA's resiliency extension, reporting to a hangwatch slot: the same calls.

    from hangwatch.compat.nvrx import RankMonitorClient

A section is a phase of its own, and between sections the slot shows the phase `workload`. As there, several timeouts run at
once: a phase's budget is the shortest of them, which are the heartbeat timeout, that of each section that is open, and the
out-of-section timeout where none is. Where the process is attached to nothing, every call still works and reports to nobody.

A section counts when `rank_section_timeouts` has its name, be it with None for a timeout yet. Any other one is only shown: for
every clock the work is outside of it, and opening it twice or closing what is not open is no error.

What differs from the original:

- Timeouts are given here (there, by the launcher's configuration). Where none of any kind is, 3600 s stand up to the first
  heartbeat and 2700 s between two; there, nothing would be judged. `math.inf` is none.
- An iteration is a section `step` (there, Megatron's count). In the first `num_warmup_iters` of them a step has the timeout of the
  section `warmup`, if that has one, else none, and what is outside of sections is not judged by the out-of-section timeout. As
  there, neither is what comes before the first step, where sections are given and `warmup` is none of them.
- hangwatch starts workers and has no rendezvous, so `send_workload_control_request` only tells: the request is the slot's note, which
  `hangwatch status` shows, and `on_control` gets it, to do what its host can. Where nobody does and something was to be done, it is a
  `RuntimeError`, as it is there without the launcher. `hangwatch run` does not start a worker again that ended with exit code 0.
- A phase's budget runs from where it was entered, and each heartbeat in it restarts it, up to the end of the section's timeout. So
  a hang is found within one timeout of the last call, and a section that is left for another within it has its whole budget again.
- A segment has room for 48 phases, and a phase keeps the budget it was registered with. So each budget is a phase, `NAME/30s`
  (`NAME/none` without one), and a calculated timeout is rounded up to a power of two seconds there. `hb_timeouts` and
  `section_timeouts` tell it exactly.
- Ranks are told apart by `RANK`, and calculate for themselves. `reduce` makes them agree: it takes the longest times seen and
  returns their maximum over all ranks (an `all_reduce`). There are as many of them on each rank that was given the same sections.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional, Tuple

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
_UNSAID = (3600.0, 2700.0)  # heartbeat timeouts where no timeout of any kind is given
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


@dataclasses.dataclass
class _Section:
    """One that is open."""

    name: str
    opened_at: float
    # Whether it has a name in the timeouts; any other is only shown.
    counts: bool
    # What the shown phase's budget may be for its sake, in seconds.
    budget: Optional[float]


class RankMonitorClient:
    """Reports a rank's heartbeats and sections. Belongs to the thread that works."""

    CURRENT_TIMEOUTS_STATE_KEY = "current_timeouts"

    def __init__(
        self,
        *,
        worker: Optional[hangwatch.Worker] = None,
        initial_rank_heartbeat_timeout: Optional[float] = None,
        rank_heartbeat_timeout: Optional[float] = None,
        rank_section_timeouts: Optional[Mapping[str, Optional[float]]] = None,
        rank_out_of_section_timeout: Optional[float] = None,
        safety_factor: float = 5.0,
        reduce: Optional[Callable[[List[float]], List[float]]] = None,
        clock: Callable[[], float] = time.monotonic,
        on_stop: Optional[Callable[[], object]] = None,
        on_control: Optional[Callable[[WorkloadControlRequest], object]] = None,
    ) -> None:
        """Timeouts in seconds, None for one that is not used. A worker that is given stays attached at the end; without one the
        process is attached. A job that is open in it is shown in the phases of the client.

        `on_stop` is called once, at the first heartbeat or section after the monitor asked the worker to stop; an `Exception`
        that it raises goes nowhere. `on_control` carries out what `send_workload_control_request` asks for."""
        self.is_initialized = False
        beats, sections = (initial_rank_heartbeat_timeout, rank_heartbeat_timeout), dict(rank_section_timeouts or {})
        if all(timeout is None for timeout in (*beats, rank_out_of_section_timeout, *sections.values())):
            beats = _UNSAID
        self.hb_timeouts = HeartbeatTimeouts(*beats, False)
        self.section_timeouts = SectionTimeouts(sections, rank_out_of_section_timeout)
        self._given = worker
        self._worker: Optional[hangwatch.Worker] = None
        # Phases that the worker knows by now, and their budgets.
        self._registered: Dict[str, Optional[float]] = {}
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
        # In the order they were opened; the last one is shown.
        self._open: Dict[str, _Section] = {}
        # Name and budget of the phase that is meant to be shown, and since when it is.
        self._shown: Optional[Tuple[str, Optional[float]]] = None
        self._shown_at = self._started_at
        self.is_initialized = True
        self._show()

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
        if self._beat_at is None:
            self._longest.to_first_beat = max(self._longest.to_first_beat, now - self._started_at)
        else:
            self._longest.between_beats = max(self._longest.between_beats, now - self._beat_at)
        self._beat_at = now
        # A beat restarts the budget: in a section that has had all its time it would hide that.
        if not any(now - section.opened_at > _seconds(section.budget) for section in self._open.values()):
            worker.beat()
            self._show(lives=True)
        self._stop.heed(worker)

    def start_section(self, section: str) -> None:
        """Opens a section within those that are open."""
        worker, now = self._ready(), self._clock()
        if section in self._open:
            return self._misused(section, f"cannot open section '{section}': it is open already")
        timeouts = self.section_timeouts
        counts = section in timeouts.section
        if counts:
            self._steps += section == _STEP
            self._note_out_of_section(now)
        judged_as = _WARMUP if section == _STEP and self._steps <= self._warmup else section
        budget = _budget(timeouts.section.get(judged_as) if counts else None, judged_as in timeouts.calculated_sections)
        self._open[section] = _Section(section, now, counts, budget)
        self._show()
        self._stop.heed(worker)

    def end_section(self, section: str) -> None:
        """Closes a section, whichever others are open."""
        worker = self._ready()
        if section not in self._open:
            return self._misused(section, f"cannot close section '{section}': it is not open")
        self._close(section)
        self._show()
        self._stop.heed(worker)

    def end_all_sections(self) -> None:
        """Closes what is open; nothing, for one."""
        worker = self._ready()
        for section in list(self._open):
            self._close(section)
        self._show()
        self._stop.heed(worker)

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
        self._show()
        return True

    def calculate_and_set_section_timeouts(
        self,
        selected_sections: Optional[Collection[str]] = None,
        calc_out_of_section: bool = True,
        skip_if_not_ready: bool = False,
    ) -> bool:
        """The same for sections, all that were given or those selected. Sections that are open keep their budget."""
        self._ready()
        self._note_out_of_section(self._clock())
        self._agree()
        longest, current = self._longest, self.section_timeouts
        selected = list(current.section) if selected_sections is None else list(selected_sections)
        unknown = [name for name in selected if name not in current.section]
        if unknown:
            raise RankMonitorClientError(
                f"cannot calculate a timeout of section '{unknown[0]}': it was not given\n"
                f"  RankMonitorClient(rank_section_timeouts=...) has to name it; it names {', '.join(map(repr, current.section)) or 'none'}"
            )
        seen = all(longest.sections.get(name, 0.0) > 0 for name in selected)
        if not seen or (calc_out_of_section and longest.out_of_section <= 0):
            return self._not_ready(skip_if_not_ready)
        calculated = current.calculated_sections
        section = dict(current.section)
        for name in selected:
            section[name] = self._timeout(longest.sections[name], section[name] if name in calculated else None)
        out_of_section = current.out_of_section
        if calc_out_of_section:
            was = out_of_section if current.is_out_of_section_calculated else None
            out_of_section = self._timeout(longest.out_of_section, was)
        self.section_timeouts = SectionTimeouts(
            section, out_of_section, calculated | set(selected), current.is_out_of_section_calculated or calc_out_of_section
        )
        self._show()
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
            loaded = SectionTimeouts(**current[_SECTION])
            self.section_timeouts = dataclasses.replace(loaded, section={**self.section_timeouts.section, **loaded.section})
        if self.is_initialized:
            self._show()

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
        # Those that were given, and not those that this rank has seen: every rank must send as many numbers.
        longest, names = self._longest, sorted(self.section_timeouts.section)
        mine = [longest.to_first_beat, longest.between_beats, longest.out_of_section]
        mine += [longest.sections.get(name, 0.0) for name in names]
        ours = list(self._reduce(mine))
        if len(ours) != len(mine):
            raise RankMonitorClientError(f"reduce returned {len(ours)} numbers for {len(mine)}: it returns the maximum of each")
        self._longest = _Longest(ours[0], ours[1], ours[2], dict(zip(names, ours[3:])))

    def _is_in_section(self) -> bool:
        return any(section.counts for section in self._open.values())

    def _note_out_of_section(self, now: float) -> None:
        if not self._is_in_section():
            self._longest.out_of_section = max(self._longest.out_of_section, now - self._closed_at)

    def _close(self, name: str) -> None:
        now, section = self._clock(), self._open.pop(name)
        if section.counts:
            self._longest.sections[name] = max(self._longest.sections.get(name, 0.0), now - section.opened_at)
            if not self._is_in_section():
                self._closed_at = now

    def _show(self, lives: bool = False) -> None:
        """The innermost section that is open, else `workload`, with the shortest of the timeouts that run now. A phase may last for
        some budgets in all: one in which the rank `lives` on for longer than one is entered again."""
        shown = next(reversed(list(self._open)), _WORKLOAD), self._shortest()
        now = self._clock()
        if shown != self._shown or (lives and now - self._shown_at >= _seconds(shown[1])):
            worker = self._ready()
            worker.phase(self._phase(worker, *shown))
            self._shown, self._shown_at = shown, now

    def _shortest(self) -> Optional[float]:
        """In seconds; None where none runs."""
        beats, sections = self.hb_timeouts, self.section_timeouts
        running = [_budget(beats.initial if self._beat_at is None else beats.subsequent, bool(beats.were_calculated))]
        running += [section.budget for section in self._open.values()]
        before_steps = not self._steps and bool(sections.section) and _WARMUP not in sections.section
        if not self._is_in_section() and not before_steps and self._steps >= self._warmup:
            running.append(_budget(sections.out_of_section, sections.is_out_of_section_calculated))
        return min((budget for budget in running if budget is not None), default=None)

    def _phase(self, worker: hangwatch.Worker, name: str, budget: Optional[float]) -> str:
        """The registered phase of that name and budget. Where there is no room for it, the nearest that is no shorter."""
        # With a tail of its own also where it has no budget: a section `loading` is not the phase of that name.
        tail = "/none" if budget is None else f"/{budget:g}s"
        phase = name.encode()[: _NAME_MAX - len(tail)].decode(errors="ignore") + tail
        if phase in self._registered:
            return phase
        try:
            worker.register_phase(phase, "work", budget)
        except hangwatch.Error:
            longer = [(_seconds(it), phase) for phase, it in self._registered.items() if _seconds(it) >= _seconds(budget)]
            return min(longer, default=(math.inf, "idle"))[1]
        self._registered[phase] = budget
        return phase


def _seconds(budget: Optional[float]) -> float:
    return math.inf if budget is None else budget


def _budget(timeout: Optional[float], calculated: bool) -> Optional[float]:
    """A phase's budget for a timeout, both in seconds."""
    if timeout is None or math.isinf(timeout):
        return None
    return 2.0 ** max(0, math.ceil(math.log2(max(timeout, 1.0)))) if calculated else max(timeout, 0.001)
