"""An ASGI middleware: each HTTP request in flight is a job on a lane of its own.

    from hangwatch.integrations.asgi import Middleware

    app = Middleware(app)                       # Starlette, FastAPI: app.add_middleware(Middleware)

A request is the job `GET /path`, without its query. It is judged by its heartbeat, and from its first chunk on by its progress:
each message of the response is a step. So a stream that stands still is found, whichever others go on. What it does in between
it may say on `scope["hangwatch.lane"]`, a `hangwatch.Worker`: `beat()`, `phase("loading")`, `extend(seconds)`. While the server waits for
a client that does not read the response, or does not send its body, the lane shows the phase `client`, and no clock runs: how slow a
client is, is no matter of the worker's.

A response of 500 and more and an exception are a failed job, a cancelled request is a cancelled one. What runs after the response
(background tasks) is no part of it. Websockets and the lifespan pass by. The lanes hang beside `worker`, else beside the process's
current one; a process that has none attaches at its first request, where a segment is named. That worker itself is `idle` from the
middleware on, if it has shown nothing but `starting`: a server waits for requests as long as it likes. A model that is loaded later says
so, `with worker.phase("loading")`; a worker that is attached later is told of its first request, or says `phase("idle")` before.

When the monitor asks the process to stop, because one of its requests hangs, `on_stop` is called once, from whichever request goes on:
it tells the server to stop in the server's own way. Under uvicorn it sets `server.should_exit` (examples/asgi_app.py).
"""

from __future__ import annotations

from typing import Any, Awaitable, Callable, MutableMapping, Optional

from .. import Worker
from ._patient import Patient
from ._calls import Outcome, ended_by
from ._requests import Lanes, Wrapped, named

__all__ = ["LANE", "Middleware"]

LANE = "hangwatch.lane"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Middleware(Wrapped[App, Scope]):
    """What it takes is in `Wrapped`: `worker`, `name`, `lanes`, `skip`, `on_stop`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_skipped(scope):
            await self.app(scope, receive, send)
            return
        lane = self._lanes.begin(lambda: named(scope.get("method", ""), scope.get("path", "")))
        if lane is None:
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(lane, self._lanes, receive, send)
        try:
            await self.app({**scope, LANE: lane}, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.end(ended_by(error))
            raise
        finally:
            exchange.end(None)
            self._lanes.give_back(lane)


class _Exchange:
    """One request and its answer, as they come and go."""

    def __init__(self, lane: Worker, lanes: Lanes, receive: Receive, send: Send) -> None:
        self._lane = lane
        self._lanes = lanes
        self._receive = receive
        self._send = send
        self._status = 0
        self._sent = 0
        self._waiting = 0
        self._has_all = False
        self._is_open = True

    async def receive(self) -> Message:
        # After its body a client has nothing to send: whoever waits then waits for it to go away, while others work.
        if self._has_all:
            return await self._receive()
        message = await Patient(self._receive(), self._waits, self._goes_on)
        self._has_all = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        await Patient(self._send(message), self._waits, self._goes_on)
        kind = message.get("type")
        if kind == "http.response.start":
            self._status = message.get("status", 0)
        if self._is_open:
            self._sent += 1
            self._lanes.step(self._lane, self._sent)
        if kind == "http.response.body" and not message.get("more_body", False):
            self.end(None)

    def _waits(self) -> None:
        # An app may read and send at once: the first one enters, the last one leaves.
        self._waiting += 1
        if self._waiting == 1 and self._is_open:
            self._lanes.waits(self._lane)

    def _goes_on(self) -> None:
        self._waiting -= 1
        if self._waiting == 0 and self._is_open:
            self._lanes.goes_on(self._lane)

    def end(self, outcome: Optional[Outcome]) -> None:
        """Once; without an outcome it is what the status says, and a request that nobody answered has failed."""
        if self._is_open:
            self._is_open = False
            answered: Outcome = "ok" if 0 < self._status < 500 else "failed"
            self._lanes.end(self._lane, outcome or answered)
