"""The words on speed, beside data for which other words would be false."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from factories import file, run, timed

import retab_frames as rf

DIFFER = "These two runs differ; whether the definition does, earlier runs would tell."
ABOUT = "This is about these two runs; about the definition, earlier runs would tell."
NONE_MOVED = "No document slowed by more than half or sped up as much."


def told(before: list[Any], after: list[Any], **options: Any) -> str:
    comparison = rf.compare_runs(timed(*before), timed(*after, run_id="s"), **options)
    return comparison.summary().splitlines()[-1]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            [100] * 6,
            [200] * 6,
            (
                "Speed: slower. A typical document takes 100 % longer (95 % interval +100 to +100 "
                "%; 6 "
                "documents). All together: 1.20 s, was 600 ms, +100 % (+100 to +100 %, rough). 6 "
                "documents slowed by more than half, none sped up as much (p = 0.031): doc_0, "
                "doc_1, "
                f"doc_2, doc_3, doc_4 and 1 more. {DIFFER}"
            ),
        ),
        (
            [200] * 6,
            [100] * 6,
            (
                "Speed: faster. A typical document takes 50 % less time (95 % interval -50 to -50 "
                "%; 6 "
                "documents). All together: 600 ms, was 1.20 s, -50 % (-50 to -50 %, rough). 6 "
                "documents sped up by more than a third, none slowed as much (p = 0.031): doc_5, "
                f"doc_4, doc_3, doc_2, doc_1 and 1 more. {DIFFER}"
            ),
        ),
        (
            [100] * 30,
            [100] * 30,
            (
                "Speed: equivalent. A typical document takes as long as in the baseline (95 % "
                "interval "
                "0 to 0 %, within the margin of 5 %; 30 documents). All together: 3.00 s, was "
                "3.00 s, "
                f"0 % (0 to 0 %). {NONE_MOVED} {ABOUT}"
            ),
        ),
        # not "as long", and not "- 0 %"
        (
            [10_000] * 30,
            [9_999] * 30,
            (
                "Speed: equivalent. A typical document takes less than 0.1 % less time (95 % "
                "interval "
                "0 to 0 %, within the margin of 5 %; 30 documents). All together: 5 min 00 s, was "
                f"5 min 00 s, 0 % (0 to 0 %). {NONE_MOVED} {ABOUT}"
            ),
        ),
        # so little is not told as 100 % less
        (
            [100_000] * 6,
            [1] * 6,
            (
                "Speed: faster. A typical document takes 1/1e+05 of the time (95 % interval x "
                "1e-05 to "
                "x 1e-05; 6 documents). All together: 6 ms, was 10 min 00 s, x 1e-05 (x 1e-05 to "
                "x 1e-05, rough). 6 documents sped up by more than a third, none slowed as much "
                f"(p = 0.031): doc_5, doc_4, doc_3, doc_2, doc_1 and 1 more. {DIFFER}"
            ),
        ),
        (
            [100],
            [120],
            (
                "Speed: not known. The one document takes 20 % longer; one document has no "
                "interval. "
                f"{ABOUT}"
            ),
        ),
        (
            [100, 100],
            [400, 400],
            (
                "Speed: not known. Each of the 2 documents takes 4 times as long; so few without "
                "scatter have no interval. All together: 800 ms, was 200 ms, x 4. 2 documents "
                "slowed "
                f"by more than half, none sped up as much (p = 0.5): doc_0, doc_1. {ABOUT}"
            ),
        ),
        (
            [100, 100],
            [100, 121],
            (
                "Speed: not known. Between 67 % less and 3.69 times as much per typical document "
                "(95 % "
                "interval; 2 documents); a slowdown to 41.2 times as long would probably have "
                "shown. "
                "On so few documents this assumes even scatter. All together: 221 ms, was 200 ms, "
                f"+10 %. {NONE_MOVED} {ABOUT}"
            ),
        ),
        # of what would have shown nothing absurd is said
        (
            [1, 2**40, 1, 2**40],
            [2**40, 1, 2**40, 1],
            "even 1000 times as long might not have shown.",
        ),
        (
            [0] * 8,
            [0] * 8,
            (
                "Speed: equivalent. A typical document takes as long as in the baseline (95 % "
                "interval "
                "0 to 0 %, within the margin of 5 %; 8 documents). 8 documents with 0 ms counted "
                "as "
                f"0.5 ms. {NONE_MOVED} {ABOUT}"
            ),
        ),
        (
            [0, *[100] * 7],
            [1, *[100] * 7],
            "1 document with 0 ms counted as 0.5 ms. All together: 701 ms, was 700 ms, +0.1 %",
        ),
        (
            [None, *[100] * 7],
            [1, *[100] * 7],
            "1 document without this time left out. All together: 700 ms, was 700 ms, 0 %",
        ),
        # the typical document and the total differ, and both are told in one unit
        (
            [100] * 30,
            [100] * 28 + [10_000] * 2,
            "All together: 22.8 s, was 3.00 s, x 7.6",
        ),
        (
            [100] * 30,
            [151] * 12 + [60] * 12 + [100] * 6,
            (
                "12 documents slowed by more than half (doc_0, doc_1, doc_2, doc_3, doc_4 and 7 "
                "more), "
                "12 sped up as much (doc_23, doc_22, doc_21, doc_20, doc_19 and 7 more; p = 1)."
            ),
        ),
        # a p-value is never 0
        ([100] * 40, [300] * 40, "none sped up as much (p < 0.001)"),
        ([100] * 10, [150] * 10, NONE_MOVED),
        (
            [None, None],
            [1, 2],
            "Speed: not known, no document completed in both runs has this time on both sides.",
        ),
    ],
)
def test_what_is_said_of_speed(before: list[Any], after: list[Any], words: str) -> None:
    found = told(before, after)

    assert words in found
    assert not words.startswith("Speed") or words == found


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"confidence": 0.99}, "(99 % interval +"),
        ({"confidence": 0.999}, "(99.9 % interval +"),
        ({"margin": 0.5}, "equivalent. A typical document takes 19 % longer (95 % interval +"),
        ({"margin": 0.5}, "within the margin of 50 %; 30 documents)"),
        ({"margin": 0.19}, "Speed: not known whether it changed by more than the margin of 19 %. "),
    ],
)
def test_levels_and_margins_are_told(options: dict[str, float], words: str) -> None:
    chance = np.random.default_rng(0)
    before = chance.lognormal(9, 1, 30)
    logs = chance.normal(0, 0.1, 30)
    after = before * 1.2 * np.exp(logs - np.median(logs))

    assert words in told(before.round().tolist(), after.round().tolist(), **options)


def test_a_slower_run_is_never_said_to_take_as_long() -> None:
    found = told([10**6 + n for n in range(8)], [10**6 + n + 5 for n in range(8)], margin=1e-7)

    assert found.startswith("Speed: slower. A typical document takes less than 0.1 % longer (")


ERROR = {"status": "error"}


@pytest.mark.parametrize(
    ("broken", "fixed", "words"),
    [
        (
            1,
            0,
            (
                "The document that broke had taken 5.00 s in the baseline; the median of those "
                "compared is 1.00 s. This is of the documents completed in both runs: with 1 "
                "broken "
                "document as the slowest, the verdict on these two runs is inconclusive."
            ),
        ),
        (
            14,
            0,
            (
                "Those that broke had taken 5.00 s in the baseline, those compared 1.00 s "
                "(medians). "
                "This is of the documents completed in both runs: with 14 broken documents as the "
                "slowest, the verdict on these two runs is slower."
            ),
        ),
        (
            0,
            14,
            (
                "This is of the documents completed in both runs: with 14 fixed documents as the "
                "fastest, the verdict on these two runs is faster."
            ),
        ),
        (
            1,
            1,
            (
                "with 1 broken document as the slowest and 1 fixed document as the fastest, the "
                "verdict on these two runs is inconclusive."
            ),
        ),
    ],
)
def test_survivors_are_told_from_all(broken: int, fixed: int, words: str) -> None:
    before = run(*[{}] * 6, *[{"duration_ms": 5000}] * broken, *[ERROR] * fixed)
    after = run(*[{}] * 6, *[ERROR] * broken, *[{}] * fixed, run_id="s")

    comparison = rf.compare_runs(before, after)

    assert comparison.verdict == "equivalent"
    assert words in comparison.summary()
    mirrored = rf.compare_runs(after, before).ratio
    opposite = {"slower": "faster", "faster": "slower"}
    verdict = comparison.ratio.composite_verdict
    assert mirrored.composite_verdict == opposite.get(verdict, verdict)


def test_one_document_that_broke_among_many_changes_no_verdict() -> None:
    before = run(*[{}] * 60, {})
    found = rf.compare_runs(before, run(*[{}] * 60, ERROR, run_id="s"))

    assert found.ratio.composite_verdict == found.verdict == "equivalent"
    assert "the verdict on these two runs" not in found.summary()


SAME = {"id": "same"}


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ([SAME], "Speed: not known, each document completed in both runs has the same job there."),
        (
            [SAME, {"duration_ms": None}],
            (
                "Speed: not known, each document completed in both runs has the same job there, "
                "or no "
                "such time on a side."
            ),
        ),
        ([ERROR], "Speed: not known, no document was completed in both runs."),
        ([SAME, *[{}] * 6], "1 document with the same job in both runs left out."),
    ],
)
def test_why_nothing_is_known_and_what_was_left_out(jobs: list[Any], words: str) -> None:
    found = rf.compare_runs(run(*jobs), run(*jobs, run_id="s"))

    assert words in found.summary().splitlines()[-1]


def test_equal_file_names_are_told_apart() -> None:
    name = file(filename="a.pdf")
    before = run(*[{**name, "attempt": 0}] * 2, file(filename="b.pdf"))
    slow = {"duration_ms": 9000, "attempt": 1}
    after = run(*[{**name, **slow}] * 2, {**file(filename="b.pdf"), **slow}, run_id="s")

    lines = rf.compare_runs(before, after).summary().splitlines()

    assert "More attempts than in the baseline: a.pdf (doc_0), a.pdf (doc_1)." in lines
    assert "(p = 0.25): a.pdf (doc_0), a.pdf (doc_1), b.pdf." in lines[-1]
