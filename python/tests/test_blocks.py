"""Jobs, phases and sections as blocks; loops and calls as jobs: what the slot says."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hangwatch
from hangwatch import PHASES, Worker
from slots import FREE, LIVE, Slot, asks_to_stop


class Seen:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, index: int = 0) -> Slot:
        return Slot(self.path, index)

    def phase(self) -> tuple[str, int, int | None, int]:
        """Phase, depth, progress and total."""
        slot = self()
        names = {number: name for name, number in PHASES.items()}
        return names[slot.phase], slot.depth, slot.progress, slot.total


@pytest.fixture
def seen(segment: Path, worker: Worker) -> Seen:
    return Seen(segment)


def test_a_job_begins_with_its_block_and_ends_ok_with_it(worker: Worker, seen: Seen) -> None:
    job = worker.job("a1", model="sdxl", total=50)
    assert seen.phase()[0] == "starting" and not job.open and not worker.in_job, "nothing is begun before the block"
    with job as same:
        assert same is job and job.open and worker.in_job and job.worker is worker
        assert (seen.phase(), seen().texts) == (("inference", 0, None, 50), ("a1", "sdxl", ""))
        job.step()
        job.step()
        assert (seen().progress, job.done) == (2, 2)
        job.step(21)
        job.step()
        assert (seen().progress, job.done, job.total) == (22, 22, 50)
        job.begin_pass()
        assert (seen().progress, job.done) == (None, 0)
    assert (seen.phase()[0], seen().jobs) == ("idle", (1, 0, 0))
    assert not job.open and not worker.in_job


@pytest.mark.parametrize(
    ("raised", "jobs"),
    [
        (ValueError, (0, 1, 0)),
        (KeyboardInterrupt, (0, 0, 1)),
        (GeneratorExit, (0, 0, 1)),
        (SystemExit, (0, 0, 1)),
        (asyncio.CancelledError, (0, 0, 1)),
    ],
)
def test_a_job_is_failed_by_an_exception_and_cancelled_by_what_is_none(
    worker: Worker, seen: Seen, raised: type[BaseException], jobs: tuple[int, int, int]
) -> None:
    with pytest.raises(raised):
        with worker.job("a1"):
            raise raised
    assert (seen.phase()[0], seen().jobs) == ("idle", jobs)


def test_a_job_may_be_ended_before_its_block_and_is_counted_once(worker: Worker, seen: Seen) -> None:
    with worker.job("a1") as job:
        job.end("failed")
        before = seen().bytes
        job.step()
        job.begin_pass()
        job.end("ok")
        assert seen().bytes == before, "a job that has ended says nothing more"
    assert seen().bytes == before


def test_a_job_says_nothing_in_its_successors_name(worker: Worker, seen: Seen) -> None:
    with worker.job("a1") as first:
        worker.begin_job("a2", "sdxl", 7)
        first.step(99)
    assert (seen.phase(), seen().texts[0]) == (("inference", 0, None, 7), "a2"), "its successor is neither stepped nor ended"


def test_a_total_is_none_unknown_or_a_number(worker: Worker, seen: Seen) -> None:
    for total, word in [(None, 0), (hangwatch.UNKNOWN, 2**64 - 1), (7, 7), (0, 0)]:
        with worker.job("a1", total=total) as job:
            assert seen().total == word
            assert job.total == (total or None)


def test_a_phase_is_entered_by_the_call_itself(worker: Worker, seen: Seen) -> None:
    worker.phase("loading", total=100)
    assert seen.phase() == ("loading", 0, None, 100)
    worker.step(30)
    worker.phase("idle")
    assert seen.phase() == ("idle", 0, None, 0)


def test_a_phase_as_a_block_is_a_section_and_what_was_around_it_comes_back(worker: Worker, seen: Seen) -> None:
    with worker.job("a1", total=50) as job:
        job.step(21)
        inference = seen().section
        with worker.phase("loading", total=100) as inside:
            assert inside is worker and seen.phase() == ("loading", 1, None, 100)
            worker.step(60)
            with worker.phase("compiling"):
                assert seen.phase() == ("compiling", 2, None, 0)
            assert seen.phase() == ("loading", 1, 60, 100)
        assert (seen.phase(), seen().section) == (("inference", 0, 21, 50), inference), "the same section, not another entry"
        job.step()
        assert (seen().progress, seen().falls) == (22, 0)


def test_a_phase_as_a_block_is_the_section_of_a_block_that_enters_it(worker: Worker, seen: Seen) -> None:
    worker.phase("idle")
    for block in (worker.phase("loading", 9), worker.section("loading", 9)):
        with block:
            assert seen.phase() == ("loading", 1, None, 9)
        assert seen.phase() == ("idle", 0, None, 0)


def test_a_phase_that_is_no_longer_shown_is_no_block_and_leaves_nothing(worker: Worker, seen: Seen) -> None:
    with worker.section("received"):
        stale = worker.phase("loading")
        worker.phase("safety")
        before = seen().bytes
        with stale:
            assert seen().bytes == before
        assert seen().bytes == before
    assert seen().bytes == before, "the section was ended by the phases in it"


def test_a_job_ends_the_sections_around_it(worker: Worker, seen: Seen) -> None:
    worker.phase("received")
    for block in (worker.section("loading"), worker.phase("loading")):
        with block:
            with worker.job("a1"):
                assert seen.phase() == ("inference", 0, None, 0)
            assert seen.phase() == ("idle", 0, None, 0)
        assert seen.phase() == ("idle", 0, None, 0), "there is nothing that it could come back to"
    with worker.job("a1"):
        with worker.section("loading"):
            worker.end_job()
        assert seen.phase() == ("idle", 0, None, 0)


def test_a_section_is_entered_by_its_block_alone_and_left_when_that_raises(worker: Worker, seen: Seen) -> None:
    worker.phase("idle")
    section = worker.section("loading")
    assert seen.phase()[0] == "idle"
    with pytest.raises(ValueError):
        with section:
            raise ValueError
    assert seen.phase() == ("idle", 0, None, 0)


def test_a_phase_of_ones_own_goes_by_its_number_and_by_its_name(worker: Worker, seen: Seen) -> None:
    number = worker.register_phase("upscaling", budget=5.0)
    for phase in (number, "upscaling"):
        worker.phase("idle")
        worker.phase(phase)
        assert seen().phase == number
    assert worker.register_phase("upscaling") == number and worker.register_phase("loading") == PHASES["loading"]
    with worker.lane("l") as lane:
        lane.phase("upscaling")
        assert seen(1).phase == number, "a lane knows its worker's phases"
    worker.phase("no such phase")
    assert seen().phase == 65535, "a phase that nobody knows is judged as work"


def test_lanes_have_slots_of_their_own_and_are_given_back(worker: Worker, seen: Seen) -> None:
    with worker.lane("l1") as lane:
        with lane.job("b1", total=9) as job:
            job.step()
        assert (lane.slot, seen(1).tag, seen(1).jobs, seen().jobs) == (1, LIVE, (1, 0, 0), (0, 0, 0))
    assert seen(1).tag == FREE


def test_a_loop_is_a_job_with_a_step_an_item(worker: Worker, seen: Seen) -> None:
    told = []
    for item in hangwatch.track("abc", id="loop", model="m"):
        told.append((item, seen().progress, seen().total, seen().texts[:2]))
    assert told == [("a", None, 3, ("loop", "m")), ("b", 1, 3, ("loop", "m")), ("c", 2, 3, ("loop", "m"))]
    assert (seen.phase()[0], seen().jobs) == ("idle", (1, 0, 0))


def test_a_loop_without_a_length_has_a_total_that_is_not_known(worker: Worker, seen: Seen) -> None:
    for _ in hangwatch.track(iter("ab"), worker=worker):
        assert seen().total == hangwatch.UNKNOWN
    for _ in hangwatch.track(iter("ab"), total=2):
        assert seen().total == 2


def test_a_loop_that_is_left_is_cancelled_and_an_iterable_that_raises_fails_it(worker: Worker, seen: Seen) -> None:
    loop = hangwatch.track("abc")
    assert next(loop) == "a"
    loop.close()  # type: ignore[attr-defined]
    assert seen().jobs == (0, 0, 1)

    def breaks() -> Iterator[int]:
        yield 1
        raise ValueError

    with pytest.raises(ValueError):
        list(hangwatch.track(breaks()))
    assert seen().jobs == (0, 1, 1)


def test_a_loop_inside_a_job_beats_and_leaves_the_jobs_count_alone(worker: Worker, seen: Seen) -> None:
    with worker.job("outer", total=5) as job:
        job.step(2)
        beats = seen().beats
        assert list(hangwatch.track("abc")) == ["a", "b", "c"]
        assert (seen().progress, seen().beats, seen().texts[0], job.open) == (2, beats + 3, "outer", True)


def test_a_call_is_a_job_and_so_is_a_coroutine(worker: Worker, seen: Seen) -> None:
    @hangwatch.watched(model="m", total=3)
    def called(x: int) -> int:
        """Says something."""
        assert seen.phase() == ("inference", 0, None, 3) and seen().texts[0].endswith("called") and seen().texts[1] == "m"
        return inner(x)

    @hangwatch.watched
    def inner(x: int) -> int:
        assert seen().texts[0].endswith("called"), "a call inside a job belongs to that one"
        return x + 1

    @hangwatch.watched(id="a coroutine")
    async def awaited() -> int:
        await asyncio.sleep(0)
        assert seen().texts[0] == "a coroutine"
        return 7

    assert called(1) == 2 and (called.__name__, called.__doc__) == ("called", "Says something.")
    assert asyncio.run(awaited()) == 7
    assert seen().jobs == (2, 0, 0)
    with pytest.raises(TypeError):
        hangwatch.watched(lambda: (yield))


def test_coroutines_that_overlap_are_one_job_which_ends_with_the_last_of_them(worker: Worker, seen: Seen) -> None:
    @hangwatch.watched
    async def handle(name: str, until: asyncio.Event, error: BaseException | None = None) -> str:
        await until.wait()
        if error is not None:
            raise error
        return name

    @hangwatch.watched
    async def retries() -> str:
        failing = asyncio.Event()
        failing.set()
        with pytest.raises(ValueError):
            await handle("inner", failing, ValueError())
        return "retried"

    async def overlap(*errors: BaseException | None) -> list[object]:
        """Ends them one after another, the first one first."""
        events = [asyncio.Event() for _ in errors]
        tasks = [asyncio.ensure_future(handle(str(n), *it)) for n, it in enumerate(zip(events, errors))]
        await asyncio.sleep(0)
        for task, event in zip(tasks, events):
            assert (seen.phase()[0], worker.in_job) == ("inference", True), "as long as one of them runs"
            event.set()
            await asyncio.wait([task])
        assert (seen.phase()[0], worker.in_job) == ("idle", False)
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def outlived() -> None:
        """A task that a coroutine has begun goes on after that."""
        going_on, end = asyncio.Event(), asyncio.Event()

        @hangwatch.watched
        async def begins() -> asyncio.Future[str]:
            going_on.set()
            task = asyncio.ensure_future(handle("late", end))
            await asyncio.sleep(0)
            return task

        task = await begins()
        assert seen.phase()[0] == "inference"
        end.set()
        assert await task == "late" and seen.phase()[0] == "idle"

    assert asyncio.run(overlap(None, None, None)) == ["0", "1", "2"] and seen().jobs == (1, 0, 0)
    assert seen().texts[0] == ""
    asyncio.run(overlap(ValueError(), None))
    assert seen().jobs == (1, 1, 0), "failed where one of them failed"
    asyncio.run(overlap(None, asyncio.CancelledError()))
    assert seen().jobs == (1, 1, 1)
    assert asyncio.run(retries()) == "retried" and seen().jobs == (2, 1, 1), "one that is called by another is a part of that"
    asyncio.run(outlived())
    assert seen().jobs == (3, 1, 1)
    with pytest.raises(TypeError):
        asyncio.run(handle())  # type: ignore[call-arg]
    assert (seen.phase()[0], seen().jobs) == ("idle", (3, 2, 1)), "arguments that do not fit fail it"


def test_a_job_that_is_ended_under_coroutines_is_ended_and_another_begins(worker: Worker, seen: Seen) -> None:
    @hangwatch.watched
    async def ends(which: str) -> None:
        worker.end_job(which)  # type: ignore[arg-type]
        worker.begin_job("by hand")

    asyncio.run(ends("cancelled"))
    assert (seen.phase()[0], seen().texts[0], seen().jobs) == ("inference", "by hand", (0, 0, 1))

    @hangwatch.watched
    async def within() -> None:
        assert seen().texts[0] == "by hand"

    asyncio.run(within())
    assert worker.in_job
    worker.end_job()

    assert seen().jobs == (1, 0, 1)

    @hangwatch.watched
    async def begins_anew() -> None:
        worker.end_job("failed")
        await within_a_new_one()
        assert not worker.in_job

    @hangwatch.watched(id="anew")
    async def within_a_new_one() -> None:
        assert worker.in_job and seen().texts[0] == "anew"

    asyncio.run(begins_anew())
    assert seen().jobs == (2, 1, 1)


def test_an_exit_that_a_stop_raises_goes_on_and_an_error_does_not(worker: Worker, seen: Seen, segment: Path) -> None:
    asks_to_stop(segment, worker)

    def fails() -> None:
        raise ValueError

    assert list(hangwatch.track("ab", on_stop=fails)) == ["a", "b"]
    with pytest.raises(SystemExit):
        list(hangwatch.track("ab", on_stop=sys.exit))
    assert seen().jobs == (1, 0, 1), "it calls the job off"


def test_the_first_worker_is_the_current_one_until_it_is_detached(segment: Path) -> None:
    assert hangwatch.current() is None
    with hangwatch.attach("a", segment=segment) as first:
        with hangwatch.attach("b", segment=segment):
            assert hangwatch.current() is first
    third = hangwatch.attach("c", segment=segment)
    assert hangwatch.current() is third
    other = third.lane("l")
    hangwatch.set_current(other)
    assert hangwatch.current() is other


def test_a_worker_whose_last_name_is_gone_gives_its_slot_back(segment: Path) -> None:
    worker = hangwatch.attach("a", segment=segment)
    assert Slot(segment, 0).tag == LIVE
    hangwatch.set_current(None)
    del worker
    assert Slot(segment, 0).tag == FREE
