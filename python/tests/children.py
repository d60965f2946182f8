"""A parent with a worker in slot 0, and a child made in the way that is named: `children.py WAY`.

The parent says `ready` before it makes the child, and `done` once that has reported through what it inherited, attached itself
and ended. With `keeps` behind the way, a child attaches itself and does not detach.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Callable, Optional

import hangwatch

PARENT: Optional[hangwatch.Worker] = None
JOB: Optional[hangwatch.Job] = None
KEEPS = "keeps" in sys.argv


def reports() -> None:
    """All that an inherited worker can be asked for."""
    assert PARENT is not None and JOB is not None
    assert not PARENT.attached and PARENT.slot is None, "an inherited worker is dead"
    for done in (99, 1):
        PARENT.step(done)
        JOB.step(done)
    JOB.step()
    JOB.begin_pass()
    PARENT.beat()
    PARENT.alive()
    PARENT.note("child")
    PARENT.extend(5)
    with PARENT.phase("loading", 9), PARENT.section("compiling"):
        pass
    with PARENT.job("child"):
        pass
    PARENT.begin_job("child", "model", 50)
    PARENT.end_job("failed")
    assert not PARENT.lane("child").attached


def attaches() -> None:
    """What a child may do that is not its parent."""
    own = hangwatch.attach("child")
    assert own.slot is not None and own.slot > 0, "its parent's slot is not a child's"
    assert hangwatch.current() is own
    own.begin_job("own")
    own.step(1)
    if not KEEPS:
        own.detach()


def child() -> None:
    assert hangwatch.current() is None, "its parent's worker is not a child's"
    reports()
    attaches()
    reports()
    if PARENT is not None:
        PARENT.detach()


def forked(body: Callable[[], None]) -> None:
    """Runs `body` in a child of os.fork that ends as programs do, atexit and all."""
    pid = os.fork()
    if pid == 0:
        body()
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "the child is content"


def by_multiprocessing(way: str, body: Callable[[], None]) -> None:
    context: Any = multiprocessing.get_context(way)
    process = context.Process(target=body)
    process.start()
    process.join()
    assert process.exitcode == 0, "the child is content"


def of_a_pool(_: int) -> None:
    child()


def by_pool() -> None:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.map(of_a_pool, range(1))


def by_executor() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(attaches).result()


def by_subprocess(**more: Any) -> None:
    subprocess.run([sys.executable, "-B", __file__, "attach"], check=True, **more)


WAYS: dict[str, Callable[[], None]] = {
    "fork": lambda: forked(child),
    "fork_of_a_fork": lambda: forked(lambda: forked(child)),
    "multiprocessing_fork": lambda: by_multiprocessing("fork", child),
    "multiprocessing_spawn": lambda: by_multiprocessing("spawn", attaches),
    "multiprocessing_forkserver": lambda: by_multiprocessing("forkserver", attaches),
    "pool": by_pool,
    "executor": by_executor,
    "subprocess": by_subprocess,
    "subprocess_preexec": lambda: by_subprocess(preexec_fn=reports),
}

if __name__ == "__main__":
    if sys.argv[1] == "attach":
        attaches()
        sys.exit(0)
    PARENT = hangwatch.attach("parent")
    assert PARENT.slot == 0, "the parent has the slot that is looked at"
    JOB = PARENT.job("parent", "model", 50)
    JOB.__enter__()
    JOB.step()
    print("ready", flush=True)
    sys.stdin.readline()
    WAYS[sys.argv[1]]()
    print("done", flush=True)
    sys.stdin.readline()
    JOB.step()
    print("stepped", flush=True)
    sys.stdin.readline()
