"""Whether more documents failed in a run than how often each fails explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from retab_frames.stats.grouped_values import Flags, Floats

__all__ = ["RunFailures", "find_excess"]

_MAX_EXACT = 1_000
"""Of more documents the distribution is taken for normal."""


class RunFailures(NamedTuple):
    """One element per run.

    Attributes:
        expected: How many documents would have failed in it, had each failure been in any of the
            runs that tried the document.
        p_values: How probable as many failures or more are then.
    """

    expected: Floats
    p_values: Floats


def find_excess(failed: Flags, tried: Flags) -> RunFailures:
    """Return how many failures each run would have by chance, and how probable its own are.

    The test is conditional, as that of Cochran (1950), for one run at a time: given that a document
    failed in k of the n runs that tried it, each of them had it among its failures with probability
    k / n, and one document says nothing of another. The number of failures of a run is then
    Poisson-binomial. No rate of a document is estimated, so the test holds for two runs, too.

    Args:
        failed: Documents x runs, whether the document failed in the run.
        tried: Whether it failed or was completed.
    """
    from scipy.stats import norm, poisson_binom  # noqa: PLC0415 - scipy is slow to import

    share = failed.sum(axis=1) / np.maximum(tried.sum(axis=1), 1)
    runs = failed.shape[1]
    expected, p_values = np.zeros(runs), np.ones(runs)
    for run in range(runs):
        chances = share[tried[:, run]]
        expected[run] = chances.sum()
        count = int(failed[:, run].sum())
        if count <= expected[run]:
            continue
        count -= int((chances == 1).sum())
        uncertain = chances[(chances > 0) & (chances < 1)]
        if len(uncertain) > _MAX_EXACT:
            spread = np.sqrt((uncertain * (1 - uncertain)).sum())
            p_values[run] = norm.sf((count - 0.5 - uncertain.sum()) / spread)
        else:
            p_values[run] = min(1.0, max(0.0, float(poisson_binom(uncertain).sf(count - 1))))
    return RunFailures(expected, p_values)
