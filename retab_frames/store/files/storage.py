"""Files that appear whole or not at all, and are never changed: on a local disk, or in a bucket.

On a disk, a file is written under a temporary name in the folder where it will stand, flushed to
the disk, and then linked to its name, which fails if the name is taken. So a reader sees the whole
file or none, and of two writers one is told that the other was first. `buckets.py` gives the same
for buckets.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import uuid4

from retab_frames.errors import SnapshotCorruptError, SnapshotWriteError
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LocalStorage", "Storage", "open_storage"]

_NO_DIRECTORY_FSYNC = (errno.EINVAL, errno.ENOTSUP)
_ABSENT = (FileNotFoundError, NotADirectoryError)


class Storage(Protocol):
    """Files below a root, by names such as `jobs/exp/run.parquet`.

    A file is whole from the moment it is seen, and its bytes never change. What fails is told by
    a SnapshotError, never by an error of the system or of a library.
    """

    def __str__(self) -> str:
        """Return where it is: a folder or a URL, without secrets."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there yet; return False, and change nothing, if it is.

        Raises:
            SnapshotWriteError: If it cannot be written; what was there before is untouched.
        """

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: If there is none of that name.
            SnapshotError: If it cannot be read.
        """

    def size(self, name: str) -> int:
        """Return the size of a file in bytes; raises as `read`."""

    def modified(self, name: str) -> datetime:
        """Return when a file was written, in UTC; raises as `read`."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the files and folders in a folder, sorted; none if it is missing.

        Raises:
            SnapshotError: If it cannot be listed.
        """

    def walk(self, folder: str = "") -> Iterator[str]:
        """Iterate over the names, from the root, of all files below a folder, sorted.

        Those that a writer has in flight, or left behind when it was killed, are among them: their
        own name starts with `.` and ends in `.tmp`. Raises as `names`.
        """

    def move(self, name: str, to: str) -> None:
        """Give a file another name, taken or not; without effect if it is gone already.

        At no moment is it under neither name.

        Raises:
            SnapshotWriteError: If it cannot be moved.
        """

    def delete(self, name: str) -> None:
        """Remove a file; without effect if it is gone already.

        Raises:
            SnapshotWriteError: If it cannot be removed.
        """


def open_storage(root: str | os.PathLike[str]) -> Storage:
    """Return the files below a folder, or below a URL.

    Args:
        root: A folder, as path or `file://` URL; or `s3://bucket/prefix`, `gs://bucket/prefix`,
            `az://container/prefix`; or `memory://name`, which lasts as long as the process and is
            meant for trying out and for tests.

    Raises:
        ValueError: If the URL is of another scheme, or holds more than a bucket and a prefix.
        MissingExtraError: If it is no folder and the extra `cloud` is not installed.
    """
    text = os.fspath(root)
    scheme, is_url, _ = text.partition("://")
    if not is_url:
        if not isinstance(root, str) and text.partition(":/")[0] in _SCHEMES:
            raise ValueError(f"a path loses slashes of a URL, give it as text: {printable(text)}")
        return LocalStorage(root)
    if scheme == "file":
        return LocalStorage(_path_of(text))
    if scheme not in _SCHEMES:
        known = ", ".join(f"{name}://" for name in ("file", *_SCHEMES))
        raise ValueError(f"a store is a folder or one of {known}; not {printable(scheme)}://")
    from retab_frames.store.files.buckets import BucketStorage  # noqa: PLC0415  (loads obstore)

    return BucketStorage(text)


_SCHEMES = ("s3", "gs", "az", "memory")


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment:
        raise ValueError("a file:// URL of a store has a path alone: file:///folder")
    return url2pathname(parts.path)


class LocalStorage:
    """Files below a folder; see `Storage`.

    Args:
        root: The folder; it is made when the first file is written.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser()
        self._kept: set[Path] = set()

    def __str__(self) -> str:
        return str(self.root)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there yet; return False, and change nothing, if it is."""
        target = self._path(name)
        try:
            self._make_folders(target.parent)
            created = _place(target, data)
            # also when the name was taken: whoever took it may not have come so far yet
            _flush_folder(target.parent)
        except OSError as error:
            reason = _reason(error)
        else:
            return created
        raise SnapshotWriteError(
            f"cannot write {printable(name)} in {printable(str(self.root))}: {reason}; "
            "what was there before is untouched"
        )

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        try:
            return self._path(name).read_bytes()
        except _ABSENT:
            raise FileNotFoundError(name) from None
        except OSError as error:
            reason = _reason(error)
        raise SnapshotCorruptError(f"cannot read {printable(name)}: {reason}", file=name)

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return self._status(name).st_size

    def modified(self, name: str) -> datetime:
        """Return when a file was written, in UTC."""
        return datetime.fromtimestamp(self._status(name).st_mtime, UTC)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files and folders in a folder, sorted; none if it is missing."""
        try:
            with os.scandir(self._path(folder)) as entries:
                return sorted(entry.name for entry in entries)
        except _ABSENT:
            return []
        except OSError as error:
            reason = _reason(error)
        raise self._unlisted(folder, reason)

    def walk(self, folder: str = "") -> Iterator[str]:
        """Iterate over the names, from the root, of all files below a folder, sorted."""
        found = []
        try:
            for parent, _, names in os.walk(self._path(folder), onerror=_raise_unless_absent):
                within = Path(parent).relative_to(self.root)
                found += [(within / name).as_posix() for name in names]
        except OSError as error:
            reason = _reason(error)
        else:
            return iter(sorted(found))
        raise self._unlisted(folder, reason)

    def move(self, name: str, to: str) -> None:
        """Give a file another name, taken or not; without effect if it is gone already."""
        source, target = self._path(name), self._path(to)
        try:
            self._make_folders(target.parent)
            source.replace(target)
            _flush_folder(target.parent)
            _flush_folder(source.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            reason = _reason(error)
        else:
            return
        raise SnapshotWriteError(f"cannot move {printable(name)} to {printable(to)}: {reason}")

    def delete(self, name: str) -> None:
        """Remove a file; without effect if it is gone already."""
        path = self._path(name)
        try:
            path.unlink()
            _flush_folder(path.parent)
        except _ABSENT:
            return
        except OSError as error:
            reason = _reason(error)
        else:
            return
        raise SnapshotWriteError(f"cannot delete {printable(name)}: {reason}")

    def _path(self, name: str) -> Path:
        return self.root.joinpath(*filter(None, name.split("/")))

    def _status(self, name: str) -> os.stat_result:
        try:
            status = self._path(name).stat()
        except _ABSENT:
            raise FileNotFoundError(name) from None
        except OSError as error:
            reason = _reason(error)
        else:
            if stat.S_ISREG(status.st_mode):
                return status
            raise FileNotFoundError(name)
        raise SnapshotCorruptError(f"cannot read {printable(name)}: {reason}", file=name)

    def _unlisted(self, folder: str, reason: str) -> SnapshotCorruptError:
        where = printable(os.fspath(self._path(folder)))
        return SnapshotCorruptError(f"cannot list {where}: {reason}", file=folder)

    def _make_folders(self, folder: Path) -> None:
        """Make a folder and those above it, each to survive a power cut.

        One below the root that stood already is flushed too, once: whoever made it may have been
        killed before that.
        """
        stands = folder.is_dir()
        if stands and (folder in self._kept or self.root not in folder.parents):
            return
        if folder.parent != folder:
            self._make_folders(folder.parent)
        if not stands:
            folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)
        self._kept.add(folder)


def _place(target: Path, data: bytes) -> bool:
    """Write the data beside the target, flushed to the disk, and then link it there."""
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        # "x" does not follow a link that someone else put there
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, target, follow_symlinks=False)
        except FileExistsError:
            return False
        return True
    finally:
        # one that stays is found by `walk`; it must not hide what went wrong before
        with suppress(OSError):
            temporary.unlink()


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_FSYNC:
            raise
    finally:
        os.close(handle)


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, _ABSENT):
        raise error


def _reason(error: OSError) -> str:
    return f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')})"
