"""Calls into a library as jobs, and what a call goes through as sections of its job.

A call inside a job that is open already (a job of the host's, or a call around it) is no job, and its sections are that one's.

A worker belongs to one thread at a time. Of calls that are in flight at once, in several threads, the first has the worker, and
each other one a lane of its thread's own, which is given back with the thread.

What is here may raise, where a worker does; `quietly` is around each call of it that stands in a host's way.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import os
import threading
from typing import Any, Callable, ClassVar, Dict, List, Literal, Mapping, Optional, Tuple, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from .. import Worker, _living
from .._block import Block
from .._stop import Stop

Outcome = Literal["ok", "failed", "cancelled"]
T = TypeVar("T")


class _Here(threading.local):
    """What a thread has: the innermost call that it is in, the load that it is in, and its lane."""

    def __init__(self) -> None:
        self.call: Optional[Call] = None
        self.load: object = None
        self.lane: Optional[Tuple[Worker, Worker]] = None


here = _Here()
_lock = threading.Lock()
reports = threading.RLock()
"""Held around reports that come from several threads: bars, and loads. By its module's name: a forked child has another one.

Re-entrant, for what the collector ends in the middle of one reports too."""
_hooking = threading.RLock()
_installing = threading.RLock()
_taken: WeakKeyDictionary[Worker, int] = WeakKeyDictionary()  # by the thread that is in a call with it
_numbers = itertools.count(1)


def quietly(call: Callable[..., T], *args: Any) -> Optional[T]:
    """A report harms no host, whatever is wrong with it."""
    try:
        return call(*args)
    except Exception:  # noqa: BLE001
        return None


def current() -> Optional[Call]:
    """The innermost call that this thread is in."""
    return here.call


def named(path: object, otherwise: str) -> str:
    """A model's name: a hub's as it is, of a folder the last part."""
    name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
    return (os.path.basename(os.path.normpath(name)) if os.path.isabs(name) or os.path.exists(name) else name) or otherwise


def ended_by(error: BaseException) -> Outcome:
    """As a job's block has it: what is no error (Ctrl-C, an exit) cancels."""
    return "failed" if isinstance(error, Exception) else "cancelled"


def reported(original: Callable[..., Any], begin: Callable[..., Any]) -> Callable[..., Any]:
    """A method that is a call while it runs. `begin` gets the host, the method's signature and the arguments.

    It gives what is to be ended, by `end(outcome)`, and the arguments to go on with; None where this one is no call.
    """
    signature = inspect.signature(original)

    @functools.wraps(original)
    def call(host: Any, /, *args: Any, **kwargs: Any) -> Any:
        begun = quietly(begin, host, signature, args, kwargs)
        if begun is None:
            return original(host, *args, **kwargs)
        running, args, kwargs = begun
        try:
            made = original(host, *args, **kwargs)
        except BaseException as error:
            quietly(running.end, ended_by(error))
            raise
        quietly(running.end, "ok")
        return made

    return call


class Reporting:
    """What calls of one library are reported by: their worker, their phases and what a stop is told to."""

    def __init__(
        self,
        worker: Optional[Worker],
        name: str,
        phases: Mapping[str, float],
        on_stop: Optional[Callable[[], object]],
    ) -> None:
        self.worker = worker
        self._name = name
        self._phases = phases
        self._registered: WeakSet[Worker] = WeakSet()
        self._stop = Stop(on_stop)
        self.is_over = False
        """Its hooks are taken out: one that had to stay, for somebody hooked in after it, reports nothing more."""

    def begin(self, model: str, batch: int = 0) -> Optional[Call]:
        """This thread is in a call from now on. `None` where nobody watches."""
        if self.is_over:
            return None
        around = here.call
        worker, is_taken = (around.worker, False) if around is not None else self.take()
        try:
            if worker.attached:
                call = Call(self, worker, around, is_taken)
                self._register(worker)
                if not worker.in_job:
                    worker.begin_job(f"call-{next(_numbers)}", model, None, batch=batch)
                    call.has_job = True
                here.call = call
                return call
        except Exception:
            self.give_back(worker, is_taken)
            raise
        self.give_back(worker, is_taken)
        return None

    def asks_to_stop(self, worker: Worker) -> bool:
        """Whether the monitor does; the host is told once."""
        return self._stop.is_asked(worker)

    def take(self) -> Tuple[Worker, bool]:
        """The worker that this thread may write, and whether it has to be given back."""
        host = _living.of(self.worker)
        me = threading.get_ident()
        with _lock:
            holder = _taken.get(host)
            if holder is None:
                _taken[host] = me
        if holder is None or holder == me:
            return host, holder is None
        if here.lane is None or here.lane[0] is not host:
            here.lane = (host, host.lane(self._name))
        return here.lane[1], False

    @staticmethod
    def give_back(worker: Worker, is_taken: bool) -> None:
        if is_taken:
            with _lock:
                _taken.pop(worker, None)

    def _register(self, worker: Worker) -> None:
        if worker not in self._registered:
            for phase, budget in self._phases.items():
                quietly(lambda: worker.register_phase(phase, "work", budget))
            self._registered.add(worker)


class Call:
    """One call that is in flight. Its sections are left by it at the latest, in whichever way it ends."""

    def __init__(self, reporting: Reporting, worker: Worker, around: Optional[Call], is_taken: bool) -> None:
        self.reporting = reporting
        self.worker = worker
        self.around = around
        self.has_job = False
        self.is_stopped = False
        self.running: object = None
        """What the integration keeps of it."""
        self._is_taken = is_taken
        self._depth = 0

    def enter(self, phase: str, total: Optional[int] = None, lease: float = 0) -> int:
        """A section begins, under a lease of so many seconds. What is returned is what `leave` takes."""
        self.worker.enter(phase, total)
        self._depth += 1
        if lease > 0:
            self.worker.extend(lease)
        return self._depth - 1

    def leave(self, mark: int) -> None:
        """The section that `enter` gave this mark ends, and with it those inside that are open still."""
        while self._depth > mark:
            self._depth -= 1
            self.worker.leave()

    def asks_to_stop(self) -> bool:
        return self.reporting.asks_to_stop(self.worker)

    def end(self, outcome: Outcome) -> None:
        here.call = self.around
        if self.around is not None and self.is_stopped:
            self.around.is_stopped = True
        # What refers to each other waits for the collector, and a lane with it.
        self.running = None
        try:
            self.leave(0)
            if self.has_job:
                self.worker.end_job("cancelled" if self.is_stopped and outcome == "ok" else outcome)
        finally:
            self.reporting.give_back(self.worker, self._is_taken)


class Hooks:
    """Attributes of others' objects that are replaced, and put back where nobody replaced them after us.

    One that somebody wrapped stays below it, and passes on what it gets. Should it come to light again it is put back then.
    """

    def __init__(self) -> None:
        self.are_in = True
        """Whether they were not taken out; after that nothing is put any more."""
        self._were: List[_Replaced] = []

    def put(self, owner: Any, name: str, made: Any) -> None:
        """In the owner's own attributes; what a class inherits stays what it is."""
        with _hooking:
            was = vars(owner).get(name, _ABSENT)
            # Two threads may have looked at once.
            if self.are_in and not (is_ours(made) and is_ours(was)):
                self._were.append((owner, name, was, made))
                _set(owner, name, made)

    def take_out(self) -> None:
        with _hooking:
            self.are_in = False
            while self._were:
                replaced = self._were.pop()
                mark = getattr(replaced[3], _OURS, None)
                if mark is not None:
                    mark.is_in = False
                # Objects come and go, and their hooks with them.
                if not _put_back(replaced) and isinstance(replaced[0], type):
                    _wrapped.append(replaced)
            while any(_put_back(wrapped) and _forgotten(wrapped) for wrapped in reversed(_wrapped)):
                pass


_Replaced = Tuple[Any, str, Any, Any]  # owner, name, what was there, what was made of it
_wrapped: List[_Replaced] = []  # of classes; by whomever


def _put_back(replaced: _Replaced) -> bool:
    owner, name, was, made = replaced
    if vars(owner).get(name) is not made:
        return False
    _set(owner, name, was)
    return True


def _set(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, type):
        delattr(owner, name) if value is _ABSENT else setattr(owner, name, value)
    # Not by setattr: modules and pipelines have rules of their own for it.
    elif value is _ABSENT:
        del vars(owner)[name]
    else:
        vars(owner)[name] = value


def _forgotten(wrapped: _Replaced) -> bool:
    _wrapped.remove(wrapped)
    return True


_ABSENT = object()
_OURS = "_hangwatch_hooked"


class _Mark:
    is_in = True


def ours(made: T) -> T:
    """Marks what is put somewhere, for whoever comes by again."""
    setattr(made, _OURS, _Mark())
    return made


def is_ours(original: object) -> bool:
    """Whether that was hooked already, and is: a wrapper of others' that took over our mark has our hook below it."""
    mark = getattr(original, _OURS, None)
    return mark is not None and mark.is_in


class _Whole(type):
    """One is made at a time: two threads' hooks do not mingle."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        with _installing:
            return super().__call__(*args, **kwargs)


class Installation(Block, metaclass=_Whole):
    """The hooks of a class of these: a second one takes the place of the first. `remove`, or the end of a `with` block, takes them out."""

    _now: ClassVar[Optional[Installation]] = None
    _reporting: Reporting

    def __init__(self) -> None:
        cls = type(self)
        if cls._now is not None:
            # Else each call would be two.
            cls._now.remove()
        cls._now = self
        self._hooks = Hooks()

    def remove(self) -> None:
        """Takes the hooks out; where somebody hooked in after them they report nothing more. A call in flight is reported to its end."""
        cls = type(self)
        if cls._now is self:
            cls._now = None
        reporting: Optional[Reporting] = getattr(self, "_reporting", None)
        if reporting is not None:
            reporting.is_over = True
        self._hooks.take_out()

    def _exit(self) -> None:
        self.remove()


def _forget() -> None:
    # A forked child is in no call: what its parent had is not its own.
    global _lock, reports, _hooking, _installing
    _lock, reports, _hooking, _installing = threading.Lock(), threading.RLock(), threading.RLock(), threading.RLock()
    here.call, here.load, here.lane = None, None, None
    _taken.clear()


os.register_at_fork(after_in_child=_forget)
