#!/usr/bin/env python3
"""A worker whose loops are shown by tqdm, as they were before: two lines make each bar a count that is watched.

    pip install './python[tqdm]'
    hangwatch run --inference-step-timeout 60s -- python examples/tqdm_worker.py --stuck-at 30

`--stuck-at N`: a drill. The bar stops before its Nth item, in a lock that nobody releases.
`--retry-at N`: another. The Nth item is tried again for ever; the bar is drawn, and does not advance.
"""

import argparse
import threading
import time

import hangwatch
from hangwatch.integrations import tqdm as bars
from tqdm import tqdm

parser = argparse.ArgumentParser()
parser.add_argument("--items", type=int, default=50)
parser.add_argument("--item-ms", type=float, default=100)
parser.add_argument("--stuck-at", type=int)
parser.add_argument("--retry-at", type=int)
given = parser.parse_args()

hangwatch.dump_stacks_on("SIGUSR1")  # with 'hangwatch run --faulthandler SIGUSR1'
stopping = threading.Event()
model_lock = threading.Lock()


def work(item: int) -> None:
    if item == given.stuck_at:
        model_lock.acquire()
    with model_lock:
        time.sleep(given.item_ms / 1000)


hangwatch.attach("tqdm")  # where nothing watches, what follows changes nothing
bars.install(on_stop=stopping.set)
with tqdm(total=given.items, desc="items") as bar:
    for item in range(1, given.items + 1):
        work(item)
        while item == given.retry_at and not stopping.is_set():
            work(item)
            bar.update(0)
        bar.update()
        if stopping.is_set():
            print("asked to stop: what is done is kept", flush=True)
            break
