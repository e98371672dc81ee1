"""Frames of jobs go into files, databases and other libraries, and come back.

What a verb makes of what came back is what it makes of the frame itself, or it is one error of
ours that says what to do. There is no third outcome: above all no other number.
"""

from __future__ import annotations

import io
import re
import sqlite3
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import dask
import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from factories import TIME
from pandas.testing import assert_frame_equal
from pyarrow import feather, parquet

import retab_frames as rf
from retab_frames import plots
from retab_frames.schemas.frames import frame_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

Frame = Any
SEED = 20_261_127
OBJECTS = pd.Series([{}, []], dtype=object)

# The frames


def rows_of_run(run: int, *, extreme: bool) -> list[dict[str, Any]]:
    """Return jobs of every status, a placeholder, and a document that was tried again."""
    statuses = ["completed"] * 9 + ["error", "cancelled", "skipped", "running", "queued", "new"]
    rows: list[dict[str, Any]] = []
    for n, status in enumerate([*statuses, "pending"]):
        started, ended = status not in {"queued", "pending"}, n < 12
        rows.append(
            {
                "id": f"{n:03}" if extreme else f"expjob_{run}_{n}",
                "run_id": f"exprun_{run}",
                "experiment_id": "exp_1",
                "document_id": f"{n % 14:03}" if extreme else f"expdoc_{n % 14}",
                "block_kind": "extract",
                "status": status,
                "attempt": n // 14,
                "is_placeholder": status == "pending",
                "duration_ms": 900 + 37 * n * run if ended and n % 5 else None,
                "artifact": {"id": f"ext_{n * run % 4}"} if n < 9 else None,
                "error": f'Page {n} of é, "quoted"\n is blank' if 8 < n < 11 else None,
                "created_at": f"2026-05-0{run}T11:00:{n:02}.5Z",
                "started_at": f"2026-05-0{run}T11:01:{n:02}Z" if started else None,
                "completed_at": f"2026-05-0{run}T11:02:{n:02}.000250Z" if ended else None,
                "handle_inputs": {
                    "in": {"type": "file", "document": {"id": f"f_{n}", "filename": f"{n}, é.pdf"}},
                    "data": {"type": "json", "data": {"total": n * (run if n == 2 else 1)}},
                },
            }
        )
    if extreme:
        rows[1]["duration_ms"], rows[2]["duration_ms"] = 2**53 + 1, 2**62 + 1
    return rows


def make_jobs(*, extreme: bool) -> list[pd.DataFrame]:
    """Return a frame per run, with the time at which each job was fetched."""
    frames = []
    for run in (1, 2, 3):
        content = {"jobs": rows_of_run(run, extreme=extreme)}
        body = {"experiment_id": "exp_1", "run_id": f"exprun_{run}", "content": content}
        jobs = rf.read_content(body).jobs
        seen = pd.Series([pd.Timestamp(f"2026-05-0{run}T12:00:00.000001Z")] * len(jobs))
        frames.append(jobs.assign(fetched_at=seen.astype(TIME)))
    return frames


# There and back


def by_csv(**options: Any) -> Callable[[pd.DataFrame], Frame]:
    return lambda jobs: pd.read_csv(io.StringIO(jobs.to_csv(index=False)), **options)


def by_json(orient: Any) -> Callable[[pd.DataFrame], Frame]:
    def go(jobs: pd.DataFrame) -> Frame:
        text = jobs.to_json(orient=orient, date_format="iso", date_unit="us")
        return pd.read_json(io.StringIO(text), orient=orient)

    return go


def by_excel(jobs: pd.DataFrame) -> Frame:
    file = io.BytesIO()
    times = [name for name in jobs.columns if name.endswith("_at")]
    jobs.astype(dict.fromkeys(times, "str")).to_excel(file, index=False)
    return pd.read_excel(file)


def by_parquet(jobs: pd.DataFrame, **options: Any) -> Frame:
    file = io.BytesIO()
    jobs.to_parquet(file)
    return pd.read_parquet(file, **options)


def without_metadata(jobs: pd.DataFrame) -> Frame:
    file = io.BytesIO()
    table = pa.Table.from_pandas(jobs, preserve_index=False)
    parquet.write_table(table.replace_schema_metadata(None), file)
    return parquet.read_table(file).to_pandas()


def by_feather(jobs: pd.DataFrame) -> Frame:
    file = io.BytesIO()
    feather.write_feather(jobs, file)
    return feather.read_feather(file)


def by_pickle(jobs: pd.DataFrame) -> Frame:
    file = io.BytesIO()
    jobs.to_pickle(file)
    return pd.read_pickle(io.BytesIO(file.getvalue()))  # noqa: S301 - its own


def by_sqlite(jobs: pd.DataFrame) -> Frame:
    connection = sqlite3.connect(":memory:")
    try:
        jobs.to_sql("jobs", connection, index=False)
        return pd.read_sql("select * from jobs", connection)
    finally:
        connection.close()


def by_duckdb(fetch: str) -> Callable[[pd.DataFrame], Frame]:
    def go(jobs: pd.DataFrame) -> Frame:
        table = pa.Table.from_pandas(jobs, preserve_index=False)
        with duckdb.connect() as connection:
            return getattr(connection.register("jobs", table).sql("select * from jobs"), fetch)()

    return go


def by_duckdb_arrow(jobs: pd.DataFrame) -> Frame:
    found = by_duckdb("fetch_arrow_table")(jobs)
    return found.to_pandas(types_mapper=pd.ArrowDtype)


def by_polars(**options: Any) -> Callable[[pd.DataFrame], Frame]:
    return lambda jobs: pl.from_pandas(jobs).to_pandas(**options)


def polars_categories(jobs: pd.DataFrame) -> Frame:
    names = ["run_id", "status", "document_id"]
    return pl.from_pandas(jobs).with_columns(pl.col(names).cast(pl.Categorical)).to_pandas()


def by_dask(jobs: pd.DataFrame) -> Frame:
    return dd.from_pandas(jobs, npartitions=3, sort=False).compute()


def on_dask(jobs: pd.DataFrame) -> Frame:
    return dd.from_pandas(jobs, npartitions=3, sort=False)


def cast_columns(kind: Any, *names: str) -> Callable[[pd.DataFrame], Frame]:
    return lambda jobs: jobs.astype(dict.fromkeys(names or jobs.columns, kind))


def texts_as(kind: Any) -> Callable[[pd.DataFrame], Frame]:
    def go(jobs: pd.DataFrame) -> Frame:
        is_text = [name for name in jobs if jobs[name].dtype == pd.ArrowDtype(pa.string())]
        return jobs.astype(dict.fromkeys(is_text, kind))

    return go


def times_as(change: Callable[[pd.Series[Any]], Any]) -> Callable[[pd.DataFrame], Frame]:
    def go(jobs: pd.DataFrame) -> Frame:
        return jobs.assign(**{n: change(jobs[n]) for n in jobs.columns if n.endswith("_at")})

    return go


def numpy_times(unit: Any, zone: str | None = "UTC") -> Callable[[pd.DataFrame], Frame]:
    def change(times: pd.Series[Any]) -> Any:
        moments = times.astype("datetime64[us, UTC]").dt.tz_convert(zone)
        return moments.dt.as_unit(unit)

    return times_as(change)


def with_unused_categories(jobs: pd.DataFrame) -> Frame:
    kinds = {n: jobs[n].dtype for n in ("run_id", "status", "document_id", "error_message")}
    odd = {
        name: pd.Categorical(
            jobs[name].astype(object), [*jobs[name].dropna().unique(), "unused", "zz"]
        )
        for name in kinds
    }
    return jobs.assign(**odd)


def indexed(make: Callable[[int], Any]) -> Callable[[pd.DataFrame], Frame]:
    return lambda jobs: jobs.set_axis(make(len(jobs)), axis=0)


def shuffled(count: int) -> Any:
    return np.random.default_rng(SEED).permutation(count)


def epoch(times: pd.Series[Any]) -> Any:
    return (times.astype("datetime64[us, UTC]").astype("int64") // 1000).where(times.notna())


WAYS: dict[str, Callable[[pd.DataFrame], Frame]] = {
    "itself": lambda jobs: jobs,
    "CSV": by_csv(),
    "CSV, dtype=str": by_csv(dtype=str),
    "CSV, dtype=object": by_csv(dtype=object),
    "CSV, dtype=str, keep_default_na=False": by_csv(dtype=str, keep_default_na=False),
    "CSV, keep_default_na=False": by_csv(keep_default_na=False),
    "CSV, ids as str": by_csv(dtype={"job_id": str, "document_id": str, "duration_ms": "Int64"}),
    "CSV, parse_dates": by_csv(parse_dates=["created_at", "started_at", "completed_at"]),
    "CSV, engine=pyarrow": by_csv(engine="pyarrow"),
    "CSV, engine=python": by_csv(engine="python"),
    "CSV, dtype_backend=pyarrow": by_csv(dtype_backend="pyarrow"),
    "CSV, pyarrow twice": by_csv(engine="pyarrow", dtype_backend="pyarrow"),
    "CSV, numpy_nullable": by_csv(dtype_backend="numpy_nullable"),
    "CSV, with index": lambda jobs: pd.read_csv(io.StringIO(jobs.to_csv())),
    "CSV, job_id as index": by_csv(index_col="job_id"),
    "Excel": by_excel,
    "JSON records": by_json("records"),
    "JSON split": by_json("split"),
    "JSON columns": by_json("columns"),
    "JSON table": by_json("table"),
    "JSON epoch": lambda jobs: pd.read_json(
        io.StringIO(jobs.to_json(orient="records")), convert_dates=False
    ),
    "Parquet": by_parquet,
    "Parquet, dtype_backend=pyarrow": lambda jobs: by_parquet(jobs, dtype_backend="pyarrow"),
    "Parquet, numpy_nullable": lambda jobs: by_parquet(jobs, dtype_backend="numpy_nullable"),
    "Parquet without metadata": without_metadata,
    "Feather": by_feather,
    "pickle": by_pickle,
    "SQLite": by_sqlite,
    "DuckDB .df()": by_duckdb("df"),
    "DuckDB Arrow": by_duckdb_arrow,
    "Polars": by_polars(),
    "Polars, Arrow types": by_polars(use_pyarrow_extension_array=True),
    "Polars, categories": polars_categories,
    "a Polars frame": pl.from_pandas,
    "a Polars lazy frame": lambda jobs: pl.from_pandas(jobs).lazy(),
    "an Arrow table": lambda jobs: pa.Table.from_pandas(jobs, preserve_index=False),
    "Dask and .compute()": by_dask,
    "a Dask frame": on_dask,
    "a Dask frame of objects": lambda jobs: on_dask(jobs.astype(object)),
    "a Dask frame of CSV as text": lambda jobs: on_dask(by_csv(dtype=str)(jobs)),
    "a Dask frame of categories": lambda jobs: on_dask(with_unused_categories(jobs)),
    "objects": cast_columns(object),
    "objects with None": lambda jobs: jobs.astype(object).where(jobs.notna(), None),
    "all text": cast_columns("string"),
    "string[python]": texts_as(pd.StringDtype("python")),
    "string[pyarrow]": texts_as(pd.StringDtype("pyarrow")),
    "large_string": texts_as(pd.ArrowDtype(pa.large_string())),
    "string_view": texts_as(pd.ArrowDtype(pa.string_view())),
    "dictionary": lambda jobs: frame_of(
        pa.table({n: pa.array(jobs[n]).dictionary_encode() for n in jobs.columns})
    ),
    "categories": texts_as("category"),
    "categories, some unused": with_unused_categories,
    "NumPy": lambda jobs: pa.Table.from_pandas(jobs).to_pandas(ignore_metadata=True),
    "convert_dtypes": lambda jobs: without_metadata(jobs).convert_dtypes(),
    "Int64": cast_columns("Int64", "duration_ms", "attempt"),
    "float64": cast_columns("float64", "duration_ms", "attempt"),
    "int8 flags": cast_columns("int8", "is_placeholder"),
    "float flags": cast_columns("float64", "is_placeholder"),
    "flags as text": cast_columns("str", "is_placeholder"),
    "datetime64[ns, UTC]": numpy_times("ns"),
    "datetime64[us, UTC]": numpy_times("us"),
    "datetime64[us, Tokyo]": numpy_times("us", "Asia/Tokyo"),
    "Arrow nanoseconds": times_as(lambda t: t.astype(pd.ArrowDtype(pa.timestamp("ns", "UTC")))),
    "Arrow, New York": times_as(
        lambda t: t.astype(pd.ArrowDtype(pa.timestamp("us", "America/New_York")))
    ),
    "naive": numpy_times("us", None),
    "naive Arrow": times_as(lambda t: t.astype(pd.ArrowDtype(pa.timestamp("us")))),
    "naive text": times_as(lambda t: t.dt.strftime("%Y-%m-%d %H:%M:%S.%f")),
    "epoch": times_as(epoch),
    "datetimes as objects": times_as(
        lambda t: pd.Series([None if pd.isna(x) else x for x in t], dtype=object)
    ),
    "an index that is shuffled": indexed(shuffled),
    "an index that repeats": indexed(lambda count: [7] * count),
    "an index of two levels": indexed(
        lambda n: pd.MultiIndex.from_product([range(n), ["a"]], names=["status", "run_id"])
    ),
    "an index named like a column": lambda jobs: jobs.set_index("run_id", drop=False),
    "an index in place of a column": lambda jobs: jobs.set_index("document_id"),
    "columns of one's own": lambda jobs: jobs.assign(mine=OBJECTS).rename(columns={"mine": 0}),
    "columns in another order": lambda jobs: jobs[[*jobs.columns[18::-1], *jobs.columns[19:]]],
    "a column twice": lambda jobs: pd.concat([jobs, jobs[["status"]]], axis=1),
    "columns of two levels": lambda jobs: pd.concat({"jobs": jobs}, axis=1),
    "only columns of a few": lambda jobs: jobs[["run_id", "status", "is_placeholder"]],
    "null flags": lambda jobs: jobs.assign(
        is_placeholder=jobs["is_placeholder"].astype(object).where(jobs["status"] != "new", None)
    ),
    "a fraction": lambda jobs: jobs.assign(duration_ms=jobs["duration_ms"].astype("Float64") + 0.5),
}
EXACT = {
    *("itself", "CSV, dtype=str", "CSV, dtype=object", "CSV, dtype=str, keep_default_na=False"),
    *("Parquet", "Parquet, dtype_backend=pyarrow", "Parquet, numpy_nullable", "Feather", "pickle"),
    *("DuckDB Arrow", "Polars, Arrow types", "Dask and .compute()", "objects"),
    *("objects with None", "all text", "string[python]", "string[pyarrow]", "large_string"),
    *("string_view", "dictionary", "categories", "categories, some unused", "Int64"),
    *("int8 flags", "float flags", "flags as text", "datetime64[ns, UTC]", "datetime64[us, UTC]"),
    *("datetime64[us, Tokyo]", "Arrow nanoseconds", "Arrow, New York", "datetimes as objects"),
    *("an index that is shuffled", "an index that repeats", "an index of two levels"),
    *("an index named like a column", "columns of one's own", "columns in another order"),
}
"""Whatever stands in a frame, all verbs must give what they give of the frame itself."""
ORDINARY = EXACT | {
    *("CSV", "CSV, keep_default_na=False", "CSV, ids as str", "CSV, parse_dates"),
    *("CSV, engine=pyarrow", "CSV, engine=python", "CSV, dtype_backend=pyarrow"),
    *("CSV, pyarrow twice", "CSV, numpy_nullable", "CSV, with index", "Excel", "JSON records"),
    *("JSON split", "JSON columns", "JSON table", "Parquet without metadata", "SQLite"),
    *("DuckDB .df()", "Polars", "Polars, categories", "NumPy", "convert_dtypes", "float64"),
}
"""The same where ids are words, and numbers small."""
LOSSY = {"JSON table", "convert_dtypes"}
"""On these ways pandas makes a double of a large number, and integers of that again."""
MISSING = {} if find_spec("openpyxl") else {"Excel": "openpyxl is not installed"}

# The verbs


def drawn(ax: Axes) -> list[Any]:
    """Return what stands in a plot: lines, points, areas and words."""
    found: list[Any] = []
    for axes in ax.figure.axes:
        found += [np.round(np.asarray(line.get_xydata()), 6).tolist() for line in axes.lines]
        for shapes in axes.collections:
            offsets: Any = np.ma.filled(shapes.get_offsets(), np.nan)
            found.append(np.asarray(offsets).round(6).tolist())
            found += [np.round(np.asarray(p.vertices), 6).tolist() for p in shapes.get_paths()]
        found += [text.get_text() for text in axes.get_yticklabels() + axes.get_xticklabels()]
    return found


def reported(jobs: Frame, folder: Path) -> str:
    return rf.report(jobs, folder / "report.md").read_text(encoding="utf-8")


def compared(runs: list[Frame]) -> list[Any]:
    found = rf.compare_runs(runs[0], runs[1])
    return [found.documents, found.comparability, found.durations, found.summary()]


def compared_many(jobs: Frame, *, on_cluster: bool = False) -> list[Any]:
    found = rf.compare_many(jobs, "exprun_2")
    return [found.runs] if on_cluster else [found.runs, found.cells, found.documents]


def validated(jobs: Frame, like: pd.DataFrame) -> pd.DataFrame:
    found = rf.validate(jobs, rf.JobsSchema)
    return found[like.columns].reset_index(drop=True)


VERBS: dict[str, Any] = {
    "stats": lambda jobs, *_: rf.duration_stats(jobs),
    "by run": lambda jobs, *_: rf.duration_stats(jobs, by="run_id"),
    "by two": lambda jobs, *_: rf.duration_stats(jobs, by=["status", "attempt"]),
    "queue": lambda jobs, *_: rf.duration_stats(jobs, measure="queue", by="document_id"),
    "censor": lambda jobs, *_: rf.duration_stats(jobs, measure="elapsed", unfinished="censor"),
    "incidence": lambda jobs, *_: rf.cumulative_incidence(jobs, by="run_id"),
    "slowest": lambda jobs, *_: rf.slowest(jobs),
    "failures": lambda jobs, *_: rf.failures(jobs, by="run_id"),
    "timeline": lambda jobs, *_: rf.timeline(jobs),
    "compare": lambda _jobs, runs, *_: compared(runs),
    "many": lambda jobs, *_: compared_many(jobs, on_cluster=isinstance(jobs, dd.DataFrame)),
    "durations": lambda jobs, *_: drawn(plots.durations(jobs, by="run_id")),
    "trend": lambda jobs, *_: drawn(plots.trend(jobs)),
    "gantt": lambda _jobs, runs, *_: drawn(plots.timeline(runs[0])),
    "report": lambda jobs, _runs, folder, _like: reported(jobs, folder),
    "df.retab": lambda jobs, *_: jobs.retab.slowest(3),
    "handles": lambda jobs, *_: jobs.retab.handle_inputs(),
    "validate": lambda jobs, _runs, _folder, like: validated(jobs, like),
}
ANSWERS = (TypeError, ValueError, rf.SchemaError)
ADVICE = re.compile(r"\b(give|pass|read|keep|make|make it|choose|add the|takes)\b")


def are_equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, list) and expected and isinstance(expected[0], pd.DataFrame):
        pairs = zip(found, expected, strict=False)
        return all(are_equal(*pair) for pair in pairs)
    if not isinstance(expected, pd.DataFrame):
        return bool(found == expected)
    try:
        assert_frame_equal(found, expected, check_column_type=False)
    except AssertionError:
        return False
    return True


def outcome(verb: Any, jobs: Frame, runs: list[Frame], folder: Path, like: Any, want: Any) -> str:
    """Return "=", or "told", or what else came."""
    no_accessor = not isinstance(jobs, pd.DataFrame) and not hasattr(jobs, "retab")
    try:
        found = verb(jobs, runs, folder, like)
    except ANSWERS as error:
        message = str(error)
        names = [name for name in like.columns if name in message]
        # an error of a library that came through would be of one of its own classes
        is_ours = type(error) in ANSWERS and bool(names or ADVICE.search(message))
        return "told" if is_ours else f"{type(error).__name__}: {message}"
    except AttributeError as error:
        is_ours = no_accessor or "is not a jobs frame" in str(error)
        return "told" if is_ours else f"AttributeError: {error}"
    except Exception as error:  # noqa: BLE001 - any other is what this looks for
        return f"{type(error).__name__}: {error}"
    return "=" if are_equal(found, want) else "another result"


@pytest.mark.parametrize("extreme", [False, True], ids=["ordinary", "extreme"])
def test_verbs_give_the_same_or_say_what_to_do(
    figure: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    *,
    extreme: bool,
) -> None:
    runs = make_jobs(extreme=extreme)
    jobs = pd.concat(runs, ignore_index=True)
    expected = {name: verb(jobs, runs, tmp_path, jobs) for name, verb in VERBS.items()}
    table: dict[str, dict[str, str]] = {}
    for way, go in WAYS.items():
        if way in MISSING or (extreme and way in LOSSY):
            continue
        with warnings.catch_warnings(action="ignore"):  # of the libraries on the way
            came, came_runs = go(jobs), [go(run) for run in runs]
        with dask.config.set(scheduler="synchronous"):
            table[way] = {
                name: outcome(verb, came, came_runs, tmp_path, jobs, expected[name])
                for name, verb in VERBS.items()
            }
    shown = pd.DataFrame(table).T
    with capsys.disabled(), pd.option_context("display.width", 250, "display.max_rows", None):
        print(f"\n{shown.map(lambda one: one if one in {'=', 'told'} else '!!').to_string()}")  # noqa: T201
    wrong = {
        f"{way}, {verb}": one
        for way, outcomes in table.items()
        for verb, one in outcomes.items()
        if one not in {"=", "told"}
    }
    assert wrong == {}
    must = (EXACT if extreme else ORDINARY) - set(MISSING)
    not_equal = {way: row for way, row in table.items() if way in must and {*row.values()} != {"="}}
    assert not_equal == {}
    counts = pd.Series(shown.to_numpy().ravel()).value_counts()
    kind = "numbers beyond 2**53 and ids like 001" if extreme else "ordinary jobs"
    skipped = "".join(f"; {way} skipped: {why}" for way, why in MISSING.items())
    figure(
        f"frames of {kind} through {len(table)} files, databases, libraries and types, "
        f"{len(VERBS)} verbs each: {counts.sum():,} calls ({counts['=']:,} equal, "
        f"{counts['told']:,} told what to do{skipped}); with another result: 0"
    )
