"""Random durations of the same documents in two runs, with several kinds of noise."""

from __future__ import annotations

from collections.abc import Callable

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
    """Return a candidate that slows some documents far more than others; exponential."""
    return np.zeros(shape), WITHIN * (chance.exponential(1, shape) - 1)


def very_skewed(chance: np.random.Generator, shape: tuple[int, int]) -> Sides:
    """Return the same with a log-normal distribution."""
    return np.zeros(shape), WITHIN * (chance.lognormal(0, 1, shape) - np.exp(0.5))


def outliers(chance: np.random.Generator, shape: tuple[int, int]) -> Sides:
    """Return normal noise where one job in 20 takes ten times as long, in either run."""
    far = (np.log(10) * (chance.random(shape) < 0.05) for _ in range(2))
    baseline, candidate = (
        side + more for side, more in zip(normal(chance, shape), far, strict=True)
    )
    return baseline, candidate


def outliers_of_one_side(chance: np.random.Generator, shape: tuple[int, int]) -> Sides:
    """Return the same where only the candidate has them; the mean slowdown is subtracted."""
    baseline, candidate = normal(chance, shape)
    return baseline, candidate + np.log(10) * ((chance.random(shape) < 0.05) - 0.05)


NOISES: dict[str, Noise] = {
    "normal noise": normal,
    "t3 noise": heavy_tailed,
    "exponential skew": skewed,
    "log-normal skew": very_skewed,
    "x10 outliers in both runs": outliers,
    "x10 outliers in one run (mean kept)": outliers_of_one_side,
}


def two_runs(
    noise: str, ratio: float, pairs: int, trials: int, chance: np.random.Generator
) -> Sides:
    """Return durations of the baseline and the candidate, a row per trial."""
    documents = chance.normal(9, BETWEEN, (trials, pairs))
    before, after = NOISES[noise](chance, (trials, pairs))
    return np.exp(documents + before), ratio * np.exp(documents + after)


def percents(*shares: float) -> str:
    return ", ".join(f"{100 * share:.1f}" for share in shares)
