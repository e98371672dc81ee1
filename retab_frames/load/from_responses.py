"""Responses that the user has in hand, whatever they are kept in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

from retab_frames.errors import MalformedResponseError
from retab_frames.flatten.run_rows import RunResponses, batch_runs
from retab_frames.load.content import RunContent, content_of, contents_of
from retab_frames.text.messages import printable
from retab_frames.wire import envelopes as responses
from retab_frames.wire import json_text

__all__ = ["grouped_by_run", "payloads_of", "read_content", "read_contents", "saved_responses"]


def read_content(source: object, *, workflow_id: str | None = None) -> RunContent:
    """Return all the frames of one run from a response in hand.

    Args:
        source: A dict, JSON text or bytes, a `pathlib.Path` of a file that holds it, what an
            official SDK returned, or the pages or rows of a run's results as an iterable of such
            things. An SDK's page is read as the one page that it is; `list(page)` gives all rows.
        workflow_id: Responses do not name the workflow; this fills the column.

    Raises:
        MalformedResponseError: If it is not JSON, holds no jobs, or contradicts the contract.
        TypeError: If the source is none of these.
    """
    return content_of(_in_hand(payloads_of(source), workflow_id))


def read_contents(
    sources: PathLike[str] | Iterable[object], *, workflow_id: str | None = None
) -> Iterator[RunContent]:
    """Yield the content of each run of many responses in hand.

    Args:
        sources: A folder of saved responses (its `.json` files, by name), or an iterable of what
            `read_content` takes. Pages of one run may stand apart; they are put together.
        workflow_id: As in `read_content`.

    Raises:
        MalformedResponseError, TypeError: As `read_content`.
        FileNotFoundError: If the folder holds no `.json` file.
    """
    if isinstance(sources, str | bytes | Mapping):
        raise TypeError("read_contents takes a folder as a pathlib.Path, or an iterable of sources")
    if isinstance(sources, PathLike):
        sources = saved_responses(Path(sources))
    payloads = (payload for source in sources for payload in payloads_of(source))
    runs = (_in_hand(group, workflow_id) for group in grouped_by_run(payloads))
    for batch in batch_runs(runs, size=lambda run: run.size):
        for found in contents_of(batch):
            if not isinstance(found, RunContent):
                raise found
            yield found


def payloads_of(source: object) -> list[responses.RowsResponse]:
    """Return the payloads of one run: one for `/content`, one per page otherwise.

    Args:
        source: JSON as bytes or text, a path of a file that holds it, decoded JSON, what an
            official SDK returned, or an iterable of such things, each a page.

    Raises:
        MalformedResponseError: If it is not JSON, or holds no jobs.
        TypeError: If it is none of these.
        OSError: If the file cannot be read.
    """
    source = _plain(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return [responses.parse_rows_response(bytes(source))]
    if isinstance(source, PathLike):
        return [responses.parse_rows_response(Path(source).read_bytes())]
    if isinstance(source, str):
        return [responses.parse_rows_response(_json_text(source))]
    if isinstance(source, Mapping):
        return [responses.parse_rows_response(_encode(source))]
    if isinstance(source, Iterable):
        items = [_plain(item) for item in source]
        if all(isinstance(item, Mapping) and "document_id" in item for item in items):
            return [responses.parse_rows_response(_encode(items))]
        return [payload for item in items for payload in payloads_of(item)]
    raise TypeError(
        "expected a dict, JSON text or bytes, a path, pages, or a response of the official SDK, "
        f"got {type(source).__name__}"
    )


def _in_hand(payloads: Sequence[responses.RowsResponse], workflow_id: str | None) -> RunResponses:
    first = payloads[0] if payloads else None
    if len({(p.experiment_id, p.run_id) for p in payloads}) > 1:
        raise MalformedResponseError("these are responses of several runs: use read_contents")
    return RunResponses(
        workflow_id,
        first.experiment_id if first else None,
        (first.run_id or None) if first else None,
        tuple(payloads),
        None,
    )


def saved_responses(folder: Path) -> Iterator[Path]:
    """Yield the JSON files of a folder in the order of their names.

    Raises:
        FileNotFoundError: If there is no JSON file in it.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    if not files:
        raise FileNotFoundError(f"there is no .json file in {folder}")
    yield from files


def grouped_by_run(
    payloads: Iterable[responses.RowsResponse],
) -> list[list[responses.RowsResponse]]:
    """Return the payloads of each run together, runs in order of first appearance.

    A response of `/content` is a run of its own; pages belong together if their rows are of one
    run.
    """
    groups: dict[object, list[responses.RowsResponse]] = {}
    for number, payload in enumerate(payloads):
        if payload.is_empty and not payload.has_envelope:
            continue  # the end of a listing; it does not say of which run
        key: object = number if payload.has_envelope else _run_of(payload)
        groups.setdefault(key, []).append(payload)
    return list(groups.values())


def _run_of(payload: responses.RowsResponse) -> str | None:
    rows = json_text.decode_json(payload.array, list[dict[str, Any]], "the rows")
    ids = (row.get("run_id") or row.get("experiment_run_id") for row in rows)
    return next((run_id for run_id in ids if isinstance(run_id, str)), None)


def _plain(source: object) -> object:
    """Return what a pydantic model of an SDK holds; anything else as it is."""
    dump = getattr(source, "model_dump", None)
    return dump(mode="json") if callable(dump) and not isinstance(source, type) else source


def _json_text(text: str) -> bytes:
    if text.lstrip()[:1] not in ("{", "["):
        raise MalformedResponseError(
            f"text is read as JSON, and {printable(text, 40)!r} is not JSON; for a file give a "
            "pathlib.Path"
        )
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        problem = str(error)
    raise MalformedResponseError(f"the text is not valid Unicode: {printable(problem)}")


def _encode(value: object) -> bytes:
    try:
        text = json.dumps(
            value,
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            default=_jsonable,
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        problem = str(error)
    raise MalformedResponseError(f"the source is not JSON: {printable(problem, 200)}")


def _jsonable(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    plain = _plain(value)
    if plain is value:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return plain
