"""`hangwatch.integrations.onnxruntime`, with the real onnxruntime."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, List

import hangwatch
import pytest
from noted import Broken, Noted
from slots import Slot, taken
from running import EXAMPLES, PYTHON, Run, once

onnxruntime: Any = pytest.importorskip("onnxruntime")
np: Any = pytest.importorskip("numpy")
pytest.importorskip("onnx")
from hangwatch.integrations import onnxruntime as runs  # noqa: E402

RUN = ("counts.onnx", "counts.onnx")
WORKER = str(EXAMPLES / "onnxruntime_worker.py")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example's: as many times one more as is said."""
    spec = importlib.util.spec_from_file_location("onnxruntime_worker", WORKER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path: str = module.model(str(tmp_path_factory.mktemp("model") / "counts.onnx"))
    return path


def session(model: Any, **more: Any) -> Any:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"], **more)


def feed(times: int = 3) -> Any:
    return {"x": np.array(1, np.float32), "times": np.array(times)}


def test_loading_a_session_is_a_phase_and_a_run_a_job_by_its_models_name(calls: Noted, model: str) -> None:
    with runs.install():
        made = session(model)
        made.run(None, feed())
        binding = made.io_binding()
        binding.bind_cpu_input("x", feed()["x"])
        binding.bind_cpu_input("times", feed()["times"])
        binding.bind_output("y")
        made.run_with_iobinding(binding)
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in feed().items()}
        made.run_with_ort_values(None, values)
    made.run(None, feed())
    assert calls.calls == ["loading", "leave", *[RUN, "ok"] * 3], "and nothing more once the hooks are out"
    assert binding.copy_outputs_to_cpu()[0] == 4


def test_within_a_job_a_run_is_beats_and_several_sessions_go_by_their_own_names(worker: hangwatch.Worker, segment: Path, model: str) -> None:
    first, second = session(model), session(Path(model).read_bytes())
    with runs.install(worker):
        with worker.job("mine", total=2) as job:
            before = Slot(segment, 0).beats
            first.run(None, feed())
            assert (Slot(segment, 0).beats - before, Slot(segment, 0).progress) == (2, None)
            job.step()
        first.run(None, feed())
        assert Slot(segment, 0).texts[1] == "counts.onnx", "a session that was there before is known too"
        second.run(None, feed())
        assert Slot(segment, 0).texts[1] == "onnxruntime", "one that was made of bytes has no name"
    assert Slot(segment, 0).jobs == (3, 0, 0)


def test_a_budget_makes_runs_a_phase_and_a_lease_is_granted_to_each(calls: Noted, model: str) -> None:
    made = session(model)
    with runs.install(budget=30, lease=9):
        for _ in range(2):
            made.run(None, feed())
    run = ["run", "extend 9", "leave", "extend 0", "ok"]
    assert calls.calls == [RUN, *run, RUN, *run] and calls.budgets == {"run": 30}


def test_a_first_run_compiles_where_its_provider_or_the_caller_says_so(calls: Noted, model: str) -> None:
    made, engine = session(model), session(model)
    engine.get_providers = lambda: ["TensorrtExecutionProvider", "CPUExecutionProvider"]
    with runs.install():
        for one in (made, engine, engine):
            one.run(None, feed())
    with runs.install(warm_up=True):
        made.run(None, feed())
    plain, compiling = [RUN, "ok"], [RUN, "compiling", "leave", "ok"]
    assert calls.calls == [*plain, *compiling, *plain, *compiling]


def answers(model: str) -> List[Any]:
    made = session(model)
    binding = made.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(np.array(2, np.float32)))
    binding.bind_cpu_input("times", np.array(5))
    binding.bind_output("y")
    made.run_with_iobinding(binding)
    answered: List[Any] = [made.run(None, feed()), made.run(["y"], feed(9), onnxruntime.RunOptions()), binding.copy_outputs_to_cpu()]
    for wrong in ((["z"], feed()), (None, {"x": "text"}), (None,)):
        with pytest.raises(Exception) as caught:
            made.run(*wrong)
        answered.append((type(caught.value), str(caught.value)))
    with pytest.raises(Exception) as caught:
        session("/nowhere/model.onnx")
    answered.append((type(caught.value), str(caught.value)))
    return answered


def test_what_is_returned_and_raised_is_what_it_is_without(worker: hangwatch.Worker, segment: Path, model: str) -> None:
    without = answers(model)
    with runs.install():
        assert answers(model) == without
    assert Slot(segment, 0).jobs == (3, 3, 0) and Slot(segment, 0).depth == 0, "a run that raises has failed"
    with runs.install(terminate=True):
        assert answers(model) == without
    with runs.install(Broken(), terminate=True):  # type: ignore[arg-type]
        assert answers(model) == without, "whatever is wrong with a report"
    assert answers(model) == without
    assert onnxruntime.InferenceSession.run.__module__.startswith("onnxruntime"), "and taken out again"


def test_runs_of_other_threads_are_jobs_on_lanes_of_theirs_which_end_with_them(worker: hangwatch.Worker, segment: Path, model: str) -> None:
    made = session(model)
    ready, go = threading.Barrier(4), threading.Event()

    def work() -> None:
        made.run(None, feed())
        ready.wait()
        go.wait()
        made.run(None, feed())

    with runs.install(lanes=2):
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        ready.wait()
        seen = [(index, Slot(segment, index).jobs) for index in taken(segment, 8)]
        go.set()
        for thread in threads:
            thread.join()
    assert seen == [(0, (0, 0, 0)), (1, (1, 0, 0)), (2, (1, 0, 0))], "for the third there was none, and it ran"
    assert taken(segment, 8) == [0]


def test_a_stop_is_told_once_after_a_run(calls: Noted, model: str) -> None:
    made = session(model)
    told: List[int] = []

    def on_stop() -> None:
        told.append(1)
        raise RuntimeError

    with runs.install(on_stop=on_stop) as installed:
        made.run(None, feed())
        assert not installed.should_stop()
        calls.stop = True
        made.run(None, feed())
        made.run(None, feed())
    assert told == [1] and installed.stopped


def test_a_run_in_progress_is_ended_from_the_side_where_that_is_wanted(calls: Noted, model: str) -> None:
    made, options = session(model), onnxruntime.RunOptions()
    before = set(threading.enumerate())
    with runs.install():
        assert not set(threading.enumerate()) - before, "who does not ask for it has no thread"
    with runs.install(terminate=True):
        for more in ([], [options]):
            calls.stop = False
            threading.Timer(0.2, lambda: setattr(calls, "stop", True)).start()
            with pytest.raises(Exception, match="terminate"):
                made.run(None, feed(10**15), *more)
        calls.stop = False
        assert made.run(None, feed(), options) == [4], "the caller's options are as they were"
    assert calls.calls == [RUN, "cancelled", RUN, "cancelled", RUN, "ok"]


SOON = ["--inference-step-timeout", "1s"]


def where(event: Any) -> List[Any]:
    return [event[key] for key in ("verdict", "phase", "done", "total", "job", "model")]


def test_the_example_says_the_same_watched_or_not(segment: Path, scratch: Path) -> None:
    def said(**variables: str) -> str:
        words = [sys.executable, "-B", WORKER, str(scratch / "counts.onnx")]
        return subprocess.run(words, env={**os.environ, **variables}, capture_output=True, text=True, check=True).stdout

    assert said() == said(HANGWATCH_SEGMENT=str(segment)) == "".join(["alone: 5.0\n", *(f"{n} {n + 1}.0\n" for n in range(10))])
    assert Slot(segment, 0).jobs == (2, 0, 0)


def test_a_run_that_never_ends_is_caught_in_it_and_its_stack_is_kept(binary: str, scratch: Path) -> None:
    with Run(binary, scratch, [*PYTHON, WORKER, str(scratch / "counts.onnx"), "--hang"], *SOON, *once()) as run:
        (opened,) = run.opened()
        run.wait()
    assert where(opened) == ["silent", "inference", 6, 10, "batch", "counts"], opened
    assert "onnxruntime_inference_collection.py" in run.stacks(), "it hangs within onnxruntime"


IGNORES_TERM = """
import runpy, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_run_that_may_be_ended_from_the_side_is_when_its_worker_is_asked_to_stop(binary: str, scratch: Path) -> None:
    # Only the command word ends it before the grace does.
    command = [*PYTHON, "-c", IGNORES_TERM, WORKER, str(scratch / "counts.onnx"), "--hang", "--terminate"]
    with Run(binary, scratch, command, *SOON, *once(grace="10m")) as run:
        run.opened()
        run.wait()
    # Its stacks, which the monitor asks for meanwhile, may stand on either side.
    assert "ended: " in run.log(0) and "terminate flag" in run.log(0), run.log(0)
