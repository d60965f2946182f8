#!/usr/bin/env python3
"""AI Horde's arrangement with hangwatch's rules: a manager, its inference processes, states and heartbeats over a pipe.

    pip install './python[horde]'
    python3 examples/horde_manager.py --timeout 3 [--bridge-data bridgeData.yaml]

The manager keeps a `ProcessMap` as the origin does, but hangwatch's, and asks it `is_stuck_on_inference` in its loop. Each child
also attaches itself to a hangwatch slot, so that a monitor (here a thread of the manager) says the same of it with no help of
the pipe. The child with id 1 deadlocks at 42 % the first time it is started, while a helper thread of it beats on.
"""

import argparse
import enum
import multiprocessing
import threading
import time
import types
from multiprocessing.connection import Connection, wait
from typing import Any, Dict, List

import hangwatch
from hangwatch.horde import ProcessMap, Reporter, policy_of

STEPS = 50
HANGS_AT = 21


class State(enum.Enum):
    """The worker's own enum would stand here: states are taken by their names."""

    PROCESS_STARTING = enum.auto()
    PRELOADING_MODEL = enum.auto()
    INFERENCE_STARTING = enum.auto()
    INFERENCE_COMPLETE = enum.auto()
    PROCESS_ENDED = enum.auto()


class Beat(enum.Enum):
    OTHER = enum.auto()
    INFERENCE_STEP = enum.auto()


def inference_process(process_id: int, pipe: Connection, segment: str, hangs: bool) -> None:
    """A child: each report goes through the pipe and to its slot."""
    worker = hangwatch.attach(f"inference-{process_id}", segment=segment)
    report, one_at_a_time = Reporter(worker), threading.Lock()

    def send(call: str, *args: Any, **details: Any) -> None:
        with one_at_a_time:
            pipe.send((call, args, details))

    def enter(state: State) -> None:
        send("on_process_state_change", state)
        report.on_process_state_change(state)

    def help_along() -> None:
        while True:
            time.sleep(0.1)
            send("on_heartbeat", Beat.OTHER)
            worker.alive()

    enter(State.PROCESS_STARTING)
    enter(State.PRELOADING_MODEL)
    job = types.SimpleNamespace(id_=f"job-{process_id}", model="stable_diffusion_xl")
    send("on_last_job_reference_change", job)
    report.on_last_job_reference_change(job)
    enter(State.INFERENCE_STARTING)
    threading.Thread(target=help_along, daemon=True).start()
    for step in range(STEPS + 1):
        if hangs and step == HANGS_AT + 1:
            driver = threading.Lock()
            driver.acquire()
            driver.acquire()
        send("on_heartbeat", Beat.INFERENCE_STEP, percent_complete=100 * step // STEPS)
        report.on_heartbeat(Beat.INFERENCE_STEP, percent_complete=100 * step // STEPS)
        time.sleep(0.01)
    enter(State.INFERENCE_COMPLETE)
    enter(State.PROCESS_ENDED)


def say(line: object) -> None:
    """A line in one write: two threads have something to say."""
    print(f"{line}\n", end="", flush=True)


class Manager:
    """Starts the processes, and replaces those that its map calls stuck."""

    def __init__(self, monitor: hangwatch.Monitor, timeout: float) -> None:
        self.monitor = monitor
        self.timeout = timeout
        self.map = ProcessMap()
        self.processes: Dict[int, Any] = {}
        self.pipes: Dict[Connection, int] = {}

    def start(self, process_id: int, hangs: bool) -> None:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=inference_process, args=(process_id, theirs, self.monitor.segment, hangs))
        process.start()
        theirs.close()
        self.pipes[ours] = process_id
        self.processes[process_id] = process
        # An info of its own, so that nothing of the process before it counts.
        self.map[process_id] = types.SimpleNamespace(last_process_state=State.PROCESS_STARTING, last_job_referenced=None)

    def receive(self) -> None:
        for pipe in wait(list(self.pipes), timeout=0.1):
            assert isinstance(pipe, Connection)
            try:
                call, args, details = pipe.recv()
            except (EOFError, OSError):
                pipe.close()
                del self.pipes[pipe]
                continue
            getattr(self.map, call)(self.pipes[pipe], *args, **details)

    def replace_hung_processes(self) -> None:
        for process_id, process in list(self.processes.items()):
            if not self.map.is_stuck_on_inference(process_id, self.timeout):
                continue
            why = self.map.stuck_on_inference(process_id, self.timeout)
            if why is not None:
                say(f"process {process_id} is {why.verdict} at {why.percent:g} % of {why.job.id_}, pid {process.pid}")
            for seen in self.monitor.workers():
                if seen.pid == process.pid:
                    say(f"its slot says {seen.phase}, {seen.percent} % of {seen.job}, last progress {seen.progress_age_s} s ago")
            process.kill()
            process.join()
            self.start(process_id, hangs=False)

    def run(self) -> List[int]:
        """Until every process has ended by itself: those that did well."""
        while self.pipes:
            self.receive()
            self.replace_hung_processes()
        for process in self.processes.values():
            process.join()
        return sorted(process_id for process_id, process in self.processes.items() if process.exitcode == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bridge-data", help="the worker's bridgeData.yaml: the policy of the monitor")
    parser.add_argument("--timeout", type=float, default=3.0, help="seconds; inference_step_timeout of the map and the monitor")
    parser.add_argument("--segment", default=f"horde-{multiprocessing.current_process().pid}", help="a name, or a path with a slash")
    parser.add_argument("--no-hang", action="store_true", help="all goes well")
    args = parser.parse_args()
    policy = policy_of(args.bridge_data) if args.bridge_data else {}
    policy = {**policy, "inference_step_timeout": args.timeout, "poll_interval": "100ms"}

    def on_event(event: hangwatch.Event) -> None:
        if event.event == "opened":
            say(f"the monitor: {event}")

    with hangwatch.Monitor(args.segment, policy, on_event, unlink_at_end=True) as monitor:
        manager = Manager(monitor, args.timeout)
        for process_id in range(2):
            manager.start(process_id, hangs=process_id == 1 and not args.no_hang)
        say(f"processes {manager.run()} have done their jobs")


if __name__ == "__main__":
    main()
