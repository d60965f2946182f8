"""Workers that are spawned, watched and replaced by this process: `hangwatch run` for Python."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal as signals
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from types import SimpleNamespace
from typing import Any, Callable, List, Literal, Optional, Tuple, Union

from . import _living
from ._calls import Calls
from ._children import Args, Children
from ._errors import UsageError
from ._events import Event, Feed
from ._expect import Expect
from ._status import extension
from ._watching import Policy, Watching

Path = Union[str, "os.PathLike[str]"]
Command = Union[str, Sequence[Path]]
_WHAT = "cannot run workers"


@dataclass(frozen=True)
class ReplicaResult:
    """How one replica ended, and what it went through."""

    replica: int
    end: str
    """`exited` or `signalled` by itself; `gave_up`: its restarts were spent; `killed`: it hung and was not to be restarted;
    `stopped` with its supervisor; `unkillable`: not even SIGKILL ended it; `not_started`; `unknown`."""
    code: Optional[int] = None
    """With which code it exited by itself."""
    signal: Optional[int] = None
    """By which signal it ended by itself."""
    why: Optional[str] = None
    """Why it could not be started."""
    starts: int = 0
    """Processes that were started for it."""
    hangs: int = 0
    """Of these, those that were ended because they hung."""
    lost_jobs: int = 0
    """Jobs that were open in processes that are gone."""


class Supervisor(Watching):
    """Spawns workers, watches them, and replaces those that hang or fail. It runs from the call on.

    `worker` is a command (a sequence of words; `{i}` in a word is the replica's number), or a function that `multiprocessing` runs
    in a child: with `args` and `kwargs`, queues and pipes among them, where `args` may be a function that makes them of the replica's
    number, and `name` is how the children are called (`worker-0`, by default). `context` is a start method (`spawn`, `fork`,
    `forkserver`) or a context of multiprocessing, by default the default one. Each worker finds its slot in its environment, so that
    `hangwatch.attach()` in it does. It leads a session of its own: whatever it has started goes with it.

    A hung one is asked by its command word, its evidence is kept, and SIGTERM and after `grace` SIGKILL end it; then it is started
    again, as is one that fails (`restart`: `on-failure`, `always`, `never`), after a pause that doubles, and so often as the policy
    allows. `mode="observe"` signals nobody because it hangs.

    `env` and `devices` are for every worker, `{i}` in a value is its number; `log_dir` gets its output as `worker-<i>.log`.
    `evidence` is the folder for evidence of hangs (True: the usual one; None: none is kept), with the programs `dump` (`py-spy`,
    `gdb`, a command with `{pid}`), `gpu_facts`, and `faulthandler`, a signal: functions register it by themselves, commands call
    `hangwatch.dump_stacks_on`. `reclaim_probe` is run until it succeeds before a respawn. `segment`, `policy`, `on_event`, `slots`,
    `slot_size`, `learnt` and `jsonl` are as for `Monitor`; with `keep` the segment's file outlives it.

    It ends with `stop`, the end of its `with`, or the interpreter's end, and no worker outlives that. A forked child's copy is dead.
    Raises `HeldError` where the segment has a monitor, `UsageError` where arguments make no sense, `FullError` where slots lack.
    """

    def __init__(
        self,
        worker: Union[Sequence[Path], Callable[..., object]],
        *,
        replicas: int = 1,
        args: Args = (),
        kwargs: Optional[Mapping[str, Any]] = None,
        context: Union[str, BaseContext, None] = None,
        name: Optional[str] = None,
        segment: Optional[Path] = None,
        policy: Optional[Policy] = None,
        on_event: Optional[Callable[[Event], object]] = None,
        restart: Literal["on-failure", "always", "never"] = "on-failure",
        mode: Literal["act", "observe"] = "act",
        env: Optional[Mapping[str, str]] = None,
        devices: Sequence[Union[str, int]] = (),
        log_dir: Optional[Path] = None,
        evidence: Union[Path, bool, None] = None,
        dump: Sequence[Command] = (),
        faulthandler: Union[int, str, None] = None,
        gpu_facts: Optional[Command] = None,
        reclaim_probe: Optional[Command] = None,
        slots: Optional[int] = None,
        slot_size: Optional[int] = None,
        learnt: Optional[Path] = None,
        jsonl: Optional[Path] = None,
        keep: bool = False,
    ) -> None:
        expect = Expect(_WHAT)
        expect.count("replicas", replicas)
        expect.counts(slots=slots, slot_size=slot_size)
        expect.callback(on_event)
        expect.one_of("restart", restart, "on-failure", "always", "never")
        expect.one_of("mode", mode, "act", "observe")
        expect.variables("env", env)
        of_devices = expect.some("devices", devices, (str, int), "names and numbers")
        of_programs = expect.some("dump", dump, (str, Iterable), "programs, such as ['py-spy']")
        programs = [expect.words("dump", each) for each in of_programs]
        facts, probe = expect.words("gpu_facts", gpu_facts), expect.words("reclaim_probe", reclaim_probe)
        expect.flags(keep=keep)
        folder = None if isinstance(evidence, bool) else expect.path("evidence", evidence)
        place = SimpleNamespace(
            segment=expect.path("segment", segment),
            slots=slots,
            slot_size=slot_size,
            learnt=expect.path("learnt", learnt),
            jsonl=expect.path("jsonl", jsonl),
            unlink_at_end=not keep,
        )
        signal = _signal(faulthandler)
        self._children: Optional[Children] = None
        command: List[str] = []
        arguments: Args
        if callable(args):
            arguments = args
        else:
            arguments = tuple(expect.some("args", args, object, "arguments, or a function that gives one for each replica"))
        if kwargs is not None and not isinstance(kwargs, Mapping):
            expect.refuse("kwargs", kwargs, "a dict")
        if name is not None and not isinstance(name, str):
            expect.refuse("name", name, "a text")
        if callable(worker):
            expect.runs("worker", worker, "give a function that runs it: def work(): asyncio.run(main())")
            self._children = Children(worker, arguments, kwargs or {}, _context(context), name or "worker", signal)
        else:
            hint = "give a command as a list: ['python', 'worker.py', '--id', '{i}']"
            if arguments or kwargs or context is not None or name is not None:
                raise UsageError(_WHAT, "args, kwargs, context and name are a function's", (hint,))
            if isinstance(worker, (str, bytes)):
                raise UsageError(_WHAT, "the worker is a text, expected words or a function", (hint,))
            words = expect.some("worker", worker, (str, bytes, os.PathLike), "words, or a function")
            command = [os.fsdecode(word) for word in words]
        how = SimpleNamespace(
            replicas=replicas,
            restart=restart,
            acts=mode == "act",
            env=list((env or {}).items()),
            devices=[str(device) for device in of_devices],
            log_dir=expect.folder("log_dir", log_dir),
            reclaim_probe=probe,
        )
        keeps: Optional[SimpleNamespace] = None
        if evidence is None or evidence is False:
            if signal is not None or programs or gpu_facts is not None:
                why = "faulthandler, dump and gpu_facts are kept as evidence, and none is to be kept"
                raise UsageError(_WHAT, why, ("name a folder: evidence=…, or True for the usual one",))
        else:
            keeps = SimpleNamespace(
                directory=folder,
                dump=programs,
                faulthandler=signal,
                gpu_facts=facts or None,
            )
        self._feed, self._pid = Feed(), os.getpid()
        self._results: Optional[Tuple[ReplicaResult, ...]] = None
        ended = self._children.ended if self._children is not None else None
        start = extension("start_supervisor", _WHAT)
        self._calls = Calls(_WHAT, self._feed, on_event)
        try:
            self._threads = start(command, ended, how, keeps, place, policy, self._calls.native)
        except BaseException:
            self._calls.native.close()
            raise
        # Before the first child is made: it is to be ended though the next line should fail.
        _living.keep_running(self)
        if self._children is not None:
            self._children.serve(self._threads)

    @property
    def segment(self) -> str:
        """The path of the segment that its workers report into."""
        return os.fsdecode(self._threads.segment)

    @property
    def warnings(self) -> Tuple[str, ...]:
        """What of the evidence's settings will not work here, a sentence each: a program that is missing or may not look."""
        return tuple(self._threads.wrong)

    def wait(self, timeout: Optional[float] = None) -> Optional[Tuple[ReplicaResult, ...]]:
        """Waits until every replica has ended: how, in the order of their numbers. None where `timeout` seconds were over before."""
        if self._results is None:
            told = self._threads.wait(timeout)
            if told is not None:
                self._results = tuple(ReplicaResult(**result) for result in json.loads(told))
        return self._results

    def stop(self) -> Tuple[ReplicaResult, ...]:
        """Ends every worker (SIGTERM, after the policy's `grace` SIGKILL), and then itself. Returns how each replica ended.

        Ctrl-C meanwhile leaves out what is left of the grace. A second call, be it of another thread or of a handler of a signal, waits
        for the same end, and one in a forked child does nothing. From its own `on_event` it raises `UsageError`, and all goes on.
        """
        if os.getpid() != self._pid:
            return ()
        self._calls.check_caller("cannot stop a supervisor")
        interrupted: Optional[BaseException] = None
        if self._results is None:
            self._threads.ask_to_stop()
            while self._results is None:
                try:
                    self.wait()
                except KeyboardInterrupt as e:
                    interrupted = e
                    self._threads.ask_to_hurry()
        self._threads.stop()
        if self._children is not None:
            self._children.join()
        self._feed.end()
        _living.let_go(self)
        if interrupted is not None:
            raise interrupted
        return self.wait(0.0) or ()

    def __repr__(self) -> str:
        return f"<hangwatch.Supervisor in '{self.segment}', {'running' if self.running else 'stopped'}>"


def _context(context: Union[str, BaseContext, None]) -> BaseContext:
    if isinstance(context, BaseContext):
        return context
    try:
        return multiprocessing.get_context(context)
    except (ValueError, TypeError):
        those = [f"'{way}'" for way in multiprocessing.get_all_start_methods()]
        Expect(_WHAT).refuse("context", context, f"one of {', '.join(those)}, or a context of multiprocessing")


def _signal(signal: Union[int, str, None]) -> Optional[int]:
    if signal is None:
        return None
    try:
        number = signals.Signals[signal] if isinstance(signal, str) else signals.Signals(signal)
    except (KeyError, ValueError):
        number = signals.SIGKILL
    if number not in (signals.SIGUSR1, signals.SIGUSR2):
        raise UsageError(_WHAT, f"faulthandler is '{signal}', expected 'SIGUSR1' or 'SIGUSR2'")
    return int(number)
