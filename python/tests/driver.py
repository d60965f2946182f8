"""The package's driver of the conformance suite: `hangwatch conformance -- python driver.py` (docs/conformance.md)."""

from __future__ import annotations

import os
import sys
from urllib.parse import unquote

import hangwatch
from hangwatch import Worker

OWN_DEVICE = 4294967295


class Driver:
    """Reads calls, makes them, answers."""

    def __init__(self) -> None:
        self.workers = [hangwatch.detached() for _ in range(3)]

    def made(self, held: int, worker: Worker) -> str:
        self.workers[held].detach()
        self.workers[held] = worker
        return "detached" if worker.slot is None else f"slot {worker.slot}"

    def call(self, held: int, what: str, words: list[str]) -> str:
        worker = self.workers[held]
        texts = ["" if word == "-" else unquote(word, errors="replace") for word in words]
        if what == "attach":
            return self.made(held, hangwatch.attach(texts[1] or None, segment=texts[0] or None))
        if what == "lane":
            return self.made(held, self.workers[0].lane(texts[0]))
        if what == "gpu_lane":
            device = int(words[1])
            return self.made(held, self.workers[0].gpu_lane(texts[0], None if device == OWN_DEVICE else device))
        if what == "is_attached":
            return str(int(worker.attached))
        if what == "should_stop":
            return str(int(worker.should_stop()))
        if what == "register_phase":
            return f"phase {worker.register_phase(texts[0], words[1], int(words[2]) / 1000)}"  # type: ignore[arg-type]
        if what == "step":
            worker.step(int(words[0]))
        elif what == "extend":
            worker.extend(int(words[0]) / 1000)
        elif what == "phase":
            worker.phase(int(words[0]))
        elif what == "phase_total":
            worker.phase(int(words[0]), int(words[1]))
        elif what == "enter":
            worker.enter(int(words[0]), int(words[1]))
        elif what == "begin_job":
            worker.begin_job(texts[0], texts[1], int(words[2]))
        elif what == "begin_job_with":
            total, batch, size, deadline = map(int, words[2:6])
            worker.begin_job(
                texts[0],
                texts[1],
                total,
                batch=batch,
                size=size,
                deadline=deadline / 1000 if deadline else None,
                device=None if words[6] == "-" else int(words[6]),
            )
        elif what in ("leave", "beat", "alive", "begin_pass", "detach"):
            getattr(worker, what)()
        elif what in ("note", "end_job"):
            getattr(worker, what)(texts[0])
        elif what == "storm":
            for i in range(1, int(words[0]) + 1):
                worker.begin_job(str(i), str(i), 1_000_000 + i)
                worker.step(i)
                worker.step(500_000 + i)
                worker.beat()
                if i % 2 == 0:
                    worker.end_job("ok")
        else:
            return "unsupported"
        return "ok"

    def answer(self, held: int, what: str, words: list[str]) -> str:
        try:
            return self.call(held, what, words)
        except hangwatch.Error as e:
            return f"error {e.code} {e}".replace("\n", "\t")

    def fork(self, words: list[str]) -> None:
        """The child answers, and ends as programs do."""
        pid = os.fork()
        if pid == 0:
            print(self.answer(0, words[0], words[1:]), flush=True)
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0, "the child ends well"

    def run(self) -> None:
        while line := sys.stdin.readline():
            words = line.split()
            held = {"@b": 1, "@c": 2}.get(words[0], 0)
            del words[: 1 if held else 0]
            what = words.pop(0)
            if what == "fork":
                self.fork(words)
            elif what == "exec":
                print("ok", flush=True)
                os.execv(sys.executable, [sys.executable, "-B", *sys.argv])
            else:
                print(self.answer(held, what, words), flush=True)


if __name__ == "__main__":
    Driver().run()
