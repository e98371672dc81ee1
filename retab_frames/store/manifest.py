"""The manifest of one revision of a run: its files, their hashes, and a hash of its own."""

from __future__ import annotations

import hashlib
import re
from datetime import MAXYEAR, UTC, datetime
from functools import cache, lru_cache
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
import pyarrow as pa

from retab_frames.errors import SnapshotCorruptError, SnapshotError
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DIGEST_KEYS",
    "FOLDER",
    "MOST_BYTES",
    "FileEntry",
    "Manifest",
    "check_seal",
    "content_digest",
    "data_name",
    "folder_name",
    "is_cut",
    "library",
    "manifest_name",
    "seal",
    "sha256",
]

FORMAT = "retab-frames-snapshot"
VERSION = 2
FOLDER = "revisions"
MOST_BYTES = 16 * 2**20
"""Of a manifest; a larger one is not read."""
DIGEST_KEYS = {
    "jobs": ("job_id",),
    "handle_inputs": ("job_id", "position"),
    "handle_outputs": ("job_id", "position"),
    "raw": ("job_id",),
    "runs": ("run_id",),
}
"""The tables that the digest covers, and the columns that order their rows.

Issues are left out: they follow from the other tables.
"""
_SLUG = re.compile(r"[^a-z0-9_-]+")
_REMEDY = "restore it, or delete it and pull the run again"
_SEAL_LENGTH = len('"seal":"",') + 64
_LAST_TIME = 2**63 // 10**6 - 1
_columns_of: dict[tuple[str, ...], tuple[str, ...]] = {}

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Revision = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, msgspec.Meta(min_length=1)]
TableName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z_]{0,40}$")]


class FileEntry(msgspec.Struct, frozen=True, gc=False):
    """A data file of a revision, and the content it must have.

    Attributes:
        name: Its name in the folder of its run.
        size: Its size in bytes.
        sha256: The hash of its bytes.
        rows: How many rows it has.
        schema_version: The version of the columns of its table.
        columns: The names of all its columns, in their order.
    """

    name: str
    size: Count
    sha256: Hash
    rows: Count
    schema_version: Revision
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        """Share the names of the columns, which are the same in most files of a store."""
        shared = _columns_of.setdefault(self.columns, self.columns)
        msgspec.structs.force_setattr(self, "columns", shared)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one revision of a run holds; `seal` adds the hash that shows whether it is altered.

    A table without rows has no file. Of a run that was removed, `removed` is true in the last
    manifest, which has no files.
    """

    format: str = FORMAT
    version: int = VERSION
    workflow_id: str | None
    experiment_id: Identifier
    run_id: Identifier
    revision: Revision
    block_kind: str | None
    complete: bool
    jobs: Count
    statuses: dict[str, Count]
    run_created_at: str | None
    fetched_at: str | None
    written_at: str
    digest: Hash
    previous: Hash | None
    files: dict[TableName, FileEntry]
    library: str
    source: str | None = None
    removed: bool = False
    seal: str = ""

    @property
    def folder(self) -> str:
        """The name of the run's folder."""
        return folder_name(self.run_id)

    def path_of(self, table: str) -> str:
        """Return the name, from the root, of the file that holds a table."""
        return f"{FOLDER}/{self.folder}/{self.files[table].name}"

    def view_of(self, table: str) -> str:
        """Return the name, from the root, under which plain readers find a table of the run."""
        return f"{table}/{folder_name(self.experiment_id)}/{self.folder}.parquet"

    @classmethod
    def parse(cls, text: bytes, file: str) -> Manifest:
        """Return the manifest of a JSON text.

        Raises:
            SnapshotError: If a newer version of this library wrote it.
            SnapshotCorruptError: If it is cut or altered, or has a value that it cannot have:
                anyone can compute a hash that matches.
        """
        body = check_seal(text, file, FORMAT, VERSION, _REMEDY)
        try:
            manifest = _decoder.decode(body)
            problem = _find_nonsense(manifest, file)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            problem = printable(error, 200)
        if problem is None:
            return manifest
        raise SnapshotCorruptError(f"{printable(file)} is damaged: {problem}; {_REMEDY}", file=file)


_decoder = msgspec.json.Decoder(Manifest)


def manifest_name(run_id: str, revision: int) -> str:
    """Return the name, from the root, of the manifest of a revision."""
    return f"{FOLDER}/{folder_name(run_id)}/{revision:06}.json"


def data_name(table: str, digest: str) -> str:
    """Return the name, in the folder of its run, of the file of a table with this SHA-256."""
    return f"{table}-{digest[:16]}.parquet"


def is_cut(text: bytes) -> bool:
    """Return whether a manifest ends before its end, so that it was never committed.

    Only a file system without hard links can leave such a one, when a writer is killed.
    """
    written = text.rstrip(b"\0")
    return b'{"'.startswith(written[:2]) and not written.endswith(b'"}')


def _find_nonsense(manifest: Manifest, file: str) -> str | None:
    """Return which value a manifest cannot have, None if there is none."""
    if manifest.format != FORMAT or manifest.version != VERSION:
        return "it is of another format"
    if manifest_name(manifest.run_id, manifest.revision) != file:
        return (
            f"it is the manifest of revision {manifest.revision} of run "
            f"{printable(manifest.run_id)}, so it was copied or renamed; put it back, or delete it"
        )
    for table, entry in manifest.files.items():
        if entry.name != data_name(table, entry.sha256):
            return f"it names a file that is not one of its table {table}"
        if not _are_distinct(entry.columns):
            return f"a column of its table {table} has two places"
    for name in ("run_created_at", "fetched_at", "written_at"):
        text = getattr(manifest, name)
        if text is not None and not _is_time(text):
            return f"its {name} is not a valid time with a zone: {printable(text)}"
    return None


@cache
def _are_distinct(columns: tuple[str, ...]) -> bool:
    return len(set(columns)) == len(columns)


def _is_time(text: str) -> bool:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None and 1 < time.year < MAXYEAR:
            return True
        # of the years 1 and 9999 some hours are outside once the zone is applied
        return (
            time.tzinfo is not None
            and abs(time.timestamp()) < _LAST_TIME
            and bool(time.astimezone(UTC))
        )
    except (ValueError, OverflowError):
        return False


def seal(struct: msgspec.Struct) -> bytes:
    """Return a struct as JSON text whose field `seal` is the hash of all other fields."""
    fields = msgspec.to_builtins(struct)
    del fields["seal"]
    return _canonical({**fields, "seal": sha256(_canonical(fields))})


def check_seal(text: bytes, file: str, expected: str, version: int, remedy: str) -> bytes:
    """Return a JSON text whose hash in the field `seal` is right.

    The hash is of the text without that field, so it covers fields that a later version added.

    Args:
        text: The JSON text.
        file: The file it was read from, for the errors.
        expected: The value that its field `format` must have.
        version: The highest version of that format that this library reads.
        remedy: What to do if it is damaged, for the errors.

    Raises:
        SnapshotError: If a newer version of this library wrote it.
        SnapshotCorruptError: If it is cut or altered.
    """
    problem = "its content does not match its own hash"
    try:
        head = msgspec.json.decode(text, type=_Head)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        problem = printable(error, 200)
    else:
        if head.version > version and head.format in (expected, ""):
            raise SnapshotError(
                f"{printable(file)} has format version {head.version}, this library reads up to "
                f"{version}: upgrade retab-frames"
            )
        begin = text.rfind(b'"seal":"')
        end = begin + _SEAL_LENGTH
        if head.seal == sha256(text[:begin] + text[end:]) and text[end - 2 : end] == b'",':
            return text
    raise SnapshotCorruptError(f"{printable(file)} is damaged: {problem}; {remedy}", file=file)


class _Head(msgspec.Struct):
    version: int
    format: str = ""
    seal: str = ""


@cache
def library() -> str:
    """Return the versions of the libraries that write the files, as the manifest records them."""
    return f"retab-frames {version_of('retab-frames')}, pyarrow {pa.__version__}"


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=2**16)
def folder_name(identifier: str) -> str:
    """Return a name for an id that is safe on every file system, and different for each id.

    It begins with a letter or digit, because readers skip names that begin with `_` or `.`; the
    hash keeps ids apart that differ in case or in Unicode form only.
    """
    slug = _SLUG.sub("-", identifier.lower()).strip("-_")[:40].rstrip("-_") or "id"
    return f"{slug}-{sha256(identifier.encode())[:16]}"


def content_digest(
    tables: Mapping[str, pa.Table], keys: Mapping[str, tuple[str, ...]], *, complete: bool
) -> str:
    """Return a hash of the content of the tables; the order of their rows does not matter.

    It leaves out `fetched_at` and the `position` of raw rows, which differ between two responses
    with the same content, and does not depend on codec, library version or chunks.

    Args:
        tables: The tables by name.
        keys: The columns that order the rows of each table.
        complete: Whether the run has ended and nothing is missing.
    """
    digest = hashlib.sha256(b"complete" if complete else b"incomplete")
    for name in sorted(keys):
        table = tables[name]
        if not table.num_rows:
            # its columns say nothing, and take as long as those of a table with rows
            digest.update(f"{name}: no rows".encode())
            continue
        excluded = {"fetched_at", "position"} if name == "raw" else {"fetched_at"}
        columns = set(table.column_names) - excluded
        table = table.select(sorted(columns))
        table = table.sort_by([(key, "ascending") for key in keys[name]])
        for column in table.column_names:
            _add_column(digest, f"{name}.{column}", table.column(column).combine_chunks())
    return digest.hexdigest()


def _add_column(digest: hashlib._Hash, name: str, column: pa.Array) -> None:
    """Add the name, where there are nulls, and the bytes of the values that are there."""
    parts: list[bytes | memoryview] = [f"{name}:{column.type}:{len(column)}".encode()]
    if column.null_count:
        parts.append(column.is_valid().to_numpy(zero_copy_only=False).tobytes())
    if column.null_count < len(column):
        parts += _bytes_of(column.drop_null())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)


def _bytes_of(values: pa.Array) -> list[bytes | memoryview]:
    """Return the bytes of values that are not null; of text the lengths, and then the text."""
    if pa.types.is_string(values.type):
        _, offsets, text = values.buffers()
        ends = np.frombuffer(offsets, np.int32, len(values) + 1, 4 * values.offset)
        whole = memoryview(text)[ends[0] : ends[-1]] if text is not None else b""
        return [np.diff(ends).tobytes(), whole]
    kind = pa.int64() if pa.types.is_timestamp(values.type) else values.type
    return [values.cast(kind).to_numpy(zero_copy_only=False).tobytes()]


def _canonical(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")
