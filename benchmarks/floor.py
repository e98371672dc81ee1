"""The least that reading can cost: JSON that is checked and skipped, or made Python objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Jobs(msgspec.Struct):
    """The jobs of a response, each as its text."""

    jobs: list[msgspec.Raw]


class Response(msgspec.Struct):
    """A response of `/content`."""

    content: Jobs


def validate_and_skip(bodies: Sequence[bytes]) -> int:
    """Check the JSON, keep each row as text, and return how many there are."""
    return sum(len(msgspec.json.decode(body, type=Response).content.jobs) for body in bodies)


def orjson_loads(bodies: Sequence[bytes]) -> int:
    """Make Python objects of the JSON, and no frame."""
    import orjson

    return sum(len(orjson.loads(body)["content"]["jobs"]) for body in bodies)
