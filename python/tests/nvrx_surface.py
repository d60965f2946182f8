"""Prints the names that a user of the original's client meets: `nvrx_surface.py VERSION rank_monitor_client.py data.py >nvrx_surface.json`.

The files are of `nvidia_resiliency_ext/fault_tolerance` in the wheel of that version. They are read and not run.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any, Dict, List

DATA = ("HeartbeatTimeouts", "SectionTimeouts", "WorkloadAction", "WorkloadControlRequest")


def classes(path: str) -> Dict[str, ast.ClassDef]:
    return {it.name: it for it in ast.parse(Path(path).read_text()).body if isinstance(it, ast.ClassDef)}


def parameters(function: ast.FunctionDef) -> List[str]:
    given = function.args
    return [it.arg for it in [*given.posonlyargs, *given.args, *given.kwonlyargs] if it.arg != "self"]


def methods(cls: ast.ClassDef) -> Dict[str, List[str]]:
    found = [it for it in cls.body if isinstance(it, ast.FunctionDef) and (it.name == "__init__" or it.name[0] != "_")]
    return {it.name: parameters(it) for it in found}


def fields(cls: ast.ClassDef) -> List[str]:
    """Of a dataclass, or an enum's members."""
    annotated = [it.target.id for it in cls.body if isinstance(it, ast.AnnAssign) and isinstance(it.target, ast.Name)]
    return annotated + [it.targets[0].id for it in cls.body if isinstance(it, ast.Assign) and isinstance(it.targets[0], ast.Name)]


def surface(version: str, client: str, data: str) -> Dict[str, Any]:
    of_client, of_data = classes(client), classes(data)
    return {
        "package": "nvidia-resiliency-ext",
        "version": version,
        "RankMonitorClient": methods(of_client["RankMonitorClient"]),
        "constants": fields(of_client["RankMonitorClient"]),
        "data": {name: {"fields": fields(of_data[name]), "methods": methods(of_data[name])} for name in DATA},
    }


if __name__ == "__main__":
    json.dump(surface(*sys.argv[1:]), sys.stdout, indent=1)
    print()
