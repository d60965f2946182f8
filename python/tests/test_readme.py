"""The package's README, done word by word."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Dict, List

from conftest import ROOT, index_answers, skip_visibly
from readme import blocks, section, table

CAUGHT = "A script that hangs, caught"


def installed(scratch: Path) -> Path:
    """The folder of programs of a fresh venv, in which the README's line for that has installed the package."""
    # The same folder each time: what was built for its interpreter need not be built again.
    venv = ROOT / "target" / "python-fresh-venv"
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    line = next(line for line in blocks("Install", "sh")[0].splitlines() if line.startswith("pip install"))
    programs = venv / "bin"
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(["sh", "-c", line.split("#")[0]], cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode != 0 and not index_answers([str(programs / "pip")], scratch):
        skip_visibly("'pip install' of the Python package in a fresh venv", "the build's own tools cannot be had from PyPI here")
    assert done.returncode == 0, f"'{line}' in a fresh venv:\n{done.stdout}{done.stderr}"
    return programs


def test_installed_in_a_fresh_venv_the_script_that_hangs_is_caught_and_the_bundle_shows_its_stack(
    binary: str, scratch: Path
) -> None:
    programs = installed(scratch)
    (script,) = blocks(CAUGHT, "python")
    assert len([line for line in script.splitlines() if line]) == 10, "ten lines"
    (scratch / "worker.py").write_text(script)
    run, cat = blocks(CAUGHT, "sh")[0].splitlines()
    # The interpreter of the fresh venv, and the binary that is tested beside: the line itself is the README's.
    path = f"{programs}:{Path(binary).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "HANGWATCH_DIR": str(scratch), "PYTHONDONTWRITEBYTECODE": "1"}
    output = scratch / "output"
    with output.open("w") as file:
        process = subprocess.Popen(["sh", "-c", f"exec {run}"], cwd=scratch, env=env, stdout=file, stderr=file)
    try:
        while "replaced: pid" not in output.read_text():
            assert process.poll() is None, output.read_text()
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    said = output.read_text()
    shown = blocks(CAUGHT, "text")[0].splitlines()
    assert "silent in inference" in said and "at 42% (21/50), job a1b2c3d4" in said, "it is told where it hangs"
    for line in shown[1:3]:
        # Process numbers differ.
        for words in line.split(" pid 4821 -> 4917, "):
            assert words.split(" ", 1)[1] in said, line
    stack = subprocess.run(["sh", "-c", cat], cwd=scratch, env=env, capture_output=True, text=True).stdout
    frames = [line.strip().replace('File "', f'File "{scratch}/') for line in shown if line.startswith("  File")]
    assert len(frames) == 2
    for frame in frames:
        assert frame in stack or frame.replace(f"{scratch}/", "") in stack, "the bundle shows the stack of the hung script"


def test_what_the_readme_says_of_installing_is_what_the_build_asks_for() -> None:
    said = section("Install")
    manifest = (ROOT / "Cargo.toml").read_text()
    rust = re.search(r'^\[workspace.package\][^\[]*^rust-version = "(.*)"', manifest, flags=re.MULTILINE)
    python = re.search(r'^requires-python = ">=(.*)"', (ROOT / "python/pyproject.toml").read_text(), flags=re.MULTILINE)
    assert rust and f"Rust {rust[1]} " in said
    assert python and f"Python {python[1]} " in said


def test_the_table_of_extras_is_what_the_package_has() -> None:
    has: Dict[str, List[str]] = {extra: [] for extra in metadata("hangwatch").get_all("Provides-Extra") or []}
    for line in requires("hangwatch") or []:
        needed = re.match(r"([\w.-]+).*extra == ['\"]([\w-]+)['\"]", line)
        assert needed, line
        has[needed[2]].append(needed[1])
    said = {row[0].strip("`"): row[1].split(", ") for row in table("Extras")}
    assert said == has and list(said) == sorted(said), "each extra has its row, in order of their names"
