"""Random durations of the same documents in two runs, with several kinds of noise."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from retab_frames.stats.grouped_values import Floats

Sides = tuple[Floats, Floats]
Noise = Callable[[np.random.Generator, tuple[int, int]], Sides]

SEED = 20260701
SIZES = (8, 15, 30, 60, 200)
AT = f"at n = {', '.join(map(str, SIZES))}"
BETWEEN = 1.0
"""The log-sd of durations between documents."""
WITHIN = 0.15
"""The log-sd of the durations of one document within a run."""


def generator(*cell: int) -> np.random.Generator:
    """Return the random generator of one cell of a simulation, independent of what ran before."""
    return np.random.default_rng([SEED, *cell])


def normal(chance: np.random.Generator, shape: tuple[int, int]) -> Sides:
    return chance.normal(0, WITHIN, shape), chance.normal(0, WITHIN, shape)


def heavy_tailed(chance: np.random.Generator, shape: tuple[int, int]) -> Sides:
    """Return Student's t with 3 degrees of freedom, of the same log-sd."""
    scale = WITHIN / np.sqrt(3)
    return scale * chance.standard_t(3, shape), scale * chance.standard_t(3, shape)


def skewed(chance: np.random.Generator, shape: tuple[int, int]) -> Sides:
    """Return a candidate that slows some documents far more than others; log-normal."""
    return np.zeros(shape), WITHIN * chance.lognormal(0, 1, shape)


def outliers(chance: np.random.Generator, shape: tuple[int, int]) -> Sides:
    """Return normal noise where one job in 20 takes ten times as long, in either run."""
    far = (np.log(10) * (chance.random(shape) < 0.05) for _ in range(2))
    baseline, candidate = (
        side + more for side, more in zip(normal(chance, shape), far, strict=True)
    )
    return baseline, candidate


def outliers_of_one_side(chance: np.random.Generator, shape: tuple[int, int]) -> Sides:
    """Return the same where only the candidate has them."""
    baseline, candidate = normal(chance, shape)
    return baseline, candidate + np.log(10) * (chance.random(shape) < 0.05)


def uneven(chance: np.random.Generator, shape: tuple[int, int]) -> Sides:
    """Return normal noise whose log-sd differs from document to document, WITHIN on average."""
    scale = WITHIN * chance.lognormal(-0.125, 0.5, shape)
    return scale * chance.normal(0, 1, shape), scale * chance.normal(0, 1, shape)


def some_slower(chance: np.random.Generator, shape: tuple[int, int]) -> Sides:
    """Return normal noise, and a fifth of the documents take 3 times as long in the candidate."""
    baseline, candidate = normal(chance, shape)
    return baseline, candidate + np.log(3) * (chance.random(shape) < 0.2)


NOISES: dict[str, Noise] = {
    "normal": normal,
    "t3": heavy_tailed,
    "log-normal skew": skewed,
    "x10 in both runs": outliers,
    "x10 in one run": outliers_of_one_side,
    "uneven scatter": uneven,
    "a fifth 3x slower": some_slower,
}


@cache
def typical_shift(noise: str) -> float:
    """Return the pseudo-median of the log ratios of a noise, which is what the estimate is of."""
    pairs = 2_000_000
    before, after = NOISES[noise](generator(99), (1, 2 * pairs))
    logs = (after - before)[0]
    # each log ratio once, in pairs that share none
    return float(np.median((logs[:pairs] + logs[pairs:]) / 2))


def two_runs(
    noise: str, ratio: float, pairs: int, trials: int, chance: np.random.Generator
) -> Sides:
    """Return durations of two runs, a row per trial; the typical ratio is the one given."""
    documents = chance.normal(9, BETWEEN, (trials, pairs))
    before, after = NOISES[noise](chance, (trials, pairs))
    return np.exp(documents + before), ratio * np.exp(documents + after - typical_shift(noise))


def percents(*shares: float) -> str:
    return ", ".join(f"{100 * share:.1f}" for share in shares)
