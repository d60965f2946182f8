"""What a step costs from Python, beside what any call into an extension does: `python bench/python/step.py`.

Each row is the best of seven rounds of a million calls, less the loop around them, in nanoseconds. The floor is the same call on a
detached worker: CPython's call of a method with one argument, the number read, one load and one branch.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import timeit
from pathlib import Path

import hangwatch

CALLS = 1_000_000


def cost(statement: str, **names: object) -> float:
    return min(timeit.repeat(statement, globals=names, number=CALLS, repeat=7)) / CALLS * 1e9


def main() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        segment = Path(folder) / "segment"
        stamped = hangwatch.attach(segment=segment)
        unstamped = hangwatch.attach(segment=segment, stamps=False)
        with stamped.job("a", total=hangwatch.UNKNOWN) as job, unstamped.job("b", total=hangwatch.UNKNOWN) as quick:
            rows = {
                "a builtin with one argument: hash(7)": cost("f(7)", f=hash),
                "floor: w.step(7), detached": cost("w.step(7)", w=hangwatch.detached()),
                "w.step(7), unstamped": cost("w.step(7)", w=unstamped),
                "w.step(7)": cost("w.step(7)", w=stamped),
                "w.beat()": cost("w.beat()", w=stamped),
                "job.step(), unstamped": cost("j.step()", j=quick),
                "job.step()": cost("j.step()", j=job),
                "job.step(7)": cost("j.step(7)", j=job),
                "w.should_stop()": cost("w.should_stop()", w=stamped),
            }
        stamped.detach()
        unstamped.detach()
    loop = cost("pass")
    print(f"CPython {platform.python_version()}, {platform.machine()}, hangwatch {hangwatch.__version__}; loop {loop:.1f} ns")
    for name, ns in rows.items():
        sys.stdout.write(f"{name:<40}{ns - loop:6.1f}\n")


if __name__ == "__main__":
    main()
