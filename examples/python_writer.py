#!/usr/bin/env python3
"""A hangwatch worker in pure Python: the standard library, no build. It writes its slot itself (layout 1.0, docs/conformance.md).

    hangwatch run --replicas 2 -- python3 examples/python_writer.py --hang-at 25 --hang-replica 0 --replica {i}

As a module:

    from python_writer import Worker
    worker = Worker.attach()  # detached, and a no-op, where HANGWATCH_SEGMENT is not set
    worker.begin_job("a1b2c3d4", "stable_diffusion_xl", 50)
    worker.step(1)

It claims only the slot that `hangwatch run` has reserved for it. Python has no compare-and-swap: two claimers of a free slot would
both believe that they have it, while a reserved one is nobody else's. For the same reason the release compares and then stores;
only a monitor that takes this very process for dead could come between, and it does so on proof of death alone.

A report is a few stores of 8 bytes into shared memory and one clock of the vDSO: no system call. `memoryview.cast("Q")` stores a word
in one piece; `struct.pack_into("<Q", …)` does it byte by byte, and a reader would see halves. Python has no fences either:
x86 keeps stores in order, other machines do not, and are refused. A step takes about a microsecond.

A child of os.fork, and of all that is built on it, reports nothing: it has no slot. One that was made by a raw clone, past Python,
is not noticed and must not report.
"""
import fcntl
import mmap
import os
import stat
import struct
import sys
import threading
import time
import weakref

MASK, NONE, UNKNOWN = 2**64 - 1, 2**64 - 1, 2**64 - 1  # `total`: 0 none, UNKNOWN unknown; `progress`: NONE before the first step
BEAT, PROGRESS, PHASE, STAMP, LEASE, EPOCH, PROGRESS_STAMP, ALIVE, TOTAL, JOBS_OK, JOBS_BAD = range(11)
OWNER, STARTTIME, PIDFD, NAMESPACES, TID, CLAIMED, CMD, INFO_SEQ = range(16, 24)
INFO = (32, 80)
CLAIMING, LIVE, RESERVED = 1, 2, 3
IDLE, LOADING, INFERENCE, ENDING = 1, 5, 7, 10
OUTCOMES = ("ok", "failed", "cancelled")
COARSE = 6  # CLOCK_MONOTONIC_COARSE


class Refused(Exception):
    """This worker cannot report: why. The program may go on without it."""


def fnv1a64(data):
    check = 0xCBF29CE484222325
    for byte in data:
        check = (check ^ byte) * 0x100000001B3 & MASK
    return check


def open_segment(path):
    """The segment's descriptor, the numbers of its header and its inode, once it is known to be one."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
            raise Refused(f"'{path}' is no regular file of ours alone")
        header = os.pread(fd, 256, 0)
        words = struct.unpack("<32Q", header) if len(header) == 256 else (0,) * 32
        size, count, offset, total = words[4:8]
        if words[0] != 0x3130484354574748 or words[1] != 0x0807060504030201:
            raise Refused(f"'{path}' is no hangwatch segment of this machine")
        if words[2] >> 32 != 1 or words[8] != 0:
            raise Refused(f"'{path}' has layout {words[2] >> 32} and features {words[8]:#x}, this writer knows layout 1 and none")
        if words[31] != fnv1a64(header[8:248]):
            raise Refused(f"'{path}' has a damaged header")
        if size < 1024 or size % 128 or offset % 128 or words[3] < 4096 or offset < words[3] or not 1 <= count <= 1 << 20:
            raise Refused(f"'{path}' has a damaged header")
        if offset + size * count > total or total > about.st_size:
            raise Refused(f"'{path}' is truncated: {about.st_size} bytes")
        with open("/proc/sys/kernel/random/boot_id") as boot:
            digits = boot.read().replace("-", "").strip()
        if (words[12], words[13]) != (int(digits[:16], 16), int(digits[16:], 16)):
            raise Refused(f"'{path}' was made before the last boot")
        return fd, words, about.st_ino
    except BaseException:
        os.close(fd)
        raise


def identity():
    """Start time, pidfd inode and namespaces of this process: the words by which a monitor knows it."""
    with open("/proc/self/stat", "rb") as file:
        starttime = int(file.read().rsplit(b")", 1)[1].split()[19])
    inode = 0
    kernel = "".join(c if c.isdigit() else " " for c in os.uname().release).split()
    if tuple(map(int, kernel[:2])) >= (6, 9):  # before that it names nobody
        fd = os.pidfd_open(os.getpid())
        inode = os.fstat(fd).st_ino
        os.close(fd)
    pid, times = (os.stat(f"/proc/self/ns/{name}").st_ino & 0xFFFFFFFF for name in ("pid", "time"))
    return starttime, inode, pid << 32 | times


def packed(text, capacity):
    """A label's bytes, cut at a character's border."""
    data = text.encode("utf-8", "replace")
    return data if len(data) <= capacity else data[:capacity].decode("utf-8", "ignore").encode()


class Worker:
    """A hold on a slot. Every method does nothing where nothing watches, after `detach`, and in a forked child."""

    attached = weakref.WeakSet()

    def __init__(self):
        self.live, self.words, self.slot, self.lock = False, None, None, None  # words: the slot's own, by their index

    @classmethod
    def attach(cls, name=""):
        """Attaches as the environment says. Raises `Refused` or `OSError`, after which a `Worker()` does for going on."""
        path, slot, device = (os.environ.get("HANGWATCH_" + key, "") for key in ("SEGMENT", "SLOT", "DEVICE"))
        worker = cls()
        if not path:
            return worker
        if os.uname().machine != "x86_64":
            raise Refused(f"{os.uname().machine} does not keep stores in order, and Python cannot; use libhangwatch there")
        if not slot or "/" not in path:
            raise Refused("no slot is reserved for this process, and without compare-and-swap no free one can be claimed safely")
        number = device.split(",")[0].rsplit(":", 1)[-1].strip() or "-1"
        try:
            index, generation = map(int, slot.split(":"))
            worker.device = int(number) & MASK
        except ValueError:
            raise Refused(f"cannot use HANGWATCH_SLOT={slot} and HANGWATCH_DEVICE={device}: expected '3:7' and '0'") from None
        fd, header, inode = open_segment(path)
        try:
            if not 0 <= index < header[5]:
                raise Refused(f"'{path}' has no slot {index}")
            with open("/proc/self/maps") as maps:  # who has it mapped in this process may have this very slot
                elsewhere = any(line.split()[4] == str(inode) for line in maps)
            mapping = mmap.mmap(fd, header[7])
        finally:
            os.close(fd)
        first = (header[6] + header[4] * index) // 8
        worker.words = memoryview(mapping).cast("Q")[first : first + 128]
        worker.stamped, worker.slot, worker.name = header[19] == 1, index, name or os.environ.get("HANGWATCH_NAME", "")
        worker._claim(generation, elsewhere)
        worker._hold(path + ".liveness")
        cls.attached.add(worker)
        return worker

    def _claim(self, reserved, elsewhere):
        words, pid, me = self.words, os.getpid(), identity()
        owner = words[OWNER]
        generation, tag = owner >> 48, owner >> 40 & 0xFF
        # After exec the slot is still our own, and this image has forgotten it.
        own = tag == LIVE and owner & 0xFFFFFFFF == pid and tuple(words[STARTTIME:TID]) == me and not elsewhere
        if not own and (tag != RESERVED or generation != reserved):
            raise Refused(f"slot {self.slot} is not reserved for this process any more, and no free one can be claimed safely")
        generation = (generation + 1) & 0xFFFF
        words[OWNER] = generation << 48 | CLAIMING << 40 | pid
        self.generation, self.beats = generation, generation << 48
        self.alives, self.lease, self.epoch, self.phase_word, self.section = self.beats, 0, 0, 0, 0
        self.last, self.mark, self.inference, self.jobs = 0, 0, None, dict.fromkeys(OUTCOMES, 0)
        for word in (PHASE, STAMP, LEASE, EPOCH, PROGRESS_STAMP, TOTAL, JOBS_OK, JOBS_BAD):
            words[word] = 0
        words[BEAT], words[ALIVE], words[PROGRESS] = self.beats, self.beats, NONE
        words[STARTTIME], words[PIDFD], words[NAMESPACES] = me
        words[TID] = threading.get_native_id() << 32 | (0 if self.device == NONE else self.device & 0xFFFFFFFF)
        words[CLAIMED] = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.job = self.model = self.detail = ""
        self.started = self.deadline_ns = self.batch = self.size = 0
        self._publish()
        self.owner = generation << 48 | LIVE << 40 | pid
        words[OWNER], self.live = self.owner, True

    def _hold(self, path):
        """The lock by which a monitor that did not spawn this process can prove who it is."""
        try:
            self.lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
            fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self.slot)
        except OSError:
            pass  # then it is only observed

    def _publish(self):
        """The record, into the copy that nobody reads; then the number that names it."""
        texts = [packed(*pair) for pair in ((self.job, 64), (self.model, 96), (self.name, 40), ("", 24), (self.detail, 96))]
        lens = sum(len(text) << shift for text, shift in zip(texts, (32, 24, 16, 8, 0)))
        tag = self.generation << 32 | self.epoch >> 32
        record = struct.pack("<8Q64s96s40s24s96s", tag, self.started, lens, self.deadline_ns, self.batch, self.device, self.size, 0, *texts)
        following = self.words[INFO_SEQ] + 1 & MASK
        at = INFO[following & 1]
        for i, word in enumerate(struct.unpack("<48Q", record + bytes(384 - len(record)))):
            self.words[at + i] = word
        self.words[INFO_SEQ] = following

    def beat(self):
        """The working thread lives, without progress."""
        if self.live:
            if self.stamped:
                self.words[STAMP] = time.clock_gettime_ns(COARSE)
            self.beats = beats = self.beats + 1
            self.words[BEAT] = beats

    def step(self, done):
        """`done` units of this count are done."""
        if not self.live:
            return
        words = self.words
        if done < self.last:
            self.epoch = self.epoch & ~0xFFFF | self.epoch + 1 & 0xFFFF
            words[EPOCH] = self.epoch
        self.last = words[PROGRESS] = done
        if self.stamped:
            words[STAMP] = now = time.clock_gettime_ns(COARSE)
            if done >= self.mark:
                self.mark, words[PROGRESS_STAMP] = done + 1, now
        self.beats = beats = self.beats + 1
        words[BEAT] = beats

    def _border(self, epoch, phase, flags, progress=NONE, total=0, last=0, mark=0, entry=1):
        """Another count begins. At the border no reader finds the words of one with those of the other."""
        if entry and self.lease & (1 << 48) - 1:
            self._lease(0)  # an entry ends it
        words = self.words
        words[PROGRESS], words[TOTAL] = NONE, 0
        words[EPOCH] = self.epoch = epoch
        words[PHASE] = self.phase_word = phase << 48 | flags << 32 | self.phase_word + entry & 0xFFFFFFFF
        words[TOTAL], words[PROGRESS] = total, progress
        self.last, self.mark = last, mark

    def _section(self, job_open):
        """Flags of a phase that begins now: its number tells a return to it from another entry."""
        self.section = self.section % 0xFFF + 1
        return self.section << 4 | job_open

    def phase(self, phase, total=0):
        """Enters a phase with a count of its own; a job's inference gets its own back when the job returns to it."""
        if not self.live:
            return
        words, shown, job_open = self.words, self.phase_word >> 48, self.phase_word >> 32 & 1
        if job_open and shown == INFERENCE:
            self.inference = self.phase_word >> 32 & 0xFFFF, words[PROGRESS], words[TOTAL], self.last, self.mark
        if job_open and phase == INFERENCE:
            flags, *count = self.inference
            self._border(self.epoch, INFERENCE, flags, *count)
        else:
            self._border(self.epoch, min(phase, 0xFFFF), self._section(job_open), total=total)
        self.beat()

    def begin_job(self, job, model, total=0, batch=0, size=0, deadline_ms=0, device=None):
        """Begins a job: enters inference with a count of its own."""
        if self.live:
            self.job, self.model, self.detail, self.started = job, model, "", time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            self.batch, self.size, self.deadline_ns = batch, size, deadline_ms * 1_000_000
            self.device = self.device if device is None else device
            self._border(((self.epoch >> 32) + 1 & 0xFFFFFFFF) << 32, INFERENCE, self._section(1), total=total)
            self._publish()
            self.beat()

    def begin_pass(self):
        """The count starts again within the job, and legitimately."""
        if self.live:
            epoch = self.epoch >> 32 << 32 | ((self.epoch >> 16) + 1 & 0xFFFF) << 16
            if self.inference:
                flags, _, total, *_ = self.inference
                self.inference = flags, NONE, total, 0, 0
            shown = self.phase_word
            self._border(epoch, shown >> 48, shown >> 32 & 0xFFFF, total=self.words[TOTAL], entry=0)
            self.beat()

    def end_job(self, outcome="ok"):
        """Ends the job and enters idle."""
        if self.live:
            self.jobs[outcome if outcome in self.jobs else "failed"] += self.phase_word >> 32 & 1
            self.words[JOBS_OK], self.words[JOBS_BAD] = self.jobs["ok"], self.jobs["failed"] << 32 | self.jobs["cancelled"]
            self.job, self.started, self.batch, self.size, self.deadline_ns = "", 0, 0, 0, 0
            self._border(self.epoch, IDLE, self._section(0))
            self._publish()
            self.beat()

    def _lease(self, ms):
        self.words[LEASE] = self.lease = ((self.lease >> 48) + 1 & 0xFFFF) << 48 | min(ms, (1 << 48) - 1)

    def extend(self, ms):
        """A lease: silent for so many milliseconds from now."""
        if self.live:
            self._lease(ms)
            self.beat()

    def note(self, text):
        """Free text beside the job."""
        if self.live:
            self.detail = text
            self._publish()

    def alive(self):
        """Some helper thread lives."""
        if self.live:
            self.alives += 1
            self.words[ALIVE] = self.alives

    def should_stop(self):
        """Whether a monitor asks this worker to stop."""
        return self.live and self.words[CMD] >> 40 == self.generation << 8 | 1

    def detach(self):
        """Gives the slot back."""
        if self.live:
            self.beat()
            self.live = False
            if self.lock is not None:
                os.close(self.lock)
            if self.words[OWNER] == self.owner:
                self.words[OWNER] = self.generation << 48


def dead_in_a_forked_child():
    for worker in Worker.attached:
        worker.live = False


os.register_at_fork(after_in_child=dead_in_a_forked_child)


def arguments():
    import argparse

    parser = argparse.ArgumentParser(description="A worker that plays inference and can be told to hang.")
    number = {"type": int, "metavar": "N"}
    parser.add_argument("--steps", default=50, help="steps of a job (50)", **number)
    parser.add_argument("--step-ms", default=100, help="milliseconds of a step (100)", **number)
    parser.add_argument("--jobs", default=1, help="jobs to run, 0 for no end (1)", **number)
    parser.add_argument("--model", default="stable_diffusion_xl", help="the model's name")
    parser.add_argument("--hang-at", metavar="PCT", type=int, help="hang for ever at this percentage of a job")
    parser.add_argument("--hang-replica", help="hang only if this is replica N", **number)
    parser.add_argument("--replica", default=0, help="which replica this is (0)", **number)
    parser.add_argument("--beat-while-hung", action="store_true", help="go on beating while hung: progress alone stands still")
    options = parser.parse_args()
    if options.hang_replica not in (None, options.replica):
        options.hang_at = None
    return options


def run_job(worker, options):
    for done in range(options.steps + 1):
        if done:
            worker.step(done)
        if options.hang_at is not None and done * 100 >= options.hang_at * options.steps:
            while True:  # what a deadlock or a lost GPU looks like from outside
                time.sleep(options.step_ms / 1000)
                if options.beat_while_hung:
                    worker.beat()
        if worker.should_stop():
            return "cancelled"
        if done < options.steps:
            time.sleep(options.step_ms / 1000)
    return "ok"


def main():
    options = arguments()
    try:
        worker = Worker.attach()
    except (Refused, OSError) as why:
        print(f"python_writer: cannot attach: {why}\n  going on unwatched", file=sys.stderr)
        worker = Worker()
    # With its end, so that an unbuffered output has it in one piece beside the lines of other workers.
    print(f"python_writer: pid {os.getpid()}, " + (f"slot {worker.slot}" if worker.live else "detached") + "\n", end="", flush=True)
    worker.phase(LOADING)
    time.sleep(options.step_ms / 1000)
    worker.phase(IDLE)
    job = 0
    while (not options.jobs or job < options.jobs) and not worker.should_stop():
        worker.begin_job(f"python-{os.getpid()}-{job}", options.model, options.steps)
        worker.end_job(run_job(worker, options))
        job += 1
    worker.phase(ENDING)
    worker.detach()


if __name__ == "__main__":
    main()
