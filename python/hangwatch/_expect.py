"""What an argument must be, said with its name and with what it is."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from inspect import iscoroutinefunction
from reprlib import repr as short
from typing import Any, NoReturn

from ._errors import UsageError

_MOST = 2**32 - 1


class Expect:
    """Refuses what makes no sense of a call that does `what`. None stands for an argument that was not given."""

    def __init__(self, what: str) -> None:
        self._what = what

    def refuse(self, name: str, value: object, expected: str, *hints: str) -> NoReturn:
        raise UsageError(self._what, f"{name} is {short(value)}, expected {expected}", hints)

    def counts(self, **given: Any) -> None:
        for name, value in given.items():
            try:
                fits = value is None or not isinstance(value, bool) and 0 <= operator.index(value) <= _MOST
            except TypeError:
                fits = False
            if not fits:
                self.refuse(name, value, "a whole number, 0 or more")

    def paths(self, **given: object) -> None:
        for name, value in given.items():
            if value is not None and not isinstance(value, (str, bytes, os.PathLike)):
                self.refuse(name, value, "a path")

    def flags(self, **given: object) -> None:
        for name, value in given.items():
            if not isinstance(value, bool):
                self.refuse(name, value, "True or False")

    def one_of(self, name: str, value: object, *those: str) -> None:
        if value not in those:
            texts = [f"'{text}'" for text in those]
            self.refuse(name, value, f"{', '.join(texts[:-1])} or {texts[-1]}")

    def words(self, name: str, value: object) -> None:
        """A command, in one text or in words."""
        if value is None or isinstance(value, str):
            return
        if not isinstance(value, Iterable) or not all(isinstance(word, (str, bytes, os.PathLike)) for word in value):
            self.refuse(name, value, "a command: a text, or a list of words")

    def some(self, name: str, value: Any, kinds: Any, of: str) -> None:
        """Several; a text is none, for its characters are not meant."""
        is_list = not isinstance(value, (str, bytes)) and isinstance(value, Iterable)
        if not is_list or not all(isinstance(item, kinds) for item in value):
            self.refuse(name, value, f"a list of {of}")

    def variables(self, name: str, value: object) -> None:
        if value is None:
            return
        if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
            self.refuse(name, value, "a dict of texts", "write {'PORT': '80{i}'}: every value is a text")

    def callback(self, on_event: object) -> None:
        if on_event is not None and not callable(on_event):
            self.refuse("on_event", on_event, "a function of one event")
        if iscoroutinefunction(on_event):
            hint = "write 'async for event in monitor.events()', or schedule it in the loop yourself"
            raise UsageError(self._what, "on_event is a coroutine function, which nobody would await", (hint,))
