"""One wheel for every CPython from 3.9 on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from conftest import HERE, ROOT, index_answers, skip_visibly
from interpreters import MINORS, interpreter

VENVS = ROOT / "target" / "python-matrix"
# What needs the package alone, and touches all of the extension.
LIGHT = ["blocks", "children", "detached", "errors", "steps", "stub", "values"]
# The last that runs on 3.9; it runs on all.
PYTEST = "pytest==8.4.2"


def pip(python: str) -> List[str]:
    """Ours, at work for another interpreter, which needs none of its own then."""
    return [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "--python", python]


def tools(scratch: Path) -> Path:
    """pytest for all of them, installed once: what it needs on the oldest runs on the others."""
    folder = VENVS / PYTEST
    if not (folder / "pytest").is_dir():
        oldest = next(path for path in map(interpreter, MINORS) if path is not None)
        done = subprocess.run([*pip(oldest), "install", "--upgrade", "--target", str(folder), PYTEST], capture_output=True, text=True)
        if done.returncode != 0 and not index_answers([sys.executable, "-m", "pip"], scratch):
            skip_visibly("the wheel on other interpreters", "pytest cannot be had from PyPI here")
        assert done.returncode == 0, done.stderr
    return folder


# The one that runs this runs all tests.
@pytest.mark.parametrize("minor", [minor for minor in MINORS if minor != sys.version_info[1]], ids=lambda minor: f"3.{minor}")
def test_the_one_wheel_installs_and_works_on_every_interpreter_that_is_here(scratch: Path, wheel: Path, minor: int) -> None:
    python = interpreter(minor)
    if python is None:
        skip_visibly(f"the wheel on Python 3.{minor}", "no such interpreter is here")
    with_pytest = tools(scratch)
    venv = VENVS / f"3.{minor}"
    own = str(venv / "bin" / "python")
    subprocess.run([python, "-m", "venv", "--clear", "--without-pip", str(venv)], check=True)
    subprocess.run([*pip(own), "install", "--no-deps", "--no-index", str(wheel)], check=True)
    env = {**os.environ, "PYTHONPATH": str(with_pytest), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [own, "-B", "-m", "pytest", "-q", "--rootdir", "..", *(f"test_{name}.py" for name in LIGHT)]
    done = subprocess.run(command, env=env, cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, f"Python 3.{minor}: the package's light tests\n{done.stdout}{done.stderr}"
    assert " passed" in done.stdout and "failed" not in done.stdout, done.stdout
