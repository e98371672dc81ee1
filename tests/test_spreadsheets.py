from __future__ import annotations

import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import openpyxl
import pandas as pd
import polars as pl
import pytest
from factories import jobs_of, texts

import retab_frames as rf

if TYPE_CHECKING:
    from pathlib import Path

RUNS = [f"exprun_invoices_{n}" for n in range(1, 6)]


@pytest.fixture(scope="module")
def runs() -> list[rf.RunContent]:
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        found = rf.iter_content("wf_sandbox", "exp_invoices", run_id=RUNS, client=client)
        return list(found)


def read(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    return {sheet.title: list(sheet.values) for sheet in openpyxl.load_workbook(path)}


def test_a_run_has_a_sheet_per_table_that_has_rows(
    runs: list[rf.RunContent], tmp_path: Path
) -> None:
    path = rf.to_excel(runs[3], tmp_path / "run.xlsx")
    found = read(path)

    assert path == tmp_path / "run.xlsx"
    assert list(found) == ["jobs", "handle inputs", "run", "notes"]
    jobs = runs[3].jobs
    header, *rows = found["jobs"]
    assert [name for name in header if name != "duration_s"] == list(jobs)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    assert list(columns["job_id"]) == jobs["job_id"].tolist()
    assert list(columns["duration_ms"]) == jobs["duration_ms"].tolist()
    assert list(columns["duration_s"]) == [ms / 1000 for ms in jobs["duration_ms"]]
    # openpyxl reads milliseconds
    assert (
        list(columns["created_at"])
        == jobs["created_at"].dt.round("ms").dt.tz_localize(None).tolist()
    )
    assert [text or None for text in jobs["error_message"].fillna("")] == list(
        columns["error_message"]
    )


def test_a_result_has_its_summary_and_all_its_frames(
    runs: list[rf.RunContent], tmp_path: Path
) -> None:
    two = rf.compare_runs(runs[1], runs[3], earlier=[runs[4]])
    found = read(rf.to_excel(two, tmp_path / "two.xlsx"))

    assert [line for (line,) in found["summary"]] == two.summary().splitlines()
    assert {"comparability", "documents", "failure rates", "speed", "earlier runs"} <= set(found)
    changes = [row[found["documents"][0].index("change")] for row in found["documents"][1:]]
    assert changes == two.documents["change"].tolist()
    assert "earlier runs" not in read(
        rf.to_excel(rf.compare_runs(*runs[1:3]), tmp_path / "two.xlsx")
    )


def test_the_other_results(runs: list[rf.RunContent], tmp_path: Path) -> None:
    many = read(rf.to_excel(rf.compare_many(runs), tmp_path / "many.xlsx"))
    plan = read(rf.to_excel(rf.plan(runs[:3]), tmp_path / "plan.xlsx"))
    trend = read(rf.to_excel(rf.trend(runs), tmp_path / "trend.xlsx"))

    assert list(many)[:4] == ["summary", "runs", "run failures", "broken messages"]
    assert list(many)[4:7] == ["documents", "cells", "matrix"]
    assert many["matrix"][0] == ("document_id", "filename", *RUNS)
    assert list(plan)[:3] == ["summary", "noise", "needed"]
    assert [row[0] for row in trend["runs"][1:]] == RUNS


def test_frames_by_name_and_one_frame(tmp_path: Path) -> None:
    jobs = jobs_of([1500])
    frames = {"slow jobs": jobs, "none": jobs.head(0)}

    assert list(read(rf.to_excel(frames, tmp_path / "a.xlsx"))) == ["slow jobs", "none", "notes"]
    assert list(read(rf.to_excel(jobs, str(tmp_path / "B.XLSX")))) == ["table", "notes"]


def test_text_that_is_cut_is_told_once(tmp_path: Path) -> None:
    jobs = jobs_of([1, 2, 3], error_message=texts("x" * 40_000, None, "y" * 50_000))

    with pytest.warns(rf.RetabFramesWarning) as caught:
        rf.to_excel(jobs, tmp_path / "a.xlsx")

    assert len(caught) == 1
    assert str(caught[0].message) == (
        "2 cells of a.xlsx cannot hold the text as it is (table, row 2, error_message: cut from "
        "40,000 to 32,766 characters); the sheet `notes` lists them"
    )
    assert caught[0].filename == __file__
    assert len(read(tmp_path / "a.xlsx")["notes"]) == 3


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"old")

    with pytest.raises(ValueError, match="cannot have this name"):
        rf.to_excel({"a/b": jobs_of([1])}, path)
    assert path.read_bytes() == b"old"
    rf.to_excel(jobs_of([1]), path)
    assert path.read_bytes()[:2] == b"PK"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"an Excel file ends in \.xlsx, not .*a\.xls"):
        rf.to_excel(jobs_of([1]), tmp_path / "a.xls")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere to write a\.xlsx"):
        rf.to_excel(jobs_of([1]), tmp_path / "nowhere" / "a.xlsx")
    with pytest.raises(TypeError, match="or a RunTrend, not list"):
        rf.to_excel([jobs_of([1])], tmp_path / "a.xlsx")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="or a RunTrend, not DataFrame of polars"):
        rf.to_excel({"a": pl.from_pandas(jobs_of([1]))}, tmp_path / "a.xlsx")  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="the dict is empty"):
        rf.to_excel({}, tmp_path / "a.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_without_xlsxwriter_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['xlsxwriter'] = None\n"
        "import pandas as pd, retab_frames as rf\n"
        f"try: rf.to_excel(pd.DataFrame(), {str(tmp_path / 'a.xlsx')!r})\n"
        "except rf.MissingExtraError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert told.stdout.strip() == (
        "an Excel file needs xlsxwriter, from the extra `excel`: pip install 'retab-frames[excel]'"
    )


def test_pandas_reads_it_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2], "t": ["=a", "-b"], "x": [0.5, None]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rf.to_excel(frame, tmp_path / "a.xlsx")

    assert pd.read_excel(tmp_path / "a.xlsx").equals(frame)
