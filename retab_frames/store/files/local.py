"""Files below a folder that appear whole or not at all, and are never changed.

A file is written under a temporary name in the folder where it belongs, flushed to the disk, and
then linked to its name, which fails if the name is taken. So a reader sees the whole file or none,
and of two writers one learns that the other was first.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from retab_frames.errors import SnapshotCorruptError, SnapshotWriteError
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LocalStorage"]

_NO_DIRECTORY_FSYNC = (errno.EINVAL, errno.ENOTSUP)
_ABSENT = (FileNotFoundError, NotADirectoryError)


class LocalStorage:
    """Files below a folder; see `Storage`.

    Args:
        root: The folder; it is made when the first file is written.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser()
        self._flushed: set[Path] = set()

    def __str__(self) -> str:
        return str(self.root)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there yet; return False, and change nothing, if it is."""
        target = self._path(name)
        try:
            self._make_folders(target.parent)
            created = _link_new(target, data)
            # also when the name was taken: whoever took it may not have flushed it yet
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
        """Make a folder and those above it, each flushed so that a power cut does not undo it.

        A folder below the root that existed is flushed too, once: whoever made it may have been
        killed before that.
        """
        exists = folder.is_dir()
        if exists and (folder in self._flushed or self.root not in folder.parents):
            return
        if folder.parent != folder:
            self._make_folders(folder.parent)
        if not exists:
            folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)
        self._flushed.add(folder)


def _link_new(target: Path, data: bytes) -> bool:
    """Write and flush a temporary file, and link it to the target; False if the name is taken."""
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
        # one that stays is found by `walk`; this must not hide an earlier error
        with suppress(OSError):
            temporary.unlink()


def _flush_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, so that a power cut does not lose them."""
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
