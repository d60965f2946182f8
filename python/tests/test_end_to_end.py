"""Each way into the package, as the child of a `hangwatch run`: what goes on is left alone, what hangs is caught and replaced."""

from __future__ import annotations

import http.client
import re
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List

import hangwatch
import pytest

from running import EXAMPLES, LATER, PYTHON, SOON, Run

pytest.importorskip("tqdm")
pytest.importorskip("uvicorn")
pytest.importorskip("waitress")

HANGING = str(Path(__file__).parent / "hanging.py")
STEPS = 50
USER = 256  # the first phase that is registered
SERVES = re.compile(r"http://127\.0\.0\.1:(\d+) ")


def worker(way: str, what: str) -> List[str]:
    return [*PYTHON, HANGING, way, what]


def example(name: str, *arguments: str) -> List[str]:
    return [*PYTHON, str(EXAMPLES / name), *arguments]


class Client:
    """One request to a server of this machine, which is read bit by bit."""

    def __init__(self, port: int, path: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.connection.request("GET", path)
        self.answer = self.connection.getresponse()

    def lines(self, count: int) -> List[bytes]:
        return [self.answer.readline() for _ in range(count)]

    def rest(self) -> bytes:
        try:
            return self.answer.read()
        finally:
            self.connection.close()


def port_of(run: Run) -> int:
    return int(run.until(lambda: SERVES.search(run.log()))[1])


def stacks(run: Run) -> str:
    return "".join(path.read_text() for path in run.evidence.glob("*/traceback.txt"))


def caught(run: Run, verdict: str, phase: str, **fields: Any) -> Dict[str, Any]:
    """The event that opened, once another process is in its slot."""
    opened = run.until_event("opened")
    replaced = run.until_event("replaced")
    # On a busy machine its budget is stretched first, which is told as that.
    assert opened["verdict"] in (verdict, "starved") and opened["phase"] == phase, opened
    assert replaced["verdict"] == verdict, replaced
    told = {name: opened[name] for name in fields}
    assert told == fields, "it is told where it hangs"
    assert replaced["pid"] != opened["pid"], "another process does its work"
    return opened


@contextmanager
def all_of(binary: str, scratch: Path, ways: Dict[str, List[str]], *flags: str, waits_for: str = "") -> Iterator[Dict[str, Run]]:
    """A run of each way, side by side: most of their time is waiting."""
    with ExitStack() as running:
        runs = {}
        for way, command in ways.items():
            folder = scratch / way
            folder.mkdir()
            more = waiting_for(folder, waits_for, ends=True) if waits_for else []
            runs[way] = running.enter_context(Run(binary, folder, command, *flags, *more))
        yield runs


def test_what_goes_on_and_ends_is_ok_and_nothing_is_told(binary: str, scratch: Path) -> None:
    bars = example("tqdm_worker.py", "--items", str(STEPS), "--item-ms", "50")
    ways = {"bars": bars, "track": worker("track", "goes on"), "nvrx": worker("nvrx", "goes on")}
    with all_of(binary, scratch, ways, *LATER) as runs:
        for way, run in runs.items():
            assert (run.wait(), run.accusations()) == (0, []), f"{way}: it worked for longer than any budget, and ended"


SERVERS = {"asgi": example("asgi_app.py", "--port", "0"), "wsgi": worker("wsgi", "")}


def test_a_server_whose_requests_go_on_or_that_waits_for_some_is_ok(binary: str, scratch: Path) -> None:
    tokens = {"asgi": 125, "wsgi": STEPS}
    with all_of(binary, scratch, SERVERS, *LATER) as runs:
        streams = [(way, Client(port_of(run), f"/generate?tokens={tokens[way]}")) for way, run in runs.items() for _ in range(2)]
        for way, stream in streams:
            assert stream.rest().count(b"\n") == tokens[way], f"{way}: a stream that lasted longer than any budget"
        for way, run in runs.items():
            until_served(run, 1, 2)
            assert run.slot(0).phase == hangwatch.PHASES["idle"], f"{way}: the server itself waits, and is not in its start for ever"
            assert run.accusations() == [], way


def until_served(run: Run, *lanes: int) -> None:
    run.until(lambda: all(run.slot(lane).jobs == (1, 0, 0) for lane in lanes))


def until_waiting(run: Run) -> None:
    run.until(lambda: run.slot(1).phase >= USER)


def test_a_client_that_does_not_read_its_answer_is_no_hang_of_the_server(binary: str, scratch: Path) -> None:
    chunks = 400  # more than buffers hold
    with all_of(binary, scratch, {"asgi": worker("asgi", ""), "wsgi": worker("wsgi", "")}, *SOON) as runs:
        clients = {way: Client(port_of(run), f"/?chunks={chunks}") for way, run in runs.items()}
        for run in runs.values():
            until_waiting(run)
        time.sleep(1.5)  # three budgets
        for way, run in runs.items():
            assert run.slot(1).phase >= USER, f"{way}: the lane says that its client is waited for"
            assert len(clients[way].rest()) == chunks << 16, f"{way}: and is served when it reads at last"
            until_served(run, 1)
            assert run.accusations() == [], way


def test_a_lock_that_is_never_released_is_caught_where_it_is(binary: str, scratch: Path) -> None:
    bars = example("tqdm_worker.py", "--stuck-at", "6", "--item-ms", "50")
    ways = {"track": worker("track", "hangs"), "bars": bars, "nvrx": worker("nvrx", "hangs")}
    with all_of(binary, scratch, ways, *SOON, "--faulthandler", "SIGUSR1") as runs:
        caught(runs["track"], "silent", "inference", done=5, total=STEPS, job="batch", model="tiny")
        caught(runs["bars"], "silent", "inference", done=5, total=STEPS)
        caught(runs["nvrx"], "overdue", "step/0.5s")
        for way, run in runs.items():
            stuck = "in work" if way == "bars" else "in the_step_that_hangs"
            assert stuck in stacks(run), f"{way}: and its Python stack is kept"


def test_one_that_lives_and_does_not_advance_is_caught_and_ends_when_it_is_asked_to(
    binary: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANGWATCH_MAX_PHASE_FACTOR", "2")
    bars = example("tqdm_worker.py", "--retry-at", "6", "--item-ms", "20")
    ways = {"track": worker("track", "retries"), "bars": bars, "nvrx": worker("nvrx", "retries")}
    with all_of(binary, scratch, ways, *SOON, waits_for="asked to stop") as runs:
        caught(runs["track"], "stalled", "inference")
        caught(runs["bars"], "stalled", "inference")
        caught(runs["nvrx"], "overdue", "step/0.5s")
        for way, run in runs.items():
            assert "asked to stop" in run.log(), way
            assert "action" not in {event["event"] for event in run.events()}, f"{way}: it ended by itself, unsignalled"


def waiting_for(scratch: Path, words: str, ends: bool = False) -> List[str]:
    """A dumper that looks into the worker's log until the words are there, and the worker has ended: so long no signal is sent."""
    script = scratch / "dumper"
    text = f'until grep -q "{words}" {scratch}/logs/worker-0.log; do sleep 0.02; done\n'
    if ends:
        text += 'while [ -e "/proc/$1/stat" ] && ! grep -q ") Z" "/proc/$1/stat"; do sleep 0.02; done\n'
    script.write_text(f"{text}echo seen\n")
    return ["--dump", f"sh {script} {{pid}}"]


@pytest.mark.parametrize("server", ["asgi", "wsgi"])
def test_one_request_that_hangs_is_told_of_while_others_go_on_and_they_tell_the_server_to_stop(
    binary: str, scratch: Path, server: str
) -> None:
    is_asgi = server == "asgi"
    command = SERVERS[server]
    stopped = "Shutting down" if is_asgi else "asked to stop"
    with Run(binary, scratch, command, *SOON, *waiting_for(scratch, stopped)) as run:
        port = port_of(run)
        stuck = Client(port, "/generate?tokens=9&stuck_at=6")
        assert len(stuck.lines(5)) == 5
        served: List[bytes] = []
        others = threading.Thread(target=lambda: served.extend(going_on(run, port, stopped)))
        others.start()
        opened = caught(run, "silent", "inference", kind="lane", job="GET /generate")
        others.join()
        assert opened["lane"] == "request", "which lane it is"
        assert (opened["slot"], opened["done"]) == (1, 6 if is_asgi else 5), "the lane of the request that hangs, and no other"
        hung = [event for event in run.accusations() if event["verdict"] in ("silent", "stalled", "overdue")]
        assert {event["slot"] for event in hung if event["event"] == "opened"} <= {1}, hung
        assert served and set(served) == {b"whole"}, "whoever asked meanwhile was served"
        run.until(lambda: len(SERVES.findall(run.log())) == 2 or None)
        seen = [path.read_text() for path in run.evidence.glob("*/dumper-*.txt")]
        assert any("seen" in text for text in seen), "the server was told to stop before it was sent a signal"


def going_on(run: Run, port: int, stopped: str) -> Iterator[bytes]:
    """Requests one after another, until the server has been told to stop."""
    while stopped not in run.log():
        try:
            answer = Client(port, "/generate?tokens=5").rest()
        except (OSError, http.client.HTTPException) as error:
            answer = repr(error).encode()
        if stopped not in run.log():
            yield b"whole" if answer.count(b"\n") == 5 else answer
