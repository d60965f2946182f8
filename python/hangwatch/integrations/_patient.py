"""Awaiting somebody else's call, and being told when it has to wait."""

from __future__ import annotations

from typing import Any, Awaitable, Callable, Generator, Generic, TypeVar

T = TypeVar("T")


class Patient(Generic[T]):
    """Awaits `call`. If that does not end at once, `waits` is called before, and `goes_on` when it has ended, in whatever way."""

    def __init__(self, call: Awaitable[T], waits: Callable[[], object], goes_on: Callable[[], object]) -> None:
        self._call = call
        self._waits = waits
        self._goes_on = goes_on

    def __await__(self) -> Generator[Any, Any, T]:
        steps: Any = self._call.__await__()
        try:
            asked = next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        self._waits()
        try:
            result: T = yield from _resumed(steps, asked)
            return result
        finally:
            self._goes_on()


def _resumed(steps: Any, asked: Any) -> Generator[Any, Any, Any]:
    """As `yield from steps` would go on that has given `asked` already."""
    while True:
        error = given = None
        try:
            given = yield asked
        except GeneratorExit:
            steps.close()
            raise
        except BaseException as e:  # noqa: BLE001 - a cancellation is the call's own matter
            error = e
        try:
            asked = steps.send(given) if error is None else steps.throw(error)
        except StopIteration as done:
            return done.value
