"""Subinterpreters are refused before the extension is looked at: the first interpreter that loads it has it for good."""

from __future__ import annotations

import importlib


def _is_main() -> bool:
    # Named so since 3.13, and before it with an x in front; each is a module of CPython's own.
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            module = importlib.import_module(name)
            ours, main = module.get_current(), module.get_main()
        except (ImportError, AttributeError):
            continue
        # From 3.13 on a tuple that begins with the number.
        if isinstance(ours, tuple) and isinstance(main, tuple):
            return bool(ours[0] == main[0])
        return bool(ours == main)
    return True  # then the extension looks itself


def refuse_subinterpreters() -> None:
    if not _is_main():
        raise ImportError(
            "cannot import hangwatch: this is a subinterpreter, and a worker is a process's main interpreter\n"
            "  import it in the main one; under mod_wsgi that is 'WSGIApplicationGroup %{GLOBAL}'"
        )
