"""Calls into a library as jobs, without one: `hangwatch.integrations._calls`."""

from __future__ import annotations

from pathlib import Path

import hangwatch
from conftest import script
from hangwatch.integrations._calls import Hooks, Reporting, current
from slots import Slot

FORKS = """
import os, sys
import hangwatch
from hangwatch.integrations._calls import Reporting, current
from slots import Slot

segment = sys.argv[1]
worker = hangwatch.attach(segment=segment)
reporting = Reporting(None, "test", {}, None)
call = reporting.begin("parents")
call.enter("inference", 5)
child = os.fork()
if child == 0:
    assert current() is None, "it is in no call of its parent's"
    assert reporting.begin("childs") is None, "and nobody watches it before it attaches itself"
    own = hangwatch.attach(segment=segment)
    its = reporting.begin("childs")
    assert its.worker is own and Slot(segment, own.slot).texts[1] == "childs"
    its.end("ok")
    own.detach()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0, "the child is content"
call.worker.step(3)
slot = Slot(segment, worker.slot)
assert (slot.texts[1], slot.progress, slot.total, slot.jobs) == ("parents", 3, 5, (0, 0, 0)), "the parent's call goes on"
call.end("ok")
print(Slot(segment, worker.slot).jobs)
"""


def test_a_forked_child_is_in_no_call_and_its_parents_goes_on(segment: Path) -> None:
    done = script(FORKS, str(segment))
    assert (done.stdout, done.stderr) == ("(1, 0, 0)\n", "")


def test_a_call_leaves_what_it_entered_and_nothing_that_was_there_before(worker: hangwatch.Worker, segment: Path) -> None:
    reporting = Reporting(worker, "test", {"mixing": 5}, None)
    with worker.phase("loading"):
        outer = reporting.begin("outer", 2)
        assert outer is not None and current() is outer and worker.in_job
        outer.enter("mixing")
        inner = reporting.begin("inner")
        assert inner is not None and inner.worker is worker and not inner.has_job, "a call within is a part of it"
        inner.enter("inference", 3, lease=60)
        assert (Slot(segment, 0).depth, Slot(segment, 0).lease_ms) == (2, 60_000)
        inner.enter("loading")
        assert Slot(segment, 0).depth == 3
        inner.end("ok")
        assert (Slot(segment, 0).phase, Slot(segment, 0).depth, current()) == (256, 1, outer)
        outer.end("failed")
    assert (Slot(segment, 0).jobs, current(), worker.in_job) == ((0, 1, 0), None, False)


def test_hooks_that_others_hooked_into_after_us_stay_where_they_are() -> None:
    class Base:
        def call(self) -> str:
            return "base"

    class Host(Base):
        def own(self) -> str:
            return "own"

    host, hooks = Host(), Hooks()
    hooks.put(Host, "call", lambda self: "ours")
    hooks.put(Host, "own", lambda self: "ours")
    hooks.put(host, "own", lambda: "the object's")
    assert (host.call(), host.own(), Host().own()) == ("ours", "the object's", "ours")
    setattr(Host, "call", theirs := lambda self: "theirs")
    hooks.take_out()
    assert (host.call(), vars(Host)["call"], host.own(), vars(host)) == ("theirs", theirs, "own", {})
