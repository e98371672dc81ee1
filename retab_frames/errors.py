"""Every error that this library raises on purpose; wrong arguments are TypeError or ValueError.

RetabFramesError
├── ConfigError                  no key, or a key or base URL that cannot be used
├── RequestError                 an HTTP exchange that gave no usable answer
│   ├── TransportError           no response, or not the whole of one
│   │   └── DeadlineError        it took longer than the time allowed
│   ├── ApiStatusError           the API answered with an error status
│   │   ├── AuthError            401, 403
│   │   ├── NotFoundError        404: no such workflow, experiment or run
│   │   └── RateLimitError       429, and the wait asked for is too long
│   ├── ResponseTooLargeError    the body is larger than the cap
│   └── PaginationError          the pages do not end, or contradict one another
├── MalformedResponseError       the payload contradicts the contract of the API
├── SchemaError                  a frame does not fit its schema
├── MissingExtraError            an optional dependency is not installed; also an ImportError
├── QueryError                   DuckDB refused the SQL
├── GateError                    a comparison did not pass its gate; also an AssertionError
│   ├── RegressionError          the candidate is worse
│   └── InconclusiveError        the comparison cannot tell
└── SnapshotError
    ├── SnapshotNotFoundError    no such run or revision in the store
    ├── SnapshotConflictError    someone else wrote the same revision first
    ├── SnapshotWriteError       the file system or the bucket refused
    └── SnapshotCorruptError     a file is missing, cut or altered

RetabFramesWarning               something to know that stopped nothing
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ApiStatusError",
    "AuthError",
    "ConfigError",
    "DeadlineError",
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


class RetabFramesError(Exception):
    """The base of every error that this library raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by state, because the subclasses take keyword arguments."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[RetabFramesError], args: tuple[object, ...], state: dict[str, object]
) -> RetabFramesError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class RetabFramesWarning(UserWarning):
    """Something that the caller should know, and that stopped nothing."""


class ConfigError(RetabFramesError):
    """The client cannot be set up: no key, or a key or base URL that cannot be used."""


class RequestError(RetabFramesError):
    """An HTTP exchange that gave no usable answer.

    Attributes:
        path: The path asked for, without host and query.
        attempts: How many times it was tried.
        request_id: The server's `x-request-id`, where it sent one.
    """

    def __init__(
        self, message: str, *, path: str, attempts: int = 1, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.path = path
        self.attempts = attempts
        self.request_id = request_id


class TransportError(RequestError):
    """No response came, or not the whole of one."""


class DeadlineError(TransportError):
    """The exchange took longer than the time allowed."""


class ApiStatusError(RequestError):
    """The API answered with an error status.

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
    """The key was refused (401) or may not read this (403)."""


class NotFoundError(ApiStatusError):
    """The API has no such workflow, experiment or run (404)."""


class RateLimitError(ApiStatusError):
    """The API asks to slow down (429), and its wait is longer than this library waits."""


class ResponseTooLargeError(RequestError):
    """The body is larger than the cap."""


class PaginationError(RequestError):
    """The pages of a listing do not end, or contradict one another: a cursor comes twice."""


class MalformedResponseError(RetabFramesError):
    """A payload contradicts the contract of the API, or is not JSON at all.

    Attributes:
        where: The JSON path or the row that is wrong, where one is known.
    """

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(message)
        self.where = where


class SchemaError(RetabFramesError):
    """A frame does not fit its schema.

    Attributes:
        schema_name: The schema, e.g. "JobsSchema".
        failures: One row per failing cell: `column, check, value, key`, key being the job id
            (or the run, experiment or handle) of the row, so that it can be found again.
    """

    def __init__(self, message: str, *, schema_name: str, failures: pd.DataFrame) -> None:
        super().__init__(message)
        self.schema_name = schema_name
        self.failures = failures


class MissingExtraError(RetabFramesError, ImportError):
    """An optional dependency is not installed; the message has the command that installs it."""


class QueryError(RetabFramesError):
    """DuckDB refused the SQL; the message has its reason."""


class GateError(RetabFramesError, AssertionError):
    """A comparison did not pass its gate; the message has the table that it was judged by.

    Attributes:
        checks: One row per check of the gate: `check, found, allowed, outcome, reason`.
    """

    def __init__(self, message: str, *, checks: pd.DataFrame) -> None:
        super().__init__(message)
        self.checks = checks


class RegressionError(GateError):
    """The candidate is worse than the gate allows."""


class InconclusiveError(GateError):
    """Nothing shows that the candidate is worse, and the comparison cannot show that it is not."""


class SnapshotError(RetabFramesError):
    """A snapshot could not be written or read."""


class SnapshotNotFoundError(SnapshotError):
    """The store has no such run or revision."""


class SnapshotConflictError(SnapshotError):
    """Someone else wrote the same revision of the run first."""


class SnapshotWriteError(SnapshotError):
    """The file system or the bucket refused; the message says what is known of the file."""


class SnapshotCorruptError(SnapshotError):
    """A file of the store is missing, cut or altered.

    Attributes:
        file: Its name below the root of the store.
    """

    def __init__(self, message: str, *, file: str) -> None:
        super().__init__(message)
        self.file = file
