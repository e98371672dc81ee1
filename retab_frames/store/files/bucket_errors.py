"""What an error of obstore says: whether an object was stored, and a reason that holds no secret.

The class of the error decides where there is one for the case. obstore gives a GenericError for
everything else (any failed listing, a status such as 400 or 500, a broken connection), which has
nothing but its text; the fragments of that text that this package relies on stand in `_FRAGMENTS`
and `_STATUS`, and nowhere else. The tests make a real error for them, and run with the oldest and
the newest obstore that is admitted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, JoinError, NotFoundError

from retab_frames.forks import ProcessThreads

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Failure", "call_bucket", "call_obstore"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_Kind = Literal["absent", "taken", "refused", "unsent", "interrupted", "unclear"]


_THREADS = ProcessThreads("a bucket")


@dataclass(frozen=True)
class Failure:
    """Why a call to a bucket returned nothing.

    Attributes:
        kind: "absent": there is no such object. "taken": there is one already. "refused": the
            server, or obstore before it, did not accept the request. "unsent": there was no
            connection. "interrupted" and "unclear": the server may have done what was asked;
            interrupted is a connection that broke off.
        reason: For a message. The text of the error may hold signed URLs and keys, so only known
            parts of it are taken.
    """

    kind: _Kind
    reason: str


def call_bucket(
    call: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result | Failure:
    """Return the result of a request, or why it failed; no error of obstore leaves this function.

    Raises:
        ForkError: If this process was forked from one that has made a request: obstore would wait
            for its threads, of which this process has none.
    """
    _THREADS.check()
    return call_obstore(call, *args, **kwargs)


def call_obstore(
    call: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result | Failure:
    """Do the same with what sends no request."""
    try:
        return call(*args, **kwargs)
    # an object that is not there is a FileNotFoundError; wrong settings may be a ValueError
    except (BaseError, OSError, ValueError) as error:
        return _classify(error)


def _classify(error: Exception) -> Failure:
    text = str(error)
    by_text = next((row for fragment, row in _FRAGMENTS.items() if fragment in text), None)
    reason = _http_reason(error) if by_text is None else by_text.reason
    if isinstance(error, AlreadyExistsError):
        return Failure("taken", reason)
    if isinstance(error, GenericError):
        return by_text or Failure(_kind_of_status(text), reason)
    if isinstance(error, FileNotFoundError | NotFoundError):
        # a missing bucket is of the same class as a missing object
        return by_text or Failure("absent", reason)
    return Failure("unclear" if isinstance(error, JoinError) else "refused", reason)


_BROKEN_OFF = Failure("interrupted", "the connection broke off")
_FRAGMENTS = {
    # where a machine in a cloud asks for its credentials
    "169.254.169.254": Failure("unsent", "there are no credentials in the environment"),
    "BadScheme": Failure(
        "refused", "plain http is refused unless AWS_ALLOW_HTTP, or its like, is true"
    ),
    "NoSuchBucket": Failure("refused", "there is no such bucket"),
    "ContainerNotFound": Failure("refused", "there is no such container"),
    "incorrectly configured region": Failure(
        "refused", "the bucket is in another region, set AWS_REGION"
    ),
    "kind: Connect": Failure("unsent", "no connection"),
    "kind: Timeout": Failure("unclear", "no answer in time"),
    "kind: Interrupted": _BROKEN_OFF,
    # last: the others have it too, further inside
    "kind: Request": _BROKEN_OFF,
}
_STATUS = re.compile(r"status code: (\d{3})\b")
_CODE = re.compile(r"<Code>(\w{1,40})</Code>")
_TRY_AGAIN = ("408", "409", "429")
"""The statuses from 400 to 499 after which the same request may succeed."""


def _kind_of_status(text: str) -> _Kind:
    status = _STATUS.search(text)
    is_refusal = status and status[1].startswith("4") and status[1] not in _TRY_AGAIN
    return "refused" if is_refusal else "unclear"


def _http_reason(error: Exception) -> str:
    status, code = _STATUS.search(str(error)), _CODE.search(str(error))
    parts = (f"HTTP {status[1]}" if status else "", code[1] if code else "")
    return " ".join(filter(None, parts)) or type(error).__name__
