"""Workers that hang for real, or do not, each through one of the package's ways in: `hanging.py WAY WHAT`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterator
from urllib.parse import parse_qs

import hangwatch

STEPS, STEP_S = 50, 0.05  # longer in all than any budget of these tests, and shorter each
HANGS_AT = 5
CHUNK = b"x" * (1 << 16)

lock = threading.Lock()
stopping = threading.Event()


def the_step_that_hangs() -> None:
    with lock:
        lock.acquire()


def steps(what: str, count: int = STEPS) -> Iterator[int]:
    """Items of work, of which one is never done."""
    for item in range(count):
        if what == "hangs" and item == HANGS_AT:
            the_step_that_hangs()
        time.sleep(STEP_S)
        yield item


def retrying(say: Callable[[], object]) -> None:
    """Lives, and goes on with nothing, until it is asked to stop."""
    while not stopping.is_set():
        time.sleep(0.01)
        say()
    print("asked to stop", flush=True)
    sys.exit(0)


def track(what: str) -> None:
    hangwatch.attach()
    for item in hangwatch.track(steps(what), id="batch", model="tiny", total=STEPS, on_stop=stopping.set):
        # A loop in the loop: it beats for the one around, which does not advance.
        if what == "retries" and item == HANGS_AT:
            retrying(lambda: list(hangwatch.track([0], on_stop=stopping.set)))


def nvrx(what: str) -> None:
    from hangwatch.compat.nvrx import RankMonitorClient

    budget = 2.0 if what == "goes on" else 0.5
    client = RankMonitorClient(rank_section_timeouts={"step": budget}, rank_heartbeat_timeout=budget, on_stop=stopping.set)
    client.init_workload_monitoring()
    client.send_heartbeat()
    for item in range(STEPS):
        client.start_section("step")
        if what == "hangs" and item == HANGS_AT:
            the_step_that_hangs()
        if what == "retries" and item == HANGS_AT:
            retrying(client.send_heartbeat)
        time.sleep(STEP_S)
        client.end_section("step")
        client.send_heartbeat()
    client.shutdown_workload_monitoring()


def wsgi(what: str) -> None:
    import waitress
    from hangwatch.integrations import wsgi

    def app(environ: Dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        what = parse_qs(environ["QUERY_STRING"])
        if "chunks" in what:
            yield from (CHUNK for _ in range(int(what["chunks"][0])))
            return
        for item in steps("hangs" if "stuck_at" in what else "goes on", int(what.get("tokens", [STEPS])[0])):
            yield b"%d\n" % item

    def stop() -> None:
        print("asked to stop", flush=True)
        os.kill(os.getpid(), signal.SIGINT)  # waitress ends as by Ctrl-C

    hangwatch.attach()
    server = waitress.create_server(wsgi.Middleware(app, on_stop=stop), listen="127.0.0.1:0", threads=3, outbuf_high_watermark=1 << 16)
    print(f"Serving on http://127.0.0.1:{server.effective_port} ", flush=True)
    server.run()
    print("Shut down", flush=True)


def asgi(what: str) -> None:
    import uvicorn
    from hangwatch.integrations import asgi

    async def app(scope: Any, receive: Any, send: Any) -> None:
        chunks = int(parse_qs(scope["query_string"].decode())["chunks"][0])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(chunks):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        await send({"type": "http.response.body"})

    hangwatch.attach()
    uvicorn.run(asgi.Middleware(app), port=0, lifespan="off")


if __name__ == "__main__":
    hangwatch.dump_stacks_on("SIGUSR1")
    {"track": track, "nvrx": nvrx, "asgi": asgi, "wsgi": wsgi}[sys.argv[1]](sys.argv[2])
