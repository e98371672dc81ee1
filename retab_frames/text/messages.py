"""Parts of a message for people: a value made printable, and a hint at a mistyped name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.errors import escape_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["did_you_mean", "printable"]


def printable(value: object, limit: int = 80) -> str:
    """Return the value as text for a message: printable, on one line, at most `limit` long."""
    text = value if isinstance(value, str) else repr(value)
    safe = escape_line(text)
    return safe if len(safe) <= limit else f"{safe[: limit - 1]}…"


def did_you_mean(
    name: str, known: Iterable[str], most: int = 1, *, as_text: Callable[[str], str] = printable
) -> str:
    """Return " (did you mean X?)" with the known names nearest to a mistyped one.

    Args:
        name: The name that is not known.
        known: The names that are.
        most: How many of them to suggest at most.
        as_text: How a name is written in the message.

    Returns:
        The suggestion, to stand at the end of a message; empty if no known name is near.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - few messages have a hint

    near = get_close_matches(name, list(known), n=most)
    return f" (did you mean {' or '.join(map(as_text, near))}?)" if near else ""
