"""Each test has a folder of its own in a tmpfs, sees none of hangwatch's variables, and makes real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

import hangwatch
from noted import Noted

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of hangwatch's, and no worker of a test before."""
    for name in [name for name in os.environ if name.startswith("HANGWATCH_")]:
        monkeypatch.delenv(name)
    yield
    worker = hangwatch.current()
    if worker is not None:
        worker.detach()
    hangwatch.set_current(None)


@pytest.fixture
def scratch() -> Iterator[Path]:
    folder = tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture
def segment(scratch: Path) -> Path:
    return scratch / "segment"


@pytest.fixture
def worker(segment: Path) -> Iterator[hangwatch.Worker]:
    """A worker in slot 0 of a segment of its own."""
    with hangwatch.attach("test", segment=segment) as worker:
        assert worker.slot == 0
        yield worker


@pytest.fixture
def calls() -> Iterator[Noted]:
    """A current worker that notes what it is told."""
    calls = Noted()
    hangwatch.set_current(calls)  # type: ignore[arg-type]
    yield calls
    hangwatch.set_current(None)


@pytest.fixture
def binary() -> str:
    """The `hangwatch` that is tested beside."""
    return os.environ["CARGO_BIN_EXE_hangwatch"]


@pytest.fixture(scope="session")
def wheel() -> Path:
    """What `python/wheel` built, and the runner installed. pip leaves its own beside it, of this machine alone."""
    (path,) = (ROOT / "target" / "wheels").glob("*manylinux*.whl")
    return path


@pytest.fixture(scope="session")
def sdist() -> Path:
    (path,) = (ROOT / "target" / "wheels").glob("*.tar.gz")
    return path


def script(text: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A Python program of its own, to its end."""
    command = [sys.executable, "-B", "-c", text, *arguments]
    return subprocess.run(command, env={**os.environ, **variables}, cwd=HERE, capture_output=True, text=True)


def skip_visibly(what: str, why: str) -> NoReturn:
    """Skips, and says so where the whole run's end tells it (tests/run)."""
    with open(os.environ.get("SKIPPED_CHECKS", os.devnull), "a") as skipped:
        print(f"skipped {what}: {why}", file=skipped)
    pytest.skip(why)


def index_answers(pip: Sequence[str], scratch: Path) -> bool:
    """Whether packages can be had here. Asked after something failed: with it, that is an error."""
    command = [*pip, "download", "--quiet", "--no-deps", "--dest", str(scratch), "pytest==9.2.0"]
    return subprocess.run(command, capture_output=True).returncode == 0
