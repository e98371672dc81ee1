"""A selection as an Arrow dataset, for Arrow itself and for the engines that read such.

The files of a folder are opened by Arrow alone. Those of a bucket are read by our own code, which
Arrow calls from its threads: they wait for the interpreter's lock, and `Scanner.to_reader` of
pyarrow holds that lock while it waits for them. So that is replaced where a bucket is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs

from retab_frames.errors import SnapshotError
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.files.storage import open_storage
from retab_frames.store.scan.selection import check_source, explain_missing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retab_frames.store.files.storage import Storage
    from retab_frames.store.scan.selection import Selection, Source

__all__ = ["SelectedFiles"]

_FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


class SelectedFiles(ds.FileSystemDataset):  # type: ignore[misc]
    """The files of a selection; a column that a file lacks is null there.

    Before each scan the files of a folder are looked at: that they are there, and no links.
    """

    def __init__(self, selection: Selection) -> None:
        root: str = ""
        self._bucket: _BucketHandler | None = None
        if isinstance(selection.storage, LocalStorage):
            filesystem, root = pafs.LocalFileSystem(), f"{Path(selection.root).as_posix()}/"
        else:
            self._bucket = _BucketHandler(selection.storage, selection.root, selection.sources)
            filesystem = pafs.PyFileSystem(self._bucket)
        self._paths = {f"{root}{source.file}": source for source in selection.sources}
        fragments = [
            _FORMAT.make_fragment(path, filesystem, _condition(selection, source))
            for path, source in self._paths.items()
        ]
        super().__init__(fragments, selection.schema, _FORMAT, filesystem)
        self._selection = selection

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the selection: another process opens the store by its name."""
        return SelectedFiles, (self._selection,)

    def scanner(self, *arguments: Any, filter: Any = None, **options: Any) -> Any:  # noqa: A002
        """Return a Scanner, or what has the methods of one, of the rows that meet a filter.

        Raises:
            SnapshotNotFoundError: If a run, or the revision of it that was chosen, was removed.
            SnapshotCorruptError: If a file that may have such rows is missing, or has another size.
        """
        scanner = super().scanner(*arguments, filter=filter, **options)
        if self._bucket is not None:
            return _BucketScanner(scanner)
        needed = None if filter is None else {one.path for one in self.get_fragments(filter)}
        for path, source in self._paths.items():
            if needed is None or path in needed:
                check_source(self._selection.storage, source)
        return scanner

    def raise_failure(self) -> None:
        """Raise the error of the store for which a scan failed, if there is one.

        For engines that pass on no more than its words; raises as `scanner`.
        """
        if self._bucket is None:
            self._selection.check()
        elif self._bucket.failure is not None:
            raise self._bucket.failure


def _condition(selection: Selection, source: Source) -> ds.Expression | None:
    """Return a condition that all rows of a file meet, so that Arrow can skip the file.

    It also gives `raw` its column `run_id`, which compacted parts have. Issues have no condition:
    their run may be null.
    """
    if selection.table == "issues" or source.run_id is None:
        return None
    return ds.field("run_id") == source.run_id


class _BucketScanner:
    """A Scanner whose `to_reader` does not hold the interpreter's lock while it waits."""

    def __init__(self, scanner: ds.Scanner) -> None:
        self._scanner = scanner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scanner, name)

    def to_reader(self) -> pa.RecordBatchReader:
        """Return the rows as a stream."""
        schema = self._scanner.projected_schema
        return pa.RecordBatchReader.from_batches(schema, self._scanner.to_batches())


class _BucketHandler(pafs.FileSystemHandler):  # type: ignore[misc]
    """Lets Arrow read the objects of a selection and nothing else, each whole, and write nothing.

    Attributes:
        failure: The first error of the store that Arrow was given.
    """

    def __init__(self, storage: Storage, root: str, sources: Iterable[Source]) -> None:
        self._storage = storage
        self._root = root
        self._sources = {source.file: source for source in sources}
        self.failure: SnapshotError | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BucketHandler) and other.__reduce__() == self.__reduce__()

    def __hash__(self) -> int:
        return hash(self._root)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by URL: another process has settings of its own."""
        return _reopen, (self._root, tuple(self._sources.values()))

    def get_type_name(self) -> str:
        return "retab-frames"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        kind = pafs.FileType.File
        return [pafs.FileInfo(path, kind, size=self._sources[path].size) for path in paths]

    def open_input_file(self, path: str) -> pa.NativeFile:
        source = self._sources[path]
        try:
            try:
                return pa.BufferReader(self._storage.read(path, source.size))
            except FileNotFoundError:
                raise explain_missing(self._storage, source) from None
        except SnapshotError as error:
            self.failure = self.failure or error
            raise

    open_input_stream = open_input_file

    def _refuse(self, *_arguments: Any, **_options: Any) -> Any:
        raise OSError(f"{self._storage} is open for reading only")

    get_file_info_selector = create_dir = delete_dir = delete_dir_contents = _refuse
    delete_root_dir_contents = delete_file = move = copy_file = _refuse
    open_output_stream = open_append_stream = _refuse


def _reopen(root: str, sources: tuple[Source, ...]) -> _BucketHandler:
    return _BucketHandler(open_storage(root), root, sources)
