from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from retab_frames.stats.run_failures import find_excess


def by_enumeration(failed: list[list[int]], run: int) -> float:
    """Return how probable so many failures of a run are, over every place that they may have."""
    runs = len(failed[0])
    rows = [[row for row in product((0, 1), repeat=runs) if sum(row) == sum(one)] for one in failed]
    seen = sum(one[run] for one in failed)
    counts = [sum(row[run] for row in table) for table in product(*rows)]
    return sum(count >= seen for count in counts) / len(counts)


@pytest.mark.parametrize(
    "failed",
    [
        [[1, 0, 0], [1, 0, 0], [1, 0, 0]],
        [[1, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]],
        [[1, 1], [1, 0], [1, 0], [0, 1]],
        [[0, 0, 0], [1, 1, 1]],
    ],
)
def test_the_probability_is_that_of_every_place_the_failures_may_have(
    failed: list[list[int]],
) -> None:
    table = np.array(failed, dtype=bool)
    found = find_excess(table, np.ones_like(table))

    assert found.expected == pytest.approx([table.mean(axis=1).sum()] * table.shape[1])
    for run in range(table.shape[1]):
        if table[:, run].sum() > found.expected[run]:
            assert found.p_values[run] == pytest.approx(by_enumeration(failed, run))
        else:
            assert found.p_values[run] == 1


def test_a_run_that_did_not_try_a_document_has_no_part_in_it() -> None:
    failed = np.array([[True, False, False], [True, False, False]])
    tried = np.array([[True, True, False], [True, True, True]])

    found = find_excess(failed, tried)

    assert found.expected == pytest.approx([1 / 2 + 1 / 3, 1 / 2 + 1 / 3, 1 / 3])
    assert found.p_values == pytest.approx([1 / 6, 1, 1])


def test_of_many_documents_the_normal_distribution_is_near_the_exact_one() -> None:
    # each failed in one of two runs: half of them are expected in the first
    for documents in (1_000, 1_001):
        failed = np.zeros((documents, 2), dtype=bool)
        failed[:530, 0] = True
        failed[530:, 1] = True
        exact = sum(comb(documents, k) for k in range(530, documents + 1)) / 2**documents
        assert find_excess(failed, np.ones_like(failed)).p_values[0] == pytest.approx(
            exact, rel=0.02
        )
