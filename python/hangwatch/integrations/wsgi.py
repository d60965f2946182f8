"""A WSGI middleware: each request in flight is a job on a lane of its own.

    from hangwatch.integrations.wsgi import Middleware

    app = Middleware(app)                       # Flask: app.wsgi_app = Middleware(app.wsgi_app)

As `hangwatch.integrations.asgi`, with these differences: the lane is `environ["hangwatch.lane"]`; a response that is there as a
whole (a list, a file wrapper, whatever has a length) is handed on as it is, and its request ends with that; one that is made as it
is sent is a step a chunk, shows the phase `client` while the server sends it, and ends when the server closes it. It shows that phase
too while the app reads the request's body in its own thread, or writes by what `start_response` gave it: a slow client is no hang.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, Callable, Dict, Iterable, Iterator, Optional

from .. import Worker
from ._calls import Outcome, ended_by
from ._proxies import StandIn
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

        def starting(status: str, *rest: Any, **more: Any) -> Any:
            request.failed = isinstance(status, str) and status[:1] == "5"
            write = start_response(status, *rest, **more)
            return request.waiting(write) if callable(write) else write

        environ[LANE] = lane
        body = environ.get("wsgi.input")
        if body is not None:
            environ["wsgi.input"] = _Body(body, request)
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
        self._thread = threading.get_ident()

    def waiting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, which waits for the client. In another thread than its lane's nothing is said of it."""

        def waits(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                return call(*args, **kwargs)
            self.waits()
            try:
                return call(*args, **kwargs)
            finally:
                self.goes_on()

        return waits

    def step(self, sent: int) -> None:
        """So many chunks are made. A response that was closed says nothing more: its lane may be another's."""
        if self._is_open:
            self._lanes.step(self.lane, sent)

    def waits(self) -> None:
        """The client is waited for: it is sent a chunk, or has a part of the request to send."""
        if self._is_open:
            self._lanes.waits(self.lane)

    def goes_on(self) -> None:
        """The app is at work again."""
        if self._is_open:
            self._lanes.goes_on(self.lane)

    def end(self, outcome: Optional[Outcome]) -> None:
        """Once; without an outcome it is what the status says."""
        if self._is_open:
            self._is_open = False
            try:
                self._lanes.end(self.lane, outcome or ("failed" if self.failed else "ok"))
            finally:
                # Also where the host's `on_stop` exits.
                self._lanes.give_back(self.lane)


class _Body(StandIn):
    """`wsgi.input`: what the client sends, when it sends it. All else of it is as it was."""

    def __init__(self, body: Any, request: _Request) -> None:
        super().__init__(body)
        self._request = request

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        is_reading = name.startswith("read") and name != "readable" and callable(value)
        return self._request.waiting(value) if is_reading else value

    def __iter__(self) -> Iterator[bytes]:
        following = self._request.waiting(partial(next, iter(self._original), None))
        while (line := following()) is not None:
            yield line

    def __next__(self) -> bytes:
        line: bytes = self._request.waiting(partial(next, self._original))()
        return line


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
