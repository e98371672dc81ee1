"""What others do with the same responses: bytes in, a frame of jobs and one of handles out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
import pyarrow as pa

from benchmarks.floor import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Frames = tuple[pd.DataFrame, pd.DataFrame]
JsonObject = dict[str, Any]

TEXT = pd.ArrowDtype(pa.string())
WHOLE = pd.ArrowDtype(pa.int64())
FLAG = pd.ArrowDtype(pa.bool_())
TIME = pd.ArrowDtype(pa.timestamp("us", tz="UTC"))

TYPES = {"duration_ms": WHOLE, "attempt": WHOLE, "is_placeholder": FLAG}
TIMES = ("created_at", "started_at", "completed_at")


def json_normalize(bodies: Sequence[bytes]) -> Frames:
    """Do what a notebook does: `json.loads`, `pd.json_normalize`, dtypes, a frame of handles."""
    frames = [_normalized(json.loads(body)["content"]["jobs"]) for body in bodies]
    if len(frames) == 1:
        return frames[0]
    jobs, handles = zip(*frames, strict=True)
    return pd.concat(jobs, ignore_index=True), pd.concat(handles, ignore_index=True)


def json_normalize_at_once(bodies: Iterable[bytes]) -> Frames:
    """Do the same with the jobs of all the responses in one list."""
    return _normalized([job for body in bodies for job in json.loads(body)["content"]["jobs"]])


def _normalized(jobs: list[JsonObject]) -> Frames:
    return typed(pd.json_normalize(jobs)), typed(pd.DataFrame(handle_rows(jobs)))


def handle_rows(jobs: Iterable[JsonObject]) -> list[JsonObject]:
    """Return one row per job and handle."""
    return [
        {
            "experiment_id": job["experiment_id"],
            "run_id": job["run_id"],
            "job_id": job["id"],
            "document_id": job["document_id"],
            "handle": name,
            "position": position,
            "type": handle["type"],
            "file_id": handle.get("document", {}).get("id"),
            "filename": handle.get("document", {}).get("filename"),
            "mime_type": handle.get("document", {}).get("mime_type"),
            "data": json.dumps(handle["data"]) if "data" in handle else None,
        }
        for job in jobs
        for position, (name, handle) in enumerate(job["handle_inputs"].items())
    ]


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with Arrow-backed columns; lists and dicts become JSON text."""
    columns: dict[str, Any] = {}
    for name, column in ((str(name), column) for name, column in frame.items()):
        if name in TIMES:
            columns[name] = pd.to_datetime(column, utc=True, format="ISO8601").astype(TIME)
        elif name in TYPES or name == "position":
            columns[name] = column.astype(TYPES.get(name, WHOLE))
        elif column.map(type).isin((list, dict)).any():
            columns[name] = column.map(json.dumps).astype(TEXT)
        else:
            columns[name] = column.astype(TEXT)
    return pd.DataFrame(columns)


def polars_typed(bodies: Sequence[bytes]) -> Frames:
    """Decode with Polars into a type written out beforehand; it needs the handles' names."""
    import polars as pl

    document = pl.Struct(dict.fromkeys(("id", "filename", "mime_type"), pl.String))
    handle = pl.Struct({"type": pl.String, "document": document})
    text = dict.fromkeys(("id", "run_id", "experiment_id", "document_id", "status"), pl.String)
    job = pl.Struct(
        {
            **text,
            "block_kind": pl.String,
            "handle_inputs": pl.Struct({"input-file-document": handle}),
            "artifact": pl.Struct({"operation": pl.String, "id": pl.String}),
            "error": pl.String,
            "duration_ms": pl.Int64,
            **dict.fromkeys(TIMES, pl.String),
            "attempt": pl.Int64,
            "is_placeholder": pl.Boolean,
        }
    )
    response = pl.Struct({"content": pl.Struct({"jobs": pl.List(job)})})
    jobs = (
        pl.Series("r", [body.decode() for body in bodies])
        .str.json_decode(response)
        .struct.field("content")
        .struct.field("jobs")
        .explode()
        .struct.unnest()
        .with_columns(pl.col(*TIMES).str.to_datetime(time_unit="us", time_zone="UTC"))
        .unnest("artifact", separator=".")
    )
    inputs = jobs.select("experiment_id", "run_id", "id", "document_id", "handle_inputs")
    handles = (
        inputs.unnest("handle_inputs")
        .unpivot(index=inputs.columns[:-1], variable_name="handle")
        .unnest("value")
        .unnest("document", separator=".")
    )
    names = {f"document.{name}": name for name in ("filename", "mime_type")}
    names |= {"document.id": "file_id", "id": "job_id"}
    for name in (
        "handle_inputs",
        "handle_inputs.input-file-document",
        "handle_inputs.input-file-document.document",
    ):
        jobs = jobs.unnest(name, separator=".")
    return (
        jobs.to_pandas(use_pyarrow_extension_array=True),
        handles.rename(names).to_pandas(use_pyarrow_extension_array=True),
    )


def duckdb_split(bodies: Sequence[bytes]) -> Frames:
    """Give DuckDB the rows one by one, and a type to read them by; handles as a map of JSON."""
    import duckdb

    rows = [
        bytes(raw).decode()
        for body in bodies
        for raw in msgspec.json.decode(body, type=Response).content.jobs
    ]
    table = pa.table({"body": rows})
    kind = json.dumps(
        {
            **dict.fromkeys(("id", "run_id", "experiment_id", "document_id", "status"), "VARCHAR"),
            "block_kind": "VARCHAR",
            "handle_inputs": "MAP(VARCHAR, JSON)",
            "artifact": {"operation": "VARCHAR", "id": "VARCHAR"},
            "error": "VARCHAR",
            "duration_ms": "BIGINT",
            **dict.fromkeys(TIMES, "TIMESTAMPTZ"),
            "attempt": "BIGINT",
            "is_placeholder": "BOOLEAN",
        }
    )
    with duckdb.connect() as database:
        database.execute("set timezone = 'UTC'")
        database.register("raw", table)
        database.execute(
            "create table jobs as select unnest(j)"  # noqa: S608 - our own text
            f" from (select from_json(body, '{kind}') j from raw)"
        )
        found = database.sql("select distinct unnest(map_keys(handle_inputs)) from jobs").fetchall()
        wide = "".join(
            f", handle_inputs['{name}']->>'$.{path}' as \"{name}.{path}\""
            for (name,) in sorted(found)
            for path in ("type", "document.id", "document.filename", "document.mime_type", "data")
        )
        jobs = database.sql(
            "select * exclude (artifact, handle_inputs),"  # noqa: S608 - our own payload
            " artifact.operation artifact_operation,"
            f" artifact.id artifact_id{wide} from jobs"
        )
        handles = database.sql(
            "select experiment_id, run_id, id job_id, document_id, h.key handle,"
            " h.value->>'$.type' as type, h.value->>'$.document.id' file_id,"
            " h.value->>'$.document.filename' filename, h.value->>'$.document.mime_type' mime_type,"
            " h.value->'$.data' as data"
            " from (select *, unnest(map_entries(handle_inputs)) h from jobs)"
        )
        return _arrow_backed(jobs), _arrow_backed(handles)


def _arrow_backed(relation: Any) -> pd.DataFrame:
    table: pd.DataFrame = relation.to_arrow_table().to_pandas(types_mapper=pd.ArrowDtype)
    return table
