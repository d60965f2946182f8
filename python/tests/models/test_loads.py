"""What a load fetches, as the bars of huggingface_hub tell it: nothing is fetched here but the way that they are moved is its own."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any, List, Optional, Tuple, cast

import pytest

import hangwatch
from hangwatch import PHASES, UNKNOWN
from hangwatch.integrations import _loads, tqdm as bars
from hangwatch.integrations._calls import Hooks, Reporting
from quiet_bars import Calls, quiet
from slots import Slot

hub = pytest.importorskip("huggingface_hub.utils.tqdm")
LOADING, DOWNLOADING = PHASES["loading"], PHASES["downloading"]


class Model:
    """Loads as transformers and diffusers do: it fetches a file in a thread of the hub's, then puts weights into places."""

    seen: List[Tuple[int, Optional[int], int]]
    segment: Path

    @classmethod
    def from_pretrained(cls) -> str:
        cls.look()
        fetched = hub.tqdm(total=30, unit="B", disable=True)
        hub.hf_thread_map(lambda sizes: [(fetched.update(n), cls.look()) for n in sizes], [(10, 20, -5, 5)], disable=True)
        cls.look()
        for _ in hub.tqdm(range(2), disable=True):
            cls.from_config()
        return "model"

    @classmethod
    def from_config(cls) -> None:
        cls.look()

    @classmethod
    def look(cls) -> None:
        slot = Slot(cls.segment, 0)
        cls.seen.append((slot.phase, slot.progress, slot.total))


@pytest.fixture
def model(worker: hangwatch.Worker, segment: Path) -> Any:
    made = type("Model", (Model,), {name: vars(Model)[name] for name in ("from_pretrained", "from_config")})
    made.seen, made.segment = [], segment  # type: ignore[attr-defined]
    hooks = Hooks()
    for name in ("from_pretrained", "from_config", "from_elsewhere"):
        _loads.hook(hooks, made, name, Reporting(worker, "test", {}, None))
    yield made
    hooks.take_out()
    assert vars(made)["from_pretrained"] is vars(Model)["from_pretrained"], "its own again"


def test_what_is_fetched_in_other_threads_is_a_download_with_its_bytes_until_the_load_goes_on(model: Any, segment: Path) -> None:
    assert model.from_pretrained() == "model"
    fetching = [(DOWNLOADING, done, UNKNOWN) for done in (10, 30, 30, 35)]
    assert model.seen == [(LOADING, None, 0), *fetching, (LOADING, None, 0), (LOADING, None, 2), (LOADING, 1, 2)]
    slot = Slot(segment, 0)
    assert (slot.phase, slot.depth) == (PHASES["starting"], 0), "what was around it goes on"
    hub.tqdm(total=1, disable=True).update()
    assert Slot(segment, 0).beats == slot.beats, "its hooks are out of tqdm"


def test_what_another_thread_counts_for_itself_is_no_sign_of_a_load(worker: hangwatch.Worker, segment: Path) -> None:
    tqdm = pytest.importorskip("tqdm").tqdm

    def counts() -> None:
        for more in ({"disable": True}, {"file": io.StringIO(), "mininterval": 0}):
            with tqdm(total=9, **more) as bar:
                bar.update()

    class Loads:
        @classmethod
        def from_pretrained(cls) -> bool:
            before = Slot(segment, 0)
            thread = threading.Thread(target=counts)
            thread.start()
            thread.join()
            after = Slot(segment, 0)
            return (before.phase, before.beats) == (after.phase, after.beats) == (LOADING, before.beats)

    hooks = Hooks()
    _loads.hook(hooks, Loads, "from_pretrained", Reporting(worker, "test", {}, None))
    assert Loads.from_pretrained(), "it is loading, and silent"
    hooks.take_out()


def test_where_the_host_reports_its_bars_itself_a_load_leaves_them_to_it_and_still_sees_what_is_fetched(
    model: Any, worker: hangwatch.Worker, segment: Path
) -> None:
    with bars.install(worker, phase="compiling"):
        around = quiet(total=7)
        around.update(3)
        assert model.from_pretrained() == "model"
        fetching = [(DOWNLOADING, done, UNKNOWN) for done in (10, 30, 30, 35)]
        of_bars = [(PHASES["compiling"], done, 2) for done in (None, 1)]
        assert model.seen == [(LOADING, None, 0), *fetching, (LOADING, None, 0), *of_bars]
        slot = Slot(segment, 0)
        assert (slot.phase, slot.depth, slot.progress) == (PHASES["compiling"], 1, 3), "its own bar goes on"
        thread = threading.Thread(target=lambda: hub.tqdm(total=9, disable=True).update(1))
        thread.start()
        thread.join()
        assert Slot(segment, 0).beats == slot.beats, "what is fetched outside of a load is no sign of anything"
        around.update()
        assert Slot(segment, 0).progress == 4
    assert Slot(segment, 0).depth == 0


def test_a_bar_that_a_load_leaves_open_ends_with_it_and_a_stop_is_told_within(worker: hangwatch.Worker, segment: Path) -> None:
    told: List[int] = []
    left: List[Any] = []

    class Loads:
        @classmethod
        def from_pretrained(cls) -> None:
            left.append(quiet(total=9))
            left[0].update()

    hooks, calls = Hooks(), Calls()
    _loads.hook(hooks, Loads, "from_pretrained", Reporting(worker, "test", {}, None))
    calls.stop = True
    with bars.install(cast("hangwatch.Worker", calls), on_stop=lambda: told.append(1)):
        Loads.from_pretrained()
        assert (calls.calls, told, Slot(segment, 0).depth) == ([("inference", 9), 1, "leave"], [1], 0)
    hooks.take_out()


def test_a_load_that_fails_is_left(model: Any, segment: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(Model, "look", classmethod(lambda cls: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        model.from_pretrained()
    slot = Slot(segment, 0)
    assert (slot.phase, slot.depth, bars.is_installed()) == (PHASES["starting"], 0, False)
