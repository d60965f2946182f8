"""What a host's objects do as a section of the call that they do it in: hooks in the methods of their classes, not in the objects.

So a copy of an object, and a file of it, know nothing of a hook, and calls of several threads may share an object. One that has a
method of its own in its class's place (what `torch.compile` makes of it) has a stand-in for that while a call is in flight.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
import weakref
from typing import Any, Callable, Dict, List, Optional, Tuple

from ._calls import Hooks, is_ours, ours
from ._proxies import StandIn

Does = Callable[[Any, Callable[..., Any], Tuple[Any, ...], Dict[str, Any]], Any]
"""What is called instead of a method: with the object, its method, and the arguments."""


class Stages:
    """Hooks that are there as long as somebody holds them: an installation, and each call that began under it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hooks = Hooks()
        self._holders = 0
        os.register_at_fork(after_in_child=self._renew)

    def hold(self) -> None:
        with self._lock:
            if self._holders == 0:
                # Those that were taken out are out for good.
                self._hooks = Hooks()
            self._holders += 1

    def let_go(self, own: List[Own]) -> None:
        """Of the hooks, and of those that this holder's objects got."""
        with self._lock:
            for hook in own:
                hook.let_go()
            self._holders -= 1
            if self._holders == 0:
                self._hooks.take_out()

    def hook_class(self, cls: type, name: str, does: Does) -> None:
        """Hooks a method of a class, where it is defined; once, whoever comes by."""
        definer = next((it for it in cls.__mro__ if name in vars(it)), None)
        if definer is None:
            return
        with self._lock:
            original = vars(definer)[name]
            if self._holders > 0 and inspect.isfunction(original) and not is_ours(original):
                self._hooks.put(definer, name, ours(_hooked(original, does)))

    def hook(self, owner: Any, name: str, does: Does) -> Optional[Own]:
        """Hooks a method of an object's class. What it gives is the hook of the object's own method, where it has one."""
        self.hook_class(type(owner), name, does)
        with self._lock:
            original = vars(owner).get(name)
            if isinstance(original, Own):
                original.holders += 1
                return original
            if not callable(original):
                return None
            # Not by setattr: modules and pipelines have rules of their own for it.
            vars(owner)[name] = hook = Own(original, owner, name, does)
            return hook

    def _renew(self) -> None:
        # A forked child: whoever had it may not be there.
        self._lock = threading.Lock()


def _hooked(original: Callable[..., Any], does: Does) -> Callable[..., Any]:
    is_compiling = _is_compiling()

    @functools.wraps(original)
    def hooked(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if is_compiling():
            # The compiler takes it for a constant, and what it makes of the method has nothing of the hook.
            return original(self, *args, **kwargs)
        return does(self, functools.partial(original, self), args, kwargs)

    return hooked


class Own(StandIn):
    """In place of a method that an object has of its own."""

    def __init__(self, original: Callable[..., Any], owner: Any, name: str, does: Does) -> None:
        super().__init__(original)
        self.holders = 1
        self.__wrapped__ = original
        self._owner = weakref.ref(owner)
        self._name = name
        self._does = does

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        owner = self._owner()
        return self._original(*args, **kwargs) if owner is None else self._does(owner, self._original, args, kwargs)

    def let_go(self) -> None:
        self.holders -= 1
        owner = self._owner()
        if self.holders == 0 and owner is not None and vars(owner).get(self._name) is self:
            vars(owner)[self._name] = self._original


def _is_compiling() -> Callable[[], bool]:
    compiler = getattr(sys.modules.get("torch"), "compiler", None)
    return getattr(compiler, "is_compiling", None) or _never


def _never() -> bool:
    return False
