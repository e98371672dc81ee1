"""The interval of the ratio of two runs has its coverage, and its verdicts their error rates."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from retab_frames.stats.paired_ratio import PairedRatio, paired_ratio

from .noise import AT, NOISES, SIZES, generator, percents, two_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRIALS = 4_000
DOCUMENTS = 30
ASSERTED = ("normal noise", "t3 noise")
"""The results of the others are printed only: Student's t does not promise coverage for them."""


def compared(noise: str, ratio: float, pairs: int, *, cell: int) -> Iterator[PairedRatio]:
    chance = generator(cell, list(NOISES).index(noise), pairs)
    for sides in zip(*two_runs(noise, ratio, pairs, TRIALS, chance), strict=True):
        yield paired_ratio(*sides)


@pytest.mark.parametrize("noise", NOISES)
def test_coverage(noise: str, figure: Callable[[str], None]) -> None:
    truth = 1.1
    covered = [
        sum(r.ratio_low <= truth <= r.ratio_high for r in compared(noise, truth, n, cell=3))
        / TRIALS
        for n in SIZES
    ]
    figure(f"95 % intervals of the ratio, {noise}, hold the truth {AT}: in {percents(*covered)} %")
    if noise in ASSERTED:
        assert min(covered) >= 0.93


@pytest.mark.parametrize("noise", NOISES)
def test_verdicts_on_30_documents(noise: str, figure: Callable[[str], None]) -> None:
    slowed = list(compared(noise, 1.25, DOCUMENTS, cell=4))
    slower = Counter(ours.verdict for ours in slowed)["slower"] / TRIALS
    unchanged = Counter(ours.verdict for ours in compared(noise, 1.0, DOCUMENTS, cell=5))
    wrong = (unchanged["slower"] + unchanged["faster"]) / TRIALS
    looked_into = slowed[: TRIALS // 4]
    ranked = float(np.mean([ours.wilcoxon_p < 0.05 for ours in looked_into]))
    warned = float(np.mean([ours.skewed for ours in looked_into]))
    figure(
        f"{DOCUMENTS} documents, {noise}: slower at +25 % in {percents(slower)} % (Wilcoxon p < "
        f"0.05 in {percents(ranked)} %), faster or slower at no change in {percents(wrong)} %; "
        f"flagged as skewed: {percents(warned)} %"
    )
    if noise in ASSERTED:
        assert slower >= 0.95
        assert wrong <= 0.03


def test_detectable_ratio_is_detected(figure: Callable[[str], None]) -> None:
    ratios, power = [], []
    for pairs in SIZES:
        quiet = compared("normal noise", 1.0, pairs, cell=6)
        ratios.append(float(np.mean([ours.detectable_ratio for ours in quiet])))
        slowed = compared("normal noise", ratios[-1], pairs, cell=7)
        power.append(Counter(ours.verdict for ours in slowed)["slower"] / TRIALS)
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    figure(f"smallest slowdown that would be shown, normal noise, {AT}: {shown}")
    figure(f"at just that slowdown, slower in {percents(*power)} %")
    assert all(0.75 < share < 0.85 for share in power)
