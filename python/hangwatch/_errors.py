"""The package's exceptions: what was being done to what, why it failed, and the way out."""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """`what: why`, then a line for each hint."""

    kind: ClassVar[str] = "system"
    """What kind of failure, for programs."""
    code: ClassVar[int] = 7
    """The same as C's `hangwatch_code_e` has it."""

    def __init__(self, what: str, why: str, hints: tuple[str, ...] = ()) -> None:
        super().__init__(what, why, tuple(hints))
        self.what = what
        self.why = why
        self.hints = tuple(hints)

    def __str__(self) -> str:
        return "\n  ".join([f"{self.what}: {self.why}", *self.hints])


class UsageError(Error):
    """An argument or an environment variable makes no sense."""

    kind = "usage"
    code = 1


class NotFoundError(Error):
    """There is no such segment, slot or phase."""

    kind = "not_found"
    code = 2


class BadSegmentError(Error):
    """The segment is damaged, foreign, or of another version."""

    kind = "bad_segment"
    code = 3


class DeniedError(Error):
    """Permissions, ownership or mode forbid it."""

    kind = "denied"
    code = 4


class FullError(Error):
    """No room: the file system, or every slot is taken."""

    kind = "full"
    code = 5


class HeldError(Error):
    """Somebody else holds it."""

    kind = "held"
    code = 6


class SystemCallError(Error):
    """The system said no for another reason."""

    kind = "system"
    code = 7


for _class in (Error, *Error.__subclasses__()):
    _class.__module__ = "hangwatch"  # as programs and tracebacks name them

_BY_CODE: dict[int, type[Error]] = {
    cls.code: cls
    for cls in (UsageError, NotFoundError, BadSegmentError, DeniedError, FullError, HeldError, SystemCallError)
}


def error_of(code: int, what: str, why: str, hints: list[str]) -> Error:
    """The extension's error as an exception."""
    return _BY_CODE.get(code, SystemCallError)(what, why, tuple(hints))
