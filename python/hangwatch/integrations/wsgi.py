"""A WSGI middleware: each request in flight is a job on a lane of its own.

    from hangwatch.integrations.wsgi import Middleware

    app = Middleware(app)                       # Flask: app.wsgi_app = Middleware(app.wsgi_app)

As `hangwatch.integrations.asgi`, with these differences: the lane is `environ["hangwatch.lane"]`; a response that is there as a
whole (a list, a file wrapper, whatever has a length) is handed on as it is, and its request ends with that; one that is made as it
is sent is a step a chunk, shows the phase `client` while the server sends it, and ends when the server closes it. What an app reads of
the request's body is the server's: one that waits for a slow client there has an idle phase of its own to say so.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, Optional

from .. import Worker
from ._calls import Outcome, ended_by
from ._requests import Lanes, Wrapped, named
from .asgi import LANE

__all__ = ["LANE", "Middleware"]

Environ = Dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]


class Middleware(Wrapped[App, Environ]):
    """What it takes is in `Wrapped`: `worker`, `name`, `lanes`, `skip`, `on_stop`. A thread has one request at once, but for green threads."""

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        lane = None if self._is_skipped(environ) else self._lanes.begin(lambda: _asked(environ))
        if lane is None:
            return self.app(environ, start_response)
        request = _Request(lane, self._lanes)

        def starting(status: str, *rest: Any) -> Any:
            request.failed = status[:1] == "5"
            return start_response(status, *rest)

        environ[LANE] = lane
        try:
            response = self.app(environ, starting)
        except BaseException as error:
            request.end(ended_by(error))
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        if hasattr(response, "__len__") or (isinstance(wrapper, type) and isinstance(response, wrapper)):
            request.end(None)
            return response
        return _Chunks(response, request)


def _asked(environ: Environ) -> str:
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return named(environ.get("REQUEST_METHOD", ""), path)


class _Request:
    """One request on its lane."""

    def __init__(self, lane: Worker, lanes: Lanes) -> None:
        self.lane = lane
        self.failed = False
        self._lanes = lanes
        self._is_open = True

    def step(self, sent: int) -> None:
        """So many chunks are made. A response that was closed says nothing more: its lane may be another's."""
        if self._is_open:
            self._lanes.step(self.lane, sent)

    def waits(self) -> None:
        """The server has a chunk, and sends it."""
        if self._is_open:
            self._lanes.waits(self.lane)

    def goes_on(self) -> None:
        """It asks for the next one."""
        if self._is_open:
            self._lanes.goes_on(self.lane)

    def end(self, outcome: Optional[Outcome]) -> None:
        """Once; without an outcome it is what the status says."""
        if self._is_open:
            self._is_open = False
            self._lanes.end(self.lane, outcome or ("failed" if self.failed else "ok"))
            self._lanes.give_back(self.lane)


class _Chunks:
    """A response that is made as it is sent."""

    def __init__(self, response: Iterable[bytes], request: _Request) -> None:
        self._response = response
        self._chunks: Optional[Iterator[bytes]] = None
        self._request = request
        self._sent = 0
        self._is_whole = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._sent:
            self._request.goes_on()
        try:
            if self._chunks is None:
                self._chunks = iter(self._response)
            chunk = next(self._chunks)
        except StopIteration:
            self._is_whole = True
            raise
        except BaseException as error:
            self._request.end(ended_by(error))
            raise
        self._sent += 1
        self._request.step(self._sent)
        self._request.waits()
        return chunk

    def close(self) -> None:
        """The server is done with it, at its end or before."""
        try:
            close = getattr(self._response, "close", None)
            if close is not None:
                close()
        finally:
            self._request.end(None if self._is_whole else "cancelled")

    def __del__(self) -> None:
        # A server that forgets to close must not cost a lane.
        self._request.end(None if self._is_whole else "cancelled")
