"""The handle columns of a frame of jobs: how they are named, and the same as one row per handle."""

from __future__ import annotations

from functools import cache

import pandas as pd

from retab_frames.schemas.frames import STRING
from retab_frames.schemas.models import HandlesSchema, JobsSchema, arrow_schema, arrow_type

__all__ = ["HANDLE_INPUTS", "handles_of_jobs", "is_handle_column", "wide_fields"]

HANDLE_INPUTS = "handle_inputs."
"""What the columns of handle inputs begin with."""
_KEY = ("experiment_id", "run_id", "job_id", "document_id")


@cache
def wide_fields() -> tuple[str, ...]:
    """Return the fields of a handle that are columns of the jobs, in the order of JobsSchema."""
    patterns = (column.pattern or "" for column in JobsSchema.columns.values())
    inputs = (text for text in patterns if text.startswith(f"^{HANDLE_INPUTS[:-1]}"))
    return tuple(text.rpartition(".")[2].rstrip("$") for text in inputs)


@cache
def is_handle_column(name: str) -> bool:
    """Return whether a column of the jobs holds a field of a handle, so that it is text."""
    return name not in arrow_schema(JobsSchema).names and arrow_type(JobsSchema, name) is not None


def handles_of_jobs(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per job and handle input, in the order of the jobs.

    The jobs came through the door of `intake`: their columns have their types.

    Columns and dtypes are those of HandlesSchema; what a wide frame does not hold is null. A job
    that has nothing under a handle has no row for it.
    """
    schema = arrow_schema(HandlesSchema)
    parts = [_part(jobs, handle, position) for position, handle in enumerate(_handles(jobs))]
    table = pd.concat(parts) if parts else pd.DataFrame({name: [] for name in schema.names})
    table = table.sort_index(kind="stable").reset_index(drop=True)
    table["position"] = table.groupby("job_id", sort=False).cumcount()
    types = {field.name: pd.ArrowDtype(field.type) for field in schema}
    return table.reindex(columns=schema.names).astype(types)


def _handles(jobs: pd.DataFrame) -> list[str]:
    """Return the handles in the order of their columns; a handle's name may hold dots."""
    columns = (
        str(name).removeprefix(HANDLE_INPUTS) for name in jobs.columns if _is_handle(str(name))
    )
    return list(dict.fromkeys(name.rpartition(".")[0] for name in columns))


def _is_handle(name: str) -> bool:
    return name.startswith(HANDLE_INPUTS) and name.rpartition(".")[2] in wide_fields()


def _part(jobs: pd.DataFrame, handle: str, position: int) -> pd.DataFrame:
    """Return the rows of one handle, by the position of their job."""
    jobs = jobs.reset_index(drop=True)
    names = {field: f"{HANDLE_INPUTS}{handle}.{field}" for field in wide_fields()}
    text = pd.ArrowDtype(STRING)
    columns = {
        field: jobs[name].astype(text) if name in jobs.columns else pd.NA
        for field, name in names.items()
    }
    keys = {name: jobs[name] if name in jobs.columns else pd.NA for name in _KEY}
    part = pd.DataFrame(keys | {"handle": handle, "position": position} | columns, index=jobs.index)
    typed = part.astype(dict.fromkeys((*_KEY, "handle", *wide_fields()), text))
    return typed[typed[list(wide_fields())].notna().any(axis=1)]
