"""The responses of one run -> pieces of its rows, each row once, under the id of its job."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.errors import MalformedResponseError
from retab_frames.flatten.arrow_json import PlainReader
from retab_frames.flatten.columns import texts
from retab_frames.flatten.row_values import Piece, piece_of
from retab_frames.load.parallel import map_in_order as in_order
from retab_frames.text.messages import printable
from retab_frames.wire.envelopes import cuts
from retab_frames.wire.records import Row, array
from retab_frames.wire.rows import Oddity, RowReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    import msgspec

    from retab_frames.wire.envelopes import RowsResponse

__all__ = [
    "LARGE",
    "DecodedRun",
    "NotInTurnError",
    "RunPayloads",
    "bodies",
    "decode",
    "decode_in_turn",
    "in_batches",
    "kept_rows",
]

Item = TypeVar("Item")

LARGE = 256 * 1024
"""The bytes of rows from which on Arrow's reader is tried."""

_PIECE_BYTES = 512 * 1024
_PLAIN_BYTES = 2048 * 1024
"""How long a piece is at least: what it is decoded to stays in the caches of the processor."""

_PART_ROWS = 1_024
"""How many rows that were decoded together are handed on together."""

_WORKERS = 2
"""How many threads decode ahead."""

_BATCH_BYTES = 4_000_000
_BATCH_RUNS = 64
_WAIT_S = 0.25
"""How many bytes or runs are flattened together, and how long the first may wait for the last."""


class NotInTurnError(Exception):
    """The rows must be seen together: one came twice, has no id, is of another run, is no JSON."""


class RunPayloads(NamedTuple):
    """All the responses of one run.

    Attributes:
        workflow_id: From the call; None where it is not known.
        experiment_id: From the call or the envelope; None if only the rows tell.
        run_id: From the call or the envelope; None if only the rows tell, or if it was never run.
        payloads: In the order they came.
        fetched_at: When they arrived; None for a source in hand.
        source: Which route of which server answered; None for a source in hand.
    """

    workflow_id: str | None
    experiment_id: str | None
    run_id: str | None
    payloads: tuple[RowsResponse, ...]
    fetched_at: datetime | None
    source: str | None = None

    @property
    def texts(self) -> list[msgspec.Raw]:
        """The JSON texts of the rows, as they came.

        Raises:
            MalformedResponseError: If a response is not JSON.
        """
        return [*chain.from_iterable(payload.rows for payload in self.payloads)]

    @property
    def size(self) -> int:
        """The bytes of the rows."""
        return sum(len(payload.array) for payload in self.payloads)


class DecodedRun(NamedTuple):
    """The rows of a run.

    Attributes:
        run_id: The run of all the rows; None for placeholders of an experiment never run.
        pieces: The rows.
        reader: What decodes them; once all pieces are taken it knows what was odd.
    """

    run_id: str | None
    pieces: Iterator[Piece]
    reader: RowReader


def decode(source: RunPayloads) -> DecodedRun:
    """Return the rows of a run in the order they came, all decoded at once.

    Raises:
        MalformedResponseError: If a row contradicts the contract of the API: not an object, no id,
            an id twice with different content, a row of another run.
    """
    reader = RowReader()
    rows = reader.read(array(source.texts))
    ids = [row.id for row in rows]
    are_distinct = _are_distinct(ids)
    if not are_distinct:
        rows = [rows[n] for n in _once(rows, source)]
    run_id = _run_id(rows, source, reader)
    if not are_distinct:
        ids = _job_ids(rows)
    reader.count(rows)
    starts = range(0, len(rows), _PART_ROWS)
    parts = (piece_of(rows[at : at + _PART_ROWS], ids[at : at + _PART_ROWS]) for at in starts)
    return DecodedRun(run_id, parts, reader)


def decode_in_turn(source: RunPayloads) -> DecodedRun:
    """Return the rows of a run in the order they came, decoded as they are asked for.

    Few are held at once, and most runs can be read so; the pieces raise where one cannot.

    Raises:
        NotInTurnError: If `decode` must see all the rows; what was taken so far is void.
    """
    reader = RowReader()
    return DecodedRun(source.run_id, _pieces(source, reader), reader)


def in_batches(runs: Iterable[Item], *, size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield the runs in batches that are worth flattening together, none waiting for long.

    The first has one run, each after it at most twice as many as the one before: what is not
    wanted is not loaded.

    Args:
        runs: What is batched. If it raises, that is raised once what came before is yielded.
        size: How many bytes one is.
    """
    batch: list[Item] = []
    filled, begun, most = 0, time.monotonic(), 1
    try:
        for run in runs:
            batch.append(run)
            filled += size(run)
            late = time.monotonic() - begun > _WAIT_S
            if filled > _BATCH_BYTES or len(batch) >= most or late:
                yield batch
                batch, filled, begun, most = [], 0, time.monotonic(), min(2 * most, _BATCH_RUNS)
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def kept_rows(source: RunPayloads) -> list[int]:
    """Return which of all the rows that came are jobs, where some came twice."""
    return _once(RowReader().read(array(source.texts)), source)


def bodies(source: RunPayloads) -> list[bytes]:
    """Return every row as it came."""
    # bytes() copies: a slice would keep the whole response alive
    return [bytes(text) for text in source.texts]


def _pieces(source: RunPayloads, reader: RowReader) -> Iterator[Piece]:
    if not source.run_id:
        raise NotInTurnError
    ids = []
    is_one_piece = len(source.payloads) == 1 and source.size <= min(LARGE, _PIECE_BYTES)
    for piece in chain.from_iterable(_read(payload, reader) for payload in source.payloads):
        if not _is_one_run(source.run_id, piece.runs):
            raise NotInTurnError
        if not is_one_piece:  # else its ids were looked at
            ids.append(texts(piece.jobs["job_id"]).array)
        yield piece
        del piece  # before the next one is decoded
    if ids:
        every = pa.chunked_array(ids)
        if pc.count_distinct(every).as_py() < len(every) or pc.index(every, "").as_py() >= 0:
            raise NotInTurnError


def _read(payload: RowsResponse, reader: RowReader) -> Iterator[Piece]:
    """Yield the rows of a response: by Arrow's reader where they are many and it takes them."""
    rows = payload.array[1:-1]
    plain = PlainReader.of_first(rows) if len(rows) > LARGE else None
    if plain is None:
        yield from _decoded(rows, reader)
        return
    large = cuts(rows, _PLAIN_BYTES)
    for text, piece in in_order(lambda text: (text, plain.read(text)), large, workers=_WORKERS):
        if piece is not None:
            yield piece
        else:
            yield from _decoded(text, reader)
        del text, piece  # before the next one is waited for


def _decoded(several: memoryview, reader: RowReader) -> Iterator[Piece]:
    for text in cuts(several, _PIECE_BYTES):
        try:
            rows = reader.read(b"".join((b"[", text, b"]")))
        except MalformedResponseError:
            rows = None
        if rows is None:
            raise NotInTurnError  # whatever is wrong, it is told of where all the rows are known
        ids = [row.id for row in rows]
        if not _are_distinct(ids):
            raise NotInTurnError
        reader.count(rows)
        piece = piece_of(rows, ids)
        del rows, ids  # what the columns need is taken
        yield piece
        del piece


def _are_distinct(ids: list[str]) -> bool:
    """Return whether every id is there, and only once."""
    distinct = set(ids)
    return len(distinct) == len(ids) and "" not in distinct


def _is_one_run(run_id: str | None, named: set[str | None]) -> bool:
    """Return whether the run is known, and the only one that is named."""
    return bool(run_id) and named <= {run_id, None, ""}


def _once(rows: list[Row], source: RunPayloads) -> list[int]:
    """Keep a row that came twice, byte for byte, once; refuse two different rows of one id."""
    texts = bodies(source)
    first: dict[str, int] = {}
    kept = []
    for n, row in enumerate(rows):
        # placeholders are no jobs: theirs may be repeated, or taken by a job
        known = n if row.is_placeholder else first.setdefault(row.id, n)
        if known == n:
            kept.append(n)
        elif texts[known] != texts[n]:
            raise MalformedResponseError(
                f"rows {known} and {n} of run {printable(source.run_id)} both have the id "
                f"{printable(row.id)}, with different content",
                where=f"$[{n}].id",
            )
    return kept


def _run_id(rows: list[Row], source: RunPayloads, reader: RowReader) -> str | None:
    """Return the run of all the rows: the envelope's on `/content`, else the one asked for."""
    named = {row.run_id for row in rows} | {row.experiment_run_id for row in rows}
    if _is_one_run(source.run_id, named):
        return source.run_id
    own = [row.run_id or row.experiment_run_id or None for row in rows]
    run_id = source.run_id or next((run for run in own if run), None)
    strangers = set(own) - {run_id, None}
    for n in [n for n, run in enumerate(own) if run in strangers] if strangers else ():
        if not source.payloads[0].enveloped:
            raise MalformedResponseError(
                f"row {n} ({printable(rows[n].id)}) is of run {printable(own[n])}, not of "
                f"{printable(run_id)}: a page holds the rows of one run; for pages of several use "
                "read_contents",
                where=f"$[{n}].run_id",
            )
        reader.oddities.append(
            Oddity(rows[n].id, "run_id", "row of an earlier run", own[n], "kept in this run")
        )
    alone = () if run_id else (n for n, row in enumerate(rows) if not row.is_placeholder)
    if (homeless := next(iter(alone), None)) is not None:
        raise MalformedResponseError(
            f"row {homeless} ({printable(rows[homeless].id)}) names no run, and neither does the "
            "response; give read_content the whole response, or the run with each row",
            where=f"$[{homeless}].run_id",
        )
    return run_id


def _job_ids(rows: list[Row]) -> list[str]:
    """Return the ids, a placeholder with an empty or repeated one named after its document."""
    ids = [row.id for row in rows]
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
