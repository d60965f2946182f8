"""What lasts until the end of a `with` block at the latest."""

from __future__ import annotations

from types import TracebackType
from typing import Optional, Type, TypeVar

Self = TypeVar("Self", bound="Block")


class Block:
    """`with` gives the object itself; the block's end, however it comes, calls `_exit`."""

    def _exit(self) -> None:
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, exc_type: Optional[Type[BaseException]], exc: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self._exit()
