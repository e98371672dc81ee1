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

CHANGES = ["broken", "still_failing", "pending", "cancelled"]
CHANGES += ["removed", "added", "fixed", "unchanged"]
SCOPE = "These two runs differ; whether the definition does, earlier runs would tell."
UNKNOWN_SCOPE = "This is about these two runs; about the definition, earlier runs would tell."


def noisy(documents: int, ratio: float, seed: int = 0) -> tuple[list[int], list[int]]:
    """Return the durations of the documents in two runs, long-tailed and paired."""
    chance = np.random.default_rng(seed)
    before = chance.lognormal(9, 1, documents)
    after = before * ratio * chance.lognormal(0, 0.15, documents)
    return before.round().astype(int).tolist(), after.round().astype(int).tolist()


def compared(before: list[int], after: list[int], **options: Any) -> rf.RunComparison:
    return rf.compare_runs(timed(*before).jobs, timed(*after, run_id="s").jobs, **options)


def test_changes_are_counted_in_one_order() -> None:
    before = ended("completed", "error", "error", "error", "completed", "completed", "completed")
    after = ended("error", "completed", "error", "skipped", "running", "completed", run_id="s")
    found = rf.compare_runs(before, after)

    assert list(found.changes) == CHANGES
    assert list(found.changes.values()) == [1, 1, 1, 1, 1, 0, 1, 1]


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_failure_rates_are_those_of_scipy(confidence: float) -> None:
    before = ["completed"] * 14 + ["error"] * 5 + ["running", "completed", "cancelled"]
    after = ["error"] * 6 + ["completed"] * 11 + ["error"] * 2 + ["completed", "skipped", "error"]
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


def walsh_averages(logs: Any) -> Any:
    """Return the means of every two values and of each with itself, ascending."""
    first, second = np.triu_indices(len(logs))
    return np.sort((logs[first] + logs[second]) / 2)


@pytest.mark.parametrize(
    ("documents", "ratio", "confidence", "verdict"),
    [
        (30, 1.25, 0.95, "slower"),
        (30, 0.8, 0.95, "faster"),
        (30, 0.8, 0.99, "faster"),
        (300, 1.0, 0.95, "equivalent"),
        (8, 1.0, 0.95, "inconclusive"),
        (8, 1.0, 0.9, "faster"),
    ],
)
def test_speed_is_that_of_wilcoxons_test(
    documents: int, ratio: float, confidence: float, verdict: str
) -> None:
    before, after = noisy(documents, ratio)
    comparison = compared(before, after, confidence=confidence)
    found = comparison.speed.iloc[0]
    assert len(comparison.speed) == 1
    assert found["verdict"] == verdict == comparison.verdict
    assert found["interval"] == "signed_rank"
    assert found[["pairs", "left_out", "zeros", "same_job"]].tolist() == [documents, 0, 0, 0]

    logs = np.log(np.array(after) / np.array(before))
    assert found["ratio"] == pytest.approx(math.exp(np.median(walsh_averages(logs))))
    method: Any = {"method": "exact"} if documents < 60 else {"method": "approx"}
    method |= {"correction": documents >= 60}
    assert found["p_value"] == pytest.approx(stats.wilcoxon(logs, **method).pvalue)
    # the ends are where the one-sided tests begin to reject
    for name, side, way in (("ratio_low", 1, "greater"), ("ratio_high", -1, "less")):
        for shift, rejects in ((-1e-7, True), (1e-7, False)):
            moved = logs - math.log(found[name]) - side * shift
            sided = method | {"alternative": way}
            p_value = stats.wilcoxon(moved, **sided).pvalue
            assert (p_value <= (1 - confidence) / 2) == rejects

    total = sum(after) / sum(before)
    assert found["total_ratio"] == pytest.approx(total)
    assert found["total_low"] < total < found["total_high"]
    assert found["total_delta_ms"] == sum(after) - sum(before)
    assert found["median_delta_ms"] == np.median(np.array(after) - np.array(before))
    moved = int((logs > math.log(1.5)).sum()), int((logs < -math.log(1.5)).sum())
    assert (found["much_slower"], found["much_faster"]) == moved
    assert (
        comparison.movers["document_id"]
        .isin([f"doc_{n}" for n in np.flatnonzero(abs(logs) > math.log(1.5))])
        .all()
    )
    assert found["margin"] == 0.05
    assert found["confidence"] == confidence
    assert found["detectable_ratio"] > found["ratio_high"] / found["ratio"]


def test_the_columns_of_speed() -> None:
    assert list(compared([100] * 6, [110] * 6).speed.columns) == [
        *("verdict", "pairs", "left_out", "zeros", "same_job"),
        *("ratio", "ratio_low", "ratio_high", "p_value", "interval"),
        *("total_ratio", "total_low", "total_high", "total_delta_ms"),
        *("much_slower", "much_faster", "movers_p"),
        *("composite_low", "composite_high", "p95_ratio", "p95_low", "p95_high"),
        *("median_delta_ms", "margin", "confidence", "detectable_ratio"),
    ]


def test_pairs_without_a_ratio_are_counted() -> None:
    before = timed(0, 100, None, 100, 100)
    after = run({}, {"duration_ms": 0}, {}, {"duration_ms": 200}, {"status": "error"}, run_id="s")

    found = rf.compare_runs(before, after).speed

    assert found[["pairs", "left_out", "zeros"]].to_numpy().tolist() == [[3, 1, 2]]
    # 1000 / 0.5, 0.5 / 100 and 2: the median of the six averages of two logarithms
    logs = np.log([2000, 1 / 200, 2])
    assert found["ratio"].tolist() == [pytest.approx(math.exp(np.median(walsh_averages(logs))))]
    assert found["interval"].tolist() == ["student_t"]


REUSED = [{"id": f"same_{n}"} for n in range(6)]


def test_documents_with_one_job_on_both_sides_are_no_evidence() -> None:
    slower = [{"duration_ms": 100 + n} for n in range(8)], [{"duration_ms": 160} for n in range(8)]
    found = rf.compare_runs(run(*REUSED, *slower[0]), run(*REUSED, *slower[1], run_id="s"))
    alone = rf.compare_runs(run(*slower[0]), run(*slower[1], run_id="s"))

    assert found.speed[["pairs", "same_job"]].to_numpy().tolist() == [[8, 6]]
    rest = found.speed.columns.drop("same_job")
    pd.testing.assert_frame_equal(found.speed[rest], alone.speed[rest])
    assert found.durations["documents"].tolist() == [8, 8]
    assert found.movers["document_id"].tolist() == [f"doc_{n}" for n in range(6, 13)]
    assert found.changes["unchanged"] == 14
    assert "6 documents with the same job in both runs left out." in found.summary()


def test_movers_have_their_own_ratios_whatever_stands_between_them() -> None:
    before = run({}, {"status": "error"}, {"duration_ms": 100}, {"duration_ms": 90}, {})
    after = run(
        {}, {}, {"duration_ms": 400}, {"duration_ms": 30}, {"duration_ms": 1600}, run_id="s"
    )
    found = rf.compare_runs(before, after).movers

    assert found["document_id"].tolist() == ["doc_2", "doc_4", "doc_3"]
    assert found["ratio"].tolist() == pytest.approx([4, 1.6, 1 / 3])


def test_runs_that_cannot_be_compared_get_no_verdict() -> None:
    found = rf.compare_runs(
        run(*[{"block_kind": "extract"}] * 8),
        run(*[{"block_kind": "split", "duration_ms": 9000}] * 8, run_id="s"),
    )

    assert found.ratio.verdict == "slower"
    assert found.verdict == "inconclusive"
    assert found.speed["verdict"].tolist() == ["inconclusive"]
    assert found.summary().endswith("Speed: no verdict, since the runs cannot be compared.")


def waiting(*queues: float, run_id: str = "r") -> rf.RunContent:
    """Return a run whose documents waited for so many seconds, and then took one."""
    start = pd.Timestamp("2026-01-01T00:00:00Z")
    rows = []
    for wait in queues:
        started = start + pd.Timedelta(seconds=wait)
        times = {"created_at": start, "started_at": started}
        times["completed_at"] = started + pd.Timedelta(seconds=1)
        rows.append({name: time.isoformat() for name, time in times.items()})
    return run(*rows, run_id=run_id)


@pytest.mark.parametrize(
    ("measure", "ratio", "verdict", "words"),
    [
        ("duration", 1, "equivalent", "Speed: equivalent. A typical document takes as long"),
        ("queue", 2, "slower", "Time in the queue: slower. A typical document waits 100 % longer"),
        ("elapsed", 1, "equivalent", "Time from start to end: equivalent. A typical document runs"),
        (
            "turnaround",
            13 / 7,
            "slower",
            "Time from creation to end: slower. A typical document takes 86 % longer",
        ),
    ],
)
def test_what_is_compared_is_the_measure(
    measure: Any, ratio: float, verdict: str, words: str
) -> None:
    found = rf.compare_runs(waiting(*[6.0] * 8), waiting(*[12.0] * 8, run_id="s"), measure=measure)

    assert found.measure == measure
    assert found.verdict == verdict
    assert found.speed["ratio"].tolist() == [pytest.approx(ratio)]
    assert f"baseline_{measure}_ms" in found.documents.columns
    assert words in found.summary()
    assert found.to_markdown()


@pytest.mark.parametrize(
    ("sides", "summary"),
    [
        (
            (
                run(
                    {"duration_ms": 100},
                    {"status": "error"},
                    {},
                    file(filename="lost.pdf"),
                    definition_fingerprint="d1",
                ),
                run(
                    {"duration_ms": 130},
                    {},
                    {"status": "error"},
                    run_id="s",
                    definition_fingerprint="d2",
                ),
            ),
            (
                "s against r\n"
                "Comparable, but 1 removed: only the common ones are compared; the block was"
                " changed between the runs."
                " Not recorded: block kind, block version, workflow version, votes.\n"
                "4 documents: 1 broken, 1 removed, 1 fixed, 1 unchanged.\n"
                "Failed: 1 of 3 (33 %, 95 % interval 6 % to 79 %), 1 before (p = 1).\n"
                "Speed: not known. The one document takes 30 % longer; one document has no"
                " interval. The document that broke had taken 1.00 s in the baseline; the median"
                f" of those compared is 100 ms. {UNKNOWN_SCOPE}"
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
                "Speed: not known, no document completed in both runs has this time on both sides."
            ),
        ),
        (
            (run({}), never_run()),
            (
                "a run without id against r\n"
                "Not comparable: no document was completed or failed in both runs; a side was"
                " never run. Not recorded: block kind, definition, block version, workflow"
                " version, votes, ended.\n"
                "1 document: 1 pending.\n"
                "Speed: no verdict, since the runs cannot be compared."
            ),
        ),
        (
            (run(), run(run_id="s")),
            (
                "s against r\n"
                "Not comparable: the runs have no document in common; a side has no jobs."
                " Not recorded: experiment, block kind, definition, block version,"
                " workflow version, votes, ended, inputs.\n"
                "0 documents.\n"
                "Speed: no verdict, since the runs cannot be compared."
            ),
        ),
        (
            (run({"attempt": 1}, {"attempt": 0}), run({"attempt": 2}, {"attempt": 0}, run_id="s")),
            (
                "s against r\n"
                "Comparable. Not recorded: block kind, definition, block version, workflow version,"
                " votes.\n"
                "2 documents: 2 unchanged.\n"
                "Failed: 0 of 2 (0 %, 95 % interval 0 % to 66 %), 0 before (p = 1).\n"
                "More attempts than in the baseline: doc_0.\n"
                "Speed: not known. Each of the 2 documents takes as long as in the baseline; so few"
                " without scatter have no interval. All together: 2.00 s, was 2.00 s, 0 %. No"
                f" document slowed by more than half or sped up as much. {UNKNOWN_SCOPE}"
            ),
        ),
    ],
)
def test_summary_says_it_in_words(sides: tuple[rf.RunContent, rf.RunContent], summary: str) -> None:
    assert rf.compare_runs(*sides).summary() == summary


@pytest.mark.parametrize(
    ("failed", "documents", "told"),
    [
        (0, 10_000, "Failed: 0 of 10000 (0 %, 95 % interval 0 % to <1 %), 0 before (p = 1)."),
        (
            9_999,
            10_000,
            "Failed: 9999 of 10000 (>99 %, 95 % interval >99 % to >99 %), 0 before (p < 0.001).",
        ),
        (1, 1, "Failed: 1 of 1 (100 %, 95 % interval 21 % to 100 %), 0 before (p = 1)."),
    ],
)
def test_a_share_is_not_rounded_to_none_or_all(failed: int, documents: int, told: str) -> None:
    outcomes = {f"d{n}": Outcome("completed", 1) for n in range(documents)}
    worse = outcomes | {f"d{n}": Outcome("error", 1) for n in range(failed)}

    assert told in comparison_of(outcomes, worse).summary().splitlines()


def test_repr_is_one_line() -> None:
    before = ended("completed", "error", "completed")
    after = ended("error", "completed", run_id="s")

    assert repr(rf.compare_runs(before, after)) == (
        "RunComparison('r' -> 's': 3 documents (1 broken, 1 removed, 1 fixed), inconclusive, "
        "comparable: warnings)"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": 0}, "margin must be a positive share"),
        ({"margin": -0.1}, "margin must be a positive share"),
        ({"margin": math.nan}, "margin must be a positive share"),
        ({"margin": True}, "margin must be a positive share, such as 0.05 for 5 %, not True"),
        ({"margin": "0.05"}, "margin must be a positive share, such as 0.05 for 5 %, not '0.05'"),
        ({"confidence": "0.95"}, "confidence must be between 0 and 1, not '0.95'"),
        ({"confidence": 0}, "confidence must be between 0 and 1"),
        ({"confidence": 95}, "confidence must be between 0 and 1"),
    ],
)
def test_odd_limits_are_refused(options: dict[str, Any], message: str) -> None:
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
    assert {line.count("|") for line in rows} <= set(range(3, 20))
    assert len(hostile.summary().splitlines()) == 5


def test_markdown_shows_what_needs_a_look_first() -> None:
    statuses = ["completed", "error", "error", "completed"]
    before = ended(*statuses)
    after = ended("error", "completed", "error", "completed", run_id="s")

    lines = rf.compare_runs(before, after).to_markdown().splitlines()

    assert lines[0].startswith("**Inconclusive**: a typical document takes x 1 (")
    assert lines[2] == "## s against r"
    titles = [line for line in lines if line.startswith("### ")]
    assert titles == [
        "### Documents that changed",
        "### Why documents broke",
        "### Runs",
        "### Failures",
        "### Speed",
        "### Comparability",
    ]
    start = lines.index("### Documents that changed")
    assert lines[start + 2 : start + 7] == [
        "| file | document | change | baseline status | candidate status |",
        "| --- | --- | --- | --- | --- |",
        "| - | doc\\_0 | broken | completed | error |",
        "| - | doc\\_2 | still failing | error | error |",
        "| - | doc\\_1 | fixed | error | completed |",
    ]


def test_a_long_list_of_documents_is_cut_and_says_so() -> None:
    comparison = rf.compare_runs(ended(*["completed"] * 25), ended(*["error"] * 25, run_id="s"))

    markdown = comparison.to_markdown()

    assert "| broken | completed | error |\n\nand 5 more; all 25 are in " in markdown
    assert markdown.count("| broken |") == 20


def test_markdown_has_every_number_of_the_comparison() -> None:
    comparison = compared(*noisy(12, 1.2))

    text = comparison.to_markdown()

    speed = comparison.speed.iloc[0]
    assert f"| {speed['verdict']} | 12 | x {speed['ratio']:.2f} (" in text
    low, high = speed["total_low"], speed["total_high"]
    assert f"| x {speed['total_ratio']:.2f} ({low:.2f} to {high:.2f}) |" in text
    assert f"| x {speed['composite_low']:.2f} to x {speed['composite_high']:.2f} |" in text
    assert f"| {speed['much_slower']} | {speed['much_faster']} |" in text
    assert "| completed | completed | 12 |" in text
    assert "| baseline | r | 12 | 0 | 0 % (0 % to 24 %) | - |" in text
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
    logs = np.log((jobs["duration_ms_y"] / jobs["duration_ms_x"]).to_numpy(float))
    assert comparison.speed["ratio"][0] == pytest.approx(math.exp(np.median(walsh_averages(logs))))
    assert comparison.verdict == "slower"
    assert rf.compare_runs(slow, first).verdict == "faster"
    failed = broken.jobs["status"] == "error"
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
    same = ["pairs", "left_out", "zeros", "same_job", "p_value", "movers_p", "detectable_ratio"]
    assert_allclose(numbers(there.speed[same]), numbers(back.speed[same]), rtol=1e-9)
    speed, reverse = there.speed.iloc[0], back.speed.iloc[0]
    mirrored = [("ratio", "ratio"), ("total_ratio", "total_ratio")]
    for stem in ("ratio", "total", "composite"):
        mirrored += [(f"{stem}_low", f"{stem}_high"), (f"{stem}_high", f"{stem}_low")]
    for name, other in mirrored:
        # a total of 0 has no reciprocal; an infinite end has 0
        if pd.notna(speed[name]) and pd.notna(reverse[other]) and 0 < speed[name] < math.inf:
            assert speed[name] * reverse[other] == pytest.approx(1)
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

    pd.testing.assert_frame_equal(found.failure_rates, without.failure_rates)
    times = [name for name in without.durations.columns if name.endswith("_ms")]
    assert_allclose(
        numbers(found.durations[times]), c * numbers(without.durations[times]), rtol=1e-6
    )
    # but where a duration of 0 counts as 0.5 ms, whatever the others are
    if not without.speed["zeros"][0]:
        same = ["ratio", "ratio_low", "ratio_high", "p_value", "detectable_ratio", "pairs"]
        same += ["total_ratio", "total_low", "total_high", "much_slower", "much_faster"]
        assert_allclose(numbers(found.speed[same]), numbers(without.speed[same]), rtol=1e-6)
        assert found.verdict == without.verdict
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
