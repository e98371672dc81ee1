"""Query parameters, checked as the API checks them and with its error messages."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from retab_frames.sandbox.messages import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_LIMIT = 100


@dataclass(frozen=True, slots=True)
class QueryParameters:
    """The query parameters of one request, each with all its values."""

    values: Mapping[str, Sequence[str]]

    def get_text(self, name: str) -> str | None:
        """Return the last value of a parameter; None if it is missing or empty."""
        values = self.values.get(name)
        return values[-1] if values and values[-1] else None

    def require_text(self, name: str) -> str:
        """Return the value of a required parameter."""
        value = self.get_text(name)
        if value is None:
            raise make_parameter_error(name, "missing", "Field required", None)
        return value

    def get_choice(self, name: str, choices: Sequence[str], default: str | None) -> str | None:
        """Return a value that must be one of the choices."""
        value = self.get_text(name)
        if value is not None and value not in choices:
            expected = " or ".join(f"'{choice}'" for choice in choices)
            raise make_parameter_error(name, "enum", f"Input should be {expected}", value)
        return default if value is None else value

    def get_limit(self, default: int) -> int:
        """Return the number of rows per page, from 1 to `MAX_LIMIT`."""
        value = self.get_text("limit")
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            message = "Input should be a valid integer, unable to parse string as an integer"
            raise make_parameter_error("limit", "int_parsing", message, value) from None
        if number < 1:
            message = "Input should be greater than or equal to 1"
            raise make_parameter_error("limit", "greater_than_equal", message, value)
        if number > MAX_LIMIT:
            message = f"Input should be less than or equal to {MAX_LIMIT}"
            raise make_parameter_error("limit", "less_than_equal", message, value)
        return number


def make_parameter_error(name: str, kind: str, message: str, value: object) -> ApiError:
    """Return the error 422 that FastAPI sends for a query parameter."""
    problem = {"type": kind, "loc": ["query", name], "msg": message, "input": value}
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, [problem])
