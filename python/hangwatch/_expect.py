"""What an argument must be, said with its name and with what it is."""

from __future__ import annotations

import errno
import operator
import os
import shlex
from collections.abc import Iterable, Mapping
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from reprlib import repr as short
from typing import Any, Dict, List, NoReturn, Optional, Type

from ._errors import DeniedError, Error, FullError, NotFoundError, SystemCallError, UsageError

_MOST = 2**32 - 1
_BY_ERRNO: Dict[Optional[int], Type[Error]] = {
    errno.EEXIST: UsageError,
    errno.ENOTDIR: UsageError,
    errno.ENOENT: NotFoundError,
    errno.EACCES: DeniedError,
    errno.EPERM: DeniedError,
    errno.EROFS: DeniedError,
    errno.ENOSPC: FullError,
    errno.EDQUOT: FullError,
}


class Expect:
    """Refuses what makes no sense of a call that does `what`. None stands for an argument that was not given."""

    def __init__(self, what: str) -> None:
        self._what = what

    def refuse(self, name: str, value: object, expected: str, *hints: str) -> NoReturn:
        raise UsageError(self._what, f"{name} is {short(value)}, expected {expected}", hints)

    def count(self, name: str, value: Any) -> None:
        """One that must be given."""
        try:
            fits = not isinstance(value, bool) and 0 <= operator.index(value) <= _MOST
        except TypeError:
            fits = False
        if not fits:
            self.refuse(name, value, "a whole number, 0 or more")

    def counts(self, **given: Any) -> None:
        for name, value in given.items():
            if value is not None:
                self.count(name, value)

    def path(self, name: str, value: Any) -> Optional[str]:
        """The path as a text, of bytes too."""
        if value is None:
            return None
        try:
            path = os.fsdecode(value)
        except TypeError:
            self.refuse(name, value, "a path")
        if "\0" in path:
            self.refuse(name, value, "a path, in which there is no NUL")
        return path

    def folder(self, name: str, value: Any) -> Optional[str]:
        """A folder, which is made where it is absent."""
        path = self.path(name, value)
        if path is not None:
            try:
                os.makedirs(path, mode=0o700, exist_ok=True)
            except OSError as e:
                why = "it is no folder" if e.errno in (errno.EEXIST, errno.ENOTDIR) else os.strerror(e.errno or 0).lower()
                raise _BY_ERRNO.get(e.errno, SystemCallError)(self._what, f"{name} is '{path}': {why}") from None
        return path

    def flags(self, **given: object) -> None:
        for name, value in given.items():
            if not isinstance(value, bool):
                self.refuse(name, value, "True or False")

    def one_of(self, name: str, value: object, *those: str) -> None:
        if value not in those:
            texts = [f"'{text}'" for text in those]
            self.refuse(name, value, f"{', '.join(texts[:-1])} or {texts[-1]}")

    def words(self, name: str, value: Any) -> List[str]:
        """The words of a command that is given in one text or in words."""
        try:
            if value is None:
                return []
            return shlex.split(value) if isinstance(value, str) else [os.fsdecode(word) for word in value]
        except ValueError as e:
            self.refuse(name, value, f"a command in a text, or a list of words: {str(e).lower()}")
        except TypeError:
            self.refuse(name, value, "a command: a text, or a list of words")

    def some(self, name: str, value: Any, kinds: Any, of: str) -> List[Any]:
        """Several, each of which is given once at least; a text is none, for its characters are not meant."""
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            self.refuse(name, value, f"a list of {of}")
        those = list(value)
        if not all(isinstance(item, kinds) for item in those):
            self.refuse(name, those, f"a list of {of}")
        return those

    def variables(self, name: str, value: object) -> None:
        if value is None:
            return
        if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
            self.refuse(name, value, "a dict of texts", "write {'PORT': '80{i}'}: every value is a text")

    def callback(self, on_event: object) -> None:
        if on_event is not None and not callable(on_event):
            self.refuse("on_event", on_event, "a function of one event")
        hint = "write 'async for event in monitor.events()', or schedule it in the loop yourself"
        self.runs("on_event", on_event, hint)

    def runs(self, name: str, function: Any, hint: str) -> None:
        """Refuses one whose call would run nothing of it."""
        # An object's own is asked too; a class is called for what it makes.
        those = [function] if isinstance(function, type) else [function, getattr(function, "__call__", None)]
        if any(iscoroutinefunction(it) for it in those):
            raise UsageError(self._what, f"{name} is a coroutine function, which nobody would await", (hint,))
        if any(isgeneratorfunction(it) or isasyncgenfunction(it) for it in those):
            raise UsageError(self._what, f"{name} is a generator function, which nobody would iterate", (hint,))
