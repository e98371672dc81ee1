from __future__ import annotations

import math

import pytest

from retab_frames.text.numbers import (
    format_change,
    format_factor,
    format_p,
    format_ratio,
    format_share,
)


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.5, "p = 0.5"), (0.0123, "p = 0.012"), (0.001, "p = 0.001"), (0.00099, "p < 0.001")],
)
def test_a_small_p_value_is_below_a_bound(p: float, text: str) -> None:
    assert format_p(p) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.25, "+25 %"),
        (0.8, "-20 %"),
        (0.9961, "0 %"),
        (1.0049, "0 %"),
        (1, "0 %"),
        (21, "+2000 %"),
    ],
)
def test_no_change_has_no_sign(ratio: float, text: str) -> None:
    assert format_change(ratio) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.25, "1.25"), (0.05, "0.05"), (0.00123, "0.00123"), (1234.5, "1.23e+03"), (math.inf, "∞")],
)
def test_a_ratio_has_digits_that_say_something(ratio: float, text: str) -> None:
    assert format_ratio(ratio) == text
    assert format_factor(ratio) == f"x {text}"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.004, "<1 %"),
        (0.25, "25 %"),
        (0.996, ">99 %"),
        (1, "100 %"),
        (math.nan, "unknown"),
    ],
)
def test_only_none_is_0_percent_and_only_all_100(share: float, text: str) -> None:
    assert format_share(share) == text
