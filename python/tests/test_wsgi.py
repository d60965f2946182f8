"""`hangwatch.integrations.wsgi`: requests as jobs on lanes, where a response is made as it is sent or is there as a whole."""

from __future__ import annotations

import http.client
import io
import sys
import threading
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import FileWrapper, setup_testing_defaults

import hangwatch
import pytest
from hangwatch.integrations import wsgi
from slots import Slot, asks_to_stop

INFERENCE = hangwatch.PHASES["inference"]


def environ(path: str = "/generate") -> Dict[str, Any]:
    made: Dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SCRIPT_NAME": ""}
    setup_testing_defaults(made)
    return made


def no_start(status: str, headers: Any, exc_info: Any = None) -> Any:
    return lambda chunk: None


def test_a_wsgi_response_that_is_made_as_it_is_sent_is_a_step_a_chunk(worker: hangwatch.Worker, segment: Path) -> None:
    closed: List[bool] = []
    shown: List[Any] = []
    client = worker.register_phase("client")

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            for chunk in (b"a", b"b"):
                shown.append((Slot(segment, 1).phase, Slot(segment, 1).progress))
                yield chunk
        finally:
            closed.append(True)

    response: Any = wsgi.Middleware(app)(environ(), no_start)
    chunks = []
    for chunk in response:
        chunks.append(chunk)
        assert shown[-1] == (INFERENCE, len(chunks) - 1 or None), "while it is made"
        assert Slot(segment, 1).phase == client, "while the server sends it no clock runs"
    assert chunks == [b"a", b"b"] and Slot(segment, 1).phase == INFERENCE, "the server has it still"
    response.close()
    assert closed == [True] and Slot(segment, 1).jobs == (1, 0, 0)
    left: Any = wsgi.Middleware(app)(environ(), no_start)
    next(left)
    left.close()
    assert Slot(segment, 2).jobs == (0, 0, 1), "a client that went away"


def test_a_wsgi_response_that_is_there_as_a_whole_is_handed_on_as_it_is(worker: hangwatch.Worker, segment: Path) -> None:
    whole: List[Any] = [[b"all"], FileWrapper(io.BytesIO(b"all"))]
    for response in whole:

        def app(environ: Any, start_response: Any) -> Any:
            environ[wsgi.LANE].beat()
            start_response("500 Oh", [])
            return response  # noqa: B023

        asked = environ()
        asked["wsgi.file_wrapper"] = FileWrapper
        assert wsgi.Middleware(app)(asked, no_start) is response
    assert [Slot(segment, index).jobs for index in (1, 2)] == [(0, 1, 0), (0, 1, 0)]


def test_a_wsgi_app_that_raises_has_failed_in_the_call_and_in_a_chunk(worker: hangwatch.Worker, segment: Path) -> None:
    def at_once(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise ZeroDivisionError

    def later(environ: Any, start_response: Any) -> Iterator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wsgi.Middleware(at_once)(environ(), no_start)
    with pytest.raises(ZeroDivisionError):
        list(wsgi.Middleware(later)(environ(), no_start))
    assert [Slot(segment, index).jobs for index in (1, 2)] == [(0, 1, 0), (0, 1, 0)]


class Slow(io.BytesIO):
    """A body of a slow client: what the lane shows while it is read."""

    def __init__(self, segment: Path) -> None:
        super().__init__(b"one\ntwo\nthree\nfour\nfive\nsix\n")
        self.segment = segment
        self.shown: List[int] = []

    def look(self) -> None:
        self.shown.append(Slot(self.segment, 1).phase)

    def read(self, *args: Any) -> bytes:
        self.look()
        return super().read(*args)

    def readline(self, *args: Any) -> bytes:
        self.look()
        return super().readline(*args)

    def readlines(self, *args: Any) -> List[bytes]:
        self.look()
        return super().readlines(*args)

    def __next__(self) -> bytes:
        self.look()
        return super().__next__()


def test_an_app_that_reads_its_request_waits_for_the_client(worker: hangwatch.Worker, segment: Path) -> None:
    client, body, got, between = worker.register_phase("client"), Slow(segment), [], []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        got.append(body.read(4))
        between.append(Slot(segment, 1).phase)
        got.append(body.readline())
        got.append(next(body))
        for line in body:
            got.append(line)
            between.append(Slot(segment, 1).phase)
            break
        thread = threading.Thread(target=lambda: got.append(body.readline()))
        thread.start()
        thread.join()
        got.extend(body.readlines())
        assert body.tell() == len(b"".join(got)) and not body.closed, "all else of it is the server's"
        with pytest.raises(AttributeError):
            body.absent
        start_response("200 OK", [])(b"written")
        return [b""]

    asked = environ()
    asked["wsgi.input"] = body
    written: List[Any] = []
    wsgi.Middleware(app)(asked, lambda *_: lambda chunk: written.append((chunk, Slot(segment, 1).phase)))
    assert b"".join(got) == body.getvalue()
    *reading, by_another, last = body.shown
    assert reading == [client] * 4 and by_another == INFERENCE, "another thread writes no lane that is not its own"
    assert last == client and between == [INFERENCE] * 2, "then the app works again"
    assert written == [(b"written", client)]
    assert Slot(segment, 1).jobs == (1, 0, 0)


def test_a_request_that_cannot_be_read_is_the_apps_to_hear_of(worker: hangwatch.Worker, segment: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, *args: Any) -> bytes:
            raise ConnectionResetError("gone")

    asked = environ()
    asked["wsgi.input"] = Broken()
    with pytest.raises(ConnectionResetError, match="gone"):
        wsgi.Middleware(lambda environ, start_response: [environ["wsgi.input"].read()])(asked, no_start)
    assert (Slot(segment, 1).jobs, Slot(segment, 1).depth) == ((0, 1, 0), 0)


def test_what_an_app_does_with_its_request_and_its_answer_it_does_as_without(worker: hangwatch.Worker) -> None:
    class Odd:
        """A body that is no file."""

        def __len__(self) -> int:
            return 3

        def __contains__(self, line: object) -> bool:
            return line == b"a"

    def plain(environ: Any, start_response: Any) -> Iterable[bytes]:
        with environ["wsgi.input"] as body:
            with body as again:
                assert again is body is environ["wsgi.input"]
                said = [body.read(), str(again.closed).encode()]
        with pytest.raises(ValueError, match="closed"):
            again.read()
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response(status="500 Oh", headers=[], exc_info=sys.exc_info())
        return said

    def odd(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        assert (len(body), b"a" in body, bool(body)) == (3, True, True)
        for name in ("__getitem__", "__reversed__", "__enter__", "__bool__"):
            assert not hasattr(body, name)
        start_response("200 OK", [])
        return [b"odd"]

    bodies: Any = ((plain, lambda: io.BytesIO(b"sent")), (odd, Odd))
    for app, make in bodies:
        started: List[Any] = []
        answers = []
        for it in (app, wsgi.Middleware(app)):
            asked = environ()
            asked["wsgi.input"] = make()

            def start(status: str, headers: Any, exc_info: Any = None) -> None:
                started.append((status, headers, exc_info and exc_info[0]))  # noqa: B023

            answers.append(it(asked, start))
        assert answers[0] == answers[1] and started[0] == started[1]


def test_an_exit_that_a_stop_leads_to_costs_no_lane(worker: hangwatch.Worker, segment: Path) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        asks_to_stop(segment, environ[wsgi.LANE])
        return [b""]

    watched = wsgi.Middleware(app, lanes=1, on_stop=sys.exit)
    with pytest.raises(SystemExit):
        watched(environ(), no_start)
    watched(environ(), no_start)
    assert Slot(segment, 1).jobs == (2, 0, 0)


class Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


def fetched(app: Any) -> List[Any]:
    """What a real server answers, twice."""
    with make_server("127.0.0.1", 0, app, handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            answers = []
            for path in ("/whole", "/chunks"):
                connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
                connection.request("POST", path, body=b"sent")
                answer = connection.getresponse()
                headers = [(name, value) for name, value in answer.getheaders() if name != "Date"]
                answers.append((answer.status, headers, answer.read()))
                connection.close()
            return answers
        finally:
            server.shutdown()
            thread.join()


def test_a_real_server_answers_the_same_with_and_without(worker: hangwatch.Worker, segment: Path) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        sent = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        return [b"whole ", sent] if environ["PATH_INFO"] == "/whole" else iter([b"a", sent])

    with_lanes = fetched(wsgi.Middleware(app))
    assert with_lanes == fetched(app) and with_lanes[0][2] == b"whole sent"
