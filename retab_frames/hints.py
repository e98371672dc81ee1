"""What someone may have meant by a mistyped name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from retab_frames.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["meant"]


def meant(
    name: str, known: Iterable[str], most: int = 1, *, as_text: Callable[[str], str] = shown
) -> str:
    """Return a hint at the known names nearest to a mistyped one; nothing if none is near."""
    near = get_close_matches(name, list(known), n=most)
    return f" (did you mean {' or '.join(map(as_text, near))}?)" if near else ""
