"""Files in a bucket that appear whole or not at all, and are never changed.

A bucket has no rename and no links: a file is one conditional put of the whole object, which the
server refuses if the name is taken, so that of two writers one is told that the other was first.
When the answer to a put is lost or an error of the server, nobody knows whether the object is
there, and a second put would be refused because of our own first one; so the object is read back
and compared before anything else.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from retab_frames.errors import MissingExtraError, SnapshotError, SnapshotWriteError
from retab_frames.text.messages import printable

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
    from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store
except ImportError as error:
    raise MissingExtraError(
        "a store in a bucket needs the extra `cloud`: pip install 'retab-frames[cloud]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

__all__ = ["ObjectStorage"]

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")

_Kind = Literal["absent", "taken", "refused", "unsent", "unclear"]

_PUTS = 5
_FIRST_WAIT_S = 0.4
_READ_RETRIES = 5
_CONNECT_S = 5
_SETTINGS = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}
_IN_MEMORY: dict[str, MemoryStore] = {}
_UNTOUCHED = "what was there before is untouched"
_NOT_SEEN = "it was not there when last looked at"
_IN_DOUBT = "it is not known whether it was stored, writing the same again is safe"


class ObjectStorage:
    """Objects below a URL; see `Storage`.

    Credentials, region and endpoint come from the environment (AWS_*, GOOGLE_*, AZURE_*) or from
    the machine's own role. Plain readers may see a file twice while it is moved, because a move is
    a copy and a deletion.

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or
            `memory://name/prefix`: in this process alone, one store per name, for trying out and
            for tests.
        timeout: How many seconds a request may take, and after how many nothing is tried again.

    Raises:
        ValueError: If the URL holds more than a bucket and a prefix.
        SnapshotError: If the settings in the environment cannot be used.
    """

    def __init__(self, url: str, timeout: float = 120) -> None:
        self.scheme, self.bucket, self.prefix = _parsed(url)
        self._timeout = timeout
        self._store = self._opened(_READ_RETRIES)
        # a put is repeated here alone: obstore would take our own first one for another writer's
        self._putting = self._opened(0)
        self._refuses_taken_names = False

    def __str__(self) -> str:
        return "/".join(filter(None, (f"{self.scheme}://{self.bucket}", self.prefix)))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by URL: the credentials are those of the environment where it is unpickled."""
        return type(self), (str(self), self._timeout)

    def create(self, name: str, data: bytes) -> bool:
        """Write an object that is not there yet; return False, and change nothing, if it is.

        Where an answer was lost, two writers of equal bytes may both be told that theirs it is.
        """
        key, until = self._key(name), time.monotonic() + self._timeout
        reason, state, in_doubt = "", _UNTOUCHED, False
        for number in range(_PUTS):
            if number and time.monotonic() > until:
                break
            time.sleep(_FIRST_WAIT_S * 2 ** (number - 1) if number else 0)
            failed = self._put_if_absent(key, data)
            if failed is None:
                self._refuse_a_server_that_overwrites(name, data)
                return True
            reason = failed.reason
            if failed.kind in {"refused", "absent"}:
                break
            if failed.kind == "unsent":
                continue
            if failed.kind == "unclear":
                state, in_doubt = _IN_DOUBT, True
            found = _tried(self._fetched if in_doubt else self._status, key)
            if not isinstance(found, _Failure):
                return in_doubt and found == data
            if found.kind != "absent":
                reason = found.reason
                break
            # ours never arrived, or met another put that then failed
            state = _NOT_SEEN if in_doubt else _UNTOUCHED
        raise SnapshotWriteError(f"cannot write {self._told(name)}: {reason}; {state}")

    def read(self, name: str) -> bytes:
        """Return the bytes of an object."""
        return self._answer(self._fetched, name)

    def size(self, name: str) -> int:
        """Return the size of an object in bytes."""
        return int(self._answer(self._status, name)["size"])

    def modified(self, name: str) -> datetime:
        """Return when an object was written, or moved to where it is, in UTC."""
        moment: datetime = self._answer(self._status, name)["last_modified"]
        return moment

    def names(self, folder: str) -> list[str]:
        """Return the names of the objects and folders in a folder, sorted; none if missing."""
        key = self._key(folder)
        listed = _tried_again(obstore.list_with_delimiter, self._store, key or None)
        if isinstance(listed, _Failure):
            raise self._unlisted(folder, listed)
        paths = {*listed["common_prefixes"], *(found["path"] for found in listed["objects"])}
        # consoles make an empty object for a folder, listed as the folder itself
        return sorted(path.rpartition("/")[2] for path in paths - {key})

    def walk(self, folder: str = "") -> Iterator[str]:
        """Iterate over the names, from the root, of all objects below a folder, sorted."""
        listed = _tried_again(self._listed, self._key(folder))
        if isinstance(listed, _Failure):
            raise self._unlisted(folder, listed)
        folders = {path.rpartition("/")[0] for path in listed}
        start = len(self.prefix) + 1 if self.prefix else 0
        return iter(sorted(path[start:] for path in listed if path not in folders))

    def move(self, name: str, to: str) -> None:
        """Give an object another name, taken or not; without effect if it is gone already."""
        source, target = self._key(name), self._key(to)
        failed = _tried(self._copy_and_delete, source, target) if source != target else None
        if isinstance(failed, _Failure) and failed.kind != "absent":
            raise SnapshotWriteError(
                f"cannot move {printable(name)} to {self._told(to)}: {failed.reason}; "
                "it is still there"
            )

    def delete(self, name: str) -> None:
        """Remove an object; without effect if it is gone already."""
        failed = _tried(obstore.delete, self._store, self._key(name))
        if isinstance(failed, _Failure) and failed.kind != "absent":
            raise SnapshotWriteError(f"cannot delete {self._told(name)}: {failed.reason}")

    def _put_if_absent(self, key: str, data: bytes) -> _Failure | None:
        put = _tried(obstore.put, self._putting, key, data, mode="create", use_multipart=False)
        return put if isinstance(put, _Failure) else None

    def _refuse_a_server_that_overwrites(self, name: str, data: bytes) -> None:
        """Put the first object a second time: a server without conditional puts would take it."""
        if self._refuses_taken_names:
            return
        failed = self._put_if_absent(self._key(name), data)
        if failed is None:
            raise SnapshotWriteError(
                f"cannot keep files safe in {printable(str(self))}: its server overwrites what is "
                "there although asked not to (If-None-Match), so two writers could destroy each "
                "other's files"
            )
        self._refuses_taken_names = failed.kind == "taken"

    def _fetched(self, key: str) -> bytes:
        return bytes(obstore.get(self._store, key).bytes())

    def _status(self, key: str) -> Any:
        return obstore.head(self._store, key)

    def _listed(self, key: str) -> list[str]:
        pages = obstore.list(self._store, key or None)
        return [found["path"] for page in pages for found in page]

    def _copy_and_delete(self, source: str, target: str) -> None:
        data = self._fetched(source)
        self._overwrite(target, data)
        with suppress(FileNotFoundError):
            obstore.delete(self._store, source)
        try:
            obstore.head(self._store, target)
        except FileNotFoundError:
            # someone moved it back meanwhile, and both deleted what the other had just written
            self._overwrite(target, data)

    def _overwrite(self, key: str, data: bytes) -> None:
        obstore.put(self._store, key, data, mode="overwrite", use_multipart=False)

    def _answer(self, ask: Callable[[str], _Answer], name: str) -> _Answer:
        answer = _tried(ask, self._key(name))
        if not isinstance(answer, _Failure):
            return answer
        if answer.kind == "absent":
            raise FileNotFoundError(name)
        raise SnapshotError(f"cannot read {self._told(name)}: {answer.reason}")

    def _unlisted(self, folder: str, failed: _Failure) -> SnapshotError:
        return SnapshotError(f"cannot list {self._told(folder)}: {failed.reason}")

    def _told(self, name: str) -> str:
        return f"{printable(name)} in {printable(str(self))}" if name else printable(str(self))

    def _key(self, name: str) -> str:
        return "/".join(filter(None, (self.prefix, *name.split("/"))))

    def _opened(self, retries: int) -> Any:
        if self.scheme == "memory":
            return _IN_MEMORY.setdefault(self.bucket, MemoryStore())
        settings = _SETTINGS[self.scheme]
        store = _tried(
            {"s3": S3Store, "gs": GCSStore, "az": AzureStore}[self.scheme],
            self.bucket,
            client_options={
                "timeout": f"{round(self._timeout * 1000)}ms",
                "connect_timeout": f"{_CONNECT_S}s",
                # any client option given makes obstore forget that this one stands in there
                "allow_http": os.environ.get(f"{settings}_ALLOW_HTTP", "").lower() in {"1", "true"},
            },
            retry_config={
                "max_retries": retries,
                "retry_timeout": timedelta(seconds=self._timeout),
            },
        )
        if isinstance(store, _Failure):
            raise SnapshotError(
                f"cannot open {printable(str(self))}: the settings in the environment "
                f"({settings}_*) are incomplete or wrong ({store.reason})"
            )
        return store


@dataclass(frozen=True)
class _Failure:
    """Why a call to a bucket gave nothing.

    A put that was "refused" stored nothing, nor did one "unsent"; of one "unclear" nobody knows.
    """

    kind: _Kind
    reason: str


def _tried(
    call: Callable[_Arguments, _Answer], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Answer | _Failure:
    """Return what a call gives, or why it failed; no error of obstore leaves this function.

    Their text may hold signed URLs and keys, so only what is known to be harmless is taken of it.
    """
    try:
        return call(*args, **kwargs)
    except (BaseError, OSError, ValueError) as error:
        return _Failure(_kind(error), _reason(error))


def _tried_again(
    call: Callable[_Arguments, _Answer], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Answer | _Failure:
    """Return as `_tried`; obstore itself does not repeat a listing that broke off."""
    answer = _tried(call, *args, **kwargs)
    for _ in range(_READ_RETRIES):
        if not isinstance(answer, _Failure) or answer.reason != _BROKEN_OFF:
            break
        answer = _tried(call, *args, **kwargs)
    return answer


def _kind(error: Exception) -> _Kind:
    text = str(error)
    if isinstance(error, AlreadyExistsError):
        return "taken"
    if isinstance(error, FileNotFoundError) and not re.search(_NO_BUCKET, text):
        return "absent"
    if not isinstance(error, GenericError) or "BadScheme" in text:
        return "refused"
    if "kind: Connect" in text or _METADATA in text:
        return "unsent"
    status = re.search(_STATUS, text)
    return "refused" if status and status[1] in _REFUSALS else "unclear"


_NO_BUCKET = "NoSuchBucket|ContainerNotFound"
_STATUS = r"status code: (\d{3})\b"
_REFUSALS = {str(status) for status in range(400, 500)} - {"408", "409", "429"}
_BROKEN_OFF = "the connection broke off"
_METADATA = "169.254.169.254"
"""Where a machine in a cloud asks for its credentials."""
_REASONS = {
    _METADATA: "there are no credentials in the environment",
    "BadScheme": "plain http is refused unless AWS_ALLOW_HTTP, or its like, is true",
    "NoSuchBucket": "there is no such bucket",
    "ContainerNotFound": "there is no such container",
    "incorrectly configured region": "the bucket is in another region, set AWS_REGION",
    "kind: Timeout": "no answer in time",
    "kind: Connect": "no connection",
    "kind: Interrupted": _BROKEN_OFF,
    "kind: Request": _BROKEN_OFF,
}


def _reason(error: Exception) -> str:
    text = str(error)
    for fragment, reason in _REASONS.items():
        if fragment in text:
            return reason
    status = re.search(_STATUS, text)
    code = re.search(r"<Code>(\w{1,40})</Code>", text)
    told = (f"HTTP {status[1]}" if status else "", code[1] if code else "")
    return " ".join(filter(None, told)) or type(error).__name__


def _parsed(url: str) -> tuple[str, str, str]:
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.rstrip("/").partition("/")
    segments = prefix.split("/") if prefix else []
    if (
        not re.fullmatch(r"[A-Za-z0-9][\w.-]*", bucket, re.ASCII)
        or re.search(r"[?#\\]", rest)
        or not all(segment.isprintable() and segment not in {"", ".", ".."} for segment in segments)
    ):
        raise ValueError(
            f"the URL of a store is {printable(scheme)}://bucket/prefix: letters, digits, '.', "
            "'_', '-' in the bucket, no user, query, fragment or empty segment (what came is not "
            "shown, it might be secret)"
        )
    return scheme, bucket, prefix
