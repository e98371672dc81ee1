from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import retab_frames as rf
from retab_frames.accessor import RetabAccessor
from retab_frames.schemas.frames import convert_backend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from retab_frames import Sandbox

KEY = ["job_id", "handle"]
RUN = "exprun_invoices_4"


@pytest.fixture(scope="module")
def content() -> rf.RunContent:
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        return rf.load_content("wf_sandbox", "exp_invoices", run_id=RUN, client=client)


@pytest.fixture(scope="module")
def all_jobs() -> pd.DataFrame:
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ids = sandbox.run_ids("exp_invoices")
        return rf.load_jobs("wf_sandbox", "exp_invoices", run_id=ids, client=client)


@pytest.mark.parametrize("verb", ["duration_stats", "timeline", "slowest", "failures"])
def test_a_method_gives_what_its_function_gives(verb: str, content: rf.RunContent) -> None:
    jobs = content.jobs

    assert_frame_equal(getattr(jobs.retab, verb)(), getattr(rf, verb)(jobs))


def test_options_are_passed_on(content: rf.RunContent) -> None:
    jobs = content.jobs
    found = jobs.retab.duration_stats("status", quantiles=(0.25,), confidence=0.9)

    assert_frame_equal(found, rf.duration_stats(jobs, "status", quantiles=(0.25,), confidence=0.9))
    assert len(jobs.retab.slowest(3)) == 3
    assert_frame_equal(
        jobs.retab.cumulative_incidence("status", measure="turnaround"),
        rf.cumulative_incidence(jobs, "status", measure="turnaround"),
    )


def test_wide_handles_become_long(content: rf.RunContent) -> None:
    found = content.jobs.retab.handle_inputs()
    expected = content.handle_inputs.assign(content_fingerprint=None, size_bytes=None, extra=None)

    assert found["job_id"].drop_duplicates().tolist() == content.jobs["job_id"].tolist()
    for name in ("document_id", "handle", "type", "filename", "file_id", "mime_type", "data"):
        pairs = [f.sort_values(KEY, ignore_index=True)[name] for f in (found, expected)]
        assert pairs[0].equals(pairs[1]), name
    assert found["extra"].isna().all()


def test_a_handle_whose_name_holds_dots(content: rf.RunContent) -> None:
    jobs = content.jobs.rename(columns=lambda name: name.replace("input-json-context", "a.b.data"))

    assert "a.b.data" in set(jobs.retab.handle_inputs()["handle"])


def test_a_job_without_anything_under_a_handle_has_no_row(content: rf.RunContent) -> None:
    jobs = content.jobs.head(2).copy()
    columns = [name for name in jobs.columns if name.startswith("handle_inputs.input-json")]
    jobs.loc[jobs.index[0], columns] = None

    found = jobs.retab.handle_inputs()

    assert found.groupby("job_id", sort=False).size().tolist() == [1, 2]
    assert found["position"].tolist() == [0, 0, 1]


def test_it_works_on_what_pandas_reads(content: rf.RunContent, tmp_path: Path) -> None:
    content.jobs.to_parquet(tmp_path / "jobs.parquet")
    jobs = pd.read_parquet(tmp_path / "jobs.parquet", dtype_backend="pyarrow")

    assert_frame_equal(jobs.retab.duration_stats(), rf.duration_stats(content.jobs))
    assert jobs[jobs.status == "error"].retab.failures()["jobs"].sum() == 3


STORAGES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "numpy_nullable": lambda jobs: convert_backend(jobs, "numpy_nullable"),
    "plain pandas": lambda jobs: pd.DataFrame(jobs.to_dict("records")),
    "objects": lambda jobs: jobs.astype(object).where(jobs.notna(), None),
}
VERBS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "duration_stats": lambda jobs: jobs.retab.duration_stats("run_id", unit="s"),
    "cumulative_incidence": lambda jobs: jobs.retab.cumulative_incidence("run_id", unit="s"),
    "timeline": lambda jobs: jobs.retab.timeline(unit="s"),
    "slowest": lambda jobs: jobs.retab.slowest(unit="s"),
    "failures": lambda jobs: jobs.retab.failures("run_id"),
    "handle_inputs": lambda jobs: jobs.retab.handle_inputs(),
    "validate": lambda jobs: jobs.retab.validate(),
    "plan": lambda jobs: jobs.retab.plan().needed,
    "trend": lambda jobs: jobs.retab.trend().runs,
}


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("verb", VERBS)
def test_every_method_takes_jobs_however_they_are_stored(
    verb: str, storage: str, all_jobs: pd.DataFrame
) -> None:
    stored = STORAGES[storage](all_jobs)
    assert not isinstance(stored["duration_ms"].dtype, pd.ArrowDtype)

    assert_frame_equal(VERBS[verb](stored), VERBS[verb](all_jobs))


def test_jobs_come_back_from_an_excel_file(all_jobs: pd.DataFrame, tmp_path: Path) -> None:
    jobs = pd.read_excel(rf.to_excel(all_jobs, tmp_path / "jobs.xlsx"))

    assert_frame_equal(jobs.retab.duration_stats("run_id"), rf.duration_stats(all_jobs, "run_id"))
    assert_frame_equal(jobs.retab.failures(), rf.failures(all_jobs))


def test_validate_reports_what_does_not_fit(content: rf.RunContent) -> None:
    assert content.jobs.retab.validate() is content.jobs
    with pytest.raises(rf.SchemaError, match="duration_ms"):
        content.jobs.assign(duration_ms=content.jobs["duration_ms"] - 10**9).retab.validate()


def test_methods_read_frames_of_text(content: rf.RunContent) -> None:
    text = pd.read_csv(io.StringIO(content.jobs.to_csv(index=False)), dtype=str)

    assert_frame_equal(text.retab.slowest(), content.jobs.retab.slowest())
    assert_frame_equal(text.retab.handle_inputs(), content.jobs.retab.handle_inputs())
    assert_frame_equal(text.retab.validate(), content.jobs)


def test_a_frame_with_a_column_twice_has_no_methods(content: rf.RunContent) -> None:
    twice = pd.concat([content.jobs, content.jobs[["status"]]], axis=1)
    with pytest.raises(AttributeError, match="several of its columns are named status"):
        twice.retab  # noqa: B018
    assert not hasattr(twice, "retab")


def test_a_frame_that_is_not_a_jobs_frame() -> None:
    frame = pd.DataFrame({"a": [1]})
    message = "this is not a jobs frame: it lacks the columns run_id, job_id, .*; df.retab takes"
    with pytest.raises(AttributeError, match=message):
        frame.retab  # noqa: B018
    assert not hasattr(frame, "retab")


@pytest.mark.parametrize(
    "imports",
    [
        "import pandas, retab_frames",
        "import retab_frames; retab_frames.JobsSchema; import pandas",
        "import retab_frames.schemas.frames; import pandas",
        "import retab_frames.stats.samples; import pandas",
    ],
    ids=["pandas before", "the first use that loads pandas", "frames first", "samples first"],
)
def test_it_is_there_without_being_asked_for(imports: str) -> None:
    program = f"{imports}; print(hasattr(pandas.DataFrame, 'retab'))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "True\n"


def test_plots_are_those_of_the_jobs(content: rf.RunContent) -> None:
    plot = RetabAccessor(content.jobs).plot

    for draw in (plot, plot.durations, plot.ecdf, plot.timeline, plot.trend):
        assert draw().figure is not None


def test_versions_list_the_installed_packages(sandbox: Sandbox) -> None:
    versions = rf.show_versions().set_index("package")

    assert versions.loc["pandas", "version"] == pd.__version__
    assert versions.loc["retab-frames", "version"] == rf.__version__
    assert versions.loc["obstore", "extra"] == "cloud"
    assert sandbox.url not in str(versions)
