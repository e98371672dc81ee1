"""Files in a bucket that appear whole or not at all, and are never changed.

A bucket has no rename and no links: a file is one conditional put of the whole object, which the
server refuses if the name is taken, so of two writers one learns that the other was first. When the
answer to a put is lost, or is an error of the server, the object may or may not be there, and a
second put would be refused because of our own first one; so the object is read back and compared
before the put is tried again.
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import stamina

from retab_frames.errors import (
    MissingExtraError,
    SnapshotCorruptError,
    SnapshotError,
    SnapshotWriteError,
)
from retab_frames.text.messages import printable

try:
    import obstore
    from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

    from retab_frames.store.files.bucket_errors import Failure, call_bucket, call_obstore
except ImportError as error:
    raise MissingExtraError(
        "a store in a bucket needs the extra `cloud`: pip install 'retab-frames[cloud]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator
    from datetime import datetime

__all__ = ["BucketStorage"]

_Result = TypeVar("_Result")

# without a handler Python would print stamina's bare event names to stderr
logging.getLogger("stamina").addHandler(logging.NullHandler())

_ATTEMPTS = 5
_FIRST_WAIT_S = 0.4
_READ_RETRIES = 5
_CONNECT_S = 5
_SETTINGS = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}
_IN_MEMORY: dict[str, MemoryStore] = {}
_DIRECTLY_BELOW = 2
_UNTOUCHED = "what was there before is untouched"
_NOT_SEEN = "it was not there when last looked at"
_IN_DOUBT = "it is not known whether it was stored, writing the same again is safe"


class BucketStorage:
    """Objects below a URL; see `Storage`.

    Credentials, region and endpoint come from the environment (AWS_*, GOOGLE_*, AZURE_*) or from
    the machine's own role.

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
        self.scheme, self.bucket, self.prefix = _parse_url(url)
        self._timeout = timeout
        self._store = self._open(_READ_RETRIES)
        # a put is repeated here alone: obstore would take our own first one for another writer's
        self._putting = self._open(0)
        self._refuses_taken_names = False

    def __str__(self) -> str:
        return "/".join(filter(None, (f"{self.scheme}://{self.bucket}", self.prefix)))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by URL: the credentials are those of the environment where it is unpickled."""
        return type(self), (str(self), self._timeout)

    def create(self, name: str, data: bytes) -> bool:
        """Write an object that is not there yet; return False, and change nothing, if it is.

        Where an answer was lost, True may be returned to each of two writers of equal bytes.
        """
        key, reason, outcome, in_doubt = self._key(name), "", _UNTOUCHED, False
        with suppress(_TryAgainError):
            for attempt in self._attempts():
                with attempt:
                    failed = self._put_if_absent(key, data)
                    if failed is None:
                        self._check_that_names_are_refused(name, data)
                        return True
                    reason = failed.reason
                    if failed.kind in {"refused", "absent"}:
                        break
                    if failed.kind == "unsent":
                        raise _TryAgainError(reason)
                    if failed.kind != "taken":
                        outcome, in_doubt = _IN_DOUBT, True
                    found = call_bucket(self._get if in_doubt else self._head, key)
                    if not isinstance(found, Failure):
                        return in_doubt and found == data
                    if found.kind != "absent":
                        reason = found.reason
                        break
                    # ours never arrived, or was refused because of another put that then failed
                    outcome = _NOT_SEEN if in_doubt else _UNTOUCHED
                    raise _TryAgainError(reason)
        raise SnapshotWriteError(f"cannot write {self._describe(name)}: {reason}; {outcome}")

    def put(self, name: str, data: bytes) -> None:
        """Write an object, in the place of the one that has its name."""
        failed = call_bucket(
            obstore.put,
            self._store,
            self._key(name),
            data,
            mode="overwrite",
            use_multipart=False,
        )
        if isinstance(failed, Failure):
            outcome = _UNTOUCHED if failed.kind in {"refused", "unsent"} else _IN_DOUBT
            reason = failed.reason
            raise SnapshotWriteError(f"cannot write {self._describe(name)}: {reason}; {outcome}")

    def put_view(self, name: str, source: str, data: Callable[[], bytes]) -> None:
        """Write the same bytes under a second name: a bucket has no links."""
        del source
        self.put(name, data())

    def is_same(self, name: str, source: str) -> bool:
        """Return False: each name is an object of its own."""
        del name, source
        return False

    def flush_folder(self, name: str) -> None:
        """Do nothing: an object is stored once the server says so."""

    def read(self, name: str, size: int | None = None) -> bytes:
        """Return the bytes of an object; one larger than `size` is refused."""
        found = self._call(partial(self._get_up_to, size=size), name)
        if isinstance(found, bytes):
            return found
        raise SnapshotCorruptError(
            f"cannot read {self._describe(name)}: it has {found:,} bytes, more than {size:,}",
            file=name,
        )

    def size(self, name: str) -> int:
        """Return the size of an object in bytes."""
        return int(self._call(self._head, name)["size"])

    def modified(self, name: str) -> datetime:
        """Return when an object was written, in UTC, by the clock of the server."""
        modified: datetime = self._call(self._head, name)["last_modified"]
        return modified

    def touch(self, name: str) -> None:
        """Set the time of an object to now, by writing it once more."""
        self.put(name, self.read(name))

    def now(self) -> datetime:
        """Return the time of an object just written, which is that of the server."""
        name = f".clock.{uuid4().hex}.tmp"
        self.put(name, b"")
        try:
            return self.modified(name)
        finally:
            self.delete(name)

    def names(self, folder: str) -> list[str]:
        """Return the names of the objects and folders in a folder, sorted; none if missing."""
        key = self._key(folder)
        listed = self._list(obstore.list_with_delimiter, folder)
        paths = {*listed["common_prefixes"], *(found["path"] for found in listed["objects"])}
        # consoles make an empty object for a folder, listed as the folder itself
        return sorted(path.rpartition("/")[2] for path in paths - {key})

    def subfolders(
        self, folder: str, *, but: Container[str] = ()
    ) -> Iterator[tuple[str, list[str] | None]]:
        """Iterate over the folders in a folder, sorted, and the names in each, by one listing."""
        inside = (name.removeprefix(f"{folder}/").split("/") for name in self.walk(folder))
        for name, paths in groupby(inside, key=itemgetter(0)):
            if name not in but:
                yield name, [path[1] for path in paths if len(path) == _DIRECTLY_BELOW]

    def walk(self, folder: str = "") -> Iterator[str]:
        """Iterate over the names, from the root, of all objects below a folder, sorted."""
        listed = self._list(_list_all, folder)
        folders = {path.rpartition("/")[0] for path in listed}
        start = len(self.prefix) + 1 if self.prefix else 0
        return iter(sorted(path[start:] for path in listed if path not in folders))

    def delete(self, name: str) -> None:
        """Remove an object; without effect if it is gone already."""
        failed = call_bucket(obstore.delete, self._store, self._key(name))
        if isinstance(failed, Failure) and failed.kind != "absent":
            raise SnapshotWriteError(f"cannot delete {self._describe(name)}: {failed.reason}")

    def _attempts(self) -> Iterable[Any]:
        """Return the attempts of a call that raises _TryAgainError; the waits double."""
        return stamina.retry_context(
            on=_TryAgainError,
            attempts=_ATTEMPTS,
            timeout=self._timeout,
            wait_initial=_FIRST_WAIT_S,
            wait_jitter=_FIRST_WAIT_S,
        )

    def _put_if_absent(self, key: str, data: bytes) -> Failure | None:
        put = call_bucket(obstore.put, self._putting, key, data, mode="create", use_multipart=False)
        return put if isinstance(put, Failure) else None

    def _check_that_names_are_refused(self, name: str, data: bytes) -> None:
        """Put the first object a second time: a server without conditional puts would take it."""
        if self._refuses_taken_names:
            return
        failed = self._put_if_absent(self._key(name), data)
        if failed is None:
            raise SnapshotWriteError(
                f"cannot store files safely in {printable(str(self))}: its server overwrites what "
                "is there although asked not to (If-None-Match), so two writers could destroy each "
                "other's files"
            )
        self._refuses_taken_names = failed.kind == "taken"

    def delete_folder(self, name: str, *, before: datetime | None = None) -> None:
        """Do nothing: a bucket has no folders."""

    def _get_up_to(self, key: str, size: int | None) -> bytes | int:
        """Return the bytes of an object, or its size if that is larger than it may be."""
        found = obstore.get(self._store, key)
        is_larger = size is not None and found.meta["size"] > size
        return int(found.meta["size"]) if is_larger else bytes(found.bytes())

    def _get(self, key: str) -> bytes:
        return bytes(obstore.get(self._store, key).bytes())

    def _head(self, key: str) -> Any:
        return obstore.head(self._store, key)

    def _list(self, call: Callable[[Any, str | None], _Result], folder: str) -> _Result:
        """Return a listing, tried again where it broke off: obstore itself does not do that."""
        listed: _Result | Failure = Failure("unclear", "")
        with suppress(_TryAgainError):
            for attempt in self._attempts():
                with attempt:
                    listed = call_bucket(call, self._store, self._key(folder) or None)
                    if isinstance(listed, Failure) and listed.kind == "interrupted":
                        raise _TryAgainError(listed.reason)
        if isinstance(listed, Failure):
            raise SnapshotError(f"cannot list {self._describe(folder)}: {listed.reason}")
        return listed

    def _call(self, call: Callable[[str], _Result], name: str) -> _Result:
        result = call_bucket(call, self._key(name))
        if not isinstance(result, Failure):
            return result
        if result.kind == "absent":
            raise FileNotFoundError(name)
        raise SnapshotError(f"cannot read {self._describe(name)}: {result.reason}")

    def _describe(self, name: str) -> str:
        return f"{printable(name)} in {printable(str(self))}" if name else printable(str(self))

    def _key(self, name: str) -> str:
        return "/".join(filter(None, (self.prefix, *name.split("/"))))

    def _open(self, retries: int) -> Any:
        if self.scheme == "memory":
            return _IN_MEMORY.setdefault(self.bucket, MemoryStore())
        settings = _SETTINGS[self.scheme]
        store = call_obstore(
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
        if isinstance(store, Failure):
            raise SnapshotError(
                f"cannot open {printable(str(self))}: the settings in the environment "
                f"({settings}_*) are incomplete or wrong ({store.reason})"
            )
        return store


class _TryAgainError(Exception):
    """What a call to a bucket raises to be tried again."""


def _list_all(store: Any, key: str | None) -> list[str]:
    return [found["path"] for page in obstore.list(store, key) for found in page]


def _parse_url(url: str) -> tuple[str, str, str]:
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
            "'_', '-' in the bucket, no user, query, fragment or empty segment (the text given "
            "is not shown, it might be secret)"
        )
    return scheme, bucket, prefix
