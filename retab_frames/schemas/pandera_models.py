"""The models of `schemas.models` as those of pandera, which check a frame and tell what is wrong.

Each has the fields of the class of its name there. To import this module imports pandera, and with
it every library of frames that pandera knows and that is installed.
"""

# No `from __future__ import annotations` here: pandera reads the annotations.
from typing import Annotated, Any, ClassVar, TypeAlias

import pandas as pd
import pandera.pandas as pandera
from pandera.typing import Series

from retab_frames.schemas import models

__all__ = [
    "ExperimentsSchema",
    "HandlesSchema",
    "IssuesSchema",
    "JobsSchema",
    "PanderaModel",
    "RawSchema",
    "RunsSchema",
    "SnapshotsSchema",
]


class _Derived(pandera.DataFrameModel):
    """A model with the fields of a declared one."""

    _declared: ClassVar[models.Model]

    def __init_subclass__(cls, *, declared: models.Model | None = None) -> None:
        if declared is not None:
            cls._declared = declared
            cls.Config = type("Config", (), {"unique": declared.key or None})
            cls.__annotations__ = dict(cls.__annotations__)
            for name, column in declared.columns.items():
                kind = Series[Annotated[pd.ArrowDtype, declared.kinds[name]]]
                cls.__annotations__[name] = kind if column.pattern is None else kind | None
                field = _make_field(column)
                field.__set_name__(cls, name)
                setattr(cls, name, field)
        super().__init_subclass__()  # type: ignore[no-untyped-call]


PanderaModel: TypeAlias = type[_Derived]


def _make_field(column: models.Column) -> Any:
    return pandera.Field(
        nullable=column.nullable,
        unique=column.unique,
        ge=column.least,
        alias=column.pattern,
        regex=column.pattern is not None,
        description=column.meaning,
        metadata=None if column.unit is None else {"unit": column.unit},
    )


class ExperimentsSchema(_Derived, declared=models.ExperimentsSchema):
    """One row per experiment; the key is `experiment_id`."""


class HandlesSchema(_Derived, declared=models.HandlesSchema):
    """One row per job and handle; the key is `run_id, job_id, handle`."""


class IssuesSchema(_Derived, declared=models.IssuesSchema):
    """One row per value that did not fit or is not known, and how it was handled."""


class JobsSchema(_Derived, declared=models.JobsSchema):
    """One row per job; the key is `run_id, job_id`."""


class RawSchema(_Derived, declared=models.RawSchema):
    """One row per job, as JSON text exactly as received; the key is `job_id`."""


class RunsSchema(_Derived, declared=models.RunsSchema):
    """One row per run; the key is `run_id`."""


class SnapshotsSchema(_Derived, declared=models.SnapshotsSchema):
    """One row per run in a store: its newest revision; the key is `run_id`."""
