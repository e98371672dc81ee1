"""Axes of durations, with ticks at round numbers of ms, s, min and h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.ticker import Formatter, Locator, NullLocator

from retab_frames.text import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

__all__ = ["DurationFormatter", "DurationLocator", "duration_axis", "log_duration_axis"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

_SECOND_MS, _MINUTE_MS, _HOUR_MS = 1_000, 60_000, 3_600_000
_UNITS = ((_HOUR_MS, "h", 4), (_MINUTE_MS, "min", 2), (_SECOND_MS, "s", 1_000), (1, "ms", 1_000))
"""A unit in ms, its name, and into how many parts it is divided in a label."""
_MOST_TICKS = 7
_FEWEST_TICKS = 3
_MARGIN = 1.25
"""How far a log axis reaches beyond the values."""
_TINY = 1e-9


def _ladder(
    decimal: Sequence[float],
    seconds: Sequence[float],
    minutes: Sequence[float],
    hours: Sequence[float],
) -> Floats:
    """Return round durations in ms; decimal ones below 10 s and from 100 h."""
    parts = [m * 10.0**k for k in range(-3, 4) for m in decimal]
    parts += [s * _SECOND_MS for s in seconds] + [m * _MINUTE_MS for m in minutes]
    parts += [h * _HOUR_MS for h in hours]
    parts += [m * 10.0**k * _HOUR_MS for k in range(2, 6) for m in decimal]
    return np.array(parts)


_LADDERS = (
    _ladder((1,), (10,), (1, 10), (1, 10)),
    _ladder((1, 3), (10, 30), (1, 3, 10, 30), (1, 3, 10, 30)),
    _ladder((1, 2, 5), (10, 20, 40), (1, 2, 5, 10, 20, 40), (1, 2, 5, 10, 20, 50)),
    _ladder(
        (1, 1.5, 2, 3, 4, 6, 8),
        (10, 15, 20, 30, 40),
        (1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 40),
        (1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50),
    ),
)
"""Ticks of a log axis, the coarsest first."""
_STEPS = _ladder((1, 2, 5), (10, 15, 30), (1, 2, 5, 10, 15, 30), (1, 2, 6, 12, 24, 48))
"""Distances between the ticks of a linear axis."""


class DurationLocator(Locator):
    """Ticks at round durations: even on a linear axis, on a ladder like 1, 2, 5 on a log axis.

    Args:
        log: Whether the axis is logarithmic.
    """

    def __init__(self, *, log: bool) -> None:
        self.log = log

    def __call__(self) -> Sequence[float]:
        """Return where the ticks are in what is seen of the axis."""
        axis: Any = self.axis
        return self.tick_values(*axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Return where the ticks are between two durations in ms."""
        low, high = min(vmin, vmax), max(vmin, vmax)
        most = _MOST_TICKS if self.axis is None else self._room()
        if not self.log:
            return _even(low, high, most)
        zero = [0.0] if low <= 0 else []
        seen = [ladder[(low <= ladder) & (ladder <= high)] for ladder in _LADDERS]
        fitting = [ticks for ticks in seen if len(ticks) + len(zero) <= most]
        if not fitting or len(fitting[-1]) < min(_FEWEST_TICKS, most):
            return _even(low, high, most)
        return [*zero, *fitting[-1].tolist()]

    def _room(self) -> int:
        # a label such as "500 ms" is wider than the numbers that matplotlib thinks of
        axis: Any = self.axis
        space = axis.get_tick_space() // (2 if axis.axis_name == "x" else 1)
        return int(np.clip(space, 2, _MOST_TICKS))


class DurationFormatter(Formatter):
    """Labels such as `0`, `500 ms`, `1.5 s`, `2 min`.

    Args:
        uniform: Whether all ticks have the same unit, as it is best on a linear axis.
    """

    def __init__(self, *, uniform: bool) -> None:
        self.uniform = uniform

    def __call__(self, x: float, pos: int | None = None) -> str:  # noqa: ARG002 - matplotlib's
        """Return the label of a duration in ms."""
        return _text(x, [x])

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the labels of all ticks of an axis."""
        return [_text(x, values if self.uniform else [x]) for x in values]

    def format_data_short(self, value: float) -> str:
        """Return the duration below the mouse."""
        return tables.format_duration(value)


def log_duration_axis(ax: Axes, which: Literal["x", "y"], ms: Floats, name: str) -> None:
    """Make an axis logarithmic, from the least to the greatest of the durations and a bit more.

    A duration of 0 has its place at the end of the axis, as far below the smallest other one as
    half a decade.
    """
    above = ms[ms > 0]
    low, high = (above.min(), above.max()) if len(above) else (1.0, 1.0)
    if len(above) < len(ms):
        getattr(ax, f"set_{which}scale")("symlog", linthresh=low, linscale=0.5)
        begin = -low / 5
    else:
        getattr(ax, f"set_{which}scale")("log")
        begin = low / _MARGIN
    getattr(ax, f"set_{which}lim")(begin, high * _MARGIN)
    _dress(ax, which, name, log=True)


def duration_axis(ax: Axes, which: Literal["x", "y"], name: str) -> None:
    """Give a linear axis of milliseconds its ticks and its name."""
    _dress(ax, which, name, log=False)


def _dress(ax: Axes, which: Literal["x", "y"], name: str, *, log: bool) -> None:
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(DurationLocator(log=log))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(DurationFormatter(uniform=not log))
    axis.set_label_text(name)


def _even(low: float, high: float, most: int) -> list[float]:
    """Return at most so many ticks at even distances."""
    fitting = _STEPS[(high - low) / _STEPS <= most - 1]
    step = fitting.min() if len(fitting) else (high - low) / most
    numbers = np.arange(np.ceil(low / step - _TINY), np.floor(high / step + _TINY) + 1)
    return [float(number * step) for number in numbers]


def _text(ms: float, beside: Sequence[float]) -> str:
    """Return a duration in the largest unit in which it and those beside it are short numbers."""
    if abs(ms) < _TINY:
        return "0"
    values = np.abs(np.asarray(beside, dtype=np.float64))
    for unit, name, parts in _UNITS:
        scaled = values / unit * parts
        if values.max() >= unit and np.allclose(scaled, np.round(scaled), rtol=0, atol=1e-6):
            return f"{ms / unit:.10g} {name}"
    return f"{ms:.6g} ms"
