"""Files on a local disk that appear whole or not at all, and are never changed.

A file is written under a temporary name in the folder where it will stand, flushed to the disk, and
then linked to its name, which fails if the name is taken. So a reader sees the whole file or none,
and of two writers one is told that the other was first.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from uuid import uuid4

from retab_frames.errors import SnapshotCorruptError, SnapshotWriteError, shown

__all__ = ["LocalStorage"]

_NO_DIRECTORY_FSYNC = (errno.EINVAL, errno.ENOTSUP)


class LocalStorage:
    """Files below a folder, by names such as `jobs/exp/run.parquet`.

    Args:
        root: The folder; it is made when the first file is written.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        if "://" in os.fspath(root):
            raise ValueError(
                f"{os.fspath(root)!r} is no folder: object stores are not supported yet"
            )
        self.root = Path(root).expanduser()

    def __str__(self) -> str:
        return str(self.root)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there yet; return False, and change nothing, if it is.

        Raises:
            SnapshotWriteError: If the file system refuses; nothing is left behind.
        """
        target = self._path(name)
        try:
            self._make_folders(target.parent)
            temporary = _write_temporary(target, data)
            try:
                os.link(temporary, target, follow_symlinks=False)
            except FileExistsError:
                return False
            finally:
                temporary.unlink(missing_ok=True)
            _flush_folder(target.parent)
        except OSError as error:
            reason = f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')})"
        else:
            return True
        raise SnapshotWriteError(
            f"cannot write {shown(name)} in {shown(str(self.root))}: {reason}; "
            "what was there before is untouched"
        )

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: If there is none of that name.
            SnapshotCorruptError: If it cannot be read.
        """
        try:
            return self._path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(name) from None
        except OSError as error:
            reason = error.strerror or str(error)
        raise SnapshotCorruptError(f"cannot read {shown(name)}: {reason}", file=name)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files and folders in a folder, sorted; none if it is missing."""
        try:
            return sorted(entry.name for entry in os.scandir(self._path(folder)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def move(self, name: str, to: str) -> None:
        """Give a file another name; without effect if it is gone already.

        Raises:
            SnapshotWriteError: If the file system refuses.
        """
        source, target = self._path(name), self._path(to)
        try:
            self._make_folders(target.parent)
            source.replace(target)
            _flush_folder(target.parent)
            _flush_folder(source.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            return
        raise SnapshotWriteError(f"cannot move {shown(name)} to {shown(to)}: {reason}")

    def _path(self, name: str) -> Path:
        return self.root.joinpath(*filter(None, name.split("/")))

    def _make_folders(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folders(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)


def _write_temporary(target: Path, data: bytes) -> Path:
    """Write the data, flushed to the disk, beside the target; leave nothing if that fails."""
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    # O_EXCL does not follow a link that someone else put there
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


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
