"""The manifest of one revision of a run: what it holds, and the proof that it is whole."""

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
    "opened_fields",
    "sealed_text",
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
"""What the digest covers, and in which order; issues follow from the rest."""
_SLUG = re.compile(r"[^a-z0-9_-]+")
_REMEDY = "restore it, or delete it and pull the run again"
_WITHIN = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*(\.parquet)?")


class FileEntry(msgspec.Struct, frozen=True):
    """One file of a revision: its name within the folder of its table, and what it must be."""

    name: str
    size: int
    sha256: str
    rows: int
    schema_version: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What one revision of a run holds; `sealed` adds the hash that proves it."""

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

    def sealed(self) -> bytes:
        """Return the manifest as JSON text that holds the hash of all the rest of it."""
        return sealed_text(self)

    @classmethod
    def opened(cls, text: bytes, file: str) -> Manifest:
        """Return the manifest of a JSON text.

        Raises:
            SnapshotError: If a newer version of this library wrote it.
            SnapshotCorruptError: If it is cut or altered.
        """
        fields = opened_fields(text, file, FORMAT, VERSION, _REMEDY)
        try:
            manifest = msgspec.convert(fields, cls)
            if are_within(manifest.names):
                return manifest
            # anyone can make a hash that matches: nothing may be read or moved elsewhere
            problem = "it names a file outside of its table"
        except msgspec.MsgspecError as error:
            problem = printable(error, 200)
        raise SnapshotCorruptError(f"{printable(file)} is damaged: {problem}; {_REMEDY}", file=file)


def are_within(names: Iterable[str]) -> bool:
    """Return whether names of files, from the root, are all such as this library gives."""
    return all(map(_WITHIN.fullmatch, names))


def sealed_text(struct: msgspec.Struct) -> bytes:
    """Return a struct as JSON text whose field `seal` is the hash of all the rest of it."""
    fields = msgspec.to_builtins(struct)
    del fields["seal"]
    return _canonical({**fields, "seal": sha256(_canonical(fields))})


def opened_fields(
    text: bytes, file: str, expected: str, version: int, remedy: str
) -> dict[str, Any]:
    """Return the fields of a sealed JSON text, the seal checked.

    Args:
        text: The JSON text.
        file: Where it was read, for the errors.
        expected: What its field `format` must say.
        version: The highest version of that format that this library reads.
        remedy: What to do if it is damaged, for the errors.

    Raises:
        SnapshotError: If a newer version of this library wrote it.
        SnapshotCorruptError: If it is cut or altered.
    """
    try:
        # as a dict, so that the seal covers fields that a later version of this library added
        fields = msgspec.json.decode(text, type=dict[str, Any])
        came = fields.get("version")
        if isinstance(came, int) and came > version:
            raise SnapshotError(
                f"{printable(file)} has format version {came}, this library reads up to "
                f"{version}: upgrade retab-frames"
            )
        seal = fields.pop("seal", None)
        if seal == sha256(_canonical(fields)) and fields.get("format") == expected:
            return {**fields, "seal": seal}
        problem = "its content does not match its own hash"
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        problem = printable(error, 200)
    raise SnapshotCorruptError(f"{printable(file)} is damaged: {problem}; {remedy}", file=file)


@cache
def library() -> str:
    """Return the versions of what writes the files."""
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
    """Return a hash of what the tables say, whatever the order of their rows.

    It leaves out `fetched_at` and the `position` of raw rows, which differ between two responses
    that say the same, and does not depend on codec, library version or chunks.

    Args:
        tables: The tables by name.
        keys: The columns that order the rows of each table.
        complete: Whether that is all there is.
    """
    digest = hashlib.sha256(b"complete" if complete else b"incomplete")
    for name in sorted(keys):
        table = tables[name]
        told = set(table.column_names) - {"fetched_at"} - ({"position"} if name == "raw" else set())
        table = (
            table.select(sorted(told))
            .sort_by([(key, "ascending") for key in keys[name]])
            .combine_chunks()
        )
        for column in table.column_names:
            _add_column(digest, f"{name}.{column}", table.column(column))
    return digest.hexdigest()


def _add_column(digest: hashlib._Hash, name: str, column: pa.ChunkedArray) -> None:
    """Add the name, which values are null, the length of each value, and the values' text."""
    plain = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    text = plain.cast(pa.large_string()).combine_chunks()
    lengths = pc.fill_null(pc.binary_length(text), -1).cast(pa.int64())
    for part in (
        f"{name}:{column.type}:{len(column)}".encode(),
        lengths.to_numpy(zero_copy_only=False).tobytes(),
        "".join(text.drop_null().to_pylist()).encode(),
    ):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)


def _canonical(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")
