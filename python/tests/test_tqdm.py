"""`hangwatch.integrations.tqdm`, with the real tqdm."""

from __future__ import annotations

import asyncio
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator, List, cast

import hangwatch
import pytest
from hangwatch.integrations import tqdm as bars
from quiet_bars import Calls, quiet
from slots import Slot

tqdm = pytest.importorskip("tqdm").tqdm
tqdm_auto = pytest.importorskip("tqdm.auto").tqdm
tqdm_async = pytest.importorskip("tqdm.asyncio").tqdm


@pytest.fixture
def worker() -> Iterator[Calls]:
    calls = Calls()
    with bars.install(cast("hangwatch.Worker", calls)):
        yield calls
    assert calls.depth == 0, "every bar was left"


def test_a_loop_is_a_section_with_a_step_an_item(worker: Calls) -> None:
    assert list(quiet(range(3))) == [0, 1, 2]
    assert worker.calls == [("inference", 3), 1, 2, 3, "leave"]


def test_a_loop_that_draws_at_each_item_counts_it_once(worker: Calls) -> None:
    assert list(quiet(range(3), mininterval=0, miniters=1)) == [0, 1, 2]
    assert worker.calls == [("inference", 3), 1, 2, 3, "leave"]


def test_a_disabled_bar_counts_as_well_by_its_loop_and_by_hand(worker: Calls) -> None:
    assert list(quiet(range(2), disable=True)) == [0, 1]
    with quiet(total=4, disable=True) as bar:
        bar.update()
        bar.update(2)
        bar.update()
    assert worker.calls == [("inference", 2), 1, 2, "leave", ("inference", 4), 1, 3, 4, "leave"]


def test_a_bar_without_a_length_has_a_total_that_is_not_known(worker: Calls) -> None:
    assert list(quiet(iter("ab"))) == ["a", "b"]
    assert worker.calls == [("inference", "?"), 1, 2, "leave"]


def test_a_bar_by_hand_begins_with_its_first_update_and_ends_when_it_is_full(worker: Calls) -> None:
    bar = quiet(total=2)
    assert worker.calls == [], "a bar that waits is not hung"
    bar.update()
    bar.update()
    assert worker.calls == [("inference", 2), 1, 2, "leave"]
    bar.update()
    bar.close()
    assert worker.calls[4:] == ["beat"], "past its end it lives"


def test_a_bar_by_hand_that_is_closed_or_dropped_before_its_end_is_left(worker: Calls) -> None:
    bar = quiet(total=9)
    bar.update(4)
    bar.close()
    other = quiet(total=9)
    other.update(5)
    del other
    assert worker.calls == [("inference", 9), 4, "leave", ("inference", 9), 5, "leave"]


def test_a_bar_that_is_reset_counts_anew(worker: Calls) -> None:
    with quiet(total=3) as bar:
        bar.update(2)
        bar.reset(total=5)
        bar.update(1)
    assert worker.calls == [("inference", 3), 2, "leave", ("inference", 5), 1, "leave"]


def test_a_bar_of_fractions_counts_in_parts(worker: Calls) -> None:
    with quiet(total=1.0) as bar:
        bar.update(0.25)
        bar.update(0.5)
    assert worker.calls == [("inference", 1000), 250, 750, "leave"]


def test_a_total_that_is_raised_is_counted_towards_from_the_next_update_on_full_or_not(worker: Calls) -> None:
    with quiet(total=2) as bar:
        bar.update(2)
        bar.total += 2
        bar.update()
        bar.total += 1
        bar.update()
    first, second, third = [("inference", 2), 2, "leave"], [("inference", 4), 3], ["leave", ("inference", 5), 4, "leave"]
    assert worker.calls == [*first, *second, *third]


def test_a_bar_that_grows_below_a_newer_one_counts_again_once_that_has_ended(worker: Calls) -> None:
    outer, inner = quiet(total=1), quiet(total=2)
    outer.update()
    outer.total = 3
    inner.update()
    outer.update()
    inner.update()
    outer.update()
    full = [("inference", 1), 1, "leave"]
    assert worker.calls == [*full, ("inference", 2), 1, ("inference", 3), 2, "beat", 3, "leave", "leave"]
    worker.calls.clear()
    outer, inner = quiet(total=2), quiet(total=2)
    outer.update()
    inner.update()
    outer.update()
    outer.total = 4
    outer.update()
    inner.update()
    outer.update()
    within = [("inference", 2), 1, "beat", "beat", 2, "leave"]
    assert worker.calls == [("inference", 2), 1, *within, "leave", ("inference", 4), 4, "leave"], "one section, never two"


def test_a_bar_that_is_moved_by_hand_and_gone_over_then_is_one_section(worker: Calls) -> None:
    bar = quiet(range(3), initial=0)
    bar.update(1)
    assert list(bar) == [0, 1, 2]
    assert worker.calls == [("inference", 3), 1, "leave", ("inference", 3), 1, 2, 3, "leave"]


def test_an_update_past_a_bars_end_is_a_beat_and_so_is_one_after_it_was_closed(worker: Calls) -> None:
    bar = quiet(total=1)
    for _ in range(3):
        bar.update()
    bar.close()
    bar.update()
    assert worker.calls == [("inference", 1), 1, "leave", "beat", "beat", "beat"]


def test_a_total_of_whole_units_and_updates_of_fractions_are_counted_in_parts(worker: Calls) -> None:
    with quiet(total=1) as bar:
        for _ in range(10):
            bar.update(1 / 10)
        assert bar.n < 1
    assert worker.calls == [("inference", 1000), *range(100, 1001, 100), "leave"], "and full is full, however it was added up"
    worker.calls.clear()
    with quiet(total=3) as bar:
        bar.update()
        bar.update(0.5)
        bar.update(0.00001)
    again = ["leave", ("inference", 300_000), 150_001]
    assert worker.calls == [("inference", 3), 1, "leave", ("inference", 3000), 1500, *again, "leave"], "each is progress"


def test_a_total_of_any_kind_of_number_is_a_total(worker: Calls) -> None:
    numpy = pytest.importorskip("numpy")
    for total in (numpy.int64(2), numpy.float64(2)):
        with quiet(total=total) as bar:
            bar.update()
    one, parts = [("inference", 2), 1, "leave"], [("inference", 2000), 1000, "leave"]
    assert worker.calls == [*one, *parts]


def test_nested_bars_are_nested_sections(worker: Calls) -> None:
    for _ in quiet(range(2)):
        for _ in quiet(range(1)):
            pass
    inner = [("inference", 1), 1, "leave"]
    assert worker.calls == [("inference", 2), *inner, 1, *inner, 2, "leave"]


def test_of_bars_that_are_open_at_once_the_newest_counts_and_any_may_be_closed_first(worker: Calls) -> None:
    outer, inner = quiet(total=9), quiet(total=5)
    outer.update()
    inner.update()
    outer.update()
    outer.close()
    inner.update()
    inner.close()
    assert worker.calls == [("inference", 9), 1, ("inference", 5), 1, "beat", 2, "leave", "leave"]


def test_a_loop_that_is_left_or_fails_leaves_its_section(worker: Calls) -> None:
    for item in quiet(range(9)):
        if item == 1:
            break
    with pytest.raises(ZeroDivisionError):
        for item in quiet(range(9)):
            item / 0
    assert worker.calls == [("inference", 9), 1, "leave", ("inference", 9), "leave"]


def test_a_subclass_and_an_asynchronous_loop_are_bars_too(worker: Calls) -> None:
    async def loop() -> List[int]:
        return [item async for item in tqdm_async(range(2), file=io.StringIO())]

    assert asyncio.run(loop()) == [0, 1]
    assert list(tqdm_auto(range(1), file=io.StringIO())) == [0]
    assert worker.calls == [("inference", 2), 1, 2, "leave", ("inference", 1), 1, "leave"]


def test_bars_of_another_thread_are_not_reported(worker: Calls) -> None:
    thread = threading.Thread(target=lambda: list(quiet(range(3))))
    thread.start()
    thread.join()
    assert worker.calls == []


def test_a_bar_that_began_here_goes_on_in_whichever_thread_moves_it(worker: Calls) -> None:
    def moves(bar: Any, by: int) -> None:
        thread = threading.Thread(target=bar.update, args=(by,))
        thread.start()
        thread.join()

    outer, inner = quiet(total=9), quiet(total=4)
    outer.update()
    inner.update()
    moves(outer, 2)
    moves(inner, 2)
    moves(inner, 1)
    moves(outer, 1)
    moves(quiet(total=5), 1)
    outer.close()
    assert worker.calls == [("inference", 9), 1, ("inference", 4), 1, "beat", 3, 4, "leave", 4, "leave"]


def test_a_map_over_threads_is_counted_to_its_end_though_its_first_result_came_here(
    worker: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    concurrent = pytest.importorskip("tqdm.contrib.concurrent")
    submit, submitted, futures = ThreadPoolExecutor.submit, threading.Event(), []

    def submits(*args: Any, **kwargs: Any) -> Any:
        futures.append(submit(*args, **kwargs))
        if len(futures) == 1:
            # Done already when its callback is added: that is called here then.
            futures[0].result()
        return futures[-1]

    def fetch(item: int) -> int:
        assert item == 0 or submitted.wait(), "the others end in the pool's thread"
        return item

    def items() -> Iterator[int]:
        yield from range(4)
        submitted.set()

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submits)
    made = concurrent.thread_map(fetch, items(), total=4, max_workers=1, file=io.StringIO())
    assert (made, worker.calls) == ([0, 1, 2, 3], [("inference", 4), 1, 2, 3, 4, "leave"])


def shown(loop: Callable[[Any], object]) -> str:
    """What a loop's bars draw, at each update and without times."""
    out = io.StringIO()
    loop(lambda *a, **k: tqdm(*a, file=out, mininterval=0, bar_format="{desc}{bar:10}{n_fmt}/{total_fmt}", **k))
    return out.getvalue()


def drawn(bar: Any) -> List[object]:
    made: List[object] = []
    for item in bar(range(3), desc="outer"):
        with bar(total=2, desc="inner", leave=False) as inner:
            made += [item, inner.update(), inner.update(1), inner.n]
            inner.reset()
    for item in bar(range(5)):
        if item == 2:
            break
    made += [list(bar(iter("ab"))), list(bar("ab", disable=True)), bar(total=3, disable=True).update()]
    return made


def test_what_is_drawn_and_returned_is_what_it_is_without() -> None:
    def both() -> Any:
        made: List[object] = []
        return shown(lambda bar: made.extend(drawn(bar))), made

    without = both()
    with bars.install(cast("hangwatch.Worker", Calls())):
        hooked = both()
    assert hooked == without and "outer" in without[0]
    assert both() == without, "and taken out again"


def test_nothing_that_fails_inside_reaches_the_loop() -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    with bars.install(cast("hangwatch.Worker", Broken())):
        assert list(quiet(range(3))) == [0, 1, 2]
        with quiet(total=2) as bar:
            bar.update()
            bar.reset()


def test_hooks_are_taken_out_and_a_second_install_replaces_the_first() -> None:
    before = {name: vars(tqdm)[name] for name in ("__iter__", "update", "reset", "close")}
    first, second = Calls(), Calls()
    bars.install(cast("hangwatch.Worker", first))
    with bars.install(cast("hangwatch.Worker", second)):
        assert list(quiet(range(1))) == [0]
    assert (first.calls, second.calls) == ([], [("inference", 1), 1, "leave"])
    assert {name: vars(tqdm)[name] for name in before} == before


def test_a_loop_that_outlives_its_hooks_goes_on_unreported() -> None:
    worker = Calls()
    installed = bars.install(cast("hangwatch.Worker", worker))
    items = iter(quiet(range(3)))
    assert next(items) == 0
    installed.remove()
    assert list(items) == [1, 2]
    assert worker.calls == [("inference", 3), "leave"]


def test_a_stop_that_is_asked_for_is_told_once_and_what_that_raises_goes_nowhere() -> None:
    worker, told = Calls(), []

    def on_stop() -> None:
        told.append(len(worker.calls))
        raise RuntimeError

    with bars.install(cast("hangwatch.Worker", worker), phase="loading", on_stop=on_stop):
        for item in quiet(range(4)):
            worker.stop = item == 1 or worker.stop
    assert told == [3] and worker.calls == [("loading", 4), 1, 2, 3, 4, "leave"]


def test_a_bar_within_a_job_is_shown_and_leaves_the_job_open_with_its_own_count(segment: Path) -> None:
    with hangwatch.attach(segment=segment) as real, bars.install(real):
        with real.job("a", total=9) as job:
            job.step(4)
            for item in quiet(range(5)):
                slot = Slot(segment, 0)
                assert (slot.depth, slot.total, slot.progress) == (1, 5, item or None), "the loop's own count"
            assert job.open and Slot(segment, 0).progress == 4
        with real.phase("loading"):
            list(quiet(range(2)))
            assert Slot(segment, 0).phase == hangwatch.PHASES["loading"]


def test_a_job_in_a_loops_body_ends_its_section_and_the_next_advance_takes_it_up_again_where_it_was(segment: Path) -> None:
    def now() -> object:
        slot = Slot(segment, 0)
        return slot.phase, slot.depth, slot.total, slot.progress

    inference, idle = hangwatch.PHASES["inference"], (hangwatch.PHASES["idle"], 0, 0, None)
    with hangwatch.attach(segment=segment) as real, bars.install(real):
        for epoch in quiet(range(2)):
            for item in quiet(range(3)):
                assert now() == (inference, 2, 3, item or None), "what hangs in the body is found here"
                with real.job("a", total=7):
                    assert now() == (inference, 0, 7, None)
                assert now() == idle, "after a job nothing is judged"
            assert now() == (inference, 1, 2, epoch or None)
        assert now() == idle and Slot(segment, 0).jobs == (6, 0, 0)


def test_a_job_that_goes_on_over_an_advance_keeps_its_own_count(segment: Path) -> None:
    with hangwatch.attach(segment=segment) as real, bars.install(real):
        for item in quiet(range(4)):
            if item == 1:
                real.begin_job("a", total=50)
                real.step(30)
            slot = Slot(segment, 0)
            assert (slot.depth, slot.total, slot.progress) == ((0, 50, 30) if item in (1, 2) else (1, 4, item or None))
            if item == 2:
                list(quiet(range(1)))
                assert Slot(segment, 0).progress == 30, "a bar within the job is a part of it"
                real.end_job()
            if item == 3:
                real.begin_job("b")
                with real.section("loading"):
                    break
        assert Slot(segment, 0).depth == 0 and real.in_job
        real.end_job()


def test_outside_of_bars_a_worker_that_named_no_phase_is_idle(segment: Path) -> None:
    with hangwatch.attach(segment=segment) as real:
        with bars.install(real):
            assert real.phase_id == hangwatch.PHASES["idle"]
            list(quiet(range(1)))
            assert real.phase_id == hangwatch.PHASES["idle"]
            real.phase("loading")
        with bars.install(real):
            assert real.phase_id == hangwatch.PHASES["loading"]


def test_with_no_worker_at_all_a_bar_is_a_bar() -> None:
    with bars.install():
        assert list(quiet(range(2))) == [0, 1]
