#!/usr/bin/env python3
"""A server that streams tokens, in which each request is watched by itself: one that hangs is told of though others go on.

    pip install './python[asgi]'
    hangwatch run --inference-step-timeout 60s -- python examples/asgi_app.py
    curl 'http://127.0.0.1:8000/generate?tokens=50'
    curl 'http://127.0.0.1:8000/generate?tokens=50&stuck_at=20'     # a drill: the 20th token never comes
"""

import argparse
import asyncio
from urllib.parse import parse_qs

import hangwatch
import uvicorn
from hangwatch.integrations.asgi import Middleware


async def token(number: int) -> bytes:
    await asyncio.sleep(0.02)
    return b"token %d\n" % number


async def app(scope, receive, send):
    asked = {name: int(values[0]) for name, values in parse_qs(scope["query_string"].decode()).items()}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for number in range(1, asked.get("tokens", 50) + 1):
        if number == asked.get("stuck_at"):
            await asyncio.Event().wait()
        await send({"type": "http.response.body", "body": await token(number), "more_body": True})
    await send({"type": "http.response.body"})


def stop() -> None:
    """The monitor asks this process to stop: requests that go on have five seconds to end."""
    server.should_exit = True


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8000)
parser.add_argument("--lanes", type=int, default=16, help="requests at once that are watched")
given = parser.parse_args()

hangwatch.dump_stacks_on("SIGUSR1")  # with 'hangwatch run --faulthandler SIGUSR1'
hangwatch.attach("asgi")  # where nothing watches, what follows changes nothing
watched = Middleware(app, lanes=given.lanes, on_stop=stop)
server = uvicorn.Server(uvicorn.Config(watched, port=given.port, lifespan="off", timeout_graceful_shutdown=5))
server.run()
