#!/usr/bin/env python3
"""A host with worker processes that take jobs from a queue: one of them hangs, is replaced, and its job is done by the next.

    pip install ./python
    python3 examples/python_supervisor.py

The workers are children of multiprocessing, with queues as their arguments. A job is put back by whoever is told that it was lost.
"""

import argparse
import multiprocessing
import os
import threading
from typing import Any

import hangwatch


def work(jobs: Any, done: Any) -> None:
    """Does jobs until it is told that there are none, or is asked to stop. The first one that meets job-1 hangs in its 22nd step."""
    worker = hangwatch.attach(f"worker-{os.getpid()}")
    while not worker.should_stop():
        job, may_hang = jobs.get()
        if job is None:
            return
        with worker.job(job, model="stable_diffusion_xl", total=50) as report:
            for step in range(50):
                if job == "job-1" and may_hang and step == 21:
                    threading.Event().wait()  # nobody will ever set it
                report.step()
        done.put((job, os.getpid()))


def say(line: object) -> None:
    """A line in one write: two threads have something to say."""
    print(f"{line}\n", end="", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segment", default=f"example-{os.getpid()}", help="a name, or a path with a slash")
    parser.add_argument("--timeout", default="2s", help="how long no sign of life and no progress may last")
    parser.add_argument("--method", default="spawn", choices=["spawn", "fork", "forkserver"])
    args = parser.parse_args()
    context: Any = multiprocessing.get_context(args.method)
    jobs, done = context.Queue(), context.Queue()

    def on_event(event: hangwatch.Event) -> None:
        if event.event in ("opened", "replaced"):
            say(event)
        if event.event == "lost_job":
            jobs.put((event.job, False))

    policy = {"inference_step_timeout": args.timeout, "poll_interval": "100ms", "backoff": "100ms", "grace": "2s"}
    with hangwatch.Supervisor(
        work, args=(jobs, done), replicas=2, context=context, segment=args.segment, policy=policy, on_event=on_event
    ) as supervisor:
        for number in range(4):
            jobs.put((f"job-{number}", True))
        for _ in range(4):
            job, pid = done.get()
            say(f"{job} is done by pid {pid}")
        for _ in range(2):
            jobs.put((None, False))
        for result in supervisor.wait() or ():
            say(f"replica {result.replica}: {result.end} with {result.code}, {result.starts} starts, {result.hangs} hangs")


if __name__ == "__main__":
    main()
