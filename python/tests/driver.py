"""The package's driver of the conformance suite: `hangwatch conformance -- python driver.py` (docs/conformance.md).

It is that of the pure Python writer, with this package's worker, its further calls, and its units.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List, Optional
from urllib.parse import unquote

import hangwatch
from hangwatch import Worker

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
from python_driver import Driver  # type: ignore[import-not-found]  # noqa: E402

OWN_DEVICE = 4294967295


class PackageDriver(Driver):  # type: ignore[misc]
    """Three handles: the second and the third are named before the call."""

    make = staticmethod(hangwatch.detached)
    worker: Worker

    def __init__(self) -> None:
        super().__init__()
        self.held = {"@a": self.worker, "@b": hangwatch.detached(), "@c": hangwatch.detached()}

    def answer(self, words: List[str]) -> str:
        which = words[0] if words[0] in self.held else "@a"
        self.worker = self.held[which]
        try:
            said: str = super().answer(words[1:] if words[0] in self.held else words)
        except hangwatch.Error as e:
            said = f"error {e.code} {e}".replace("\n", "\t")
        self.held[which] = self.worker
        return said

    def attach(self, segment: str, name: str) -> str:
        return self.now_is(hangwatch.attach(name or None, segment=segment or None))

    def now_is(self, worker: Worker) -> str:
        self.worker.detach()
        self.worker = worker
        return "detached" if worker.slot is None else f"slot {worker.slot}"

    def call(self, what: str, *words: str) -> str:
        worker, beside = self.worker, self.held["@a"]
        texts = ["" if word == "-" else unquote(word, errors="replace") for word in words]
        if what == "is_attached":
            return str(int(worker.attached))
        if what == "lane":
            return self.now_is(beside.lane(texts[0]))
        if what == "gpu_lane":
            device = int(words[1])
            return self.now_is(beside.gpu_lane(texts[0], None if device == OWN_DEVICE else device))
        if what == "register_phase":
            return f"phase {worker.register_phase(texts[0], words[1], int(words[2]) / 1000)}"  # type: ignore[arg-type]
        if what == "extend":
            worker.extend(int(words[0]) / 1000)
        elif what == "enter":
            worker.enter(int(words[0]), int(words[1]))
        elif what == "leave":
            worker.leave()
        elif what == "begin_job_with":
            total, batch, size, deadline = map(int, words[2:6])
            named: Optional[int] = None if words[6] == "-" else int(words[6])
            within = deadline / 1000 if deadline else None
            worker.begin_job(texts[0], texts[1], total, batch=batch, size=size, deadline=within, device=named)
        else:
            said: str = super().call(what, *words)
            return said
        return "ok"


if __name__ == "__main__":
    PackageDriver().run()
