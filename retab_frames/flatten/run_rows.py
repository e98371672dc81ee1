"""The responses of one run -> the values of its rows: each row once, under the id of its job.

Rows are read some at a time, so that memory holds columns and not rows. That is not possible where
rows must be looked at together: one came twice, lacks an id, or names another run. Such a run is
read once more, all rows at once.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.errors import MalformedResponseError
from retab_frames.flatten.arrow_json import read_ordinary_rows
from retab_frames.flatten.row_values import RowValues, read_values
from retab_frames.text.messages import printable
from retab_frames.wire.json_text import join_array
from retab_frames.wire.misfits import Misfit
from retab_frames.wire.records import run_of
from retab_frames.wire.rows import RowReader, split_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.wire.envelopes import RowsResponse, RunResponses
    from retab_frames.wire.records import Row

__all__ = [
    "DEFAULT_SIZES",
    "CannotStreamError",
    "DecodedRun",
    "Sizes",
    "decode_run",
    "find_kept_rows",
    "stream_run",
]


class Sizes(NamedTuple):
    """How much is read and converted together.

    Attributes:
        large: The bytes of rows above which Arrow's JSON reader is tried.
        large_part: The bytes that a part has at least which that reader is given.
        part: The bytes that a part has at least which `RowReader` is given. What larger parts are
            decoded to would leave the processor's caches.
        part_rows: How many rows that were decoded together are handed on together.
        chunk_rows: How many jobs become columns together.
        chunked_from: How many rows a column has at least that stays in chunks; joining copies it.
    """

    large: int = 256 * 1024
    large_part: int = 2048 * 1024
    part: int = 512 * 1024
    part_rows: int = 1_024
    chunk_rows: int = 2_048
    chunked_from: int = 50_000


DEFAULT_SIZES = Sizes()


class CannotStreamError(Exception):
    """The rows must be looked at together: one came twice, lacks an id, is of another run."""


class DecodedRun(NamedTuple):
    """The rows of a run.

    Attributes:
        run_id: The run of all the rows; None for placeholders of an experiment never run.
        parts: The values of the rows, decoded as they are asked for.
        reader: What decodes them; it knows the unknown fields once all parts are taken.
    """

    run_id: str | None
    parts: Iterator[RowValues]
    reader: RowReader


def stream_run(run: RunResponses, sizes: Sizes) -> DecodedRun:
    """Return the rows of a run in the order they came, few of them decoded at a time.

    Raises:
        CannotStreamError: While the parts are taken, if `decode_run` must read this run; the parts
            taken so far must be discarded.
    """
    reader = RowReader()
    return DecodedRun(run.run_id, _stream_rows(run, reader, sizes), reader)


def decode_run(run: RunResponses, sizes: Sizes) -> DecodedRun:
    """Return the rows of a run in the order they came, all decoded at once.

    Raises:
        MalformedResponseError: If a row contradicts the contract of the API: not an object, no id,
            an id twice with different content, a row of another run.
    """
    try:
        return _decode_run(run, sizes)
    except MalformedResponseError as error:
        problem, where = str(error), error.where
    # a message about a row does not say of which of many runs it is
    name = f"run {printable(run.run_id)}: " if run.run_id else ""
    raise MalformedResponseError(f"{name}{problem}", where=where)


def find_kept_rows(run: RunResponses) -> list[int]:
    """Return which of all the rows that came are jobs, where some came twice."""
    return _drop_repeated(RowReader().read(join_array(run.rows))[0], run)


def _decode_run(run: RunResponses, sizes: Sizes) -> DecodedRun:
    reader = RowReader()
    rows, misfits = reader.read(join_array(run.rows))
    kept = _drop_repeated(rows, run)
    if len(kept) < len(rows):
        index = {n: position for position, n in enumerate(kept)}
        rows = [rows[n] for n in kept]
        misfits = [one._replace(row=index[one.row]) for one in misfits if one.row in index]
    run_id, rows_of_earlier_runs = _identify_run(rows, run)
    misfits += rows_of_earlier_runs
    ids = _identify_jobs(rows)
    reader.count(rows)
    size = sizes.part_rows
    of_part: defaultdict[int, list[Misfit]] = defaultdict(list)
    for one in misfits:
        of_part[one.row // size].append(one._replace(row=one.row % size))
    parts = (
        read_values(rows[at : at + size], ids[at : at + size], of_part[at // size])
        for at in range(0, len(rows), size)
    )
    return DecodedRun(run_id, parts, reader)


def _stream_rows(run: RunResponses, reader: RowReader, sizes: Sizes) -> Iterator[RowValues]:
    if not run.run_id:
        raise CannotStreamError
    ids = []
    parts = (_read_response(response, reader, sizes) for response in run.responses)
    for part in chain.from_iterable(parts):
        if not _is_one_run(run.run_id, part.run_ids):
            raise CannotStreamError
        ids.append(part.job_ids)
        yield part
        del part  # before the next one is decoded
    if len(ids) == 1 and isinstance(ids[0], list):
        are_distinct = _are_distinct(ids[0])
    else:
        every = pa.chunked_array([pa.array(some, pa.string()) for some in ids], pa.string())
        is_empty_among = pc.index(every, "").as_py() >= 0
        are_distinct = not is_empty_among and pc.count_distinct(every).as_py() == len(every)
    if not are_distinct:
        raise CannotStreamError


def _read_response(response: RowsResponse, reader: RowReader, sizes: Sizes) -> Iterator[RowValues]:
    """Yield the rows of a response: by Arrow's reader where they are many and it accepts them."""
    rows = response.array[1:-1]
    if len(rows) <= sizes.large:
        yield from _decode_parts(rows, reader, sizes)
        return
    for text, part in read_ordinary_rows(rows, part_bytes=sizes.large_part):
        if part is not None:
            yield part
        else:
            yield from _decode_parts(text, reader, sizes)
        del text, part  # before the next one is waited for


def _decode_parts(rows: memoryview, reader: RowReader, sizes: Sizes) -> Iterator[RowValues]:
    for text in split_rows(rows, sizes.part):
        try:
            decoded, misfits = reader.read(b"".join((b"[", text, b"]")))
        except MalformedResponseError as error:
            # `decode_run` reports it, or reads what was split at a wrong place
            raise CannotStreamError from error
        reader.count(decoded)
        part = read_values(decoded, [row.id for row in decoded], misfits)
        del decoded, misfits  # what the columns need is taken
        yield part
        del part


def _are_distinct(ids: list[str]) -> bool:
    """Return whether every id is there, and only once."""
    distinct = set(ids)
    return len(distinct) == len(ids) and "" not in distinct


def _is_one_run(run_id: str | None, named: set[str | None]) -> bool:
    """Return whether the run is known, and the only one that is named."""
    return bool(run_id) and named <= {run_id, None, ""}


def _drop_repeated(rows: list[Row], run: RunResponses) -> list[int]:
    """Keep a row that came twice, byte for byte, once; refuse two different rows of one id."""
    if _are_distinct([row.id for row in rows]):
        return [*range(len(rows))]
    texts = run.rows
    first: dict[str, int] = {}
    kept = []
    for n, row in enumerate(rows):
        # placeholders are no jobs: theirs may be repeated, or taken by a job
        known = n if row.is_placeholder else first.setdefault(row.id, n)
        if known == n:
            kept.append(n)
        elif texts[known] != texts[n]:
            raise MalformedResponseError(
                f"rows {known} and {n} of run {printable(run.run_id or run_of(row))} both have the "
                f"id {printable(row.id)}, with different content",
                where=f"$[{n}].id",
            )
    return kept


def _identify_run(rows: list[Row], run: RunResponses) -> tuple[str | None, list[Misfit]]:
    """Return the run of all the rows, and the rows of earlier runs.

    The envelope of `/content` says it; its incremental runs may hold rows of an earlier run. Of
    other responses all rows are of the run that was asked for.
    """
    named = [run_of(row) for row in rows]
    run_id = run.run_id or next((one for one in named if one), None)
    misfits = []
    for n, one in enumerate(named):
        if one in (run_id, None):
            continue
        if not run.responses[0].has_envelope:
            raise MalformedResponseError(
                f"row {n} ({printable(rows[n].id)}) is of run {printable(one)}, not of "
                f"{printable(run_id)}: a page holds the rows of one run; for pages of several use "
                "read_contents",
                where=f"$[{n}].run_id",
            )
        misfits.append(Misfit(n, "run_id", "row of an earlier run", one, "kept in this run"))
    for n in [] if run_id else [n for n, row in enumerate(rows) if not row.is_placeholder]:
        raise MalformedResponseError(
            f"row {n} ({printable(rows[n].id)}) names no run, and neither does the response; give "
            "read_content the whole response, or the run with each row",
            where=f"$[{n}].run_id",
        )
    return run_id, misfits


def _identify_jobs(rows: list[Row]) -> list[str]:
    """Return the ids; a placeholder with an empty or repeated one is named after its document."""
    ids = [row.id for row in rows]
    if _are_distinct(ids):
        return ids
    taken = {row.id for row in rows if not row.is_placeholder}
    for n, row in enumerate(rows):
        if row.is_placeholder and (not row.id or row.id in taken):
            ids[n] = name = f"placeholder:{row.document_id}"
            again = 1
            while ids[n] in taken:
                again += 1
                ids[n] = f"{name}:{again}"
        elif not row.id:
            raise MalformedResponseError(f"row {n} has an empty id", where=f"$[{n}].id")
        taken.add(ids[n])
    return ids
