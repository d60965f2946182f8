"""ComfyUI's own `comfy.utils` and `comfy.model_management` under an executor and a server that make the calls of its real ones.

No package of the index carries the executor and the server, so these two are written here after their sources: which calls they make, in
which order, with which arguments and on which conditions. `NEW` is ComfyUI of 2026, `OLD` of 2024, before it had a progress registry.

Run as a program it is a ComfyUI with the example's custom node: `comfy_host.py CODE NODE HANG`.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

Graph = Dict[str, Dict[str, Any]]


class Server:
    """`server.PromptServer`: what is sent goes into a queue of the server's loop."""

    instance: Optional[Server] = None

    def __init__(self) -> None:
        Server.instance = self
        self.client_id: Optional[str] = None
        self.last_node_id: Optional[str] = None
        self.last_prompt_id: Optional[str] = None
        self.sent: List[Tuple[str, Any, Any]] = []

    def send_sync(self, event: Any, data: Any, sid: Any = None) -> None:
        self.sent.append((event, data, sid))


class Registry:
    """`comfy_execution.progress.ProgressRegistry`, with its handler for the page."""

    def __init__(self, prompt_id: str, dynprompt: Any, server: Server) -> None:
        self.prompt_id = prompt_id
        self.dynprompt = dynprompt
        self.server = server
        self.nodes: Dict[str, Any] = {}

    def _told(self, node_id: str, **state: Any) -> None:
        self.nodes.setdefault(node_id, {"value": 0, "max": 1}).update(state)
        shown = {key: dict(value) for key, value in self.nodes.items()}
        self.server.send_sync("progress_state", {"prompt_id": self.prompt_id, "nodes": shown}, self.server.client_id)

    def start_progress(self, node_id: str) -> None:
        self._told(node_id, state="running", value=0.0, max=1.0)

    def update_progress(self, node_id: str, value: float, max_value: float, image: Any = None) -> None:
        self._told(node_id, state="running", value=value, max=max_value)

    def set_activity(self, node_id: str, activity: Optional[str]) -> None:
        self._told(node_id, activity=activity)

    def finish_progress(self, node_id: str) -> None:
        self._told(node_id, state="finished")


class DynPrompt:
    """`comfy_execution.graph.DynamicPrompt`, as far as it is asked."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def get_node(self, node_id: str) -> Dict[str, Any]:
        return self.graph[node_id]


class _Executor:
    """What both have in common: nodes in the order of the graph, each fed with what the ones before it made."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.outputs: Dict[str, Any] = {}

    def _called(self, graph: Graph, node_id: str) -> Any:
        nodes: Any = importlib.import_module("nodes")
        node = graph[node_id]
        inputs = {name: self.outputs[value[0]] if isinstance(value, list) else value for name, value in node["inputs"].items()}
        nodes.before_node_execution()
        cls = nodes.NODE_CLASS_MAPPINGS[node["class_type"]]
        return getattr(cls(), cls.FUNCTION)(**inputs)[0]


class OldExecutor(_Executor):
    """ComfyUI of 2024: what it tells it sends, and most of that to a client alone."""

    def execute(self, prompt: Graph, prompt_id: str, extra_data: Any = {}, execute_outputs: Any = ()) -> None:  # noqa: B006
        importlib.import_module("nodes").interrupt_processing(False)
        self.server.client_id = extra_data.get("client_id")
        management: Any = importlib.import_module("comfy.model_management")
        client = self.server.client_id
        if client is not None:
            self.server.send_sync("execution_start", {"prompt_id": prompt_id}, client)
        for node_id in prompt:
            try:
                if client is not None:
                    self.server.last_node_id = node_id
                    self.server.send_sync("executing", {"node": node_id, "prompt_id": prompt_id}, client)
                self.outputs[node_id] = self._called(prompt, node_id)
            except management.InterruptProcessingException:
                self.server.send_sync("execution_interrupted", {"prompt_id": prompt_id, "node_id": node_id}, client)
                return
            except Exception as error:
                if client is not None:
                    self.server.send_sync("execution_error", {"prompt_id": prompt_id, "exception_message": str(error)}, client)
                return


class NewExecutor(_Executor):
    """ComfyUI of 2026: in a loop of its own, with a registry, and with what it told kept."""

    registry: Registry

    def add_message(self, event: str, data: Any, broadcast: bool) -> None:
        self.status_messages.append((event, data))
        if self.server.client_id is not None or broadcast:
            self.server.send_sync(event, data, self.server.client_id)

    def execute(self, prompt: Graph, prompt_id: str, extra_data: Any = {}, execute_outputs: Any = ()) -> None:  # noqa: B006
        asyncio.run(self.execute_async(prompt, prompt_id, extra_data, execute_outputs))

    async def execute_async(self, prompt: Graph, prompt_id: str, extra_data: Any = {}, execute_outputs: Any = ()) -> None:  # noqa: B006
        importlib.import_module("nodes").interrupt_processing(False)
        management: Any = importlib.import_module("comfy.model_management")
        self.server.client_id = extra_data.get("client_id")
        self.status_messages: List[Any] = []
        self.success = True
        self.add_message("execution_start", {"prompt_id": prompt_id}, False)
        NewExecutor.registry = Registry(prompt_id, DynPrompt(prompt), self.server)
        for node_id in prompt:
            try:
                self.registry.start_progress(node_id)
                if self.server.client_id is not None:
                    self.server.last_node_id = node_id
                    self.server.send_sync("executing", {"node": node_id, "prompt_id": prompt_id}, self.server.client_id)
                made = self._called(prompt, node_id)
                self.outputs[node_id] = await made if asyncio.iscoroutine(made) else made
            except management.InterruptProcessingException:
                self.success = False
                self.add_message("execution_interrupted", {"prompt_id": prompt_id, "node_id": node_id}, True)
                return
            except Exception as error:
                self.success = False
                self.add_message("execution_error", {"prompt_id": prompt_id, "exception_message": str(error)}, False)
                return
            self.registry.finish_progress(node_id)
        self.add_message("execution_success", {"prompt_id": prompt_id}, False)


def load(code: str, new: bool) -> Any:
    """Makes the modules that a custom node finds; `code` is the folder of ComfyUI's own. Returns the executor's class."""
    if code not in sys.path:
        sys.path.insert(0, code)
    # Without torch's default the code asks for a GPU.
    importlib.import_module("comfy.cli_args").args.cpu = True
    management: Any = importlib.import_module("comfy.model_management")
    cls = NewExecutor if new else OldExecutor
    modules: Dict[str, Dict[str, Any]] = {
        "execution": {"PromptExecutor": cls},
        "server": {"PromptServer": Server},
        "nodes": {
            "NODE_CLASS_MAPPINGS": {},
            "interrupt_processing": lambda value=True: management.interrupt_current_processing(value),
            "before_node_execution": lambda: management.throw_exception_if_processing_interrupted(),
        },
        "comfy_execution.progress": {"ProgressRegistry": Registry} if new else {},
    }
    for name, content in modules.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(content)
    return cls


def hijack(server: Server, executor: Any) -> None:
    """`main.hijack_progress`: ComfyUI's own hook, set after the custom nodes are loaded."""
    management: Any = importlib.import_module("comfy.model_management")

    def hook(value: float, total: float, preview: Any, **_: Any) -> None:
        management.throw_exception_if_processing_interrupted()
        if isinstance(executor, NewExecutor):
            executor.registry.update_progress(server.last_node_id or "?", value, total, preview)
        progress = {"value": value, "max": total, "prompt_id": server.last_prompt_id, "node": server.last_node_id}
        server.send_sync("progress", progress, server.client_id)

    importlib.import_module("comfy.utils").set_progress_bar_global_hook(hook)


def prestart(path: str) -> None:
    """`main.execute_prestartup_script`: before torch is imported."""
    script = Path(path) / "prestartup_script.py"
    spec = importlib.util.spec_from_file_location(str(script.with_suffix("")), script)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def load_custom_node(path: str) -> Any:
    """`nodes.load_custom_node`: the module goes by its path."""
    spec = importlib.util.spec_from_file_location(path, str(Path(path) / "__init__.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path] = module
    spec.loader.exec_module(module)
    sys.modules["nodes"].NODE_CLASS_MAPPINGS.update(module.NODE_CLASS_MAPPINGS)
    return module


class Loader:
    FUNCTION = "load"

    def load(self, ckpt_name: str) -> Tuple[str]:
        return (ckpt_name.upper(),)


class Sampler:
    FUNCTION = "sample"
    hang_at: Optional[int] = None
    pause = 0.0

    def sample(self, model: str, steps: int) -> Tuple[str]:
        bar: Any = importlib.import_module("comfy.utils").ProgressBar(steps)
        for step in range(steps):
            if step == self.hang_at:
                time.sleep(3600)
            time.sleep(self.pause)
            bar.update_absolute(step + 1, steps)
        return (f"{model}:{steps}",)


class Decoder:
    FUNCTION = "decode"
    hang = False

    def decode(self, samples: str) -> Tuple[str]:
        if self.hang:
            time.sleep(3600)
        bar: Any = importlib.import_module("comfy.utils").ProgressBar(2)
        bar.update(1)
        bar.update(1)
        return (f"<{samples}>",)


GRAPH: Graph = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl.safetensors"}},
    "2": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "steps": 5}},
    "3": {"class_type": "VAEDecode", "inputs": {"samples": ["2", 0]}},
}
NODES = {"CheckpointLoaderSimple": Loader, "KSampler": Sampler, "VAEDecode": Decoder}


def main(code: str, node: str, hang: str) -> None:
    """A server whose prompts run in a thread of their own, as the real one's do."""
    prestart(node)
    executor_of = load(code, new=True)
    sys.modules["nodes"].NODE_CLASS_MAPPINGS.update(NODES)
    server = Server()
    load_custom_node(node)
    executor = executor_of(server)
    hijack(server, executor)
    Sampler.hang_at = 3 if hang == "sampler" else None
    Sampler.pause = 0.05 if hang == "endless" else 0.0
    Decoder.hang = hang == "decoder"
    graph = {**GRAPH, "4": {"class_type": "HangwatchStatus", "inputs": {}}}
    if hang == "endless":
        Sampler.sample = _counts_to_nowhere  # type: ignore[method-assign]

    def prompts() -> None:
        # A script's prompt has no client.
        executor.execute(graph, "a1b2", {})
        print(executor.status_messages[-1][0], executor.outputs.get("3"), executor.outputs.get("4"), flush=True)

    worker = threading.Thread(target=prompts, daemon=True)
    worker.start()
    worker.join()


def _counts_to_nowhere(self: Sampler, model: str, steps: int) -> Tuple[str]:
    bar: Any = importlib.import_module("comfy.utils").ProgressBar(steps)
    while True:
        time.sleep(self.pause)
        bar.update_absolute(2, steps)


if __name__ == "__main__":
    main(*sys.argv[1:])
