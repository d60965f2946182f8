from __future__ import annotations

import os
from pathlib import Path

import hangwatch
from conftest import script

EVERY_CALL = """
import hangwatch
w = hangwatch.attach("x")
assert not w.attached and w.slot is None and w.segment is None and w.device is None
assert hangwatch.current() is w, "the first worker is the process's, detached or not"
w.step(1); w.beat(); w.alive(); w.extend(5.0); w.note("n"); w.begin_pass()
assert w.should_stop() is False
with w.phase("loading", total=3) as same:
    assert same is w
    w.step(1)
with w.section("compiling"):
    pass
w.enter("safety"); w.leave()
assert w.register_phase("mine", cls="idle", budget=3.0) == 65535
w.begin_job("id", "model", 5, batch=1, size=2, deadline=3.0, device=0)
w.end_job("failed")
with w.job("id", model="m", total=3) as job:
    job.step(); job.step(2); job.begin_pass(); job.end("ok")
with w.lane("l") as lane, w.gpu_lane("g", 0) as gpu:
    assert not lane.attached and not gpu.attached
assert list(hangwatch.track([1, 2])) == [1, 2]
assert hangwatch.watched(lambda: 7)() == 7
w.detach(); w.step(1); w.detach()
"""


def test_where_nothing_is_named_every_call_is_a_no_op_and_nothing_is_made_or_said(scratch: Path) -> None:
    said = script(EVERY_CALL, HANGWATCH_DIR=str(scratch), XDG_RUNTIME_DIR=str(scratch))
    assert (said.returncode, said.stdout, said.stderr) == (0, "", ""), "instrumented code runs unchanged where nobody watches"
    assert os.listdir(scratch) == [], "a detached worker makes no file"


def test_an_empty_variable_is_as_good_as_none() -> None:
    said = script("import hangwatch; assert not hangwatch.attach().attached", HANGWATCH_SEGMENT="", HANGWATCH_SLOT="")
    assert said.returncode == 0, said.stderr


def test_detached_gives_a_worker_that_is_nobodys_and_not_the_current_one() -> None:
    worker = hangwatch.detached()
    worker.step(1)
    assert not worker.attached and hangwatch.current() is None
