"""Files below a folder that appear whole or not at all; no link below that folder is followed.

A file is written under a temporary name in the folder where it belongs, flushed to the disk, and
then linked to its name, which fails if the name is taken. So a reader sees the whole file or none,
and of two writers one learns that the other was first. Where the file system has no hard links, the
file is created under its own name, and read back afterwards.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from retab_frames.errors import SnapshotCorruptError, SnapshotWriteError
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

__all__ = ["LocalStorage"]

_NO_FOLDER_FLUSH = (errno.EINVAL, errno.ENOTSUP)
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_ABSENT = (FileNotFoundError, NotADirectoryError)
_JUNCTION = 0xA0000003
# a FIFO must not block, a link must not be followed, and Windows must not change line ends
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


class LocalStorage:
    """Files below a folder; see `Storage`.

    Args:
        root: The folder; it is made when the first file is written. It may itself be a link.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser()
        self._root = os.fspath(self.root)
        self._made: set[Path] = set()
        self._can_link = True

    def __str__(self) -> str:
        return str(self.root)

    def create(self, name: str, data: bytes) -> bool:
        """Write and flush a file that is not there yet; return False if it is."""
        target = self._path(name)
        try:
            self._make_folders(target.parent)
            if self._can_link:
                with suppress(_NoHardLinksError):
                    return _link_new(target, data)
                self._can_link = False
            return _create_and_compare(target, data)
        except OSError as error:
            reason = _reason(error)
        raise SnapshotWriteError(
            f"cannot write {printable(name)} in {printable(str(self.root))}: {reason}; "
            "what was there before is untouched"
        )

    def put(self, name: str, data: bytes) -> None:
        """Write and flush a file, in the place of the one that has its name."""

        def write(temporary: Path) -> None:
            _write_new(temporary, data)

        self._replace(name, write, flush_folders=True)

    def put_view(self, name: str, source: str, data: Callable[[], bytes]) -> None:
        """Give the file `source` a second name; without hard links write its bytes, not flushed."""
        origin = self._path(source)

        def link(temporary: Path) -> None:
            if self._can_link:
                try:
                    os.link(origin, temporary, follow_symlinks=False)
                except OSError as error:
                    if error.errno not in (*_NO_HARD_LINKS, errno.EMLINK):
                        raise
                else:
                    return
            _write_new(temporary, data(), flush=False)

        # renaming one name of a file to another name of it does nothing
        if not self.is_same(name, source):
            self._replace(name, link)

    def is_same(self, name: str, source: str) -> bool:
        """Return whether two names are names of one file."""
        try:
            one, other = os.lstat(self._find(name)), os.lstat(self._path(source))
        except OSError:
            return False
        return stat.S_ISREG(one.st_mode) and os.path.samestat(one, other)

    def flush_folder(self, name: str) -> None:
        """Write the names in a folder to the disk, so that a power cut does not lose them."""
        try:
            _flush_folder(self._path(name, whole=True))
        except _ABSENT:
            return
        except OSError as error:
            reason = _reason(error)
        else:
            return
        raise SnapshotWriteError(f"cannot flush the folder {printable(name)}: {reason}")

    def read(self, name: str, size: int | None = None) -> bytes:
        """Return the bytes of a regular file; one larger than `size` is refused."""
        path = self._find(name)
        try:
            handle = os.open(path, _OPEN_FLAGS)
            try:
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode):
                    reason = "it is not a file"
                elif size is not None and status.st_size > size:
                    reason = f"it has {status.st_size:,} bytes, more than {size:,}"
                else:
                    return _read_up_to(handle, status.st_size)
            finally:
                os.close(handle)
        except _ABSENT:
            raise FileNotFoundError(name) from None
        except OSError as error:
            reason = "it is a link" if error.errno == errno.ELOOP else _reason(error)
        raise SnapshotCorruptError(f"cannot read {printable(name)}: {reason}", file=name)

    def size(self, name: str) -> int:
        """Return the size of a regular file in bytes."""
        return self._status(name).st_size

    def modified(self, name: str) -> datetime:
        """Return when a file was written or touched, in UTC, by the clock of its file system."""
        return datetime.fromtimestamp(self._status(name).st_mtime, UTC)

    def touch(self, name: str) -> None:
        """Set the time of a file to now."""
        self._status(name)
        try:
            os.utime(self._path(name))
        except OSError as error:
            reason = _reason(error)
        else:
            return
        raise SnapshotWriteError(f"cannot set the time of {printable(name)}: {reason}")

    def now(self) -> datetime:
        """Return the time by the clock that stamps new files: that of a file server may differ."""
        temporary = _temporary(self.root / "clock")
        try:
            _write_new(temporary, b"", flush=False)
            return datetime.fromtimestamp(temporary.stat().st_mtime, UTC)
        except OSError as error:
            reason = _reason(error)
        finally:
            with suppress(OSError):
                temporary.unlink()
        raise SnapshotWriteError(f"cannot write in {printable(str(self.root))}: {reason}")

    def names(self, folder: str) -> list[str]:
        """Return the names of the files and folders in a folder, sorted; none if it is missing."""
        try:
            with os.scandir(self._find(folder, whole=True)) as entries:
                return sorted(entry.name for entry in entries)
        except _ABSENT:
            return []
        except OSError as error:
            reason = _reason(error)
        raise self._unlisted(folder, reason)

    def subfolders(
        self, folder: str, *, but: Container[str] = ()
    ) -> Iterator[tuple[str, list[str] | None]]:
        """Iterate over what is in a folder, sorted, and the names in each that is a folder."""
        path = self._find(folder, whole=True)
        try:
            with suppress(*_ABSENT), os.scandir(path) as entries:
                for entry in sorted(entries, key=attrgetter("name")):
                    if entry.name in but:
                        continue
                    yield entry.name, _names_in(entry)
        except OSError as error:
            reason = _reason(error)
        else:
            return
        raise self._unlisted(folder, reason)

    def change_times(self, folder: str) -> dict[str, int]:
        """Return when each file and folder in a folder last changed, in nanoseconds."""
        try:
            with suppress(*_ABSENT), os.scandir(self._find(folder, whole=True)) as entries:
                return {one.name: one.stat(follow_symlinks=False).st_mtime_ns for one in entries}
        except OSError as error:
            reason = _reason(error)
        else:
            return {}
        raise self._unlisted(folder, reason)

    def walk(self, folder: str = "") -> Iterator[str]:
        """Iterate over the names, from the root, of all that is not a folder below one, sorted."""
        found: list[str] = []
        folders = [folder]
        try:
            while folders:
                within = folders.pop()
                with suppress(*_ABSENT), os.scandir(self._path(within, whole=True)) as entries:
                    for entry in entries:
                        name = f"{within}/{entry.name}" if within else entry.name
                        is_folder = entry.is_dir(follow_symlinks=False)
                        is_folder = is_folder and not _is_link(entry.stat(follow_symlinks=False))
                        (folders if is_folder else found).append(name)
        except OSError as error:
            reason = _reason(error)
        else:
            return iter(sorted(found))
        raise self._unlisted(folder, reason)

    def delete(self, name: str) -> None:
        """Remove a file; without effect if it is gone already."""
        try:
            self._path(name).unlink()
        except _ABSENT:
            return
        except OSError as error:
            reason = _reason(error)
        else:
            return
        raise SnapshotWriteError(f"cannot delete {printable(name)}: {reason}")

    def delete_folder(self, name: str, *, before: datetime | None = None) -> None:
        """Remove a folder if it is empty, and did not change since then."""
        path = self._path(name, whole=True)
        with suppress(OSError):
            if before is not None and path.stat().st_mtime >= before.timestamp():
                return
            path.rmdir()
            # so that a folder of this name is made and flushed anew
            self._made.discard(self.root / name)

    def _path(self, name: str, *, whole: bool = False) -> Path:
        """Return the path of a name; see `_find`."""
        return Path(self._find(name, whole=whole))

    def _find(self, name: str, *, whole: bool = False) -> str:
        """Return the path of a name, after looking for links among the folders on the way.

        It is text, because a Path takes longer than opening the file.

        Args:
            name: The name from the root.
            whole: Whether the last part is a folder, and looked at too.

        Raises:
            SnapshotCorruptError: If one is a link.
        """
        path = self._root
        parts = [part for part in name.split("/") if part]
        last = len(parts) if whole else len(parts) - 1
        for number, part in enumerate(parts):
            path = f"{path}/{part}"
            if number >= last:
                break
            try:
                status = os.lstat(path)
            except OSError:
                # what is not there is not a link; whoever opens it is told
                return "/".join((self._root, *parts))
            if _is_link(status):
                raise SnapshotCorruptError(
                    f"{printable(name)} is not used: {printable(path)} is a link, and links below "
                    "the root of a store are not followed",
                    file=name,
                )
        return path

    def _status(self, name: str) -> os.stat_result:
        try:
            status = os.lstat(self._path(name))
        except _ABSENT:
            raise FileNotFoundError(name) from None
        except OSError as error:
            reason = _reason(error)
        else:
            if stat.S_ISREG(status.st_mode):
                return status
            raise FileNotFoundError(name)
        raise SnapshotCorruptError(f"cannot read {printable(name)}: {reason}", file=name)

    def _replace(
        self, name: str, write: Callable[[Path], None], *, flush_folders: bool = False
    ) -> None:
        """Write a file under a temporary name, and rename it over the one that has its name."""
        target = self._path(name)
        temporary = _temporary(target)
        try:
            if flush_folders:
                self._make_folders(target.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                write(temporary)
                temporary.replace(target)
            finally:
                with suppress(OSError):
                    temporary.unlink()
        except OSError as error:
            reason = _reason(error)
        else:
            return
        raise SnapshotWriteError(
            f"cannot write {printable(name)} in {printable(str(self.root))}: {reason}; "
            "what was there before is untouched"
        )

    def _unlisted(self, folder: str, reason: str) -> SnapshotCorruptError:
        where = printable(os.fspath(self.root / folder))
        return SnapshotCorruptError(f"cannot list {where}: {reason}", file=folder)

    def _make_folders(self, folder: Path) -> None:
        """Make a folder and those above it, each flushed so that a power cut does not undo it.

        A folder below the root that existed is flushed too, once: whoever made it may have been
        killed before that.
        """
        exists = folder.is_dir()
        if exists and (folder in self._made or self.root not in folder.parents):
            return
        if folder.parent != folder:
            self._make_folders(folder.parent)
        if not exists:
            folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)
        self._made.add(folder)


class _NoHardLinksError(Exception):
    """The file system has no hard links."""


def _names_in(entry: os.DirEntry[str]) -> list[str] | None:
    """Return the names in a folder; None if it is a link or a file, or cannot be listed."""
    try:
        is_folder = entry.is_dir(follow_symlinks=False)
        is_folder = is_folder and not _is_link(entry.stat(follow_symlinks=False))
        return os.listdir(entry) if is_folder else None  # noqa: PTH208 - a Path per file is slow
    except OSError:
        return None


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid4().hex}.tmp")


def _write_new(path: Path, data: bytes, *, flush: bool = True) -> None:
    # "x" does not follow a link that someone else put there
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        if flush:
            os.fsync(file.fileno())


def _link_new(target: Path, data: bytes) -> bool:
    """Write and flush a temporary file, and link it to the target; False if the name is taken.

    Raises:
        _NoHardLinksError: If the file system has none.
    """
    temporary = _temporary(target)
    try:
        _write_new(temporary, data)
        try:
            os.link(temporary, target, follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in _NO_HARD_LINKS:
                raise _NoHardLinksError from error
            raise
        return True
    finally:
        # one that stays is found by `walk`; this must not hide an earlier error
        with suppress(OSError):
            temporary.unlink()


def _create_and_compare(target: Path, data: bytes) -> bool:
    """Write a file under its own name, and read it back; False if the name is taken.

    A reader may meanwhile see a part of it, and so does everybody after a crash.
    """
    try:
        _write_new(target, data)
    except FileExistsError:
        return False
    except BaseException:
        # the name was free, so what stands there is ours, and cut short
        with suppress(OSError):
            target.unlink()
        raise
    return target.read_bytes() == data


def _read_up_to(handle: int, size: int) -> bytes:
    """Return at most so many bytes: the file may grow while it is read."""
    parts = []
    while size and (part := os.read(handle, size)):
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _is_link(status: os.stat_result) -> bool:
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _JUNCTION


def _flush_folder(folder: Path) -> None:
    """Flush the names in a folder, where the system can open and flush folders."""
    try:
        # with the flag a FIFO in its place is refused, and not waited for
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except PermissionError:
        # as on Windows
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    return f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')})"
