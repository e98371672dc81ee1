"""What users call to read responses that they have at hand, in whatever form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from os import PathLike
from pathlib import Path

from retab_frames.errors import MalformedResponseError
from retab_frames.load.content import RunContent, content_of, contents_of
from retab_frames.load.parallel import batch_runs
from retab_frames.text.messages import printable
from retab_frames.wire import envelopes
from retab_frames.wire.envelopes import RunResponses

__all__ = ["read_content", "read_contents"]


def read_content(source: object, *, workflow_id: str | None = None) -> RunContent:
    """Return all the frames of one run from a response at hand.

    Args:
        source: A dict, JSON text or bytes, a `pathlib.Path` of a file that holds it, what an
            official SDK returned, or the pages or rows of a run's results as an iterable of such
            things. An SDK's page is read as the one page that it is; `list(page)` gives all rows.
        workflow_id: Responses do not name the workflow; this fills the column.

    Returns:
        The jobs, handles, issues and raw rows; `run` has no row, and `fetched_at` is null, since
        responses hold neither.

    Raises:
        MalformedResponseError: If it is not JSON, holds no jobs, or contradicts the contract.
        TypeError: If the source is none of these.
        OSError: If the file cannot be read.

    Example:
        >>> import retab_frames as rf
        >>> job = {"id": "job_1", "run_id": "run_1", "experiment_id": "exp_1",
        ...        "document_id": "doc_1", "status": "completed", "duration_ms": 4120}
        >>> rf.read_content([job]).jobs["duration_ms"].tolist()
        [4120]
    """
    return content_of(_make_run(_parse_responses(source), workflow_id))


def read_contents(
    sources: PathLike[str] | Iterable[object], *, workflow_id: str | None = None
) -> Iterator[RunContent]:
    """Yield the content of each run of many responses at hand.

    Args:
        sources: A folder of saved responses (its `.json` files, by name), or an iterable of what
            `read_content` takes. Pages of one run need not follow one another; they are put
            together.
        workflow_id: As in `read_content`.

    Yields:
        As `read_content` returns, in the order in which the runs first appear. All sources are read
        before the first is yielded, since a page of its run may be the last.

    Raises:
        MalformedResponseError, TypeError, OSError: As `read_content`.
        FileNotFoundError: If the folder has no `.json` file.
    """
    if isinstance(sources, str | bytes | Mapping):
        raise TypeError("read_contents takes a folder as a pathlib.Path, or an iterable of sources")
    if isinstance(sources, PathLike):
        sources = _list_json_files(Path(sources))
    responses = (response for source in sources for response in _parse_responses(source))
    runs = (_make_run(group, workflow_id) for group in _group_by_run(responses))
    for batch in batch_runs(runs, size=lambda run: run.size):
        for found in contents_of(batch):
            if not isinstance(found, RunContent):
                raise found
            yield found


def _parse_responses(source: object) -> list[envelopes.RowsResponse]:
    """Return the responses of a source: one for `/content`, one per page otherwise."""
    source = _dump_model(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return [_parse_text(bytes(source))]
    if isinstance(source, PathLike):
        return [_parse_file(Path(source))]
    if isinstance(source, str):
        return [_parse_text(_encode_text(source))]
    if isinstance(source, Mapping):
        return [_parse_text(_encode_json(source))]
    if isinstance(source, Iterable):
        items = [_dump_model(item) for item in source]
        if all(isinstance(item, Mapping) and envelopes.is_row(item) for item in items):
            return [_parse_text(_encode_json(items))]
        return [response for item in items for response in _parse_responses(item)]
    raise TypeError(
        "expected a dict, JSON text or bytes, a path, pages, or a response of the official SDK, "
        f"got {type(source).__name__}"
    )


def _parse_file(path: Path) -> envelopes.RowsResponse:
    try:
        return _parse_text(path.read_bytes())
    except MalformedResponseError as error:
        problem, where = str(error), error.where
    raise MalformedResponseError(f"{printable(path.name)}: {problem}", where=where)


def _parse_text(text: bytes) -> envelopes.RowsResponse:
    # nobody can be asked for it again, so a bad row may be found when the rows are read
    return envelopes.parse_rows_response(text, check_rows=False)


def _make_run(responses: list[envelopes.RowsResponse], workflow_id: str | None) -> RunResponses:
    if len({(response.experiment_id, response.run_id) for response in responses}) > 1:
        raise MalformedResponseError("these are responses of several runs: use read_contents")
    first = responses[0] if responses else None
    return RunResponses(
        workflow_id,
        first.experiment_id if first else None,
        (first.run_id or None) if first else None,
        tuple(responses),
        None,
    )


def _list_json_files(folder: Path) -> list[Path]:
    """Return the JSON files of a folder, sorted by name.

    Raises:
        FileNotFoundError: If it has none.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    if not files:
        raise FileNotFoundError(f"there is no .json file in {folder}")
    return files


def _group_by_run(
    responses: Iterable[envelopes.RowsResponse],
) -> list[list[envelopes.RowsResponse]]:
    """Return the responses of each run together, runs in the order in which they first appear.

    A response of `/content` is a run of its own; pages belong together if their rows are of one
    run.
    """
    groups: dict[object, list[envelopes.RowsResponse]] = {}
    for number, response in enumerate(responses):
        if response.is_empty and not response.has_envelope:
            continue  # the end of a listing; it does not say of which run
        key: object = number if response.has_envelope else envelopes.run_of_rows(response)
        groups.setdefault(key, []).append(response)
    return list(groups.values())


def _dump_model(source: object) -> object:
    """Return what a pydantic model of an SDK holds; anything else as it is."""
    dump = getattr(source, "model_dump", None)
    return dump(mode="json") if callable(dump) and not isinstance(source, type) else source


def _encode_text(text: str) -> bytes:
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


def _encode_json(value: object) -> bytes:
    try:
        text = json.dumps(
            value,
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            default=_to_json_type,
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        problem = str(error)
    # raised here, so that the message is all that the error holds of the source
    raise MalformedResponseError(f"the source is not JSON: {printable(problem, 200)}")


def _to_json_type(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    dumped = _dump_model(value)
    if dumped is value:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return dumped
