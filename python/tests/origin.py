"""AI Horde's own test for a job that is stuck in inference, and its published fix, as docs/demo.md tells them; and the traces
that both, and hangwatch's rules, are played over. Seconds on a fake clock."""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Protocol, Tuple

from hangwatch.horde import HordeHeartbeatType, HordeProcessState, ProcessMap

POLL = 0.2
INFERENCE = "INFERENCE_STARTING"


class Event(NamedTuple):
    """At `at` a state is reported, or a beat, with its percentage where it has one."""

    at: float
    state: Optional[str] = None
    beat: Optional[str] = None
    percent: Optional[int] = None


class Judge(Protocol):
    def take(self, event: Event) -> None: ...
    def is_stuck(self, now: float) -> bool: ...


class OriginalRule:
    """The gap between the last two beats, worked out when a beat arrives. Below 1 % it is never stuck."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.state: Optional[str] = None
        self.beat_at = 0.0
        self.gap = 0.0
        self.kind: Optional[str] = None
        self.percent: Optional[int] = None

    def take(self, event: Event) -> None:
        if event.state is not None:
            self.state = event.state
        if event.beat is not None:
            self.gap, self.beat_at = event.at - self.beat_at, event.at
            self.kind, self.percent = event.beat, event.percent

    def is_stuck(self, now: float) -> bool:
        if self.state != INFERENCE or (self.percent is not None and self.percent < 1):
            return False
        return self.kind == "INFERENCE_STEP" and self.gap > self.timeout


class PublishedFix:
    """The time since the percentage last changed, up or down, at any percentage; a beat's gap besides."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.state: Optional[str] = None
        self.beat_at = 0.0
        self.gap = 0.0
        self.kind: Optional[str] = None
        self.percent: Optional[int] = None
        self.changed_at = 0.0

    def take(self, event: Event) -> None:
        if event.state is not None:
            self.state = event.state
            if event.state in ("WAITING_FOR_JOB", "INFERENCE_COMPLETE"):
                self.percent, self.changed_at, self.gap, self.beat_at = None, event.at, 0.0, event.at
        if event.beat is not None:
            self.gap, self.beat_at, self.kind = event.at - self.beat_at, event.at, event.beat
            if event.percent is not None and event.percent != self.percent:
                self.percent, self.changed_at = event.percent, event.at

    def is_stuck(self, now: float) -> bool:
        if self.state != INFERENCE:
            return False
        by_beats = self.kind == "INFERENCE_STEP" and self.gap > self.timeout
        return now - self.changed_at > self.timeout or by_beats


class Info:
    """A process's info: any object."""


class Ours:
    """`hangwatch.horde.ProcessMap`, called as the worker calls its own."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.now = 0.0
        self.map = ProcessMap({1: Info()}, clock=lambda: self.now)

    def take(self, event: Event) -> None:
        self.now = event.at
        if event.state is not None:
            self.map.on_process_state_change(1, HordeProcessState[event.state])
        if event.beat is not None:
            self.map.on_heartbeat(1, HordeHeartbeatType[event.beat], percent_complete=event.percent)

    def is_stuck(self, now: float) -> bool:
        self.now = now
        return self.map.is_stuck_on_inference(1, self.timeout)


def play(judge: Judge, trace: List[Event], until: float) -> Optional[float]:
    """When the judge, asked at every poll, first says stuck; None where it never does."""
    waiting = sorted(trace, key=lambda event: event.at)
    for poll in range(1, round(until / POLL) + 1):
        now = poll * POLL
        while waiting and waiting[0].at <= now:
            judge.take(waiting.pop(0))
        if judge.is_stuck(now):
            return now
    return None


JUDGES: Tuple[Callable[[float], Judge], ...] = (OriginalRule, PublishedFix, Ours)


def starts() -> List[Event]:
    return [Event(0.0, state=INFERENCE)]


def steps(first: int, last: int, at: float = 1.0, every: float = 1.0) -> List[Event]:
    """One step of one percent after another."""
    return [Event(at + i * every, beat="INFERENCE_STEP", percent=p) for i, p in enumerate(range(first, last + 1))]


def beats(at: float, until: float, percent: Optional[int] = None, every: float = 1.0) -> List[Event]:
    """Beats that are no steps."""
    count = int((until - at) / every)
    return [Event(at + i * every, beat="PIPELINE_STATE_CHANGE", percent=percent) for i in range(count)]
