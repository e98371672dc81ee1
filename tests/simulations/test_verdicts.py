"""The typical change of two runs: its coverage, its power, and how often its verdict is false.

The truth is the pseudo-median of the noise. Where a sentence names bars, those are asserted.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from retab_frames.stats.paired_ratio import PairedRatio, paired_ratio

from .noise import NOISES, generator, percents, two_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from retab_frames.stats.verdicts import Verdict

    Figure = Callable[[str], None]

TINY, SMALL, LARGE = (2, 3, 4, 5), (6, 8, 12, 15, 30, 60), (200, 1_000)
TRIALS = {**dict.fromkeys(TINY, 4_000), **dict.fromkeys(SMALL, 4_000), 200: 1_500, 1_000: 600}
NORMAL, T3, SKEW, BOTH, ONE, UNEVEN, FIFTH = NOISES


def compared(noise: str, ratio: float, pairs: int, *, cell: int) -> Iterator[PairedRatio]:
    chance = generator(cell, list(NOISES).index(noise), pairs)
    for sides in zip(*two_runs(noise, ratio, pairs, TRIALS[pairs], chance), strict=True):
        yield paired_ratio(*sides)


@cache
def unchanged(noise: str, pairs: int) -> dict[str, float]:
    """Return what became of runs without a change: each verdict, and whether the truth is held."""
    counts: Counter[str] = Counter()
    for ours in compared(noise, 1.0, pairs, cell=3):
        counts[ours.verdict] += 1
        counts["held"] += not (ours.ratio_low > 1 or ours.ratio_high < 1)
        counts["points"] += ours.ratio_low == ours.ratio_high
    return {name: count / TRIALS[pairs] for name, count in counts.items()}


def share(noise: str, ratio: float, pairs: int, verdict: Verdict, *, cell: int) -> float:
    found = Counter(ours.verdict for ours in compared(noise, ratio, pairs, cell=cell))
    return found[verdict] / TRIALS[pairs]


@pytest.mark.parametrize("noise", NOISES)
def test_coverage(noise: str, figure: Figure) -> None:
    sizes = (*TINY, *SMALL, *LARGE)
    held = {n: unchanged(noise, n)["held"] for n in sizes}
    figure(
        f"95 % intervals of the typical change, {noise}, hold the truth at n = "
        f"{', '.join(map(str, sizes))}: in {percents(*held.values())} %"
    )
    # Student's t of very uneven noise holds a little less, as the sentence about it says
    assert min(held[n] for n in TINY) >= (0.895 if noise == SKEW else 0.905)
    # less half a point for the scatter of the simulation
    assert min(held[n] for n in SMALL) >= 0.935 - 0.005
    assert min(held[n] for n in LARGE) >= 0.925 - 0.005
    assert not any(unchanged(noise, n).get("points") for n in sizes)
    if noise == NORMAL:
        assert all(0.94 <= held[n] <= 0.97 for n in (12, 15, 30, 60))


@pytest.mark.parametrize("noise", NOISES)
def test_false_verdicts(noise: str, figure: Figure) -> None:
    sizes = (*SMALL, 200)
    found = [unchanged(noise, n) for n in sizes]
    false = [one.get("slower", 0) + one.get("faster", 0) for one in found]
    at_margin = [share(noise, 1.05, n, "slower", cell=4) for n in (6, 12, 30, 200)]
    figure(
        f"no change, {noise}: slower or faster at n = {', '.join(map(str, sizes))} in "
        f"{percents(*false)} %; exactly +5 %: slower at n = 6, 12, 30, 200 in "
        f"{percents(*at_margin)} %"
    )
    assert max(false) <= 0.028
    assert max(false[SMALL.index(30) :]) <= 0.015
    assert max(at_margin) <= 0.033


BARS = [
    (1.25, 6, {NORMAL: 0.23}),
    (1.25, 8, {NORMAL: 0.43}),
    (1.25, 12, {NORMAL: 0.67, BOTH: 0.46}),
    (1.25, 30, {NORMAL: 0.98, T3: 0.99, BOTH: 0.87, ONE: 0.96, UNEVEN: 0.97}),
    (1.10, 200, {NORMAL: 0.83, BOTH: 0.67}),
]


@pytest.mark.parametrize(("ratio", "pairs", "bars"), BARS)
def test_power(ratio: float, pairs: int, bars: dict[str, float], figure: Figure) -> None:
    found = {noise: share(noise, ratio, pairs, "slower", cell=5) for noise in bars}
    told = ", ".join(f"{noise} {percents(one)} %" for noise, one in found.items())
    figure(f"{100 * (ratio - 1):+.0f} % is found slower in {pairs} documents: {told}")
    for noise, bar in bars.items():
        # half a point for the scatter of the simulation
        assert found[noise] >= bar - 0.005


def test_equivalence(figure: Figure) -> None:
    bars = {NORMAL: 0.74, T3: 0.94, BOTH: 0.43, ONE: 0.58}
    found = {noise: unchanged(noise, 200)["equivalent"] for noise in bars}
    at_margin = {noise: share(noise, 1.05, 200, "equivalent", cell=4) for noise in bars}
    figure(
        f"200 unchanged documents are equivalent, {', '.join(bars)}: {percents(*found.values())} %;"
        f" at exactly +5 %: {percents(*at_margin.values())} %"
    )
    for noise, bar in bars.items():
        assert found[noise] >= bar - 0.02
    assert max(at_margin.values()) <= 0.038


def test_few_documents(figure: Figure) -> None:
    doubled = [share(NORMAL, 2.0, n, "slower", cell=6) for n in (3, 4, 5)]
    quarter = [share(NORMAL, 1.25, n, "slower", cell=6) for n in (3, 4, 5)]
    figure(
        f"3, 4, 5 documents, normal: x 2 is found slower in {percents(*doubled)} %, +25 % in "
        f"{percents(*quarter)} %"
    )
    assert doubled[0] >= 0.72
    assert doubled[2] >= 0.99


def test_detectable_ratio(figure: Figure) -> None:
    """The mean power of a fresh pair of runs at the slowdown that another pair told."""
    sizes, noises = (3, 8, 15, 30, 60, 200), (NORMAL, T3, BOTH, UNEVEN)
    power: dict[str, list[float]] = {}
    for noise in noises:
        for n in sizes:
            told = [ours.detectable_ratio for ours in compared(noise, 1.0, n, cell=7)]
            # a slowdown moves the interval as a whole
            lows = np.sort([ours.ratio_low for ours in compared(noise, 1.0, n, cell=8)])
            needed = 1.05 / np.array(told)
            shown = 1 - np.searchsorted(lows, needed, side="right") / len(lows)
            power.setdefault(noise, []).append(float(shown.mean()))
    for noise in noises:
        figure(
            f"at the detectable_ratio told, {noise}, n = {', '.join(map(str, sizes))}: slower in "
            f"{percents(*power[noise])} %"
        )
        assert all(0.68 <= one <= 0.83 for one in power[noise][1:])
    assert power[NORMAL][0] >= 0.75


TOTALS = 1_500


def draw_totals(noise: str, spread: float, pairs: int, trials: int) -> Iterator[PairedRatio]:
    chance = generator(9, list(NOISES).index(noise), pairs, int(10 * spread))
    documents = chance.normal(9, spread, (trials, pairs))
    before, after = NOISES[noise](chance, (trials, pairs))
    for sides in zip(np.exp(documents + before), np.exp(documents + after), strict=True):
        yield paired_ratio(*sides)


def test_totals(figure: Figure) -> None:
    sizes = (8, 15, 30, 60, 200)
    for spread in (0.5, 1.0):
        held = []
        for n in sizes:
            totals = [ours.total for ours in draw_totals(NORMAL, spread, n, TOTALS)]
            held.append(float(np.mean([not (one.low > 1 or one.high < 1) for one in totals])))
        figure(
            f"95 % intervals of the total time, documents of log-sd {spread}, hold the truth at "
            f"n = {', '.join(map(str, sizes))}: in {percents(*held)} %"
        )
        assert held[2] >= 0.90
        assert held[4] >= 0.925
    found = sum(ours.total.low > 1 for ours in draw_totals(FIFTH, 0.5, 60, TOTALS)) / TOTALS
    figure(f"a fifth of 60 documents 3x slower: the total is longer in {percents(found)} %")
    assert found >= 0.90


def test_movers(figure: Figure) -> None:
    def shown(noise: str) -> float:
        moved = [
            ours.movers_p <= 0.05 and ours.much_slower > ours.much_faster
            for ours in draw_totals(noise, 1.0, 60, TRIALS[60])
        ]
        return float(np.mean(moved))

    even = (NORMAL, T3, BOTH, UNEVEN)
    found, false = shown(FIFTH), [shown(noise) for noise in even]
    figure(
        f"a fifth of 60 documents 3x slower: shown as movers in {percents(found)} %; no change, "
        f"{', '.join(even)}: {percents(*false)} %"
    )
    assert found >= 0.85
    assert max(false) <= 0.025


def test_95th_percentile(figure: Figure) -> None:
    held = []
    for n in (72, 200):
        ratios = [ours.p95 for ours in draw_totals(NORMAL, 1.0, n, 500)]
        held.append(float(np.mean([one.low <= 1 <= one.high for one in ratios])))
    figure(
        "95 % intervals of the change of the 95th percentile hold the truth at n = 72, 200: in "
        f"{percents(*held)} %"
    )
    assert min(held) >= 0.93


def test_cost_of_a_verdict() -> None:
    """Asserted with room for a busy machine; see benchmarks for times."""
    bars: dict[int, float] = {30: 0.001, 10_000: 0.1, 100_000: 1.0}
    for n, bar in bars.items():
        before, after = (side[0] for side in two_runs(NORMAL, 1.1, n, 1, generator(11)))
        times = []
        for _ in range(3):
            start = perf_counter()
            paired_ratio(before, after).verdict  # noqa: B018 - it is computed when asked for
            times.append(perf_counter() - start)
        assert min(times) < 3 * bar
