"""What a step costs from Python, beside the floor under any call of the stable ABI and beside what others write to be seen alive.

    bash bench/python/run [--record DIR]        builds what it needs, and runs this

Rows take turns, a round each, so that whatever else the machine does falls on all of them. A row is the loop around its call less an
empty one, in nanoseconds a call; told are the best round and the middle one, and raw.csv has every round.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import platform
import socket
import statistics
import sys
import tempfile
import timeit
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import hangwatch
from floor import Floor
from gunicorn.config import Config
from gunicorn.workers.workertmp import WorkerTmp
from prometheus_client import Gauge

ROUNDS = 15
EMPTY = "pass"
STEP, LEAST = "w.step(7)", "floor: and reads the coarse clock"
PROMISE = 35.0  # ns


class Row(NamedTuple):
    """One way to say that a step is done."""

    name: str
    statement: str
    names: Dict[str, Any]
    calls: int = 1_000_000


def rows(folder: Path, until: ExitStack) -> List[Row]:
    segment = folder / "segment"
    stamped = until.enter_context(hangwatch.attach(segment=segment))
    unstamped = until.enter_context(hangwatch.attach(segment=segment, stamps=False))
    job = until.enter_context(stamped.job("a", total=hangwatch.UNKNOWN))
    quick = until.enter_context(unstamped.job("b", total=hangwatch.UNKNOWN))
    floor = Floor()
    gauge = Gauge("steps", "Steps that are done.")
    return [
        Row("floor: an abi3 method that does nothing", "f.nothing(7)", {"f": floor}),
        Row("floor: that reads its number", "f.reads(7)", {"f": floor}),
        Row("floor: and makes two stores", "f.stores(7)", {"f": floor}),
        Row(LEAST, "f.stamps(7)", {"f": floor}),
        Row("w.step(7), detached", "w.step(7)", {"w": hangwatch.detached()}),
        Row("w.step(7), unstamped", "w.step(7)", {"w": unstamped}),
        Row(STEP, "w.step(7)", {"w": stamped}),
        Row("w.beat()", "w.beat()", {"w": stamped}),
        Row("job.step(), unstamped", "j.step()", {"j": quick}),
        Row("job.step()", "j.step()", {"j": job}),
        Row("w.should_stop()", "w.should_stop()", {"w": stamped}),
        Row("prometheus_client: gauge.set(7)", "g.set(7)", {"g": gauge}, 100_000),
        Row("gunicorn: WorkerTmp.notify()", "t.notify()", {"t": gunicorn_file(until)}, 100_000),
        Row("sd_notify: a datagram", "s.send(b'WATCHDOG=1')", {"s": datagrams(folder, until)}, 20_000),
        Row("multiprocessing.Queue: q.put((7, 50)), the caller's part", "q.put((7, 50))", {"q": queue(until)}, 5_000),
    ]


def gunicorn_file(until: ExitStack) -> Any:
    config = Config()
    config.set("worker_tmp_dir", "/dev/shm")
    file = WorkerTmp(config)
    until.callback(file.close)
    return file


def _reads_datagrams(path: str, ready: Any) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
        reader.bind(path)
        ready.set()
        while reader.recv(64) != b"end":
            pass


def datagrams(folder: Path, until: ExitStack) -> socket.socket:
    """To a manager in another process, as systemd is."""
    path, ready = str(folder / "notify"), multiprocessing.Event()
    reader = multiprocessing.Process(target=_reads_datagrams, args=(path, ready), daemon=True)
    reader.start()
    ready.wait()
    until.callback(reader.join)
    sender = until.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    sender.connect(path)
    until.callback(sender.send, b"end")
    return sender


def _reads_queue(source: Any) -> None:
    while source.get() is not None:
        pass


def queue(until: ExitStack) -> Any:
    """To a manager that reads it, as AI Horde's is."""
    made: Any = multiprocessing.Queue()
    reader = multiprocessing.Process(target=_reads_queue, args=(made,), daemon=True)
    reader.start()
    until.callback(reader.join)
    until.callback(made.put, None)
    return made


def ns(statement: str, names: Dict[str, Any], calls: int) -> float:
    return timeit.timeit(statement, globals=names, number=calls) / calls * 1e9


def measured(every: List[Row]) -> Tuple[Dict[str, List[float]], float]:
    raw: Dict[str, List[float]] = {row.name: [] for row in every}
    loops: List[float] = []
    for _ in range(ROUNDS):
        loops.append(ns(EMPTY, {}, 1_000_000))
        for row in every:
            raw[row.name].append(ns(row.statement, row.names, row.calls))
    return raw, min(loops)


def table(raw: Dict[str, List[float]], loop: float) -> str:
    lines = ["| a call | best, ns | median, ns |", "|---|---|---|"]
    for name, each in raw.items():
        lines.append(f"| {name} | {min(each) - loop:.1f} | {statistics.median(each) - loop:.1f} |")
    step, least = (min(raw[name]) - loop for name in (STEP, LEAST))
    kept = "kept" if step <= PROMISE else "not kept"
    lines += [
        "",
        f"`{STEP}` is promised in {PROMISE:.0f} ns: {kept}. It is × {step / least:.2f} of the same work in a bare abi3 method. "
        "What a queue is given its own thread pickles and writes later, which is not counted here.",
    ]
    return "\n".join(lines) + "\n"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, metavar="DIR", help="writes README.md and raw.csv there")
    record = parser.parse_args().record
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, ExitStack() as until:
        raw, loop = measured(rows(Path(folder), until))
    what = (
        f"CPython {platform.python_version()} on {processor()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"hangwatch {hangwatch.__version__}; {ROUNDS} rounds, an empty loop of {loop:.1f} ns taken off."
    )
    shown = table(raw, loop)
    sys.stdout.write(f"{what}\n\n{shown}")
    if record is not None:
        record.mkdir(parents=True, exist_ok=True)
        (record / "README.md").write_text(f"# A step from Python\n\nMade by `bash bench/python/run --record`.\n{what}\n\n{shown}")
        with (record / "raw.csv").open("w", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["call", "round", "ns_with_loop"])
            out.writerow([EMPTY, "best", f"{loop:.3f}"])
            out.writerows([name, number, f"{each:.3f}"] for name, of in raw.items() for number, each in enumerate(of))


if __name__ == "__main__":
    main()
