"""Training loops that hang, under the real `hangwatch run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest

from running import EXAMPLES, PYTHON, Run, once

pytest.importorskip("torch")

WORKER = str(EXAMPLES / "torch_worker.py")
SOON = ["--inference-step-timeout", "2s"]


def where(events: List[Any]) -> List[Any]:
    return [(event["verdict"], event["phase"], event["done"], event["total"]) for event in events]


def test_a_loop_that_hangs_is_caught_where_it_hangs_and_a_slow_first_step_is_none(binary: str, scratch: Path) -> None:
    # One run for all of them: most of the time is torch's import.
    command = [*PYTHON, "-c", HANGS, "{i}", WORKER]
    with Run(binary, scratch, command, *SOON, "--replicas", "6", *once()) as run:
        opened = run.opened(5)
        assert where(opened) == [
            ("silent", "inference", 10, 72),
            ("overdue", "data", None, None),
            ("overdue", "data", None, None),
            ("overdue", "checkpoint", None, None),
            ("silent", "inference", 1, 3),
        ], opened
        # The last one's first step takes two budgets.
        assert run.wait() == 1, "five hung"
    assert "72 steps" in run.log(5) and "1.0 -> " in run.log(5), run.log(5)
    stacks = run.stacks()
    assert "torch_worker.py" in stacks and "_try_get_data" in stacks, "the stack of the one whose loader's worker hangs is its wait for it"


HANGS = """
import runpy, sys, time
import torch
place = int(sys.argv[1])
sys.argv = [sys.argv[2], "--patience", "2", *[["--hang", "step"], ["--hang", "data"], ["--hang", "loader"], ["--hang", "checkpoint"], ["--hang", "call"], []][place]]
if place == 5:
    step, slept = torch.optim.SGD.step, []
    def slow(self, *args):
        slept or slept.append(time.sleep(5))
        return step(self, *args)
    torch.optim.SGD.step = slow
runpy.run_path(sys.argv[0], run_name="__main__")
"""

RANKS = """
import os, sys, time
import torch, torch.distributed as dist
from hangwatch.integrations import torch as loops
rank = int(os.environ["RANK"])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=rank, world_size=2)
loops.attach()
net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
def data():
    for at in range(9):
        if rank == 1 and at == 3:
            time.sleep(3600)
        yield torch.ones(1, 1)
with loops.training(optimizer, total=9, patience={"data": 2}) as training:
    for batch in training.batches(data()):
        net(batch).sum().backward()
        optimizer.step()
"""


def test_of_two_ranks_one_hangs_and_the_other_waits_for_it_and_each_slot_says_which(binary: str, scratch: Path) -> None:
    flags = [*SOON, "--replicas", "2", "--mode", "observe", "--env", "RANK={i}", "--env", "LOCAL_RANK={i}"]
    with Run(binary, scratch, [*PYTHON, "-c", RANKS, str(scratch / "store")], *flags, *once()) as run:
        opened = run.opened(2)
    assert [event["worker"] for event in opened] == ["rank0", "rank1"]
    assert where(opened) == [("silent", "inference", 3, 9), ("overdue", "data", None, None)], opened


STANDS_STILL = """
import signal, sys, time
import torch
from hangwatch.integrations import torch as loops
signal.signal(signal.SIGTERM, signal.SIG_IGN)
loops.attach()
net = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu")
def data():
    while True:
        yield torch.full((1, 1), float("inf"))
with loops.training(optimizer, total=9) as training:
    for epoch in training.epochs(2):
        for batch in training.batches(data()):
            time.sleep(0.01)
            scaler.scale(net(batch).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        print("saved after", training.done, flush=True)
print("ended by itself", flush=True)
"""


def test_a_loop_whose_every_step_is_skipped_stands_still_and_ends_itself_when_it_is_asked_to(binary: str, scratch: Path) -> None:
    # It ignores SIGTERM: only the command word ends it before the grace does.
    with Run(binary, scratch, [*PYTHON, "-c", STANDS_STILL], *SOON, *once(grace="10m")) as run:
        (opened,) = run.opened()
        assert (opened["verdict"], opened["phase"], opened["total"]) == ("stalled", "inference", 9), opened
        run.wait()
    assert run.log(0).splitlines() == ["saved after 0", "ended by itself"]
