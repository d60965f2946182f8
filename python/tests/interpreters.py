"""The CPythons of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator, Optional

MINORS = range(9, 15)  # 3.9 is the oldest that the package supports, 3.14 the newest there is


def candidates(minor: int) -> Iterator[str]:
    named = shutil.which(f"python3.{minor}")
    if named is not None:
        yield named
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions", Path("/opt"), Path("/usr/local")]
    for root in roots:
        yield from map(str, sorted(root.glob(f"3.{minor}.*/bin/python3.{minor}"), reverse=True))


def interpreter(minor: int) -> Optional[str]:
    """One of that version with its GIL and with `venv`. What only has its name, as a shim of pyenv, is none."""
    asked = "import sys, venv; print(sys.version_info[1], getattr(sys, '_is_gil_enabled', lambda: True)())"
    for path in candidates(minor):
        said = subprocess.run([path, "-c", asked], capture_output=True, text=True)
        if said.returncode == 0 and said.stdout.split() == [str(minor), "True"]:
            return path
    return None
