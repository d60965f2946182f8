"""AI Horde's `bridgeData.yaml` as a policy."""

from __future__ import annotations

import os
import re
import warnings
from importlib import import_module
from typing import Any, Callable, Dict, List, Tuple, Type, Union

from ._errors import UsageError
from ._status import extension

MAX_BYTES = 1 << 20
"""No policy is larger; what is, is another file."""

_INT = re.compile(r"[-+]?[0-9]+\Z|0x[0-9a-fA-F]+\Z|0o[0-7]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOTHING = ("", "~", "null", "Null", "NULL")
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def policy_of(path: Union[str, os.PathLike[str]]) -> Dict[str, Any]:
    """The policy that the worker's `bridgeData.yaml` says: a dict for `hangwatch.Monitor`.

    As `hangwatch watch --config` reads it: seven keys, in whole seconds, and no other; a value outside the worker's own range is
    taken, with a `UserWarning`. Raises `UsageError`. The YAML is read by PyYAML or ruamel.yaml, whichever is installed:
    the package's extra `horde` brings one.
    """
    name = os.fspath(path)
    bridge_policy = extension("bridge_policy", f"cannot read policy '{name}'")
    policy, odd = bridge_policy(name, _entries(name, _text(name)))
    for warning in odd:
        warnings.warn(warning, stacklevel=2)
    told: Dict[str, Any] = policy
    return told


def _wrong(place: str, why: str, hint: str) -> UsageError:
    return UsageError(f"cannot read policy '{place}'", why, (hint,))


def _text(name: str) -> str:
    try:
        with open(name, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as e:
        raise _wrong(name, (e.strerror or str(e)).lower(), "name the worker's bridgeData.yaml") from None
    if len(content) > MAX_BYTES:
        raise _wrong(name, f"it is larger than {MAX_BYTES} bytes", "a policy is a few lines of YAML; is this the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _wrong(name, "it is not UTF-8 text", "save it as UTF-8; is this the right file?") from None


def _library(name: str) -> Tuple[Callable[[str], Any], Type[Exception]]:
    """What composes a text, and what it raises."""
    try:
        pyyaml = import_module("yaml")
        return lambda text: pyyaml.compose(text, pyyaml.SafeLoader), pyyaml.YAMLError
    except ImportError:
        pass
    try:
        ruamel = import_module("ruamel.yaml")
    except ImportError:
        raise _wrong(name, "no library for YAML is installed", "pip install pyyaml, or ruamel.yaml") from None
    errors: Type[Exception] = import_module("ruamel.yaml.error").YAMLError
    return lambda text: ruamel.YAML(typ="safe", pure=True).compose(text), errors


def _compose(name: str, text: str) -> Any:
    """The tree of nodes, before any of them is taken for a value: libraries differ in what they take for a number."""
    compose, errors = _library(name)
    try:
        return compose(text)
    except RecursionError:
        raise _wrong(name, "it is nested too deeply", "is this the right file?") from None
    except errors as e:
        mark = getattr(e, "problem_mark", None)
        place = name if mark is None else f"{name}:{mark.line + 1}"
        why = str(getattr(e, "problem", None) or e).splitlines()[0]
        raise _wrong(place, f"not YAML: {why}", "write 'key: value' on lines of their own, indented alike") from None


def _entries(name: str, text: str) -> List[Tuple[str, int, Any]]:
    node = _compose(name, text)
    value = None if node is None else _value(node)
    if value is None:
        raise _wrong(name, "it is empty", "is this the right file?")
    if not isinstance(value, dict):
        raise _wrong(name, f"it is a {type(value).__name__}, expected keys with values", "is this the right file?")
    entries: List[Tuple[str, int, Any]] = []
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if any(key == known for known, _, _ in entries):
            raise _wrong(f"{name}:{line}", f"'{key}' stands twice", "keep one of the two")
        entries.append((key, line, _value(value_node)))
    return entries


def _value(node: Any) -> Any:
    """A scalar by the core schema of YAML 1.2; of a list and a mapping only that it is one."""
    if not isinstance(node.value, str):
        return {} if "Mapping" in type(node).__name__ else []
    text = node.value
    if node.style not in (None, ""):
        return text
    if text in _NOTHING:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    # No number that counts has as many digits as Python refuses to read.
    if _INT.match(text) and len(text) < 100:
        return int(text, 8) if text.startswith("0o") else int(text, 16) if text.startswith("0x") else int(text)
    return float(text) if _FLOAT.match(text) else text
