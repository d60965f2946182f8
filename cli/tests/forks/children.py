"""A parent with a worker in slot 0, and a child made in the way that is named: `children.py WAY [LIBRARY]`.

With a library the worker is libhangwatch's, through ctypes; without one it is the pure Python writer's. The parent says `ready`
before it makes the child, and `done` once that has reported through what it inherited, attached itself where it can, and ended.
"""
import ctypes
import multiprocessing
import os
import subprocess
import sys

LIBRARY = sys.argv[2] if len(sys.argv) > 2 else None


class Linked:
    """The library's worker."""

    def __init__(self, name):
        self.lib = lib = ctypes.CDLL(LIBRARY)
        lib.hangwatch_attach.restype = ctypes.c_void_p
        lib.hangwatch_step_linked.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
        lib.hangwatch_begin_job.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint64]
        lib.hangwatch_end_job.argtypes = [ctypes.c_void_p, ctypes.c_int]
        for call in ("beat_linked", "alive", "begin_pass", "leave", "detach", "is_attached", "slot"):
            getattr(lib, "hangwatch_" + call).argtypes = [ctypes.c_void_p]
        self.worker = lib.hangwatch_attach(None, name.encode(), None)

    def slot(self):
        return self.lib.hangwatch_slot(self.worker)

    def begin(self, job):
        self.lib.hangwatch_begin_job(self.worker, job, b"model", 50)

    def step(self, done):
        self.lib.hangwatch_step_linked(self.worker, done)

    def reports(self):
        self.step(99)
        self.step(1)
        self.lib.hangwatch_beat_linked(self.worker)
        self.lib.hangwatch_alive(self.worker)
        self.begin(b"child")
        self.lib.hangwatch_begin_pass(self.worker)
        self.lib.hangwatch_end_job(self.worker, 1)

    def detach(self):
        self.lib.hangwatch_detach(self.worker)


class Pure:
    """The pure Python writer's."""

    def __init__(self, name):
        from python_writer import Refused, Worker

        try:
            self.worker = Worker.attach(name)
        except Refused:  # the reserved slot is taken, and no other can be
            self.worker = Worker()

    def slot(self):
        return self.worker.slot if self.worker.live else -1

    def begin(self, job):
        self.worker.begin_job(job.decode(), "model", 50)

    def step(self, done):
        self.worker.step(done)

    def reports(self):
        self.step(99)
        self.step(1)
        self.worker.beat()
        self.worker.alive()
        self.begin(b"child")
        self.worker.begin_pass()
        self.worker.note("child")
        self.worker.extend(5)
        self.worker.phase(5)
        self.worker.end_job("failed")

    def detach(self):
        self.worker.detach()


Made = Linked if LIBRARY else Pure


def attaches():
    """What a child may do that is not its parent: attach itself, where a slot can be had, and give it back."""
    own = Made("child")
    assert own.slot() != 0, "its parent's slot is not a child's"
    assert (own.slot() > 0) == bool(LIBRARY), "the library claims a free slot, pure Python none"
    own.step(1)
    own.detach()


def child():
    """What a forked child does with what it inherited."""
    assert PARENT.slot() == -1, "an inherited worker is dead"
    PARENT.reports()
    attaches()
    PARENT.reports()
    PARENT.detach()


def forked(body):
    """Runs `body` in a child of os.fork that ends as programs do, atexit and all."""
    pid = os.fork()
    if pid == 0:
        body()
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "the child is content"


def daemon():
    """A grandchild in a session of its own, whose parent has gone."""
    reader, writer = os.pipe()

    def middle():
        os.setsid()
        if os.fork() == 0:
            child()
            os.write(writer, b"!")
        sys.exit(0)

    forked(middle)
    os.close(writer)
    assert os.read(reader, 2) == b"!", "the daemon is content"
    assert os.read(reader, 2) == b"", "and has ended"


def by_multiprocessing(way, body):
    process = multiprocessing.get_context(way).Process(target=body)
    process.start()
    process.join()
    assert process.exitcode == 0, "the child is content"


def of_a_pool(_):
    child()


def by_pool():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(of_a_pool, range(1))


def by_subprocess(**more):
    command = [sys.executable, "-B", __file__, "attach", *([LIBRARY] if LIBRARY else [])]
    subprocess.run(command, check=True, **more)


def by_posix_spawn():
    command = [sys.executable, "-B", __file__, "attach", *([LIBRARY] if LIBRARY else [])]
    pid = os.posix_spawn(sys.executable, command, os.environ)
    assert os.waitpid(pid, 0)[1] == 0, "the child is content"


WAYS = {
    "fork": lambda: forked(child),
    "fork_of_a_fork": lambda: forked(lambda: forked(child)),
    "daemon": daemon,
    "multiprocessing_fork": lambda: by_multiprocessing("fork", child),
    "multiprocessing_spawn": lambda: by_multiprocessing("spawn", attaches),
    "multiprocessing_forkserver": lambda: by_multiprocessing("forkserver", attaches),
    "pool": by_pool,
    "subprocess": by_subprocess,
    "subprocess_preexec": lambda: by_subprocess(preexec_fn=lambda: PARENT.reports()),
    "posix_spawn": by_posix_spawn,
}

if __name__ == "__main__":
    if sys.argv[1] == "attach":
        attaches()
        sys.exit(0)
    PARENT = Made("parent")
    assert PARENT.slot() == 0, "the parent has the slot that is looked at"
    PARENT.begin(b"parent")
    PARENT.step(1)
    print("ready", flush=True)
    sys.stdin.readline()
    WAYS[sys.argv[1]]()
    print("done", flush=True)
    sys.stdin.readline()
    PARENT.step(2)
    print("stepped", flush=True)
    sys.stdin.readline()
