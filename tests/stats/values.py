"""Values for the tests of estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

from retab_frames.stats.grouped_values import GroupedValues, group_values

if TYPE_CHECKING:
    from retab_frames.stats.grouped_values import Floats

DURATIONS = st.lists(st.integers(0, 10**7).map(float), min_size=1, max_size=60)


def one_group(values: Floats | list[float]) -> GroupedValues:
    array = np.asarray(values, dtype=np.float64)
    return group_values(array, np.zeros(len(array), dtype=np.int64), 1)


def long_tailed(size: int, seed: int) -> Floats:
    return np.round(np.random.default_rng(seed).lognormal(9, 0.8, size))
