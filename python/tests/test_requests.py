"""`hangwatch.integrations.asgi`, and what `.wsgi` shares with it: requests as jobs on lanes, with the slots that show them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Dict, List, Optional

import hangwatch
import pytest
from hangwatch.integrations import asgi
from slots import LIVE, Slot, taken

INFERENCE = hangwatch.PHASES["inference"]


async def no_body() -> Dict[str, Any]:
    return {"type": "http.request"}


class Answer:
    """A server's end: what an app sent."""

    def __init__(self) -> None:
        self.messages: List[Any] = []

    async def send(self, message: Any) -> None:
        self.messages.append(message)


def scope(path: str = "/generate", kind: str = "http") -> Dict[str, Any]:
    return {"type": kind, "method": "POST", "path": path, "query_string": b"secret=1"}


def start(status: int = 200) -> Dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": []}


def body(chunk: bytes, more: bool = False) -> Dict[str, Any]:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def serve(app: Any, *scopes: Dict[str, Any]) -> List[Any]:
    """What an app sends for each of the scopes, one after another in one loop."""

    async def all_of_them() -> List[Any]:
        answers = []
        for asked in scopes or (scope(),):
            answer = Answer()
            await app(asked, no_body, answer.send)
            answers.append(answer.messages)
        return answers

    return asyncio.run(all_of_them())


def test_a_request_is_a_job_on_a_lane_with_a_step_a_message(worker: hangwatch.Worker, segment: Path) -> None:
    seen: List[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        def look() -> None:
            slot = Slot(segment, 1)
            seen.append((slot.phase, slot.progress, slot.texts[0]))

        look()
        await send(start())
        await send(body(b"a", True))
        look()
        await send(body(b"b"))
        seen.append(Slot(segment, 1).phase)

    answer = serve(asgi.Middleware(app))
    assert answer == serve(app), "what is sent is what it is without"
    assert seen[:2] == [(INFERENCE, None, "POST /generate"), (INFERENCE, 2, "POST /generate")], "and no query is told"
    assert seen[2] == hangwatch.PHASES["idle"], "what runs after the response is no part of it"
    assert Slot(segment, 1).jobs == (1, 0, 0)


def test_requests_one_after_another_share_a_lane_and_those_at_once_have_one_each(
    worker: hangwatch.Worker, segment: Path
) -> None:
    both: List[asyncio.Event] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await both[-1].wait()
        await send(start())
        await send(body(b""))

    async def at_once() -> List[int]:
        both.append(asyncio.Event())
        asked = [asyncio.ensure_future(served(scope(), no_body, Answer().send)) for _ in range(3)]
        await asyncio.sleep(0)
        shown = [index for index in taken(segment, 8) if Slot(segment, index).phase == INFERENCE]
        both[-1].set()
        await asyncio.gather(*asked)
        return shown

    served = asgi.Middleware(app, lanes=2)
    assert asyncio.run(at_once()) == [1, 2], "the third had none, and was served"
    assert asyncio.run(at_once()) == [1, 2], "and they are used again"
    assert [sum(Slot(segment, index).jobs) for index in (1, 2)] == [2, 2]


@pytest.mark.parametrize(
    ("status", "raised", "jobs"),
    [
        (404, None, (1, 0, 0)),
        (503, None, (0, 1, 0)),
        (0, None, (0, 1, 0)),
        (0, ZeroDivisionError(), (0, 1, 0)),
        (0, asyncio.CancelledError(), (0, 0, 1)),
        (0, KeyboardInterrupt(), (0, 0, 1)),
    ],
)
def test_how_a_request_ends_is_how_its_job_does(
    worker: hangwatch.Worker, segment: Path, status: int, raised: Optional[BaseException], jobs: Any
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if raised is not None:
            raise raised
        if status:
            await send(start(status))
            await send(body(b""))

    caught: Optional[BaseException] = None

    async def run() -> None:
        nonlocal caught
        try:
            await asgi.Middleware(app)(scope(), no_body, Answer().send)
        except BaseException as e:  # noqa: BLE001
            caught = e

    asyncio.run(run())
    assert caught is raised, "the host's exception goes on as it is"
    assert Slot(segment, 1).jobs == jobs


def test_a_request_says_more_on_its_lane(worker: hangwatch.Worker, segment: Path) -> None:
    phases: List[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with scope[asgi.LANE].phase("loading"):
            phases.append(Slot(segment, 1).phase)
        phases.append(Slot(segment, 1).phase)

    asked = scope()
    serve(asgi.Middleware(app), asked)
    assert phases == [hangwatch.PHASES["loading"], INFERENCE]
    assert asgi.LANE not in asked, "a middleware does not write into its server's scope"


def test_websockets_the_lifespan_and_what_is_skipped_pass_by(worker: hangwatch.Worker, segment: Path) -> None:
    seen: List[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    asked = [scope(kind="websocket"), {"type": "lifespan"}, scope("/events")]
    serve(asgi.Middleware(app, skip=lambda scope: scope["path"] == "/events"), *asked)
    assert all(one is other for one, other in zip(seen, asked)) and taken(segment, 8) == [0]

    def broken(scope: Any) -> bool:
        raise ZeroDivisionError

    serve(asgi.Middleware(app, skip=broken))
    assert taken(segment, 8) == [0, 1], "a question that fails skips nothing, and fails nothing"


def test_with_no_worker_a_process_attaches_at_its_first_request_where_a_segment_is_named(
    segment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())

    served = asgi.Middleware(app)
    assert serve(served) == serve(app) and hangwatch.current() is not None
    monkeypatch.setenv("HANGWATCH_SEGMENT", str(segment))
    hangwatch.set_current(None)
    served = asgi.Middleware(app)
    serve(served)
    assert taken(segment, 8) == [0, 1]
    monkeypatch.setenv("HANGWATCH_SEGMENT", "/nowhere/at/all")
    hangwatch.set_current(None)
    assert serve(asgi.Middleware(app)) == serve(app), "an attach that fails is nobody's concern here"


def test_the_servers_own_worker_waits_for_requests_as_long_as_it_likes_and_keeps_a_phase_that_it_named(segment: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())

    with hangwatch.attach(segment=segment) as host:
        assert host.phase_id == hangwatch.PHASES["starting"]
        served = asgi.Middleware(app)
        assert host.phase_id == hangwatch.PHASES["idle"], "from the middleware on it does not start any more"
        host.phase("loading")
        asgi.Middleware(app)
        serve(served)
        assert host.phase_id == hangwatch.PHASES["loading"], "what it says itself stands"
    hangwatch.set_current(None)
    served = asgi.Middleware(app)
    with hangwatch.attach(segment=segment) as late:
        serve(served)
        assert late.phase_id == hangwatch.PHASES["idle"], "one that attached later, from its first request on"


def test_a_forked_child_takes_lanes_of_its_own(
    worker: hangwatch.Worker, segment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b""))

    monkeypatch.setenv("HANGWATCH_SEGMENT", str(segment))
    served = asgi.Middleware(app, worker=worker)
    serve(served)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            serve(served)
            mine = [index for index in taken(segment, 8) if Slot(segment, index).pid == os.getpid()]
            code = 0 if len(mine) == 2 and Slot(segment, mine[1]).jobs == (1, 0, 0) else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert Slot(segment, 1).jobs == (1, 0, 0), "and leaves its parent's alone"


def test_a_client_that_does_not_read_or_send_is_waited_for_and_no_clock_runs(worker: hangwatch.Worker, segment: Path) -> None:
    client = worker.register_phase("client")
    shown: List[int] = []

    def look() -> None:
        shown.append(Slot(segment, 1).phase)

    async def slow_body() -> Dict[str, Any]:
        await asyncio.sleep(0)
        look()
        return {"type": "http.request", "more_body": len(shown) == 1}

    async def slow_reader(message: Any) -> None:
        await asyncio.sleep(0)
        look()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            look()
        gone = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        look()
        await send(start())
        look()
        await asyncio.gather(send(body(b"a", True)), send(body(b"b", True)))
        look()
        await send(body(b""))
        await gone

    asyncio.run(asgi.Middleware(app)(scope(), slow_body, slow_reader))
    reads = [client, INFERENCE, client]
    waits_for_its_going = INFERENCE
    sends = [client, client, INFERENCE, client, client, INFERENCE, client]
    assert shown == [*reads, waits_for_its_going, *sends], "but who waits for it to go away hides nothing"
    assert (Slot(segment, 1).jobs, Slot(segment, 1).depth) == ((1, 0, 0), 0)


def test_a_wait_that_is_cancelled_or_fails_is_over(worker: hangwatch.Worker, segment: Path) -> None:
    async def never(message: Any) -> None:
        await asyncio.Event().wait()

    async def broken(message: Any) -> None:
        await asyncio.sleep(0)
        raise OSError("gone")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(send(start()), 0.01)
        assert Slot(segment, 1).phase == INFERENCE
        raise ZeroDivisionError

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(OSError, match="gone"):
            await send(start())
        assert Slot(segment, 2).phase == INFERENCE

    with pytest.raises(ZeroDivisionError):
        asyncio.run(asgi.Middleware(app)(scope(), no_body, never))
    asyncio.run(asgi.Middleware(failing)(scope(), no_body, broken))
    assert [Slot(segment, index).jobs for index in (1, 2)] == [(0, 1, 0), (0, 1, 0)]


def test_starlettes_streams_and_background_tasks_are_served_as_without(worker: hangwatch.Worker, segment: Path) -> None:
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.middleware import Middleware
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    phases: List[int] = []

    def background() -> None:
        phases.append(Slot(segment, 1).phase)

    async def generate(request: Any) -> Any:
        assert isinstance(request.scope[asgi.LANE], hangwatch.Worker)

        async def tokens() -> Any:
            for token in ("a", "b", "c"):
                phases.append(Slot(segment, 1).phase)
                yield token

        return StreamingResponse(tokens(), background=BackgroundTask(background))

    async def plain(request: Any) -> Any:
        return StreamingResponse(iter("abc"))

    asked = {**scope(), "headers": [], "http_version": "1.1", "asgi": {"version": "3.0", "spec_version": "2.4"}}
    app = Starlette(
        routes=[Route("/generate", generate, methods=["POST"])], middleware=[Middleware(asgi.Middleware, name="generate")]
    )
    bare = Starlette(routes=[Route("/generate", plain, methods=["POST"])])
    assert serve(app, asked) == serve(bare, asked)
    assert phases == [INFERENCE] * 3 + [hangwatch.PHASES["idle"]], "a background task is no part of the request"
    assert Slot(segment, 1).jobs == (1, 0, 0)


def test_a_stop_that_the_monitor_asks_for_is_told_once_at_a_requests_end() -> None:
    class Lane:
        def __getattr__(self, name: str) -> Any:
            return lambda *args: name == "should_stop"

    class Host:
        phase_id = None

        def lane(self, name: str) -> Any:
            return Lane()

    told: List[int] = []

    def on_stop() -> None:
        told.append(1)
        raise ZeroDivisionError

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert told == [] or len(told) == 1

    host: Any = Host()
    serve(asgi.Middleware(app, worker=host, on_stop=on_stop), scope(), scope())
    assert told == [1]


def test_a_request_lane_is_live_only_while_its_process_has_it(worker: hangwatch.Worker, segment: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert Slot(segment, 1).tag == LIVE

    served: Any = asgi.Middleware(app)
    serve(served)
    del served
    assert taken(segment, 8) == [0], "a middleware that is gone gives its lanes back"
