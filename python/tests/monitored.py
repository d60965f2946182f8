"""A parent and a child of multiprocessing, each with a monitor: `monitored.py WAY SEGMENT OWN`."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

import hangwatch
from waiting import SOON, until


def child(own: str) -> None:
    monitor = hangwatch.Monitor(own, SOON, unlink_at_end=True)
    until(lambda: monitor.status().polls > 1)
    # Not stopped: the child's end does it.


if __name__ == "__main__":
    way, segment, own = sys.argv[1:]
    with hangwatch.Monitor(segment, SOON) as monitor:
        context: Any = multiprocessing.get_context(way)
        process = context.Process(target=child, args=(own,))
        process.start()
        process.join()
        assert process.exitcode == 0, "the child is content"
        assert monitor.running
    print("2 monitors")
