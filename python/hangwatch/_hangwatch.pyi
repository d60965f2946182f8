"""The extension. Every report is harmless: on a detached worker, in a forked child and after `detach` it does nothing."""

import os
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Callable, Final, Literal, Optional, Union, final

_Phase = Union[str, int]
_Outcome = Literal["ok", "failed", "cancelled"]
_Seconds = Union[float, timedelta]
_Path = Union[str, os.PathLike[str]]

__version__: Final[str]
PHASES: Final[Mapping[str, int]]
"""The phases that every segment has, and their numbers."""
UNKNOWN: Final[int]
"""A total that is not known: an LLM's tokens."""

@final
class Worker:
    """A hold on a slot. It belongs to one thread at a time; `alive` is anybody's."""

    @property
    def attached(self) -> bool:
        """Whether reports reach a slot."""
    @property
    def slot(self) -> Optional[int]:
        """Its slot's number."""
    @property
    def generation(self) -> int:
        """How often the slot was claimed, modulo 2**16."""
    @property
    def device(self) -> Optional[int]:
        """The device that was named at attach or by the job."""
    @property
    def segment(self) -> Optional[str]:
        """The path of its segment."""
    @property
    def phase_id(self) -> Optional[int]:
        """The number of the phase that its slot shows."""
    @property
    def in_job(self) -> bool:
        """Whether a job that was begun here is open, on a detached worker too."""
    def step(self, done: int, /) -> None:
        """This many units of the count are done."""
    def beat(self) -> None:
        """The working thread lives, without progress."""
    def alive(self) -> None:
        """Some helper thread lives: at most a sign that the process runs."""
    def extend(self, seconds: _Seconds) -> None:
        """Says that it may be silent this long from now. The newest replaces the one before; 0 ends it."""
    def note(self, text: str) -> None:
        """Free text beside the job, up to 96 bytes."""
    def begin_pass(self) -> None:
        """The count legitimately starts again within the job."""
    def should_stop(self) -> bool:
        """Whether a monitor asks this worker to stop: finish or abandon the job, and end."""
    def phase(self, phase: _Phase, total: Optional[int] = None) -> Section:
        """Enters a phase now, with a count of its own, and ends all sections. Used by `with`, it is a section, as by `section`."""
    def section(self, phase: _Phase, total: Optional[int] = None) -> Section:
        """A block in which the worker is at this phase; after it the one around goes on with its count and what its budget had left.

        A job that begins or ends within it, and a `phase`, end it and all around it: after a job within a section the worker is `idle`.
        """
    def enter(self, phase: _Phase, total: Optional[int] = None) -> None:
        """Enters a section without a block: `leave` ends it."""
    def leave(self) -> None:
        """Leaves the section that was entered last."""
    def register_phase(
        self, name: str, cls: Literal["work", "idle", "exit"] = "work", budget: Optional[_Seconds] = None
    ) -> int:
        """Registers a phase of your own, or finds it by its name: its number. The name does as well from then on.

        Raises `UsageError` for a name of no or too many bytes and for another class, `FullError` where the segment has no room.
        """
    def begin_job(
        self,
        id: str = "",
        model: str = "",
        total: Optional[int] = None,
        *,
        batch: int = 0,
        size: int = 0,
        deadline: Optional[_Seconds] = None,
        device: Optional[int] = None,
    ) -> None:
        """Begins a job: enters `inference`. A `total` of `None`: it reports no progress; `UNKNOWN`: towards an end that is not known."""
    def end_job(self, outcome: _Outcome = "ok") -> None:
        """Ends the job and enters `idle`. Without one nothing is counted. An outcome other than ok or cancelled counts as failed."""
    def job(
        self,
        id: str = "",
        model: str = "",
        total: Optional[int] = None,
        *,
        batch: int = 0,
        size: int = 0,
        deadline: Optional[_Seconds] = None,
        device: Optional[int] = None,
    ) -> Job:
        """A block that is a job."""
    def lane(self, name: str) -> Worker:
        """A slot of its own for a job beside this worker's."""
    def gpu_lane(self, name: str, device: Optional[int] = None) -> Worker:
        """A slot that a device writes while a kernel runs, by default this worker's device."""
    def detach(self) -> None:
        """Gives the slot back."""
    def __enter__(self) -> Worker: ...
    def __exit__(
        self, exc_type: Optional[type[BaseException]], exc: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None: ...

@final
class Job:
    """A job as a block: `with` begins it, its end ends it. Once another began, it says nothing any more."""

    @property
    def id(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def total(self) -> Optional[int]: ...
    @property
    def done(self) -> int:
        """How many units it has said are done, in this pass."""
    @property
    def open(self) -> bool: ...
    @property
    def worker(self) -> Worker: ...
    def step(self, done: Optional[int] = None, /) -> None:
        """This many units are done; without a number, one more."""
    def begin_pass(self) -> None:
        """The count legitimately starts again."""
    def end(self, outcome: _Outcome = "ok") -> None:
        """Ends it before its block does. An outcome other than ok or cancelled counts as failed."""
    def __enter__(self) -> Job: ...
    def __exit__(
        self, exc_type: Optional[type[BaseException]], exc: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None: ...

@final
class Section:
    """A phase that is entered and left again. `with` gives the worker."""

    def __enter__(self) -> Worker: ...
    def __exit__(
        self, exc_type: Optional[type[BaseException]], exc: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None: ...

@final
class InterpreterWatch:
    """The native thread of a `hangwatch.InterpreterWatch`."""

    @property
    def running(self) -> bool:
        """Whether its thread is there: not after `stop`, nor in a forked child."""
    def pulse(self) -> None:
        """A thread of Python had the interpreter just now."""
    def stop(self) -> None:
        """Ends the thread and waits for it. Nothing is asked of the interpreter any more."""

@final
class Monitor:
    """The threads of a monitor: `hangwatch.Monitor` stands on it. Absent without the cargo feature `monitor`."""

    @property
    def running(self) -> bool: ...
    @property
    def segment(self) -> str: ...
    def stop(self) -> None: ...
    def reload(self, policy: Optional[Mapping[str, object]]) -> None: ...
    def status(self) -> str:
        """As JSON, and so below."""
    def workers(self) -> str: ...
    def worker(self, slot: int) -> str: ...

@final
class Calls:
    """Events on their way into Python, one at a time: `hangwatch/_calls.py` takes them. Absent without the cargo feature `monitor`."""

    def next(self) -> Optional[tuple[str, str]]:
        """The one before is told. Waits for the next: as JSON, and its sentence. None: never any more."""
    def close(self) -> None:
        """Nobody takes any more: what comes is dropped."""

@final
class Supervisor:
    """The threads of a supervisor: `hangwatch.Supervisor` stands on it. Absent without the cargo feature `monitor`."""

    @property
    def running(self) -> bool: ...
    @property
    def segment(self) -> str: ...
    @property
    def wrong(self) -> list[str]: ...
    def next(self) -> Union[Start, int, None]:
        """Waits for what the interpreter is asked to do: to make a child, or to reap one. None: never any more."""
    def wait(self, timeout: Optional[float]) -> Optional[str]:
        """How all replicas ended, as JSON."""
    def ask_to_stop(self) -> None:
        """Ends all workers. Who asks again asks for the same."""
    def ask_to_hurry(self) -> None:
        """Leaves out what is left of the grace."""
    def stop(self) -> None: ...
    def reload(self, policy: Optional[Mapping[str, object]]) -> None: ...
    def status(self) -> str: ...
    def workers(self) -> str: ...

@final
class Start:
    """One child that is asked for. Where it is dropped without an answer it has failed."""

    @property
    def replica(self) -> int: ...
    @property
    def variables(self) -> list[tuple[str, str]]: ...
    @property
    def log(self) -> Optional[str]: ...
    def started(self, pid: int, runs: Callable[[], bool]) -> bool:
        """Whether it is taken; one that is not is the caller's to end and to reap. `runs` is asked of a fork server's child."""
    def failed(self, why: str) -> None: ...

def start_supervisor(
    command: list[str],
    ended: Optional[Callable[[int], Optional[int]]],
    how: object,
    keeps: Optional[object],
    place: object,
    policy: Optional[Mapping[str, object]],
    calls: Calls,
) -> Supervisor:
    """Starts a supervisor. Absent without the cargo feature `monitor`."""

def start_monitor(
    segment: Optional[_Path],
    policy: Optional[Mapping[str, object]],
    calls: Calls,
    *,
    acts: bool,
    slots: Optional[int],
    slot_size: Optional[int],
    learnt: Optional[_Path],
    jsonl: Optional[_Path],
    unlink_at_end: bool,
) -> Monitor:
    """Starts a monitor. Absent without the cargo feature `monitor`."""

def bridge_policy(path: str, entries: list[tuple[str, int, object]]) -> tuple[dict[str, object], list[str]]:
    """The policy of a `bridgeData.yaml`'s keys, each with its line, and what is to be warned of. Absent without the cargo feature `monitor`."""

def segment_status(segment: Optional[_Path], policy: Optional[Mapping[str, object]]) -> str:
    """A segment as JSON. Absent without the cargo feature `monitor`."""

def attach(
    name: Optional[str] = None,
    *,
    segment: Union[str, os.PathLike[str], None] = None,
    device: Optional[int] = None,
    stamps: bool = True,
) -> Worker: ...
def detached() -> Worker:
    """A worker on which everything does nothing."""
def watch_interpreter(worker: Worker, every: _Seconds) -> InterpreterWatch:
    """Starts the native thread of a watch: `hangwatch.watch_interpreter` is what to call."""
