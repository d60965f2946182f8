#!/usr/bin/env python3
"""The driver of `python_writer` for `hangwatch conformance -- python3 examples/python_driver.py` (docs/conformance.md)."""
import os
import sys
from urllib.parse import unquote

from python_writer import Refused, Worker


class Unsupported(Exception):
    pass


class Driver:
    """Reads calls, makes them, answers."""

    make = Worker

    def __init__(self):
        self.worker = self.make()

    def attach(self, segment, name):
        if segment:
            raise Unsupported("the environment alone names the segment")
        try:
            self.worker = self.make.attach(name)
        except (Refused, OSError) as why:
            if "without compare-and-swap" in str(why) or "no free one can be claimed" in str(why):
                raise Unsupported(why) from None
            return f"error 3 {why}"
        return f"slot {self.worker.slot}" if self.worker.live else "detached"

    def call(self, what, *words):
        worker = self.worker
        texts = ["" if word == "-" else unquote(word, errors="replace") for word in words]
        if what == "attach":
            return self.attach(*texts)
        if what == "is_attached":
            return str(int(worker.live))
        if what == "should_stop":
            return str(int(worker.should_stop()))
        if what in ("step", "extend"):
            getattr(worker, what)(int(words[0]))
        elif what in ("phase", "phase_total"):
            worker.phase(*map(int, words))
        elif what == "begin_job":
            worker.begin_job(texts[0], texts[1], int(words[2]))
        elif what == "begin_job_with":
            device = None if words[6] == "-" else int(words[6])
            worker.begin_job(texts[0], texts[1], *map(int, words[2:6]), device)
        elif what in ("beat", "alive", "begin_pass", "detach"):
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
            raise Unsupported("no such call")
        return "ok"

    def answer(self, words):
        try:
            return self.call(*words)
        except Unsupported as why:
            return f"unsupported {why}"

    def fork(self, words):
        """The child answers, and ends as programs do."""
        pid = os.fork()
        if pid == 0:
            print(self.answer(words), flush=True)
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0, "the child ends well"

    def run(self):
        while line := sys.stdin.readline():
            what, *words = line.split()
            if what == "fork":
                self.fork(words)
                continue
            if what == "exec":
                print("ok", flush=True)
                os.execv(sys.executable, [sys.executable, *sys.argv])
            print(self.answer([what, *words]), flush=True)


if __name__ == "__main__":
    Driver().run()
