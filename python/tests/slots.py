"""What a slot says, read from the segment's file (layout 1.0, ffi/include/hangwatch.h)."""

from __future__ import annotations

import struct
from pathlib import Path

from hangwatch import Worker

NONE = 2**64 - 1
FREE, CLAIMING, LIVE, RESERVED = range(4)
BEAT, PROGRESS, PHASE, STAMP, LEASE, EPOCH, PROGRESS_STAMP, ALIVE, TOTAL, JOBS_OK, JOBS_BAD = range(11)
OWNER, CMD, INFO_SEQ = 16, 22, 23
INFO = (32, 80)


class Slot:
    """The words of one slot at one moment."""

    def __init__(self, path: Path | str, index: int) -> None:
        with open(path, "rb") as file:
            header = struct.unpack("<32Q", file.read(256))
            file.seek(header[6] + header[4] * index)
            self.bytes = file.read(1024)
        self.words: tuple[int, ...] = struct.unpack("<128Q", self.bytes)

    @property
    def tag(self) -> int:
        return self.words[OWNER] >> 40 & 0xFF

    @property
    def pid(self) -> int:
        return self.words[OWNER] & 0xFFFFFFFF

    @property
    def phase(self) -> int:
        return self.words[PHASE] >> 48

    @property
    def depth(self) -> int:
        return self.words[PHASE] >> 33 & 7

    @property
    def section(self) -> int:
        return self.words[PHASE] >> 36 & 0xFFF

    @property
    def progress(self) -> int | None:
        return None if self.words[PROGRESS] == NONE else self.words[PROGRESS]

    @property
    def total(self) -> int:
        return self.words[TOTAL]

    @property
    def falls(self) -> int:
        return self.words[EPOCH] & 0xFFFF

    @property
    def beats(self) -> int:
        return self.words[BEAT] & (1 << 48) - 1

    @property
    def jobs(self) -> tuple[int, int, int]:
        """Ended well, failed, cancelled."""
        bad = self.words[JOBS_BAD]
        return self.words[JOBS_OK], bad >> 32, bad & 0xFFFFFFFF

    @property
    def lease_ms(self) -> int:
        return self.words[LEASE] & (1 << 48) - 1

    @property
    def texts(self) -> tuple[str, str, str]:
        """Job, model and detail of the newest record."""
        at = INFO[self.words[INFO_SEQ] & 1]
        lens = self.words[at + 2]
        record = self.bytes[at * 8 + 64 :]
        job, model, detail = record[: lens >> 32 & 0xFF], record[64 : 64 + (lens >> 24 & 0xFF)], record[224 : 224 + (lens & 0xFF)]
        return job.decode(), model.decode(), detail.decode()


def taken(path: Path | str, count: int) -> list[int]:
    """The slots that are not free."""
    return [index for index in range(count) if Slot(path, index).tag != FREE]


def asks_to_stop(path: Path | str, worker: Worker) -> None:
    """Writes the command word of a worker's slot, as a monitor does before it ends one."""
    assert worker.slot is not None
    with open(path, "r+b") as file:
        header = struct.unpack("<32Q", file.read(256))
        file.seek(header[6] + header[4] * worker.slot + 8 * CMD)
        file.write(struct.pack("<Q", worker.generation << 48 | 1 << 40))
