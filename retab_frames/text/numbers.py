"""Numbers for people, each in one way wherever it stands: in a sentence, a table or a plot."""

from __future__ import annotations

import math

__all__ = [
    "TOO_FEW",
    "TOO_FEW_SHORT",
    "format_change",
    "format_factor",
    "format_p",
    "format_ratio",
    "format_share",
]

TOO_FEW, TOO_FEW_SHORT = "too few jobs to say", "too few"
"""In place of an end of an interval that so few values do not have. The short one is for a
terminal, where ids and numbers need the room."""

_PLAIN_RATIOS = (0.1, 1_000)
_LEAST_P = 0.001
"""A smaller p-value is told as less than this."""
_NO_SHARE = 1e-9
"""A smaller share is rounding."""


def format_ratio(ratio: float) -> str:
    """Return a ratio with two decimals, or where these say nothing, with three digits."""
    if math.isinf(ratio):
        return "∞"
    return f"{ratio:.2f}" if _PLAIN_RATIOS[0] <= ratio < _PLAIN_RATIOS[1] else f"{ratio:.3g}"


def format_factor(ratio: float) -> str:
    """Return a ratio with its sign: x 1.25.

    Example:
        >>> format_factor(1.25)
        'x 1.25'
    """
    return f"x {format_ratio(ratio)}"


def format_change(ratio: float) -> str:
    """Return a ratio as a change in percent, which has no sign where it rounds to none.

    Example:
        >>> format_change(1.25), format_change(0.999)
        ('+25 %', '0 %')
    """
    text = f"{100 * (ratio - 1):+.0f} %"
    return "0 %" if text in {"+0 %", "-0 %"} else text


def format_share(share: float) -> str:
    """Return a share in percent; only none is told as 0 %, and only all as 100 %.

    Example:
        >>> format_share(0.25), format_share(0.001)
        ('25 %', '<1 %')
    """
    if math.isnan(share):
        return "unknown"
    text = f"{100 * share:.0f}"
    if text == "0" and share > _NO_SHARE:
        text = "<1"
    elif text == "100" and share < 1 - _NO_SHARE:
        text = ">99"
    return f"{text} %"


def format_p(p_value: float) -> str:
    """Return a p-value as a sentence has it: p = 0.012, p < 0.001."""
    return f"p = {p_value:.2g}" if p_value >= _LEAST_P else f"p < {_LEAST_P}"
