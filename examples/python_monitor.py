#!/usr/bin/env python3
"""A host that embeds the monitor: it starts a worker that hangs at 42 %, and prints what the monitor says of it.

    pip install ./python
    python3 examples/python_monitor.py

The monitor's threads are this process's and hold no GIL. What to do about a worker that hangs is the host's to decide here: it
kills it. `hangwatch run`, or a supervisor, would do that by the ladder of docs/recovery.md.
"""

import argparse
import multiprocessing
import threading
from typing import Optional

import hangwatch


def say(line: object) -> None:
    """A line in one write: two threads have something to say."""
    print(f"{line}\n", end="", flush=True)


def work(segment: str) -> None:
    """A worker that hangs in its 22nd step."""
    worker = hangwatch.attach("sd-0", segment=segment)
    with worker.phase("loading"):
        pass  # … load the model …
    with worker.job("a1b2c3d4", model="stable_diffusion_xl", total=50) as job:
        for step in range(50):
            if step == 21:
                threading.Event().wait()  # nobody will ever set it
            job.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segment", default=f"example-{multiprocessing.current_process().pid}", help="a name, or a path with a slash")
    parser.add_argument("--timeout", default="2s", help="how long no sign of life and no progress may last")
    args = parser.parse_args()
    policy = {"inference_step_timeout": args.timeout, "poll_interval": "100ms", "models": {"*_turbo": {"progress_timeout": "30s"}}}
    hung: "list[int]" = []
    told = threading.Event()

    def on_event(event: hangwatch.Event) -> None:
        say(event)  # the sentence
        slot: Optional[int] = event.slot
        if event.event == "opened" and slot is not None:
            hung.append(slot)
            told.set()

    with hangwatch.Monitor(args.segment, policy, on_event, unlink_at_end=True) as monitor:
        process = multiprocessing.get_context("spawn").Process(target=work, args=(monitor.segment,))
        process.start()
        told.wait()
        seen = monitor.worker(hung[0])
        say(f"slot {seen.slot}: {seen.verdict} in {seen.phase}, {seen.percent} % of job {seen.job}, budget {seen.progress_budget_s} s")
        process.kill()
        process.join()


if __name__ == "__main__":
    main()
