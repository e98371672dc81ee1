from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from factories import (
    COMPLETED,
    FLAG,
    REAL,
    SIDES,
    TEXT,
    WHOLE,
    Outcome,
    ended,
    file,
    never_run,
    outcome_jobs,
    run,
    timed,
)
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose
from scipy import stats

import retab_frames as rf
from retab_frames.compare.many_runs import compare_many

if TYPE_CHECKING:
    from retab_frames import Client

P_VALUES = ["slower_p", "faster_p", "equivalent_p"]


def series(*ratios: float, documents: int = 20, noise: float = 0.1) -> list[rf.RunContent]:
    """Return a baseline `r0` and a run per ratio, of the same documents."""
    chance = np.random.default_rng(1)
    base = chance.lognormal(9, 1, documents)
    sides = [base, *(base * r * chance.lognormal(0, noise, documents) for r in ratios)]
    return [timed(*map(round, side), run_id=f"r{n}") for n, side in enumerate(sides)]


def benjamini_hochberg(p_values: Any) -> list[float]:
    """Return the adjusted p by the definition: the least of n p(j) / j over all larger p(j)."""
    known = sorted(p for p in p_values if not np.isnan(p))
    return [
        min((len(known) * q / (j + 1) for j, q in enumerate(known) if q >= p), default=np.nan)
        for p in p_values
    ]


def test_each_row_is_that_of_two_runs() -> None:
    contents = [*series(1.3, 0.7, 1.0), ended(*["error"] * 3, *["completed"] * 9, run_id="bad")]
    found = compare_many(contents).runs

    assert found["run_id"].tolist() == ["r1", "r2", "r3", "bad"]
    for n, content in enumerate(contents[1:]):
        row, pair = found.iloc[n], rf.compare_runs(contents[0], content)
        assert row["comparable"] == pair.comparable
        assert row["documents"] == len(pair.documents)
        assert row[list(pair.changes)].tolist() == list(pair.changes.values())
        rate = pair.failure_rates.iloc[1]
        for ours, theirs in (
            ("failure_rate", "rate"),
            ("failure_rate_low", "rate_low"),
            ("failure_rate_high", "rate_high"),
            ("failure_p", "p_value"),
        ):
            assert row[ours] == rate[theirs]
        for name in ("pairs", "ratio", "ratio_low", "ratio_high"):
            assert row[name] == pair.speed[name][0]


def test_p_values_are_one_sided_t_tests_against_the_margin() -> None:
    contents = series(1.2, 1.0)
    found = compare_many(contents, margin=0.1).runs

    base = contents[0].jobs["duration_ms"].to_numpy(float)
    for n, content in enumerate(contents[1:]):
        logs = np.log(content.jobs["duration_ms"].to_numpy(float) / base)
        less, greater = (
            [
                stats.ttest_1samp(logs, side * np.log(1.1), alternative=way).pvalue
                for side in (-1, 1)
            ]
            for way in ("less", "greater")
        )
        expected: Any = [greater[1], less[0], max(greater[0], less[1])]
        assert_allclose(found.loc[n, P_VALUES].to_numpy(float), expected, rtol=1e-6)


def test_corrections_are_those_of_benjamini_and_hochberg() -> None:
    slight = [1 + 0.02 * n for n in range(12)]
    found = compare_many(series(*slight, documents=12)).runs

    slower, faster, equivalent = found[P_VALUES].to_numpy(float).T
    changed = benjamini_hochberg(np.minimum(1, 2 * np.minimum(slower, faster)))
    same = benjamini_hochberg(np.minimum(1, 2 * equivalent))
    verdicts = [
        ("slower" if s < f else "faster")
        if c < 0.05
        else "equivalent"
        if e < 0.05
        else "inconclusive"
        for s, f, c, e in zip(slower, faster, changed, same, strict=True)
    ]
    assert {"slower", "inconclusive"} <= set(verdicts)
    assert found["verdict"].tolist() == verdicts
    expected = [
        e if verdict == "equivalent" else c
        for verdict, c, e in zip(verdicts, changed, same, strict=True)
    ]
    assert_allclose(found["speed_p_adjusted"].to_numpy(float), expected)
    failure = benjamini_hochberg(found["failure_p"].to_numpy(float))
    assert_allclose(found["failure_p_adjusted"].to_numpy(float), failure)


def test_many_runs_need_more_evidence_than_one() -> None:
    borderline, *others = series(1.11, *[1.0] * 10, documents=10)[1:]
    baseline = series(documents=10)[0]

    alone = compare_many([baseline, borderline]).runs["speed_p_adjusted"][0]
    among = compare_many([baseline, borderline, *others]).runs["speed_p_adjusted"][0]

    assert alone < among


@settings(deadline=None, max_examples=15)
@given(SIDES, SIDES, st.sampled_from([0.02, 0.05, 0.2]), st.sampled_from([0.5, 0.9, 0.95]))
def test_of_one_run_the_verdict_is_that_of_two_runs(
    before: dict[str, Outcome], after: dict[str, Outcome], margin: float, confidence: float
) -> None:
    sides = outcome_jobs(before, "r"), outcome_jobs(after, "s")
    options: dict[str, Any] = {"margin": margin, "confidence": confidence}

    many = compare_many(list(sides), **options)

    assert many.runs["verdict"].tolist() == [rf.compare_runs(*sides, **options).verdict]
    assert many.documents["document_id"].nunique() == len(many.documents) == len({*before, *after})


@settings(deadline=None, max_examples=6)
@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcdef"), COMPLETED, min_size=1), min_size=2, max_size=4
    )
)
def test_one_frame_of_several_runs_is_a_list_of_them(sides: list[dict[str, Outcome]]) -> None:
    frames = [outcome_jobs(side, f"r{n}") for n, side in enumerate(sides)]

    apart, together = compare_many(frames, 1), compare_many(pd.concat(frames), 1)

    assert together.run_ids == apart.run_ids == tuple(f"r{n}" for n in range(len(sides)))
    for name in ("runs", "cells", "documents"):
        pd.testing.assert_frame_equal(getattr(together, name), getattr(apart, name))
    pd.testing.assert_frame_equal(together.matrix("slow"), apart.matrix("slow"))


@pytest.mark.parametrize(("baseline", "chosen"), [(0, "r0"), (2, "r2"), (-1, "r3"), ("r1", "r1")])
def test_the_baseline_is_a_position_or_an_id(baseline: int | str, chosen: str) -> None:
    found = compare_many(series(1, 1, 1), baseline)

    assert found.baseline_run_id == chosen
    assert found.runs["run_id"].tolist() == [f"r{n}" for n in range(4) if f"r{n}" != chosen]
    assert found.run_ids == ("r0", "r1", "r2", "r3")


FLAKY = [
    run(
        {"document_id": "steady", "duration_ms": 100},
        {"document_id": "flaky", "duration_ms": 200, **file(filename="flaky.pdf")},
        {"document_id": "bad", "status": "error"},
        {"document_id": "slow", "duration_ms": 900},
        {"document_id": "blank", "is_placeholder": True, "status": "pending", "duration_ms": None},
    ),
    run(
        {"document_id": "slow", "duration_ms": 1000},
        {"document_id": "flaky", "status": "cancelled", "duration_ms": 10},
        {"document_id": "steady", "duration_ms": 100},
        {"document_id": "bad", "status": "skipped"},
        {"document_id": "new", "status": "running", "duration_ms": None},
        run_id="s",
    ),
]


def test_documents_of_all_runs() -> None:
    found = compare_many(FLAKY).documents

    assert found.astype(object).to_numpy().tolist() == [
        ["bad", pd.NA, 2, 0, 2, False, True, 0, False, pd.NA, pd.NA],
        ["flaky", "flaky.pdf", 2, 1, 1, True, False, 0, False, 200, 1],
        ["slow", pd.NA, 2, 2, 0, False, False, 2, True, 950, np.mean([900 / 200, 1000 / 550])],
        ["steady", pd.NA, 2, 2, 0, False, False, 0, False, 100, np.mean([100 / 200, 100 / 550])],
        ["blank", pd.NA, 1, 0, 0, False, False, 0, False, pd.NA, pd.NA],
        ["new", pd.NA, 1, 0, 0, False, False, 0, False, pd.NA, pd.NA],
    ]
    types = [TEXT, TEXT, WHOLE, WHOLE, WHOLE, FLAG, FLAG, WHOLE, FLAG, REAL, REAL]
    assert found.dtypes.tolist() == types


@pytest.mark.parametrize(
    ("value", "kind", "r", "s"),
    [
        (
            "status",
            TEXT,
            ["error", "completed", "completed", "completed", pd.NA, pd.NA],
            ["skipped", "cancelled", "completed", "completed", pd.NA, "running"],
        ),
        (
            "duration_ms",
            WHOLE,
            [pd.NA, 200, 900, 100, pd.NA, pd.NA],
            [pd.NA, pd.NA, 1000, 100, pd.NA, pd.NA],
        ),
        (
            "ratio_to_run_median",
            REAL,
            [pd.NA, 1.0, 4.5, 0.5, pd.NA, pd.NA],
            [pd.NA, pd.NA, 1000 / 550, 100 / 550, pd.NA, pd.NA],
        ),
        (
            "slow",
            FLAG,
            [False, False, True, False, False, pd.NA],
            [False, False, True, False, pd.NA, False],
        ),
    ],
)
def test_matrix_has_a_row_per_document_and_a_column_per_run(
    value: str, kind: Any, r: list[Any], s: list[Any]
) -> None:
    empty = run(run_id="empty")
    found = compare_many([*FLAKY, empty]).matrix(value)

    assert list(found.columns) == ["document_id", "filename", "r", "s", "empty"]
    assert found["document_id"].tolist() == ["bad", "flaky", "slow", "steady", "blank", "new"]
    assert found["r"].tolist() == r
    assert found["s"].tolist() == s
    assert found["empty"].isna().all()
    assert [found[name].dtype for name in ("r", "s", "empty")] == [kind] * 3


def test_matrix_takes_known_values_only() -> None:
    with pytest.raises(ValueError, match=r"value must be one of status, duration_ms, .* 'median'"):
        compare_many(FLAKY).matrix("median")


@pytest.mark.parametrize(
    "durations",
    [[100] * 5, [100], [0, 0, 0], [None, None]],
)
def test_where_all_take_the_same_time_none_is_slow(durations: list[int | None]) -> None:
    found = compare_many([timed(*durations), timed(*durations, run_id="s")])

    assert not found.cells["slow"].any()
    assert not found.documents["always_slow"].any()


def test_always_slow_is_in_all_runs_and_at_least_two() -> None:
    found = compare_many(
        [timed(1, 2, 3, 9), timed(9, 2, 3, 1, run_id="s"), run({"document_id": "x"}, run_id="t")]
    ).documents.set_index("document_id")

    assert found["slow_runs"].to_dict() == {"doc_0": 1, "doc_3": 1, "doc_1": 0, "doc_2": 0, "x": 0}
    assert not found["always_slow"].any()


def test_empty_runs_and_failed_ones_have_rows() -> None:
    found = compare_many([timed(1, 2), run(run_id="s"), ended("error", "error", run_id="t")])

    assert found.runs["comparable"].tolist() == ["no", "yes"]
    assert found.runs["failure_rate"].tolist() == [pd.NA, 1.0]
    assert found.runs["verdict"].tolist() == ["inconclusive"] * 2
    assert found.runs["speed_p_adjusted"].isna().all()
    assert compare_many([run(), run(run_id="s")]).documents.empty


def test_summary_says_it_in_words() -> None:
    contents = [*series(1.5, 0.5, 1.0, noise=0.01, documents=12), run(run_id="none")]

    assert compare_many(contents).summary().splitlines()[:6] == [
        "4 runs against r0",
        "Not comparable: none.",
        "Slower: r1 (x 1.50).",
        "Faster: r2 (x 0.50).",
        "Equivalent: r3 (x 1.00).",
        "Inconclusive: none.",
    ]
    assert compare_many(FLAKY).summary() == (
        "1 run against r\nInconclusive: s (x 1.05).\nDocuments broken in: s (1).\n"
        "Flaky: flaky.pdf.\nAlways slow: slow."
    )


def test_long_lists_are_cut() -> None:
    found = compare_many([timed(*[100] * 4, run_id=f"r{n}") for n in range(9)])

    assert (
        "Equivalent: r1 (x 1.00), r2 (x 1.00), r3 (x 1.00), r4 (x 1.00), r5 (x 1.00) and 3 more."
        in (found.summary())
    )


def test_repr_and_tables() -> None:
    found = compare_many(FLAKY)

    assert repr(found) == "ManyComparison('r' -> 1 run: 1 inconclusive; 6 documents)"
    assert found.to_markdown().splitlines()[0] == "## 1 run against r"
    markdown = found.to_markdown()
    assert "| documents | broken | still\\_failing | added | removed | unchanged |\n" in markdown
    assert "| s | warnings | 6 | 1 | 1 | 1 | 1 | 2 |\n" in markdown
    assert "| s | inconclusive | 2 | 1.05 (" in markdown
    assert "| flaky.pdf | flaky | 2 | 1 | 1 | 0 | 200 ms |" in markdown


def test_hostile_names_are_text() -> None:
    from compare.test_two_runs import HOSTILE, Tags  # noqa: PLC0415

    jobs = [{"document_id": HOSTILE}, {"document_id": "b"}]
    found = compare_many([run(*jobs), run({**jobs[0], "status": "error"}, run_id=HOSTILE)])

    page = Tags(found._repr_html_())
    assert page.tags == {
        *("div", "b", "ul", "li", "p", "table", "thead", "tbody", "tr", "th", "td")
    }
    assert page.attributes == {"style"}
    for text in (found.summary(), found.to_markdown(), repr(found)):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<img" not in found.to_markdown().replace("\\<", "")
    assert list(found.matrix().columns) == ["document_id", "filename", "r", HOSTILE]


@pytest.mark.parametrize(
    ("runs", "baseline", "error", "message"),
    [
        ([], 0, ValueError, "compare_many needs two runs or more, not 0"),
        ([run({})], 0, ValueError, "compare_many needs two runs or more, not 1"),
        (run({}), 0, TypeError, "compare_many takes several runs; this is one"),
        (7, 0, TypeError, "compare_many takes runs, not int"),
        ("runs", 0, TypeError, "run 0 must be a RunContent or a jobs frame, not str"),
        (run({}).jobs, 0, ValueError, "compare_many needs two runs or more, not 1"),
        (pd.DataFrame({"a": [1]}), 0, ValueError, "it lacks the column run_id"),
        ([run({}), run({})], 0, ValueError, "run r is given twice"),
        ([run({}), never_run()], 0, ValueError, "run 1 has no run id, it was never run"),
        ([run({}), run({}, run_id="s")], "t", ValueError, "run t is not among the runs: r, s"),
        ([run({}), run({}, run_id="s")], 2, ValueError, "there is no run 2 among 2"),
        ([run({}), run({}, run_id="s")], -3, ValueError, "there is no run -3 among 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    runs: Any, baseline: int | str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        compare_many(runs, baseline)


def test_a_frame_with_jobs_of_no_run_is_refused() -> None:
    frame = pd.concat([run({}).jobs, run({}, run_id="s").jobs, never_run().jobs])

    with pytest.raises(ValueError, match="run 2 has no run id"):
        compare_many(frame)


def test_a_frame_of_categories_and_a_named_index_will_do() -> None:
    frame = pd.concat([content.jobs for content in FLAKY])
    odd = frame.astype({"run_id": pd.CategoricalDtype(["r", "s", "unused"])})

    found = compare_many(odd.set_index("run_id", drop=False))

    pd.testing.assert_frame_equal(found.runs, compare_many(FLAKY).runs)


def test_runs_of_the_api(client: Client) -> None:
    jobs = rf.load_jobs(
        "wf_sandbox",
        "exp_invoices",
        run_id=[f"exprun_invoices_{n}" for n in (1, 2, 3, 4)],
        client=client,
    )
    found = compare_many(jobs, "exprun_invoices_2")

    assert found.runs["run_id"].tolist() == [f"exprun_invoices_{n}" for n in (1, 3, 4)]
    assert found.runs["verdict"][1] == "slower"
    done = jobs.assign(done=jobs["status"] == "completed").groupby("document_id")["done"]
    flaky = found.documents.loc[found.documents["flaky"], "document_id"]
    assert flaky.tolist()
    assert set(flaky) == {name for name, part in done if part.any() and not part.all()}
    status = found.matrix().set_index("document_id")["exprun_invoices_4"]
    direct = jobs[jobs["run_id"] == "exprun_invoices_4"].set_index("document_id")["status"]
    assert status.to_dict() == direct.to_dict()
    assert found.cells.dtypes["duration_ms"].pyarrow_dtype == pa.int64()
