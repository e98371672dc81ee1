"""What a route is: a path pattern and the function that handles its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from retab_frames.sandbox.parameters import QueryParameters

PathParameters: TypeAlias = dict[str, str]
"""The values of the `{names}` of a path pattern."""
Handler: TypeAlias = "Callable[[PathParameters, QueryParameters], object]"
"""Returns the value that is sent as JSON."""
Route: TypeAlias = tuple[str, Handler]
