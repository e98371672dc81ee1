"""How often the gate stops a run that did not change, and misses one that did."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from factories import arrow, jobs_of, texts

import retab_frames as rf
from retab_frames.schemas.frames import STRING
from retab_frames.stats.paired_ratio import paired_ratio

from .noise import BETWEEN, WITHIN, generator, percents

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    Figure = Callable[[str], None]

TRIALS = {6: 4_000, 12: 4_000, 30: 4_000, 100: 2_000, 300: 1_000}
WHOLE_RUNS = 0.05
"""The log-sd by which a run as a whole is shifted, where runs are."""
COMPARISONS = 500
HEADER = (
    "| documents | unchanged, stopped | the same if whole runs shift by 5 % "
    "| 10 % slower, missed | 25 % slower, missed |"
)


def stopped(ratio: float, documents: int, trials: int, *, between_runs: float) -> float:
    """Return how often `max_slowdown=0.05` stops a run; the gate takes this verdict."""
    chance = generator(20, documents, int(100 * ratio), int(100 * between_runs))
    shape = (trials, documents)
    sizes = chance.normal(9, BETWEEN, shape)
    before, after = (
        np.exp(
            sizes + chance.normal(0, between_runs, (trials, 1)) + chance.normal(0, WITHIN, shape)
        )
        for _ in range(2)
    )
    verdicts = (paired_ratio(*pair).verdict for pair in zip(before, ratio * after, strict=True))
    return Counter(verdicts)["slower"] / trials


@pytest.mark.parametrize("documents", TRIALS)
def test_gate_on_slowdowns(documents: int, figure: Figure) -> None:
    trials = TRIALS[documents]
    unchanged, shifted, ten, quarter = (
        stopped(ratio, documents, trials, between_runs=b)
        for ratio, b in ((1.0, 0.0), (1.0, WHOLE_RUNS), (1.1, 0.0), (1.25, 0.0))
    )
    if documents == min(TRIALS):
        figure(HEADER)
        figure("|---|---|---|---|---|")
    shares = (percents(one) for one in (unchanged, shifted, 1 - ten, 1 - quarter))
    figure(f"| {documents} | {' | '.join(f'{one} %' for one in shares)} |")
    assert unchanged <= 0.02


def drawn_jobs(chance: np.random.Generator, durations: np.ndarray, fails: float) -> pd.DataFrame:
    failed = chance.random(len(durations)) < fails
    documents = [f"doc_{n}" for n in range(len(durations))]
    run = f"run_{chance.integers(10**9)}"
    ms = [None if lost else int(ms) for lost, ms in zip(failed, durations, strict=True)]
    return jobs_of(
        ms,
        run_id=texts(*[run] * len(ms)),
        job_id=texts(*[f"{run}_{one}" for one in documents]),
        document_id=texts(*documents),
        status=arrow(np.where(failed, "error", "completed").tolist(), STRING),
    )


def outcome(documents: int, fails: float, seed: int, **limits: object) -> str:
    chance = generator(21, documents, seed)
    sizes = chance.normal(9, BETWEEN, documents)
    before, after = (
        drawn_jobs(chance, np.exp(sizes + chance.normal(0, WITHIN, documents)), fails)
        for _ in range(2)
    )
    comparison = rf.compare_runs(before, after)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rf.errors.RetabFramesWarning)
        try:
            rf.assert_no_regression(comparison, **limits)  # type: ignore[arg-type]
        except rf.errors.GateError as error:
            return type(error).__name__
    return "pass"


def test_the_whole_gate_on_unchanged_runs(figure: Figure) -> None:
    outcomes = Counter(outcome(12, 0.0, seed, max_slowdown=0.05) for seed in range(COMPARISONS))
    shown = 1 - outcomes["pass"] / COMPARISONS
    figure(f"broken,slower on 12 unchanged documents: {percents(shown)} % of runs are stopped")
    assert shown <= 0.02
    by_count, by_chance = (
        1
        - Counter(outcome(100, 0.01, s, max_broken=n) for s in range(COMPARISONS))["pass"]
        / COMPARISONS
        for n in (0, "chance")
    )
    figure(
        "100 documents, 1 % of jobs fail in either run: max_broken=0 stops "
        f'{percents(by_count)} %, max_broken="chance" {percents(by_chance)} %'
    )
    assert by_count > 0.5
    assert by_chance <= 0.02
