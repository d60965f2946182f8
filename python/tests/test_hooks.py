"""What is hooked by several, and taken out in any order: nothing of ours stays, and what has to stay does nothing."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple, cast

import hangwatch
import pytest
from hangwatch.integrations import _loads, tqdm as bars
from hangwatch.integrations._calls import Call, Hooks, Installation, Reporting, is_ours, ours, reported
from quiet_bars import Calls, quiet
from slots import Slot

std = pytest.importorskip("tqdm.std")


def in_turn(*steps: Tuple[int, Callable[[], object]]) -> None:
    """Each step in the thread of that number, one after the other."""
    at, turn, failed = [0], threading.Condition(), []

    def run(number: int) -> None:
        for index, (who, step) in enumerate(steps):
            if who != number:
                continue
            with turn:
                turn.wait_for(lambda: at[0] == index)
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - told below
                failed.append(error)
            with turn:
                at[0] += 1
                turn.notify_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in {who for who, _ in steps}]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def in_class() -> Dict[str, Any]:
    return {name: vars(std.tqdm)[name] for name in ("__iter__", "update", "reset", "close")}


def installs(worker: Calls, made: List[Any]) -> Callable[[], None]:
    return lambda: made.append(bars.install(cast("hangwatch.Worker", worker)))


def loop() -> None:
    assert list(quiet(range(1))) == [0]


def test_two_threads_that_install_have_one_set_of_hooks_and_the_last_to_remove_takes_it_out() -> None:
    before = in_class()
    for _ in range(3):
        first, second, made = Calls(), Calls(), []  # type: ignore[var-annotated]
        hooks: List[Dict[str, Any]] = []
        look = (0, lambda: hooks.append(in_class()))
        both = [(0, installs(first, made)), look, (1, installs(second, made)), look, (0, loop), (1, loop)]
        in_turn(*both, (0, lambda: made[0].remove()), (0, loop), look, (1, loop), (1, lambda: made[1].remove()), (1, loop))
        bar = [("inference", 1), 1, "leave"]
        assert (first.calls, second.calls) == (bar, bar * 2), "each thread's bars are its own, and none once it removed"
        assert hooks[0] == hooks[1] == hooks[2] != before
        assert in_class() == before, "none stays"


def test_loads_that_overlap_in_threads_leave_nothing_in_tqdm(worker: hangwatch.Worker) -> None:
    class Model:
        def to(self, within: threading.Barrier, left: threading.Event) -> None:
            within.wait()
            left.wait()

    hooks, before = Hooks(), in_class()
    _loads.hook_method(hooks, Model, "to", Reporting(worker, "test", {}, None))
    for _ in range(3):
        within, left, first = threading.Barrier(3), threading.Event(), threading.Event()
        early, late = (threading.Thread(target=Model().to, args=(within, event)) for event in (first, left))
        early.start()
        late.start()
        within.wait()
        assert in_class() != before
        first.set()
        early.join()
        left.set()
        late.join()
        assert in_class() == before
    hooks.take_out()


def test_what_somebody_put_over_our_hooks_stays_and_ours_below_it_is_dead_and_alone() -> None:
    before, seen = in_class(), cast("List[float]", [])

    def theirs() -> Any:
        ours = vars(std.tqdm)["update"]

        def update(self: Any, n: float = 1) -> Any:
            depth, outermost = len(seen), ours
            seen.append(n)
            assert depth < 9 and outermost is ours
            return ours(self, n)

        std.tqdm.update = update
        return ours, update

    def moves() -> List[Any]:
        calls = Calls()
        with bars.install(cast("hangwatch.Worker", calls)):
            with quiet(total=2) as bar:
                bar.update()
        return calls.calls

    installed = bars.install(cast("hangwatch.Worker", Calls()))
    found, foreign = theirs()
    installed.remove()
    for _ in range(3):
        assert moves() == [("inference", 2), 1, "leave"], "reported once"
        assert vars(std.tqdm)["update"] is foreign and in_class() == {**before, "update": foreign}, "and theirs stays"
    assert seen == [1, 1, 1]
    # Now they put back what they had found: a dead hook of ours.
    std.tqdm.update = found
    assert moves() == [("inference", 2), 1, "leave"]
    assert in_class() == before, "which goes as soon as we come by"


class Host:
    def call(self) -> str:
        return "host"


class Watched(Installation):
    """An integration as they are: hooks, and jobs."""

    def __init__(self, worker: hangwatch.Worker, meanwhile: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._reporting = Reporting(worker, "test", {}, None)
        original = vars(Host)["call"]
        meanwhile()
        self._hooks.put(Host, "call", reported(original, self._begin))

    def _begin(self, host: Any, signature: Any, args: Any, kwargs: Any) -> Tuple[Call, Any, Any] | None:
        call = self._reporting.begin("model")
        return None if call is None else (call, args, kwargs)


def test_installations_of_two_threads_do_not_mingle_and_none_stays(worker: hangwatch.Worker) -> None:
    original = vars(Host)["call"]
    for _ in range(3):
        made: List[Watched] = []
        first = lambda: made.append(Watched(worker))  # noqa: E731
        in_turn((0, first), (1, first), (0, lambda: made[0].remove()), (1, lambda: made[1].remove()))
        assert vars(Host)["call"] is original
    # One that is in the middle of it: the other waits, where it could get in it would be within the time.
    begins, got_in = threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: begins.wait() and Watched(worker, got_in.set))

    def meanwhile() -> None:
        begins.set()
        got_in.wait(0.3)

    other.start()
    one = Watched(worker, meanwhile)
    other.join()
    last = Watched._now
    assert isinstance(last, Watched) and last is not one, "the one that came second replaced the first"
    last.remove()
    one.remove()
    assert vars(Host)["call"] is original


def test_a_hook_below_somebody_elses_reports_nothing_once_it_was_removed(worker: hangwatch.Worker, segment: Path) -> None:
    original = vars(Host)["call"]
    for wraps in (functools.wraps, lambda ours: lambda theirs: theirs):
        installed = Watched(worker)
        below = vars(Host)["call"]
        Host.call = foreign = wraps(below)(lambda self: below(self) + " wrapped")  # type: ignore[method-assign]
        before = sum(Slot(segment, 0).jobs)
        assert Host().call() == "host wrapped" and sum(Slot(segment, 0).jobs) == before + 1
        installed.remove()
        assert Host().call() == "host wrapped" and sum(Slot(segment, 0).jobs) == before + 1, "it passes on what it gets"
        for _ in range(2):
            with Watched(worker):
                assert Host().call() == "host wrapped"
            assert vars(Host)["call"] is foreign
        assert sum(Slot(segment, 0).jobs) == before + 3, "once each"
        Host.call = below  # type: ignore[method-assign]
        Watched(worker).remove()
        assert vars(Host)["call"] is original


def test_a_mark_that_others_took_over_says_that_ours_is_below_as_long_as_it_is() -> None:
    class Late:
        def call(self) -> str:
            return "late"

    hooks = Hooks()
    hooks.put(Late, "call", ours(lambda self: "ours"))
    hooks.put(Late, "call", ours(lambda self: "again"))
    assert Late().call() == "ours", "two that looked at once hook it once"
    wrapped = functools.wraps(vars(Late)["call"])(lambda self: "theirs")
    assert is_ours(wrapped)
    setattr(Late, "call", wrapped)
    hooks.take_out()
    assert not is_ours(wrapped), "it is to be hooked anew"
    hooks.put(Late, "call", ours(lambda self: "late"))
    assert Late().call() == "theirs", "what was taken out puts nothing any more"
