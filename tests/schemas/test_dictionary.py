from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
from factories import rows_of

import retab_frames as rf

TEXT, FLAG = pd.ArrowDtype(pa.string()), pd.ArrowDtype(pa.bool_())


def test_the_jobs_are_described_as_their_model_declares_them() -> None:
    found = rf.describe("jobs").set_index("column")

    meaning = "how long the job took, as the API reports it"
    assert rows_of(found.loc[["duration_ms"]]) == [
        {"type": "int64", "null": True, "unit": "ms", "meaning": meaning}
    ]
    assert not found["null"]["job_id"]
    assert found.loc["created_at", "type"] == "time"
    assert found.loc["handle_inputs.<handle>.data", "meaning"] == "the value (JSON)"
    assert found["unit"].isna()["status"]


def test_it_is_a_frame_like_any_other() -> None:
    found = rf.describe("trend.runs")

    assert found.dtypes.to_dict() == {
        "column": TEXT,
        "type": TEXT,
        "null": FLAG,
        "unit": TEXT,
        "meaning": TEXT,
    }
    assert found["meaning"].str.len().min() > 5


def test_without_a_name_the_frames_are_listed() -> None:
    found = rf.describe().set_index("name")

    said = "RunContent.raw: one row per job, as it came"
    assert rows_of(found.loc[["raw"]]) == [{"columns": 3, "meaning": said}]
    assert {"jobs", "duration_stats", "comparison.speed", "plan.needed"} <= set(found.index)


def test_a_mistyped_name() -> None:
    with pytest.raises(ValueError, match=r"no frame duration_stat \(did you mean duration_stats\?"):
        rf.describe("duration_stat")
    with pytest.raises(TypeError, match='the name of a frame, such as "jobs", not DataFrame'):
        rf.describe(rf.describe())  # type: ignore[arg-type]
