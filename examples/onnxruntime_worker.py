#!/usr/bin/env python3
"""Answers with a model of onnxruntime, watched by hangwatch.

    pip install ./python onnxruntime onnx
    hangwatch run --inference-step-timeout 60s -- python examples/onnxruntime_worker.py

`--hang` makes one run never end, within onnxruntime, to see what is told of it; with `--terminate` it then ends itself when it is asked to.
"""

from __future__ import annotations

import argparse
import sys

import hangwatch
import numpy as np
import onnx
import onnxruntime
from hangwatch.integrations import onnxruntime as runs
from onnx import TensorProto, helper


def model(path: str) -> str:
    """x, and `times` times one more: a run as long as is wanted, within one call."""
    scalar = lambda name, kind: helper.make_tensor_value_info(name, kind, [])  # noqa: E731
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Add", ["value", "one"], ["next"]),
        ],
        "body",
        [scalar("at", TensorProto.INT64), scalar("go", TensorProto.BOOL), scalar("value", TensorProto.FLOAT)],
        [scalar("on", TensorProto.BOOL), scalar("next", TensorProto.FLOAT)],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)],
        "counts",
        [scalar("times", TensorProto.INT64), scalar("x", TensorProto.FLOAT)],
        [scalar("y", TensorProto.FLOAT)],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    onnx.save(made, path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="where to write the model")
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--terminate", action="store_true")
    asked = parser.parse_args()

    worker = hangwatch.attach()
    hangwatch.dump_stacks_on("SIGUSR1")
    installed = runs.install(terminate=asked.terminate)
    session = onnxruntime.InferenceSession(model(asked.model), providers=["CPUExecutionProvider"])

    def answer(times: int) -> float:
        return float(session.run(None, {"x": np.array(1, np.float32), "times": np.array(times)})[0])

    print("alone:", answer(4), flush=True)
    try:
        with worker.job("batch", model="counts", total=10) as job:
            for done in range(10):
                if installed.should_stop():
                    break
                print(done, answer(10**15 if asked.hang and done == 6 else done), flush=True)
                job.step()
    except Exception as error:
        if not installed.should_stop():
            raise
        print("ended:", error, flush=True)
        sys.exit(0)


if __name__ == "__main__":
    main()
