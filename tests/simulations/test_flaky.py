"""How often documents are called flaky that are not, and found that are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pytest

from retab_frames.compare.failure_rates import find_failing_runs, rate_documents

from .noise import generator, percents

if TYPE_CHECKING:
    from collections.abc import Callable

    from retab_frames.stats.grouped_values import Flags

TRIALS, DOCUMENTS, FLAKY, CHANCE = 100, 60, 6, 0.01
RUNS = (5, 10, 20)


class Shares(NamedTuple):
    """Shares of documents called flaky, of those that are not and that are; of runs left out."""

    false: float
    found: float
    broken_left_out: float
    others_left_out: float


def cells_of(failed: Flags) -> pd.DataFrame:
    documents, runs = failed.shape
    return pd.DataFrame(
        {
            "document_id": np.tile([f"d{n:02}" for n in range(documents)], runs),
            "run_id": np.repeat([f"r{n}" for n in range(runs)], documents),
            "definition": "one",
            "status": np.where(failed.T.ravel(), "error", "completed"),
        }
    )


def simulate(runs: int, *, flaky: float, broken: bool) -> Shares:
    """Return what is found where six documents fail so often, and half of all in the third run."""
    chance = generator(30, runs, int(100 * flaky), int(broken))
    rows = []
    for _ in range(TRIALS):
        rates = np.full(DOCUMENTS, CHANCE)
        rates[:FLAKY] = max(flaky, CHANCE)
        failed = chance.random((DOCUMENTS, runs)) < rates[:, None]
        if broken:
            failed[:, 2] |= chance.random(DOCUMENTS) < 0.5
        cells = cells_of(failed)
        failing = find_failing_runs(cells, 0.95)
        rated = rate_documents(cells, failing, confidence=0.95, flaky_rate=0.1).sort_index()
        called = rated["flaky"].to_numpy(bool)
        left_out = failing["left_out"].to_numpy(bool)
        rows.append(
            (
                called[FLAKY:].mean(),
                called[:FLAKY].mean(),
                left_out[2],
                np.delete(left_out, 2).mean(),
            )
        )
    return Shares(*np.mean(rows, axis=0).tolist())


@pytest.mark.parametrize("broken", [False, True])
def test_flaky_documents(broken: bool, figure: Callable[[str], None]) -> None:  # noqa: FBT001
    steady = [simulate(runs, flaky=CHANCE, broken=broken) for runs in RUNS]
    often = [simulate(runs, flaky=0.4, broken=broken) for runs in RUNS]
    which = "with a run in which half of them failed" if broken else "without a broken run"
    left_out = f"other runs left out in {percents(*(x.others_left_out for x in steady))} %"
    if broken:
        told = percents(*(x.broken_left_out for x in steady))
        left_out = f"the broken run left out in {told} %, {left_out}"
    figure(
        f"{DOCUMENTS} documents that fail by chance in 1 of 100, {which}, "
        f"{', '.join(map(str, RUNS))} runs: called flaky "
        f"{percents(*(max(x.false, x.found) for x in steady))} %; of those that fail in 40 % "
        f"{percents(*(x.found for x in often))} %; {left_out}"
    )
    assert max(max(x.false, x.found) for x in steady) <= 0.01
    assert max(x.false for x in often) <= 0.01
    assert all(x.found >= least for x, least in zip(often, (0.25, 0.6, 0.85), strict=True))
    assert max(x.others_left_out for x in steady) <= 0.015
    if broken:
        assert all(x.broken_left_out > 0.99 for x in steady)
