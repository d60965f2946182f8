"""Stand-ins for objects of a host: whatever such an object can do, its stand-in can."""

from __future__ import annotations

import copy
import functools
import operator
from typing import Any, Tuple

# Python looks these up in an object's class, so that `__getattr__` is not asked for them.
_SPECIAL = (
    *("__len__", "__length_hint__", "__bool__", "__contains__", "__getitem__", "__setitem__", "__reversed__"),
    *("__enter__", "__exit__"),
)


class StandIn:
    """In an object's place: what a subclass does not do itself, the object does. A copy or a file of it is one of the object."""

    def __new__(cls, original: Any, *_: Any) -> Any:
        types: Any = cls, type(original)
        return super().__new__(_like(*types))

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __copy__(self) -> Any:
        return copy.copy(self._original)

    def __reduce__(self) -> Tuple[Any, ...]:
        # By what every interpreter has: whoever reads the file may have no hangwatch.
        return operator.getitem, ((self._original,), 0)


@functools.lru_cache(maxsize=64)
def _like(cls: type, original: type) -> type:
    """`cls` with those special methods that `original` has."""
    has = {name: _delegate(name) for name in _SPECIAL if hasattr(original, name) and not hasattr(cls, name)}
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, **has})


def _delegate(name: str) -> Any:
    def special(self: Any, *args: Any) -> Any:
        answer = getattr(self._original, name)(*args)
        return self if answer is self._original else answer

    return special
