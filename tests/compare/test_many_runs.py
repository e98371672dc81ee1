from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import dask.dataframe as dd
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
from retab_frames.compare.many_runs_table import count_needed_pairs

if TYPE_CHECKING:
    from retab_frames import Client

SCOPE = "These are verdicts on runs: whether a definition differs, several runs of each would tell."
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
        speed = pair.speed.drop(columns=["verdict", "margin", "confidence"]).iloc[0]
        pd.testing.assert_series_equal(row[list(speed.index)], speed, check_names=False)


def test_p_values_are_one_sided_wilcoxon_tests_against_the_margin() -> None:
    contents = series(1.2, 1.0)
    found = compare_many(contents, margin=0.1).runs

    base = contents[0].jobs["duration_ms"].to_numpy(float)
    for n, content in enumerate(contents[1:]):
        logs = np.log(content.jobs["duration_ms"].to_numpy(float) / base)
        less, greater = (
            [
                stats.wilcoxon(logs - side * np.log(1.1), alternative=way, method="exact").pvalue
                for side in (-1, 1)
            ]
            for way in ("less", "greater")
        )
        expected: Any = [greater[1], less[0], max(greater[0], less[1])]
        assert_allclose(found.loc[n, P_VALUES].to_numpy(float), expected, rtol=1e-6)


@pytest.mark.parametrize(("runs", "needed"), [(1, 6), (5, 8), (20, 10), (100, 12)])
def test_one_slower_run_among_many_needs_so_many_documents(runs: int, needed: int) -> None:
    assert count_needed_pairs(runs, 0.95) == needed


@pytest.mark.parametrize(("documents", "verdict"), [(7, "inconclusive"), (8, "slower")])
def test_one_slower_run_among_five(documents: int, verdict: str) -> None:
    same = [timed(*range(100, 100 + documents), run_id=f"r{n}") for n in range(5)]
    slow = timed(*range(300, 300 + 3 * documents, 3), run_id="slow")
    # one of the others scatters, so that it is neither slower nor equivalent
    found = compare_many([*same[:5], slow])

    assert found.runs["verdict"].tolist()[-1] == verdict
    told = "Too few documents for one run to be shown slower or faster among 5, which takes 8: "
    assert (told in found.summary()) == (documents == 7)


def test_a_run_that_cannot_be_compared_has_no_part_in_the_correction() -> None:
    good = [timed(*[100] * 6, run_id="r0"), timed(*[200] * 6, run_id="r1")]
    other = run(*[{"block_kind": "split", "duration_ms": 900}] * 6, run_id="odd")
    base = run(*[{"block_kind": "extract", "duration_ms": 100}] * 6, run_id="r0")

    found = compare_many([base, good[1], other]).runs

    assert found["comparable"].tolist() == ["yes", "no"]
    assert found["verdict"].tolist() == ["slower", "inconclusive"]
    assert found["speed_p_adjusted"].tolist() == [2 * 2**-6, pd.NA]
    assert found.loc[1, P_VALUES].isna().all()
    # the failures of another block would be compared as little
    assert compare_many([base, good[1]]).runs["speed_p_adjusted"].tolist() == [2 * 2**-6]


def test_runs_of_which_none_can_be_compared_get_no_word_on_verdicts() -> None:
    found = compare_many([run({}, run_id="r"), run(run_id="s")])

    assert found.summary() == "1 run against r\nNot comparable: s."


@pytest.mark.parametrize("measure", ["duration", "queue", "elapsed", "turnaround"])
def test_the_measure_is_that_of_two_runs(measure: Any) -> None:
    from compare.test_two_runs import waiting  # noqa: PLC0415

    sides = waiting(*[6.0] * 8), waiting(*[12.0] * 8, run_id="s")
    found = compare_many(sides, measure=measure)

    pair = rf.compare_runs(*sides, measure=measure)
    assert found.measure == measure
    assert found.runs["verdict"].tolist() == [pair.verdict]
    assert found.runs["ratio"].tolist() == pair.speed["ratio"].tolist()
    expected = pair.documents[f"candidate_{measure}_ms"].astype(float).tolist()
    assert found.matrix(f"{measure}_ms")["s"].astype(float).tolist() == expected
    together = compare_many(pd.concat([side.jobs for side in sides]), measure=measure)
    pd.testing.assert_frame_equal(together.runs, found.runs)


def test_corrections_are_those_of_benjamini_and_hochberg() -> None:
    slight = [1 + 0.02 * n for n in range(12)]
    found = compare_many(series(*slight, documents=12)).runs

    slower, faster, equivalent = found[P_VALUES].to_numpy(float).T
    changed = benjamini_hochberg(np.minimum(1, 2 * np.minimum(slower, faster)))
    same = benjamini_hochberg(np.minimum(1, 2 * equivalent))
    verdicts = [
        ("slower" if s < f else "faster")
        if c <= 0.05
        else "equivalent"
        if e <= 0.05
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


MIXED = [
    run(
        {"document_id": "steady", "duration_ms": 100},
        {"document_id": "worse", "duration_ms": 200, **file(filename="worse.pdf")},
        {"document_id": "bad", "status": "error"},
        {"document_id": "slow", "duration_ms": 900},
        {"document_id": "blank", "is_placeholder": True, "status": "pending", "duration_ms": None},
    ),
    run(
        {"document_id": "slow", "duration_ms": 1000},
        {"document_id": "worse", "status": "error", "duration_ms": 10},
        {"document_id": "steady", "duration_ms": 100},
        {"document_id": "bad", "status": "error"},
        {"document_id": "new", "status": "cancelled", "duration_ms": None},
        run_id="s",
    ),
]


def wilson(failed: int, runs: int) -> list[float]:
    interval = stats.binomtest(failed, runs).proportion_ci(0.95, method="wilson")
    return [round(float(one), 12) for one in (failed / runs, interval.low, interval.high)]


def test_documents_of_all_runs() -> None:
    found = compare_many(MIXED).documents

    slow = round((900 / 200 + 1000 / 550) / 2, 12)
    steady = round((100 / 200 + 100 / 550) / 2, 12)
    no = pd.NA
    # to 12 digits, since the interval is computed in another way
    rows = [
        [round(one, 12) if isinstance(one, float) else one for one in row]
        for row in found.astype(object).to_numpy().tolist()
    ]
    assert rows == [
        ["bad", no, 2, 0, 2, 2, *wilson(2, 2), False, no, no, True, 0, False, no, no],
        ["worse", "worse.pdf", 2, 1, 1, 2, *wilson(1, 2), False, no, "s", False, 0, False, 200, 1],
        ["slow", no, 2, 2, 0, 2, *wilson(0, 2), False, no, no, False, 2, False, 950, slow],
        ["steady", no, 2, 2, 0, 2, *wilson(0, 2), False, no, no, False, 0, False, 100, steady],
        ["blank", no, 1, 0, 0, 0, no, no, no, False, no, no, False, 0, False, no, no],
        ["new", no, 1, 0, 0, 0, no, no, no, False, no, no, False, 0, False, no, no],
    ]
    types = [TEXT, TEXT, WHOLE, WHOLE, WHOLE, WHOLE, REAL, REAL, REAL, FLAG]
    types += [TEXT, TEXT, FLAG, WHOLE, FLAG, REAL, REAL]
    assert found.dtypes.tolist() == types


def history(*states: str, definitions: str = "", times: bool = True) -> list[rf.RunContent]:
    """Return a run per state of one document: C completed, E error, X cancelled, - not there."""
    words = {"C": "completed", "E": "error", "X": "cancelled", "R": "running"}
    contents = []
    for n, state in enumerate(states):
        jobs = [{"document_id": "d", "status": words[state]}] if state != "-" else []
        jobs.append({"document_id": "other"})
        if times:
            jobs = [{**job, "created_at": f"2026-01-{n + 1:02}T00:00:00Z"} for job in jobs]
        definition = {"definition_fingerprint": definitions[n]} if definitions else {}
        contents.append(run(*jobs, run_id=f"r{n}", **definition))
    return contents


@pytest.mark.parametrize(
    ("states", "definitions", "flaky", "fixed_since", "broken_since"),
    [
        ("CCC", "", False, pd.NA, pd.NA),
        ("EEE", "", False, pd.NA, pd.NA),
        ("CE", "", False, pd.NA, "r1"),
        ("EEC", "", False, "r2", pd.NA),
        ("ECCE", "", True, pd.NA, pd.NA),
        # one failure may be chance
        ("CEC", "", False, pd.NA, pd.NA),
        ("CECCC", "", False, pd.NA, pd.NA),
        ("CECEC", "", True, pd.NA, pd.NA),
        # the rate is 2 of 6, of which the lower end is 9.7 %
        ("CECECC", "", False, pd.NA, pd.NA),
        ("CECEC", "aaaaa", True, pd.NA, pd.NA),
        # each change is one of the definition too
        ("CEC", "abc", False, "r2", pd.NA),
        ("CECE", "abab", False, pd.NA, "r3"),
        ("CECEC", "aaaab", True, pd.NA, pd.NA),
        # steady under the definition with the most runs
        ("ECECCCCC", "bbbaaaaa", False, pd.NA, pd.NA),
        # one change under each of two definitions
        ("CECE", "aabb", False, pd.NA, "r3"),
        # half the runs, and yet it broke once
        ("CCCEEE", "", False, pd.NA, "r3"),
        # cancelled, unfinished and missing runs say nothing
        ("CXC", "", False, pd.NA, pd.NA),
        ("XEXCX", "", False, "r3", pd.NA),
        ("C-E", "", False, pd.NA, "r2"),
        ("CRE", "", False, pd.NA, "r2"),
        ("XX", "", False, pd.NA, pd.NA),
    ],
)
def test_flaky_fixed_and_broken(
    states: str,
    definitions: str,
    flaky: bool,  # noqa: FBT001 - a parameter of the test
    fixed_since: Any,
    broken_since: Any,
) -> None:
    found = compare_many(history(*states, definitions=definitions)).documents
    row = found[found["document_id"] == "d"].iloc[0]

    assert row["flaky"] == flaky
    for name, expected in (("fixed_since", fixed_since), ("broken_since", broken_since)):
        assert row[name] is expected or row[name] == expected


@pytest.mark.parametrize(
    ("flaky_rate", "flaky"), [(0, True), (0.117, True), (0.118, False), (0.5, False)]
)
def test_flaky_is_a_rate_above_the_one_that_is_given(
    flaky_rate: float,
    flaky: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    # 2 of 5, of which Wilson's interval begins at 11.76 %
    found = compare_many(history(*"CECEC"), flaky_rate=flaky_rate)

    assert found.documents.set_index("document_id")["flaky"]["d"] == flaky
    assert ("Flaky: d (failed in 40 % of 5 runs)." in found.summary()) == flaky


@pytest.mark.parametrize("flaky_rate", [-0.1, 1, True, "0.1", float("nan")])
def test_a_flaky_rate_is_a_share(flaky_rate: Any) -> None:
    with pytest.raises(ValueError, match="flaky_rate must be a share from 0 to below 1, not"):
        compare_many(MIXED, flaky_rate=flaky_rate)


def test_a_run_in_which_many_documents_failed_makes_none_of_them_flaky() -> None:
    """Five of ten documents fail in the third of six runs; one more fails in two others."""
    states = {f"d{n}": "CCECCC" if n < 5 else "CCCCCC" for n in range(10)} | {"flaky": "CECECE"}
    words = {"C": "completed", "E": "error"}
    contents = [
        run(
            *({"document_id": d, "status": words[all_[n]]} for d, all_ in states.items()),
            run_id=f"r{n}",
        )
        for n in range(6)
    ]
    found = compare_many(contents)

    failing = found.run_failures.set_index("run_id")
    assert failing["left_out"].to_dict() == {f"r{n}": n == 2 for n in range(6)}
    assert failing["failed"].tolist() == [0, 1, 5, 1, 0, 1]
    assert failing["documents"].tolist() == [11] * 6
    # five documents failed in one run of six, one in three
    assert failing["expected"].tolist() == pytest.approx([5 / 6 + 1 / 2] * 6)
    # all five in this run, the sixth in it or not: 6 runs were tested
    binomial = stats.binom(5, 1 / 6)
    p_value = 6 * (binomial.pmf(5) + binomial.pmf(4) / 2)
    assert failing["p_value"]["r2"] == pytest.approx(p_value)
    documents = found.documents.set_index("document_id")
    assert documents.index[documents["flaky"].astype(bool)].tolist() == ["flaky"]
    assert documents["rate_runs"].tolist() == [5] * 11
    assert documents["failure_rate"].to_dict() == {d: 0.6 * (d == "flaky") for d in states}
    assert (
        "Left out of the failure rates of documents, since many failed at once: r2 (5 of 11, "
        "1.3 expected)." in found.summary()
    )


def test_messages_of_documents_that_broke_in_any_run() -> None:
    late = {"status": "error", "error": {"message": "Timed out after 31 s"}}
    odd = {"status": "error", "error": {"message": "No text"}}
    contents = [
        run({}, {}, late),
        run(late, {}, late, run_id="s"),
        run(late, odd, {}, run_id="t"),
    ]
    found = compare_many(contents).broken_messages

    names = ["template", "documents", "runs", "example_document_id", "example_message"]
    assert found[names].to_numpy().tolist() == [
        ["Timed out after <n> s", 1, 2, "doc_0", "Timed out after 31 s"],
        ["No text", 1, 1, "doc_1", "No text"],
    ]
    assert (
        "Why they broke: Timed out after <n> s (1 document); No text (1 document)."
        in compare_many(contents).summary()
    )


def test_the_dates_and_scores_of_the_runs() -> None:
    contents = [
        run({}, {}, score=0.9, created_at="2026-01-01T00:00:00Z"),
        run({}, {}, run_id="s", score=0.8, created_at="2026-01-02T00:00:00Z"),
        run({}, {"status": "error"}, run_id="t", score=0.95),
    ]
    found = compare_many(contents).runs

    assert found["created_at"][0] == pd.Timestamp("2026-01-02", tz="UTC")
    assert found["created_at"].isna().tolist() == [False, True]
    assert found["score"].tolist() == [0.8, 0.95]
    # that of t is of other documents
    assert found["score_delta"].tolist() == [-0.1, pd.NA]


def test_many_comparisons_as_plain_values() -> None:
    found = compare_many([*MIXED, run(run_id="none")])
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))

    assert told["baseline"] == "r"
    assert [row["run_id"] for row in told["runs"]] == ["s", "none"]
    assert [row["verdict"] for row in told["runs"]] == ["inconclusive"] * 2
    assert [row["document_id"] for row in told["documents"]][:2] == ["bad", "worse"]
    assert told["summary"] == found.summary().splitlines()
    assert [row["run_id"] for row in told["run_failures"]] == ["r", "s"]
    assert told["flaky_rate"] == 0.1


@pytest.mark.parametrize("backwards", [False, True])
def test_the_runs_are_in_the_order_in_which_they_began(
    backwards: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    timed_runs, untimed = history(*"CCE"), history(*"CCE", times=False)
    order = -1 if backwards else 1

    found = compare_many(timed_runs[::order])
    given = compare_many(untimed[::order])

    since = []
    for comparison in (found, given):
        documents = comparison.documents[comparison.documents["document_id"] == "d"]
        since.append(documents[["fixed_since", "broken_since"]].fillna("").to_numpy().tolist()[0])
    assert since[0] == ["", "r2"]
    # without times in the order given: E C C
    assert since[1] == (["r1", ""] if backwards else ["", "r2"])
    assert found.cells["run_id"].unique().tolist() == ["r0", "r1", "r2"]


@pytest.mark.parametrize(("runs", "always"), [(1, False), (2, True)])
def test_always_failing_takes_two_runs(
    runs: int,
    always: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    found = compare_many([*history(*"E" * runs), run({"document_id": "other"}, run_id="more")])

    assert found.documents.set_index("document_id")["always_failing"]["d"] == always
    assert ("Always failing: d." in found.summary()) == always


@pytest.mark.parametrize(
    ("value", "kind", "r", "s"),
    [
        (
            "status",
            TEXT,
            ["error", "completed", "completed", "completed", pd.NA, pd.NA],
            ["error", "error", "completed", "completed", pd.NA, "cancelled"],
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
    found = compare_many([*MIXED, empty]).matrix(value)

    assert list(found.columns) == ["document_id", "filename", "r", "s", "empty"]
    assert found["document_id"].tolist() == ["bad", "worse", "slow", "steady", "blank", "new"]
    assert found["r"].tolist() == r
    assert found["s"].tolist() == s
    assert found["empty"].isna().all()
    assert [found[name].dtype for name in ("r", "s", "empty")] == [kind] * 3


def test_matrix_takes_known_values_only() -> None:
    with pytest.raises(ValueError, match=r"value must be one of status, duration_ms, .* 'median'"):
        compare_many(MIXED).matrix("median")


@pytest.mark.parametrize(
    "durations",
    [[100] * 5, [100], [0, 0, 0], [None, None]],
)
def test_where_all_take_the_same_time_none_is_slow(durations: list[int | None]) -> None:
    found = compare_many([timed(*durations), timed(*durations, run_id="s")])

    assert not found.cells["slow"].any()
    assert not found.documents["always_slow"].any()


@pytest.mark.parametrize(
    ("slow", "always"),
    [
        ([1000, 1000], False),
        ([1000, 1000, 1000], True),
        ([150, 150, 150], True),
        ([149, 1000, 1000], False),
        ([1000, 1000, 1000, 90], False),
    ],
)
def test_always_slow_takes_three_runs_and_half_more_than_the_median_in_each(
    slow: list[int],
    always: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    found = compare_many([timed(*[100] * 12, ms, run_id=f"r{n}") for n, ms in enumerate(slow)])

    documents = found.documents.set_index("document_id")
    assert documents["always_slow"].to_dict() == {
        name: always and name == "doc_12" for name in documents.index
    }
    assert documents["slow_runs"]["doc_12"] == sum(ms >= 150 for ms in slow)
    assert ("Always slow: doc_12." in found.summary()) == always


def test_empty_runs_and_failed_ones_have_rows() -> None:
    found = compare_many([timed(1, 2), run(run_id="s"), ended("error", "error", run_id="t")])

    assert found.runs["comparable"].tolist() == ["no", "yes"]
    assert found.runs["broken"].tolist() == [0, 2]
    assert found.runs["failure_rate"].tolist() == [pd.NA, 1.0]
    assert found.runs["verdict"].tolist() == ["inconclusive"] * 2
    assert found.runs["speed_p_adjusted"].isna().all()
    assert compare_many([run(), run(run_id="s")]).documents.empty


def test_summary_says_it_in_words() -> None:
    contents = [*series(1.5, 0.5, 1.0, noise=0.01, documents=12), run(run_id="none")]

    assert compare_many(contents).summary().splitlines() == [
        "4 runs against r0",
        "Not comparable: none.",
        "Slower: r1 (x 1.50).",
        "Faster: r2 (x 0.50).",
        "Equivalent: r3 (x 1.00).",
        "Always slow: doc_4, doc_1.",
        SCOPE,
    ]
    assert compare_many(MIXED).summary() == (
        "1 run against r\nDocuments broken in: s (1).\nInconclusive: s (x 1.05).\n"
        f"Broken since: worse.pdf (s).\nAlways failing: bad.\n{SCOPE}"
    )


def test_ratios_that_two_decimals_do_not_tell() -> None:
    durations = {"base": 100, "long": 12_345_678, "short": 1}
    found = compare_many([timed(*[ms] * 8, run_id=name) for name, ms in durations.items()])

    assert "Slower: long (x 1.23e+05)." in found.summary()
    assert "Faster: short (x 0.01)." in found.summary()


def test_long_lists_are_cut() -> None:
    found = compare_many([timed(*[100] * 9, run_id=f"r{n}") for n in range(9)])

    assert (
        "Equivalent: r1 (x 1.00), r2 (x 1.00), r3 (x 1.00), r4 (x 1.00), r5 (x 1.00) and 3 more."
        in (found.summary())
    )


def test_repr_and_tables() -> None:
    found = compare_many(MIXED)

    assert repr(found) == "ManyComparison('r' -> 1 run: 1 inconclusive; 6 documents)"
    lines = found.to_markdown().splitlines()
    assert lines[:3:2] == [
        "**1 inconclusive**: documents broke in 1 of 1 run.",
        "## 1 run against r",
    ]
    markdown = found.to_markdown()
    assert "| documents | broken | still failing | removed | added | unchanged |\n" in markdown
    assert "| s | warnings | 6 | 1 | 1 | 1 | 1 | 2 |\n" in markdown
    assert "| s | inconclusive | 2 | x 1.05 (" in markdown
    assert "| - | bad | 2 | 0 | 2 | 100 % (34 % to 100 %) | 0 | - |" in markdown


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
        ([run({}), run({}, run_id="s")], 1.5, TypeError, "must be a position or a run id, not 1.5"),
        ([run({}), run({}, run_id="s")], True, TypeError, "a position or a run id, not True"),
        ([run({}), run({}, run_id="s")], None, TypeError, "a position or a run id, not None"),
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
    frame = pd.concat([content.jobs for content in MIXED])
    odd = frame.astype({"run_id": pd.CategoricalDtype(["r", "s", "unused"])})

    found = compare_many(odd.set_index("run_id", drop=False))

    pd.testing.assert_frame_equal(found.runs, compare_many(MIXED).runs)


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
    final = jobs.sort_values("attempt").drop_duplicates(["run_id", "document_id"], keep="last")
    ended = final[final["status"].isin(["completed", "error"])].sort_values("created_at")
    changes = {
        name: int((part["status"] != part["status"].shift(fill_value="")).sum() - 1)
        for name, part in ended.groupby("document_id")
    }
    documents = found.documents.set_index("document_id")
    # bare jobs name no definition; in four runs one failure may be chance, two are flaky
    failed = final[final["status"] == "error"].groupby("document_id").size()
    assert documents["flaky"].to_dict() == {
        name: changes.get(name, 0) >= 2 and failed[name] >= 2 for name in documents.index
    }
    since = documents["fixed_since"].notna() | documents["broken_since"].notna()
    assert since.to_dict() == {name: changes.get(name, 0) == 1 for name in documents.index}
    status = found.matrix().set_index("document_id")["exprun_invoices_4"]
    direct = final[final["run_id"] == "exprun_invoices_4"].set_index("document_id")["status"]
    assert status.to_dict() == direct.to_dict()
    assert found.cells.dtypes["duration_ms"].pyarrow_dtype == pa.int64()


def test_a_dask_frame_without_runs_is_refused() -> None:
    jobs = dd.from_pandas(run({}).jobs.drop(columns="run_id"), npartitions=1)

    with pytest.raises(ValueError, match="it lacks the column run_id"):
        compare_many(jobs)
