"""What the store asks of the place where its files are, and which place a root means.

A file appears whole or not at all: `local.py` does that on a disk, and `buckets.py` in a bucket.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from retab_frames.store.files.local import LocalStorage
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from datetime import datetime

__all__ = ["Storage", "open_storage"]


class Storage(Protocol):
    """Files below a root, by names such as `revisions/run/000001.json`.

    A file is whole as soon as it can be seen. A failure is raised as a SnapshotError, never as an
    error of the system or of a library. No link below the root is followed, and only regular files
    are opened.
    """

    def __str__(self) -> str:
        """Return the folder or the URL, without secrets."""

    def create(self, name: str, data: bytes) -> bool:
        """Write and flush a file that is not there yet; return False if it is.

        The folder is not flushed: `flush_folder` does that for all files of a folder at once.

        Raises:
            SnapshotWriteError: If it cannot be written; what was there before is untouched.
        """

    def put(self, name: str, data: bytes) -> None:
        """Write and flush a file, in the place of the one that has its name; raises as `create`."""

    def put_view(self, name: str, source: str, data: Callable[[], bytes]) -> None:
        """Give the file `source` a second name, in the place of the file that has it.

        Args:
            name: The second name.
            source: The file.
            data: Returns the bytes of the file, for a place that has no hard links.

        Raises:
            SnapshotWriteError: If it cannot be written; what was there before is untouched.
        """

    def is_same(self, name: str, source: str) -> bool:
        """Return whether two names are names of one file; False where that cannot be known."""

    def flush_folder(self, name: str) -> None:
        """Make sure that a power cut does not lose the names in a folder.

        Raises:
            SnapshotWriteError: If the file system refuses.
        """

    def read(self, name: str, size: int | None = None) -> bytes:
        """Return the bytes of a file.

        Args:
            name: The file.
            size: The most bytes that it may have; None for any number.

        Raises:
            FileNotFoundError: If there is none of that name.
            SnapshotCorruptError: If it is larger, is a link, or is no regular file.
            SnapshotError: If it cannot be read.
        """

    def size(self, name: str) -> int:
        """Return the size of a file in bytes; raises as `read`."""

    def modified(self, name: str) -> datetime:
        """Return when a file was written or touched, in UTC, by the clock of the place."""

    def touch(self, name: str) -> None:
        """Set the time of a file to now.

        Raises:
            FileNotFoundError: If there is none of that name.
            SnapshotWriteError: If it cannot be set.
        """

    def now(self) -> datetime:
        """Return the time, in UTC, by the clock that `modified` uses.

        Raises:
            SnapshotWriteError: If nothing can be written there.
        """

    def names(self, folder: str) -> list[str]:
        """Return the names of the files and folders in a folder, sorted; none if it is missing.

        Raises:
            SnapshotError: If it cannot be listed.
        """

    def subfolders(
        self, folder: str, *, but: Container[str] = ()
    ) -> Iterator[tuple[str, list[str] | None]]:
        """Iterate over what is in a folder, sorted, and the names in each of its folders.

        Far quicker than `names` of each: links on the way are looked for once, and a bucket is
        listed by one request.

        Args:
            folder: The folder.
            but: Names that are left out.

        Yields:
            The name, and the names in it; None instead of them for a file, a link, or a folder that
            cannot be listed.

        Raises as `names`.
        """

    def walk(self, folder: str = "") -> Iterator[str]:
        """Iterate over the names, from the root, of all files below a folder, sorted.

        Among them are links, and the temporary files of writers that are at work or were killed:
        their own name starts with `.` and ends in `.tmp`. Raises as `names`.
        """

    def delete(self, name: str) -> None:
        """Remove a file; without effect if it is gone already.

        Raises:
            SnapshotWriteError: If it cannot be removed.
        """

    def delete_folder(self, name: str, *, before: datetime | None = None) -> None:
        """Remove a folder if it is empty, and did not change since then."""


def open_storage(root: str | os.PathLike[str]) -> Storage:
    """Return the files below a folder, or below a URL.

    Args:
        root: A folder, as path or `file://` URL; or `s3://bucket/prefix`, `gs://bucket/prefix`,
            `az://container/prefix`; or `memory://name`, which lasts as long as the process and is
            meant for experiments and tests.

    Raises:
        ValueError: If it is a file, or the URL is of another scheme, or holds more than a bucket
            and a prefix.
        MissingExtraError: If it is the URL of a bucket and the extra `cloud` is not installed.
    """
    text = os.fspath(root)
    scheme, is_url, _ = text.partition("://")
    if not is_url:
        if not isinstance(root, str) and text.partition(":/")[0] in _SCHEMES:
            raise ValueError(f"a path loses slashes of a URL, give it as text: {printable(text)}")
        return _open_folder(root)
    if scheme == "file":
        parts = urlsplit(text)
        if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment:
            raise ValueError("a file:// URL of a store has only a path: file:///folder")
        return _open_folder(url2pathname(parts.path))
    if scheme not in _SCHEMES:
        known = ", ".join(f"{name}://" for name in ("file", *_SCHEMES))
        raise ValueError(f"a store is a folder or one of {known}; not {printable(scheme)}://")
    from retab_frames.store.files.buckets import BucketStorage  # noqa: PLC0415  (loads obstore)

    return BucketStorage(text)


def _open_folder(root: str | os.PathLike[str]) -> LocalStorage:
    found = LocalStorage(root)
    # of a file all reads would say that there is nothing yet
    if os.path.exists(found.root) and not os.path.isdir(found.root):  # noqa: PTH110, PTH112 - raise nothing
        raise ValueError(f"a store is a folder, and {printable(str(found.root))} is a file")
    return found


_SCHEMES = ("s3", "gs", "az", "memory")
