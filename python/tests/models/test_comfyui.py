"""`hangwatch.integrations.comfyui`, with ComfyUI's own progress bars and interrupts: `comfy_host.py` says what is its and what is not."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any, Iterator, List, Optional

import hangwatch
import pytest
from noted import Broken, Noted
from slots import Slot
from running import EXAMPLES, PYTHON, Run, once

pytest.importorskip("torch")
import comfy_host as host  # noqa: E402
from hangwatch.integrations import comfyui  # noqa: E402

# ComfyUI of November 2024, without its executor and server. The wheel alone: what it asks for besides is not needed.
WHEEL, SHA256 = "notcomfy-0.1.0-py3-none-any.whl", "92451f51cce7283aebdcd15ca139b22210bf10575bc41af517df0509ebb6c762"
NODE = str(EXAMPLES / "comfyui_node")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of ComfyUI's code, fetched once."""
    kept = EXAMPLES.parent / "target" / "comfyui"
    if not (kept / WHEEL).exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(kept), "notcomfy==0.1.0"]
        if subprocess.run(pip, timeout=120).returncode:
            with open(os.environ.get("SKIPPED_CHECKS", os.devnull), "a") as skipped:
                skipped.write("skipped the ComfyUI integration: its code cannot be had from PyPI here\n")
            pytest.skip("ComfyUI's code cannot be had from PyPI here")
    assert hashlib.sha256((kept / WHEEL).read_bytes()).hexdigest() == SHA256
    folder = tmp_path_factory.mktemp("comfyui")
    with zipfile.ZipFile(kept / WHEEL) as wheel:
        wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith("comfy/")])
    return str(folder)


class Host:
    """A ComfyUI with three nodes."""

    def __init__(self, code: str, new: bool) -> None:
        cls: Any = host.load(code, new)
        sys.modules["nodes"].NODE_CLASS_MAPPINGS.update(host.NODES)
        self.server: Any = host.Server()
        self.executor: Any = cls(self.server)

    def run(self, graph: Optional[host.Graph] = None, client: Optional[str] = "page", thread: bool = False) -> Any:
        """What a prompt makes and sends."""
        # Set when custom nodes are loaded already, as the real one's is.
        host.hijack(self.server, self.executor)
        self.server.sent.clear()
        self.executor.outputs.clear()
        extra = {} if client is None else {"client_id": client}
        prompt = (graph or host.GRAPH, "a1b2", extra)
        if thread:
            worker = threading.Thread(target=self.executor.execute, args=prompt)
            worker.start()
            worker.join()
        else:
            self.executor.execute(*prompt)
        return dict(self.executor.outputs), list(self.server.sent)


@pytest.fixture(params=["new", "old"])
def comfy(code: str, request: pytest.FixtureRequest) -> Host:
    return Host(code, request.param == "new")


@pytest.fixture
def new(code: str) -> Host:
    return Host(code, True)


@pytest.fixture
def calls() -> Iterator[Noted]:
    calls = Noted()
    with comfyui.install(calls):  # type: ignore[arg-type]
        calls.calls.clear()
        yield calls


WHOLE = [
    ("a1b2", "sdxl.safetensors"),
    *["node 1: CheckpointLoaderSimple", "loading", "leave"],
    *["node 2: KSampler", "inference", "leave", ("inference", 5), 1, 2, 3, 4, 5, "leave"],
    *["node 3: VAEDecode", "inference", "leave", ("inference", 2), 1, 2, "leave"],
    "ok",
]


def test_a_prompt_is_a_job_its_nodes_are_sections_and_its_bars_counts(comfy: Host) -> None:
    calls = Noted()
    with comfyui.install(calls):  # type: ignore[arg-type]
        comfy.run(thread=True)
    comfy.run()
    assert calls.calls == ["idle", *WHOLE], "in the thread in which ComfyUI runs it, and nothing more once the hooks are out"


def test_a_prompt_without_a_client_is_told_as_well(new: Host, calls: Noted) -> None:
    _, sent = new.run(client=None)
    assert {event for event, _, _ in sent} == {"progress_state", "progress"}, "ComfyUI sends no word of its begin and its end"
    assert calls.calls == WHOLE


def test_in_an_old_comfyui_a_prompt_without_a_client_has_its_bars_alone(code: str) -> None:
    old = Host(code, False)
    calls = Noted()
    with comfyui.install(calls):  # type: ignore[arg-type]
        old.run(client=None)
    assert calls.calls[2:] == [("inference", 5), 1, 2, 3, 4, 5, "leave", ("inference", 2), 1, 2, "leave", "ok"]


def test_what_it_makes_sends_and_raises_is_what_it_is_without(comfy: Host, worker: hangwatch.Worker, segment: Path) -> None:
    failing = {**host.GRAPH, "3": {"class_type": "VAEDecode", "inputs": {"latent": ["2", 0]}}}

    def all_of_it() -> Any:
        return [comfy.run(graph, client) for graph in (None, failing) for client in ("page", None)]

    without = all_of_it()
    with comfyui.install():
        assert all_of_it() == without
    slot = Slot(segment, 0)
    assert (sum(slot.jobs), slot.depth, slot.phase) == (4, 0, hangwatch.PHASES["idle"])
    if isinstance(comfy.executor, host.NewExecutor):
        assert slot.jobs == (2, 2, 0), "with a client and without"
    with comfyui.install(Broken()):  # type: ignore[arg-type]
        assert all_of_it() == without, "whatever is wrong with a report"
    assert all_of_it() == without and "hooked" not in host.Server.send_sync.__code__.co_name


def test_a_server_of_anothers_class_is_heard_too(code: str) -> None:
    class Shim:
        """As hosts without a page have it."""

        def __init__(self) -> None:
            self.client_id: Optional[str] = None
            self.last_node_id: Optional[str] = None
            self.last_prompt_id: Optional[str] = None

        def send_sync(self, event: Any, data: Any, sid: Any = None) -> None:
            pass

    old = Host(code, False)
    original = Shim.send_sync
    old.executor.server = Shim()
    calls = Noted()
    with comfyui.install(calls):  # type: ignore[arg-type]
        old.executor.execute(host.GRAPH, "a1b2", {"client_id": "page"})
    assert "node 2: KSampler" in calls.calls and Shim.send_sync is original


def test_a_stop_interrupts_at_the_next_value_of_a_bar_and_the_prompt_is_cancelled(comfy: Host, calls: Noted) -> None:
    told: List[int] = []
    with comfyui.install(calls, on_stop=lambda: told.append(1)):  # type: ignore[arg-type]
        calls.stop_at = 2
        outputs, sent = comfy.run()
        assert "3" not in outputs and "execution_interrupted" in [event for event, _, _ in sent], "as by its own button"
        assert calls.calls[-3:] == [2, "leave", "cancelled"]
        outputs, _ = comfy.run()
        assert outputs == {} and calls.calls[-1] == "cancelled", "and so is the next one of the queue"
    assert told == [1]


def test_a_node_that_looks_without_counting_is_interrupted_from_the_side_where_that_is_wanted(new: Host) -> None:
    calls = Noted()

    class Waits:
        FUNCTION = "wait"

        def wait(self) -> Any:
            calls.stop_at = "idle"
            while True:
                sys.modules["nodes"].before_node_execution()

    sys.modules["nodes"].NODE_CLASS_MAPPINGS["Waits"] = Waits
    with comfyui.install(calls, watch=True):  # type: ignore[arg-type]
        new.run({"9": {"class_type": "Waits", "inputs": {}}})
    assert calls.calls[-1] == "cancelled"


def test_a_load_that_comfyui_tells_of_is_one_and_phases_may_be_named_by_class(new: Host) -> None:
    class Loads:
        FUNCTION = "load"

        def load(self) -> Any:
            host.NewExecutor.registry.set_activity("9", "loading")
            host.NewExecutor.registry.set_activity("9", None)
            return ("",)

    sys.modules["nodes"].NODE_CLASS_MAPPINGS["Loads"] = Loads
    calls = Noted()
    with comfyui.install(calls, phases={"Loads": "safety"}):  # type: ignore[arg-type]
        new.run({"9": {"class_type": "Loads", "inputs": {}}})
    assert calls.calls[2:] == ["node 9: Loads", "safety", "loading", "leave", "leave", "ok"]


def test_in_an_old_comfyui_bringing_models_to_the_device_is_a_load_and_the_bar_around_it_goes_on(
    code: str, worker: hangwatch.Worker, segment: Path
) -> None:
    old = Host(code, False)
    seen: List[Any] = []

    class Model:
        """As far as the real one asks, before it loads it."""

        load_device = "cpu"

        def __getattr__(self, name: str) -> Any:
            seen.append(Slot(segment, 0).phase)
            raise RuntimeError(name)

    class Samples:
        FUNCTION = "sample"

        def sample(self) -> Any:
            bar: Any = sys.modules["comfy.utils"].ProgressBar(3)
            bar.update(2)
            with pytest.raises(RuntimeError):
                sys.modules["comfy.model_management"].load_models_gpu([Model()])
            seen.append((Slot(segment, 0).phase, Slot(segment, 0).progress, Slot(segment, 0).total))
            return ("x",)

    sys.modules["nodes"].NODE_CLASS_MAPPINGS["Samples"] = Samples
    original = sys.modules["comfy.model_management"].load_models_gpu
    with comfyui.install():
        old.run({"9": {"class_type": "Samples", "inputs": {}}})
    assert seen == [hangwatch.PHASES["loading"], (hangwatch.PHASES["inference"], 2, 3)]
    assert sys.modules["comfy.model_management"].load_models_gpu is original


def test_a_bar_that_falls_back_is_a_further_pass_and_none_of_its_values_a_fall(new: Host, worker: hangwatch.Worker, segment: Path) -> None:
    seen: List[Any] = []

    class Twice:
        FUNCTION = "work"

        def work(self) -> Any:
            bar: Any = sys.modules["comfy.utils"].ProgressBar(2)
            for value in (1, 2, 1, 2):
                bar.update_absolute(value)
                seen.append((Slot(segment, 0).progress, Slot(segment, 0).total, Slot(segment, 0).falls))
            bar = sys.modules["comfy.utils"].ProgressBar(1.0)
            bar.update_absolute(0.25)
            seen.append((Slot(segment, 0).progress, Slot(segment, 0).total, Slot(segment, 0).falls))
            return ("x",)

    sys.modules["nodes"].NODE_CLASS_MAPPINGS["Twice"] = Twice
    with comfyui.install():
        new.run({"9": {"class_type": "Twice", "inputs": {}}})
    assert seen == [(1, 2, 0), (2, 2, 0), (1, 2, 0), (2, 2, 0), (250, 1000, 0)]


def test_a_bar_of_another_thread_is_a_sign_of_life_and_an_async_node_a_node(new: Host, calls: Noted) -> None:
    class Threaded:
        FUNCTION = "work"

        async def work(self) -> str:
            bar: Any = sys.modules["comfy.utils"].ProgressBar(1)
            thread = threading.Thread(target=bar.update, args=(1,))
            thread.start()
            thread.join()
            await asyncio.sleep(0)
            return "x"

    class Wrapped(Threaded):
        def work(self) -> Any:
            return (super().work(),)

    sys.modules["nodes"].NODE_CLASS_MAPPINGS["Threaded"] = Wrapped
    new.run({"9": {"class_type": "Threaded", "inputs": {}}})
    assert calls.calls[:4] == [("a1b2", ""), "node 9: Threaded", "inference", "alive"] and calls.calls[-1] == "ok"


def test_within_a_job_of_the_hosts_a_prompt_is_no_job(new: Host, worker: hangwatch.Worker, segment: Path) -> None:
    with worker.job("mine", model="m", total=9) as job:
        job.step(4)
        with comfyui.install(worker):
            new.run()
        assert (Slot(segment, 0).progress, Slot(segment, 0).texts[0], job.open) == (4, "mine", True)


def test_without_comfyui_or_before_its_executor_it_says_so(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host.load(code, True)
    monkeypatch.delitem(sys.modules, "execution")
    with pytest.raises(ImportError, match="'execution' is not loaded"):
        comfyui.install()


def test_a_node_that_hangs_is_caught_in_it_and_a_healthy_comfyui_beside_it_is_not_accused(binary: str, scratch: Path, code: str) -> None:
    # One run for all of them: most of the time is torch's import.
    command = [*PYTHON, "-c", ONE_OF, host.__file__, code, NODE, "{i}"]
    with Run(binary, scratch, command, "--inference-step-timeout", "2s", "--replicas", "3", *once()) as run:
        opened = run.opened(2)
        run.until(lambda: "execution_success" in run.log(2))
    assert [(event["verdict"], event["phase"], event["done"], event["total"]) for event in opened] == [
        ("silent", "inference", 3, 5),
        ("silent", "inference", None, None),
    ], opened
    for event, node in zip(opened, ("node 2: KSampler;", "node 3: VAEDecode;")):
        assert (event["job"], event["model"]) == ("a1b2", "sdxl.safetensors") and node in event["detail"], event
    healthy = run.log(2).splitlines()[-1]
    assert healthy.startswith("execution_success <SDXL.SAFETENSORS:5> slot 2 of ") and healthy.endswith("/segment"), healthy


ONE_OF = """
import runpy, sys
*words, replica = sys.argv[1:]
sys.argv = [*words, ["sampler", "decoder", "nothing"][int(replica)]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_node_that_gets_nowhere_is_stalled_and_interrupted_when_comfyui_is_asked_to_stop(binary: str, scratch: Path, code: str) -> None:
    command = [*PYTHON, "-c", IGNORES_TERM, host.__file__, code, NODE, "endless"]
    with Run(binary, scratch, command, "--inference-step-timeout", "1s", *once(grace="10m")) as run:
        (opened,) = run.opened()
        run.wait()
    assert opened["verdict"] == "stalled", opened
    assert "execution_interrupted None None" in run.log(0), "it ignores SIGTERM: only the command word ended it"


IGNORES_TERM = """
import runpy, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
