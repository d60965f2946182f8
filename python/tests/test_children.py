"""A child, however it is made, never touches its parent's slot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import HERE
from slots import Slot, taken

WAYS = [
    *("fork", "fork_of_a_fork", "multiprocessing_fork", "multiprocessing_spawn", "multiprocessing_forkserver", "pool"),
    *("executor", "subprocess", "subprocess_preexec"),
]
# Children that run what Python runs at their end. A pool is terminated, and ends nothing by itself.
ENDING = ["fork", "multiprocessing_fork", "multiprocessing_spawn", "subprocess"]


class Parent:
    """`children.py` in this way, which waits to be told."""

    def __init__(self, segment: Path, *arguments: str) -> None:
        env = {**os.environ, "HANGWATCH_SEGMENT": str(segment), "HANGWATCH_SLOTS": "4"}
        command = [sys.executable, "-B", "children.py", *arguments]
        self.process = subprocess.Popen(command, env=env, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said("ready")

    def said(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == line + "\n", "the child is content"

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go on\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.tell()
        assert self.process.wait() == 0
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.mark.parametrize("way", WAYS)
def test_no_child_changes_its_parents_slot(segment: Path, way: str) -> None:
    parent = Parent(segment, way)
    before = Slot(segment, 0).bytes
    parent.tell()
    parent.said("done")
    assert Slot(segment, 0).bytes == before, "a child's reports and its end leave its parent's slot byte for byte as it was"
    assert taken(segment, 4) == [0], "a slot of the child's own was given back"
    parent.tell()
    parent.said("stepped")
    slot = Slot(segment, 0)
    assert (slot.progress, slot.pid) == (2, parent.process.pid), "the parent goes on"
    parent.end()
    assert taken(segment, 4) == [], "and gives its slot back at its end"


@pytest.mark.parametrize("way", ENDING)
def test_a_child_that_ends_gives_its_own_slot_back(segment: Path, way: str) -> None:
    parent = Parent(segment, way, "keeps")
    parent.tell()
    parent.said("done")
    assert taken(segment, 4) == [0]
    parent.tell()
    parent.said("stepped")
    parent.end()
