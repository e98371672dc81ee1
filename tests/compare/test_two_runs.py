from __future__ import annotations

import math
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from factories import COMPLETED, SIDES, Outcome, ended, file, never_run, outcome_jobs, run, timed
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose
from scipy import stats

import retab_frames as rf
from retab_frames.text.tables import format_duration

if TYPE_CHECKING:
    from retab_frames import Client

CHANGES = ["broken", "fixed", "still_failing", "pending", "added", "removed", "unchanged"]


def noisy(documents: int, ratio: float, seed: int = 0) -> tuple[list[int], list[int]]:
    """Return the durations of the documents in two runs, long-tailed and paired."""
    chance = np.random.default_rng(seed)
    before = chance.lognormal(9, 1, documents)
    after = before * ratio * chance.lognormal(0, 0.15, documents)
    return before.round().astype(int).tolist(), after.round().astype(int).tolist()


def compared(before: list[int], after: list[int], **options: float) -> rf.RunComparison:
    return rf.compare_runs(timed(*before).jobs, timed(*after, run_id="s").jobs, **options)


def test_changes_are_counted_in_one_order() -> None:
    before = ended("completed", "error", "error", "completed", "completed", "completed")
    after = ended("error", "completed", "error", "running", "completed", run_id="s")
    found = rf.compare_runs(before, after)

    assert list(found.changes) == CHANGES
    assert list(found.changes.values()) == [1, 1, 1, 1, 0, 1, 1]


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_failure_rates_are_those_of_scipy(confidence: float) -> None:
    before = ["completed"] * 14 + ["error"] * 5 + ["running"]
    after = ["error"] * 6 + ["completed"] * 9 + ["skipped", "cancelled", *["completed"] * 3]
    found = rf.compare_runs(
        ended(*before), ended(*after, run_id="s"), confidence=confidence
    ).failure_rates

    assert found["side"].tolist() == ["baseline", "candidate"]
    assert found["run_id"].tolist() == ["r", "s"]
    assert found["documents"].tolist() == [19, 19]
    assert found["failed"].tolist() == [5, 8]
    wilson = [stats.binomtest(k, 19).proportion_ci(confidence, method="wilson") for k in (5, 8)]
    assert_allclose(found["rate"].to_numpy(float), [5 / 19, 8 / 19])
    assert_allclose(found["rate_low"].to_numpy(float), [interval.low for interval in wilson])
    assert_allclose(found["rate_high"].to_numpy(float), [interval.high for interval in wilson])
    # 6 broke, 3 were fixed; the p stands in the candidate's row alone
    assert found["p_value"].isna().tolist() == [True, False]
    assert found["p_value"][1] == pytest.approx(stats.binomtest(6, 9).pvalue)


def test_durations_are_those_of_scipy() -> None:
    sides = noisy(12, 1.2)
    found = compared(*sides, confidence=0.9).durations

    assert found["documents"].tolist() == [12, 12]
    for n, values in enumerate(np.array(sides, dtype=float)):
        row = found.iloc[n]
        assert row["mean_ms"] == pytest.approx(values.mean())
        bootstrap: Any = stats.bootstrap((values,), np.mean, rng=1, confidence_level=0.9)
        low, high = bootstrap.confidence_interval
        assert row["mean_low_ms"] == pytest.approx(low, rel=0.05)
        assert row["mean_high_ms"] == pytest.approx(high, rel=0.05)
        logs = stats.ttest_1samp(np.log(values), 0).confidence_interval(0.9)
        assert row["geometric_mean_ms"] == pytest.approx(stats.gmean(values))
        assert row["geometric_mean_low_ms"] == pytest.approx(math.exp(logs.low))
        assert row["geometric_mean_high_ms"] == pytest.approx(math.exp(logs.high))
        order: Any = stats.quantile_test(values, p=0.5).confidence_interval(0.9)
        assert row["median_ms"] == np.median(values)
        assert [row["median_low_ms"], row["median_high_ms"]] == [order.low, order.high]


def test_durations_are_of_the_documents_measured_on_both_sides() -> None:
    before = run({"duration_ms": 10}, {"duration_ms": None}, {"duration_ms": 30}, {}, {})
    after = run({"duration_ms": 20}, {}, {"duration_ms": None}, {"status": "error"}, run_id="s")

    found = rf.compare_runs(before, after).durations

    assert found["documents"].tolist() == [1, 1]
    assert found["mean_ms"].tolist() == found["median_ms"].tolist() == [10, 20]
    assert found["mean_low_ms"].isna().all()


def test_a_duration_of_zero_has_no_geometric_mean() -> None:
    found = compared([0, 100, 200], [10, 20, 30]).durations

    assert found["mean_ms"].tolist() == [100, 20]
    assert found["geometric_mean_ms"].isna().tolist() == [True, False]
    assert found["geometric_mean_low_ms"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("documents", "ratio", "verdict"),
    [(30, 1.25, "slower"), (30, 0.8, "faster"), (300, 1.0, "equivalent"), (8, 1.0, "inconclusive")],
)
def test_speed_is_that_of_scipy(documents: int, ratio: float, verdict: str) -> None:
    before, after = noisy(documents, ratio)
    comparison = compared(before, after)
    found = comparison.speed

    logs = np.log(np.array(after) / np.array(before))
    test = stats.ttest_1samp(logs, 0)
    interval = test.confidence_interval(0.95)
    t = stats.t(documents - 1)
    detectable = math.log(1.05) + (t.ppf(0.975) + t.ppf(0.8)) * stats.sem(logs)
    expected = {
        "pairs": documents,
        "left_out": 0,
        "ratio": math.exp(logs.mean()),
        "ratio_low": math.exp(interval.low),
        "ratio_high": math.exp(interval.high),
        "wilcoxon_p": stats.wilcoxon(logs).pvalue,
        "median_delta_ms": np.median(np.array(after) - np.array(before)),
        "margin": 0.05,
        "confidence": 0.95,
        "detectable_ratio": math.exp(detectable),
    }
    assert len(found) == 1
    assert list(found.columns) == [*expected, "verdict"]
    assert_allclose(found[list(expected)].to_numpy(float)[0], list(expected.values()), rtol=1e-6)
    assert found["verdict"].tolist() == [verdict] == [comparison.verdict]


def test_pairs_without_a_ratio_are_counted() -> None:
    before = timed(0, 100, None, 100, 100)
    after = run({}, {"duration_ms": 0}, {}, {"duration_ms": 200}, {"status": "error"}, run_id="s")

    found = rf.compare_runs(before, after).speed

    assert found[["pairs", "left_out"]].to_numpy().tolist() == [[1, 3]]
    assert found["ratio"].tolist() == [pytest.approx(2)]
    assert found[["ratio_low", "ratio_high", "detectable_ratio"]].isna().all(axis=None)
    assert found["verdict"].tolist() == ["inconclusive"]


@pytest.mark.parametrize(
    ("sides", "summary"),
    [
        (
            (
                run({"duration_ms": 1000}, {}, {"status": "error"}),
                run({"duration_ms": 1300}, {"status": "error"}, {}, run_id="s"),
            ),
            (
                "s against r\n"
                "Comparable. Not recorded: block kind, definition, block version, workflow version,"
                " votes.\n"
                "3 documents: 1 broken, 1 fixed, 1 unchanged.\n"
                "Failed: 1 of 3 (33 %, 95 % interval 6 % to 79 %), 1 before (p = 1).\n"
                "Speed: inconclusive; jobs take 30 % longer on the 1 document completed in both."
            ),
        ),
        (
            (timed(None), timed(None, run_id="s")),
            (
                "s against r\n"
                "Comparable. Not recorded: block kind, definition, block version, workflow version,"
                " votes.\n"
                "1 document: 1 unchanged.\n"
                "Failed: 0 of 1 (0 %, 95 % interval 0 % to 79 %), 0 before (p = 1).\n"
                "Speed: not known, no document was completed in both with a duration above 0."
            ),
        ),
        (
            (run({}), never_run()),
            (
                "a run without id against r\n"
                "Not comparable: no document has ended in both runs; a side was never run."
                " Not recorded: block kind, definition, block version, workflow version, votes,"
                " ended.\n"
                "1 document: 1 pending.\n"
                "Speed: not known, no document was completed in both."
            ),
        ),
        (
            (run(), run(run_id="s")),
            (
                "s against r\n"
                "Not comparable: the runs have no document in common; a side has no jobs."
                " Not recorded: block kind, experiment, definition, block version,"
                " workflow version, votes, ended, inputs.\n"
                "0 documents.\n"
                "Speed: not known, no document was completed in both."
            ),
        ),
    ],
)
def test_summary_says_it_in_words(sides: tuple[rf.RunContent, rf.RunContent], summary: str) -> None:
    assert rf.compare_runs(*sides).summary() == summary


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            [100] * 4,
            [200] * 4,
            (
                "Speed: slower; jobs take 100 % longer (95 % interval +100 % to +100 %) on the"
                " 4 documents completed in both."
            ),
        ),
        (
            [200] * 4,
            [100] * 4,
            (
                "Speed: faster; jobs take 50 % less time (95 % interval -50 % to -50 %) on the"
                " 4 documents completed in both."
            ),
        ),
        (
            [100] * 4,
            [100] * 4,
            (
                "Speed: equivalent; jobs take as long (95 % interval +0 % to +0 %) on the"
                " 4 documents completed in both."
            ),
        ),
    ],
)
def test_the_sentence_of_the_speed(before: list[int], after: list[int], sentence: str) -> None:
    assert compared(before, after).summary().splitlines()[-1] == sentence


@pytest.mark.parametrize(("seed", "shifted"), [(0, True), (1, False)])
def test_an_inconclusive_speed_says_what_would_have_shown(
    seed: int,
    shifted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    comparison = compared(*noisy(8, 1.0, seed))
    speed = comparison.speed.iloc[0]
    assert (speed["wilcoxon_p"] < 0.05) == shifted

    detectable = f"a slowdown of {100 * (speed['detectable_ratio'] - 1):.0f} % or more"
    assert f"; {detectable} would probably have been detected" in comparison.summary()
    assert (f"(Wilcoxon p = {speed['wilcoxon_p']:.2g})" in comparison.summary()) == shifted


def test_skewed_ratios_are_told() -> None:
    before, after = noisy(60, 1.1)
    after[0] *= 1000

    told = compared(before, after).summary()

    assert told.endswith("; the ratios are skewed, so the interval may be too narrow.")


def test_repr_is_one_line() -> None:
    before = ended("completed", "error", "completed")
    after = ended("error", "completed", run_id="s")

    assert repr(rf.compare_runs(before, after)) == (
        "RunComparison('r' -> 's': 3 documents (1 broken, 1 fixed, 1 removed), inconclusive, "
        "comparable: warnings)"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": 0}, "margin must be a positive share"),
        ({"margin": -0.1}, "margin must be a positive share"),
        ({"margin": math.nan}, "margin must be a positive share"),
        ({"confidence": 0}, "confidence must be between 0 and 1"),
        ({"confidence": 95}, "confidence must be between 0 and 1"),
    ],
)
def test_odd_limits_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rf.compare_runs(run({}), run({}, run_id="s"), **options)


HOSTILE = "<img src=x onerror=alert(1)>\"'`|*_[a](http://b)&lt;$x$@all\x1b[31m\u202e\n# h"


class Tags(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def hostile() -> rf.RunComparison:
    job = {"document_id": HOSTILE, **file(filename=HOSTILE)}
    before = run(job, {**job, "document_id": "d"}, run_id=HOSTILE)
    after = run(
        {**job, "status": HOSTILE, "block_kind": HOSTILE},
        {**job, "document_id": "d", "duration_ms": 2000},
        run_id=HOSTILE + "2",
    )
    return rf.compare_runs(before, after)


def test_hostile_names_are_text_in_a_page(hostile: rf.RunComparison) -> None:
    page = Tags(hostile._repr_html_())

    assert page.tags == {
        *("div", "b", "ul", "li", "p", "table", "thead", "tbody", "tr", "th", "td")
    }
    assert page.attributes == {"style"}
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e").replace("\n", "\\n")
    assert page.text.count(shown) >= 3


def test_hostile_names_are_text_in_markdown_and_on_a_terminal(hostile: rf.RunComparison) -> None:
    markdown = hostile.to_markdown()

    for text in (markdown, hostile.summary(), repr(hostile)):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<img" not in markdown.replace("\\<", "")
    assert "](" not in markdown.replace("\\]", "")
    assert "@all" not in markdown
    assert "&lt;" not in markdown.replace("\\&", "")
    assert "$x" not in markdown.replace("\\$", "")
    rows = [line.replace("\\|", "") for line in markdown.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {4, 6, 7, 9}
    assert len(hostile.summary().splitlines()) == 5


def test_markdown_shows_what_needs_a_look_first() -> None:
    statuses = ["completed", "error", "error", "completed"]
    before = ended(*statuses)
    after = ended("error", "completed", "error", "completed", run_id="s")

    lines = rf.compare_runs(before, after).to_markdown().splitlines()

    assert lines[0] == "## s against r"
    titles = [line for line in lines if line.startswith("### ")]
    assert titles == [
        "### Documents that changed",
        "### Failures",
        "### Speed",
        "### Comparability",
    ]
    start = lines.index("### Documents that changed")
    assert lines[start + 2 : start + 7] == [
        "| filename | document\\_id | change | baseline\\_status | candidate\\_status |",
        "| --- | --- | --- | --- | --- |",
        "| - | doc\\_0 | broken | completed | error |",
        "| - | doc\\_1 | fixed | error | completed |",
        "| - | doc\\_2 | still\\_failing | error | error |",
    ]


def test_a_long_list_of_documents_is_cut_and_says_so() -> None:
    comparison = rf.compare_runs(ended(*["completed"] * 25), ended(*["error"] * 25, run_id="s"))

    markdown = comparison.to_markdown()

    assert "| broken | completed | error |\n\nand 5 more\n\n### Failures" in markdown
    assert markdown.count("| broken |") == 20


def test_markdown_has_every_number_of_the_comparison() -> None:
    comparison = compared(*noisy(12, 1.2))

    text = comparison.to_markdown()

    speed = comparison.speed.iloc[0]
    assert f"| {speed['verdict']} | 12 | 0 | {speed['ratio']:.2f} (" in text
    assert f"| 0.05 | {speed['detectable_ratio']:.2f} |" in text
    assert "| completed | completed | 12 |" in text
    assert "| baseline | r | 12 | 0 | 0.00 (0.00 to 0.24) | - |" in text
    for side, mean in zip(("baseline", "candidate"), comparison.durations["mean_ms"], strict=True):
        assert f"| {side} | 12 | {format_duration(mean)} (" in text
    assert text.count("\n| doc\\_") == 0
    slower = comparison.documents.nlargest(10, "ratio")
    for sides in slower[["baseline_duration_ms", "candidate_duration_ms"]].to_numpy():
        assert f"| {' | '.join(map(format_duration, sides))} |" in text
    assert "| block kind | - | - | unknown | a side does not say what block was run |" in text


def test_a_notebook_shows_the_tables_of_the_markdown() -> None:
    comparison = compared(*noisy(12, 1.2))

    cells = Tags(comparison._repr_html_()).text

    rows = [line for line in comparison.to_markdown().splitlines() if line.startswith("| ")]
    shown = [cell.replace("\\", "") for row in rows for cell in row[2:-2].split(" | ")]
    assert all(cell in cells for cell in shown if not cell.startswith("---"))


def test_runs_of_the_api_compared(client: Client) -> None:
    first, slow, broken = (
        rf.load_content("wf_sandbox", "exp_invoices", run_id=f"exprun_invoices_{n}", client=client)
        for n in (2, 3, 4)
    )
    comparison = rf.compare_runs(first, slow)

    assert comparison.comparable == "warnings"
    assert comparison.summary().splitlines()[1] == (
        "Comparable, but the block was changed between the runs. "
        "Not recorded: block version, workflow version."
    )
    jobs = first.jobs.merge(slow.jobs, on="document_id")
    jobs = jobs[(jobs["status_x"] == "completed") & (jobs["status_y"] == "completed")]
    ratios = (jobs["duration_ms_y"] / jobs["duration_ms_x"]).to_numpy(float)
    assert comparison.speed["ratio"][0] == pytest.approx(stats.gmean(ratios))
    assert comparison.verdict == "slower"
    assert rf.compare_runs(slow, first).verdict == "faster"
    failed = broken.jobs["status"].isin(["error", "cancelled", "skipped"])
    assert rf.compare_runs(first, broken).failure_rates["failed"].tolist() == [0, failed.sum()]


def comparison_of(before: dict[str, Outcome], after: dict[str, Outcome]) -> rf.RunComparison:
    return rf.compare_runs(outcome_jobs(before, "r"), outcome_jobs(after, "s"))


def numbers(frame: pd.DataFrame) -> Any:
    return frame.select_dtypes("number").to_numpy(float, na_value=np.nan)


@settings(deadline=None, max_examples=12)
@given(SIDES, SIDES)
def test_swapping_the_sides_mirrors_the_comparison(
    before: dict[str, Outcome], after: dict[str, Outcome]
) -> None:
    """Law: it negates log ratios, swaps fixed with broken, added with removed, and keeps p."""
    there, back = comparison_of(before, after), comparison_of(after, before)

    mirror = {"broken": "fixed", "added": "removed"}
    mirror |= {new: old for old, new in mirror.items()}
    assert {mirror.get(name, name): n for name, n in there.changes.items()} == dict(back.changes)
    faster = {"slower": "faster", "faster": "slower"}
    assert back.verdict == faster.get(there.verdict, there.verdict)
    ones, others = (x.documents.set_index("document_id").sort_index() for x in (there, back))
    assert_allclose(numbers(ones[["delta_ms"]]), -numbers(others[["delta_ms"]]))
    product = numbers(ones[["ratio"]]) * numbers(others[["ratio"]])
    assert_allclose(product[~np.isnan(product) & (product > 0)], 1)
    same = ["pairs", "left_out", "wilcoxon_p", "detectable_ratio"]
    assert_allclose(numbers(there.speed[same]), numbers(back.speed[same]), rtol=1e-9)
    speed, reverse = there.speed.iloc[0], back.speed.iloc[0]
    for name, other in (("ratio", "ratio"), ("ratio_low", "ratio_high")):
        assert pd.isna(speed[name]) or speed[name] * reverse[other] == pytest.approx(1)
    rates, swapped = there.failure_rates, back.failure_rates
    names = ["documents", "failed", "rate", "rate_low", "rate_high"]
    assert_allclose(numbers(rates[names]), numbers(swapped[names])[::-1])
    assert rates["p_value"][1] == pytest.approx(swapped["p_value"][1])
    assert_allclose(numbers(there.durations), numbers(back.durations)[::-1])


@settings(deadline=None, max_examples=12)
@given(SIDES, SIDES, st.dictionaries(st.sampled_from("xyz"), COMPLETED), st.booleans())
def test_unmatched_documents_change_only_the_unmatched_report(
    before: dict[str, Outcome],
    after: dict[str, Outcome],
    more: dict[str, Outcome],
    to_candidate: bool,  # noqa: FBT001 - drawn
) -> None:
    """Law: adding unmatched documents changes no ratio, rate or p."""
    without = comparison_of(before, after)
    found = (
        comparison_of(before, after | more) if to_candidate else comparison_of(before | more, after)
    )

    counts = without.changes
    counts["added" if to_candidate else "removed"] += len(more)
    assert found.changes == counts
    for name in ("failure_rates", "durations", "speed"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(without, name))
    common = found.documents[~found.documents["document_id"].isin(list(more))]
    pd.testing.assert_frame_equal(common.reset_index(drop=True), without.documents)


@settings(deadline=None, max_examples=12)
@given(SIDES, SIDES, st.integers(1, 1000))
def test_scaling_all_durations_scales_durations_and_no_ratio(
    before: dict[str, Outcome], after: dict[str, Outcome], c: int
) -> None:
    """Law: scaling all durations by c scales every duration statistic by c and no ratio."""

    def scaled(side: dict[str, Outcome]) -> dict[str, Outcome]:
        return {
            name: Outcome(o.status, None if o.duration_ms is None else c * o.duration_ms)
            for name, o in side.items()
        }

    without, found = comparison_of(before, after), comparison_of(scaled(before), scaled(after))

    assert found.verdict == without.verdict
    pd.testing.assert_frame_equal(found.failure_rates, without.failure_rates)
    times = [name for name in without.durations.columns if name.endswith("_ms")]
    assert_allclose(
        numbers(found.durations[times]), c * numbers(without.durations[times]), rtol=1e-6
    )
    same = ["ratio", "ratio_low", "ratio_high", "wilcoxon_p", "detectable_ratio", "pairs"]
    assert_allclose(numbers(found.speed[same]), numbers(without.speed[same]), rtol=1e-6)
    assert_allclose(
        numbers(found.documents[["delta_ms"]]), c * numbers(without.documents[["delta_ms"]])
    )
    assert_allclose(numbers(found.documents[["ratio"]]), numbers(without.documents[["ratio"]]))


@settings(deadline=None, max_examples=12)
@given(SIDES, SIDES)
def test_counts_add_up_and_everything_can_be_shown(
    before: dict[str, Outcome], after: dict[str, Outcome]
) -> None:
    found = comparison_of(before, after)

    changes = found.changes
    assert sum(changes.values()) == len(found.documents) == len({*before, *after})
    assert found.transitions["documents"].sum() == len(found.documents)
    on_both = [changes[name] for name in ("unchanged", "broken", "fixed", "still_failing")]
    assert found.failure_rates["documents"].tolist() == [sum(on_both)] * 2
    failing = changes["still_failing"]
    expected = [changes["fixed"] + failing, changes["broken"] + failing]
    assert found.failure_rates["failed"].tolist() == expected
    assert found.speed[["pairs", "left_out"]].sum().sum() == changes["unchanged"]
    for text in (found.summary(), found.to_markdown(), found._repr_html_(), repr(found)):
        assert "<NA>" not in text
        assert "nan" not in text
        assert "None" not in text
