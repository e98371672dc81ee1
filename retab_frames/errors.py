"""The errors that this library raises; wrong arguments raise TypeError or ValueError.

RetabFramesError
├── ConfigError                  no API key, or an invalid key or base URL
├── RequestError                 a request without a usable response
│   ├── TransportError           no response, or an incomplete one
│   │   └── DeadlineError        the request took longer than its deadline
│   ├── ApiStatusError           a response with an error status
│   │   ├── AuthError            401, 403
│   │   ├── NotFoundError        404: no such workflow, experiment or run
│   │   └── RateLimitError       429, and Retry-After is too long to wait
│   ├── ResponseTooLargeError    the body exceeds the size limit
│   └── PaginationError          the pages of a listing contradict each other
├── MalformedResponseError       a response is not JSON, or violates the contract of the API
├── SchemaError                  a frame does not fit its schema
├── MissingExtraError            an optional dependency is not installed; also an ImportError
├── QueryError                   DuckDB rejected the SQL
├── ForkError                    what a forked process must not use; also a RuntimeError
├── GateError                    a comparison did not pass a gate; also an AssertionError
│   ├── RegressionError          the candidate is worse than allowed
│   └── InconclusiveError        a check could not be made, or allows either
└── SnapshotError
    ├── SnapshotNotFoundError    no such run or revision in the store
    ├── SnapshotConflictError    another process wrote the same revision first
    ├── SnapshotWriteError       the file system or the bucket rejected the write
    └── SnapshotCorruptError     a file is missing, truncated or changed

RetabFramesWarning               a warning; the result is returned all the same
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know the name; typing takes longer to import than all this
if TYPE_CHECKING:
    from typing import Literal, Self

    import pandas as pd

__all__ = [
    "ApiStatusError",
    "AuthError",
    "ConfigError",
    "DeadlineError",
    "ForkError",
    "GateError",
    "InconclusiveError",
    "MalformedResponseError",
    "MissingExtraError",
    "NotFoundError",
    "PaginationError",
    "QueryError",
    "RateLimitError",
    "RegressionError",
    "RequestError",
    "ResponseTooLargeError",
    "RetabFramesError",
    "RetabFramesWarning",
    "SchemaError",
    "SnapshotConflictError",
    "SnapshotCorruptError",
    "SnapshotError",
    "SnapshotNotFoundError",
    "SnapshotWriteError",
    "TransportError",
]


def escape_line(text: str) -> str:
    """Return the text on one line, with an escape for each character that cannot be seen.

    Among them are the controls of terminals, of the direction of text, and lone surrogates; what
    is escaped already stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _escape_lines(text: str) -> str:
    return "\n".join(map(escape_line, text.split("\n")))


class Advised(Exception):  # noqa: N818 - warnings are among them
    """A message, and what to do next, in the words of the place where it is read.

    The text has no character that a terminal would obey, whatever data is in it.

    Attributes:
        next_step: What to do next, in Python and in the shell; None if the message says it.
    """

    next_step: tuple[str, str] | None = None

    def advise(self, next_step: tuple[str, str]) -> Self:
        """Say what to do next, and return the error: `raise Error(...).advise(LIST_RUNS)`."""
        self.next_step = next_step
        return self

    def __str__(self) -> str:
        return self.tell("python")

    def tell(self, place: Literal["python", "shell"]) -> str:
        """Return the message, and the next step in Python or in the shell."""
        text = super().__str__()
        if self.next_step is not None:
            text += f"; {self.next_step[place == 'shell']}"
        return _escape_lines(text)


class RetabFramesError(Advised):
    """The base class of all errors of this library."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by state, because the subclasses have keyword-only arguments."""
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    kind: type[RetabFramesError], args: tuple[object, ...], state: dict[str, object]
) -> RetabFramesError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class RetabFramesWarning(Advised, UserWarning):
    """A warning of this library; the result is returned all the same."""


class ConfigError(RetabFramesError):
    """The client has no API key, or an invalid key or base URL."""


class RequestError(RetabFramesError):
    """A request without a usable response.

    Attributes:
        path: The path of the URL, without host and query.
        attempts: How many times the request was sent.
        request_id: The `x-request-id` of the response; None if there was none.
    """

    def __init__(
        self, message: str, *, path: str, attempts: int = 1, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.path = path
        self.attempts = attempts
        self.request_id = request_id


class TransportError(RequestError):
    """No response arrived, or an incomplete one."""


class DeadlineError(TransportError):
    """The request, with its retries, took longer than its deadline."""


class ApiStatusError(RequestError):
    """The response has an error status.

    Attributes:
        status_code: The HTTP status.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str,
        status_code: int,
        attempts: int = 1,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, path=path, attempts=attempts, request_id=request_id)
        self.status_code = status_code


class AuthError(ApiStatusError):
    """The API rejects the key (401), or the key has no access (403)."""


class NotFoundError(ApiStatusError):
    """The API has no such workflow, experiment or run (404)."""


class RateLimitError(ApiStatusError):
    """Too many requests (429), and the Retry-After is longer than this library waits."""


class ResponseTooLargeError(RequestError):
    """The body of the response exceeds the size limit."""


class PaginationError(RequestError):
    """The pages of a listing contradict each other.

    A cursor repeats, a page without rows has a cursor, or there are too many pages.
    """


class MalformedResponseError(RetabFramesError):
    """A response or another source is not JSON, or violates the contract of the API.

    Attributes:
        where: The JSON path or the row that is wrong; None if unknown.
    """

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(message)
        self.where = where


class SchemaError(RetabFramesError):
    """A frame does not fit its schema.

    Attributes:
        schema_name: The name of the schema, e.g. "JobsSchema".
        failures: One row per invalid cell, with the columns `column, check, value, key`; the key is
            the job id of the row, or its run, experiment or handle.
    """

    def __init__(self, message: str, *, schema_name: str, failures: pd.DataFrame) -> None:
        super().__init__(message)
        self.schema_name = schema_name
        self.failures = failures


class MissingExtraError(RetabFramesError, ImportError):
    """An optional dependency is not installed; the message says how to install it."""


class QueryError(RetabFramesError):
    """DuckDB rejected the SQL; the message has its reason."""


class ForkError(RetabFramesError, RuntimeError):
    """This process was forked, and what it was to use has threads that only its parent has."""


class GateError(RetabFramesError, AssertionError):
    """A comparison did not pass a gate; the message has a table of the checks.

    Attributes:
        checks: One row per check, with the columns `check, found, allowed, outcome, reason`.
    """

    def __init__(self, message: str, *, checks: pd.DataFrame) -> None:
        super().__init__(message)
        self.checks = checks


class RegressionError(GateError):
    """The candidate is worse than the gate allows."""


class InconclusiveError(GateError):
    """What a check needs is missing, or, if the gate is strict, the numbers allow either."""


class SnapshotError(RetabFramesError):
    """A snapshot could not be written or read."""


class SnapshotNotFoundError(SnapshotError):
    """The store has no such run or revision."""


class SnapshotConflictError(SnapshotError):
    """Another process wrote the same revision of the run first."""


class SnapshotWriteError(SnapshotError):
    """A write, move or delete failed; the message names the file and what is known of it."""


class SnapshotCorruptError(SnapshotError):
    """A file of the store is missing, truncated or changed.

    Attributes:
        file: The name of the file, relative to the root of the store.
    """

    def __init__(self, message: str, *, file: str) -> None:
        super().__init__(message)
        self.file = file
