"""The manifest of one revision of a run: its files, their hashes, and a hash of its own."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.errors import SnapshotCorruptError, SnapshotError
from retab_frames.schemas.frames import INT64
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "DIGEST_KEYS",
    "FileEntry",
    "Manifest",
    "are_within",
    "content_digest",
    "folder_name",
    "library",
    "parse_sealed",
    "seal",
    "sha256",
]

FORMAT = "retab-frames-snapshot"
VERSION = 1
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
_WITHIN = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*(\.parquet)?")


class FileEntry(msgspec.Struct, frozen=True):
    """A file of a revision: its name in the folder of its table, and the content it must have."""

    name: str
    size: int
    sha256: str
    rows: int
    schema_version: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What one revision of a run holds; `seal` adds the hash that shows whether it is altered."""

    format: str = FORMAT
    version: int = VERSION
    workflow_id: str | None
    experiment_id: str
    run_id: str
    revision: int
    block_kind: str | None
    complete: bool
    jobs: int
    statuses: dict[str, int]
    run_created_at: str | None
    fetched_at: str | None
    written_at: str
    digest: str
    previous: str | None
    files: dict[str, FileEntry]
    library: str
    source: str | None = None
    seal: str = ""

    @property
    def names(self) -> list[str]:
        """The names of its files below the root, where plain readers look."""
        return [f"{table}/{entry.name}" for table, entry in self.files.items()]

    @classmethod
    def parse(cls, text: bytes, file: str) -> Manifest:
        """Return the manifest of a JSON text.

        Raises:
            SnapshotError: If a newer version of this library wrote it.
            SnapshotCorruptError: If it is cut or altered.
        """
        fields = parse_sealed(text, file, FORMAT, VERSION, _REMEDY)
        try:
            manifest = msgspec.convert(fields, cls)
            if are_within(manifest.names):
                return manifest
            # anyone can compute a hash that matches: no file elsewhere may be read or moved
            problem = "it names a file outside of its table"
        except msgspec.MsgspecError as error:
            problem = printable(error, 200)
        raise SnapshotCorruptError(f"{printable(file)} is damaged: {problem}; {_REMEDY}", file=file)


def are_within(names: Iterable[str]) -> bool:
    """Return whether names of files, from the root, all have the form that this library gives."""
    return all(map(_WITHIN.fullmatch, names))


def seal(struct: msgspec.Struct) -> bytes:
    """Return a struct as JSON text whose field `seal` is the hash of all other fields."""
    fields = msgspec.to_builtins(struct)
    del fields["seal"]
    return _canonical({**fields, "seal": sha256(_canonical(fields))})


def parse_sealed(
    text: bytes, file: str, expected: str, version: int, remedy: str
) -> dict[str, Any]:
    """Return the fields of a JSON text whose hash in the field `seal` is right.

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
    try:
        # as a dict, so that the seal covers fields that a later version of this library added
        fields = msgspec.json.decode(text, type=dict[str, Any])
        written = fields.get("version")
        if isinstance(written, int) and written > version:
            raise SnapshotError(
                f"{printable(file)} has format version {written}, this library reads up to "
                f"{version}: upgrade retab-frames"
            )
        came = fields.pop("seal", None)
        if came == sha256(_canonical(fields)) and fields.get("format") == expected:
            return {**fields, "seal": came}
        problem = "its content does not match its own hash"
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        problem = printable(error, 200)
    raise SnapshotCorruptError(f"{printable(file)} is damaged: {problem}; {remedy}", file=file)


@cache
def library() -> str:
    """Return the versions of the libraries that write the files, as the manifest records them."""
    return f"retab-frames {version_of('retab-frames')}, pyarrow {pa.__version__}"


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


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
        excluded = {"fetched_at", "position"} if name == "raw" else {"fetched_at"}
        columns = set(table.column_names) - excluded
        table = (
            table.select(sorted(columns))
            .sort_by([(key, "ascending") for key in keys[name]])
            .combine_chunks()
        )
        for column in table.column_names:
            _add_column(digest, f"{name}.{column}", table.column(column))
    return digest.hexdigest()


def _add_column(digest: hashlib._Hash, name: str, column: pa.ChunkedArray) -> None:
    """Add the name, the length of each value (-1 for null), and the text of the values."""
    plain = column.cast(INT64) if pa.types.is_timestamp(column.type) else column
    text = plain.cast(pa.large_string()).combine_chunks()
    lengths = pc.fill_null(pc.binary_length(text), -1).cast(INT64)
    for part in (
        f"{name}:{column.type}:{len(column)}".encode(),
        lengths.to_numpy(zero_copy_only=False).tobytes(),
        "".join(text.drop_null().to_pylist()).encode(),
    ):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)


def _canonical(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")
