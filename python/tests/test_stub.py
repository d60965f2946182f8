"""The stub is the manual: it and the extension have the same names, both ways, and the same arguments."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Union

import hangwatch
from conftest import script
from hangwatch import _hangwatch

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
STUB = ast.parse((Path(hangwatch.__file__).parent / "_hangwatch.pyi").read_text())
# What each class has of `object`, and what makes an object work with `with`.
OF_OBJECT = set(dir(object)) | {"__module__", "__weakref__"}


def names(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """The names that a body of the stub defines; aliases of types of its own begin with `_`."""
    found: dict[str, ast.stmt] = {}
    for it in body:
        if isinstance(it, (ast.FunctionDef, ast.ClassDef)):
            found[it.name] = it
        elif isinstance(it, ast.AnnAssign) and isinstance(it.target, ast.Name):
            found[it.target.id] = it
    return found


def test_the_modules_names_are_the_stubs_both_ways() -> None:
    # PyO3 adds `__all__`.
    own = {name for name in dir(_hangwatch) if not name.startswith("__") or name == "__version__"}
    assert own == set(names(STUB.body))


def test_each_classs_names_are_the_stubs_both_ways() -> None:
    classes = {name: it for name, it in names(STUB.body).items() if isinstance(it, ast.ClassDef)}
    assert set(classes) == {"Worker", "Job", "Section", "InterpreterWatch", "Monitor", "Calls", "Supervisor", "Start"}
    for name, stub in classes.items():
        assert set(dir(getattr(_hangwatch, name))) - OF_OBJECT == set(names(stub.body)), name


def arguments(stub: Function) -> list[tuple[str, str, bool]]:
    """Name, kind and whether it has a default."""
    plain = [*stub.args.posonlyargs, *stub.args.args]
    without = len(plain) - len(stub.args.defaults)
    kinds = ["POSITIONAL_ONLY"] * len(stub.args.posonlyargs) + ["POSITIONAL_OR_KEYWORD"] * len(stub.args.args)
    found = [(it.arg, kind, i >= without) for i, (it, kind) in enumerate(zip(plain, kinds))]
    found += [(it.arg, "KEYWORD_ONLY", default is not None) for it, default in zip(stub.args.kwonlyargs, stub.args.kw_defaults)]
    return [it for it in found if it[0] != "self"]


def test_each_callables_arguments_are_the_stubs() -> None:
    stubs = [(name, it, getattr(_hangwatch, name)) for name, it in names(STUB.body).items()]
    for name, it, cls in list(stubs):
        if isinstance(it, ast.ClassDef):
            stubs += [(f"{name}.{method}", its, getattr(cls, method)) for method, its in names(it.body).items()]
    compared = 0
    for name, it, real in stubs:
        # A property has no arguments, and a slot of a type no names for them.
        if isinstance(it, ast.FunctionDef) and not it.decorator_list and not name.endswith(("__enter__", "__exit__")):
            signature = inspect.signature(real).parameters.values()
            has = [(p.name, p.kind.name, p.default is not p.empty) for p in signature if p.name != "self"]
            assert has == arguments(it), name
            compared += 1
    assert compared > 20, "the stub was read"


def test_all_that_the_package_offers_is_there_and_documented() -> None:
    for name in hangwatch.__all__:
        assert getattr(hangwatch, name) is not None
    assert (Path(hangwatch.__file__).parent / "py.typed").exists()


def test_a_workers_start_pays_for_nothing_of_the_monitors_side() -> None:
    said = script(
        """
import sys
import hangwatch
late = {"asyncio", "json", "dataclasses", "hangwatch._events", "hangwatch._monitor", "hangwatch._status"}
assert not late & set(sys.modules), late & set(sys.modules)
assert set(hangwatch.__all__) <= set(dir(hangwatch))
hangwatch.Monitor
assert late <= set(sys.modules)
try:
    hangwatch.monitor
except AttributeError as e:
    print(e)
"""
    )
    assert (said.returncode, said.stdout) == (0, "module 'hangwatch' has no attribute 'monitor'\n"), said.stderr
