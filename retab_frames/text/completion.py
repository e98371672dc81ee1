"""Which names of an object tab completion shows: those for users, and not what wings share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["hide_names"]

Class = TypeVar("Class", bound=type)


def hide_names(*inner: str) -> Callable[[Class], Class]:
    """Return a decorator of a class that leaves these names out of `dir`.

    Other modules of this library use them; a user has no need to know them. Completion leaves out
    by itself what begins with an underscore.
    """

    def hide(kind: Class) -> Class:
        def list_names(self: object) -> list[str]:
            return [name for name in object.__dir__(self) if name not in inner]

        kind.__dir__ = list_names  # type: ignore[method-assign, assignment]
        return kind

    return hide
