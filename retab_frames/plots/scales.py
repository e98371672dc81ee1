"""Axes of durations, with ticks at round numbers of ms, s, min and h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import Formatter, Locator, NullLocator

from retab_frames.text.tables import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from retab_frames.stats.grouped_values import Floats

__all__ = ["DurationFormatter", "DurationLocator", "set_duration_axis", "set_log_duration_axis"]

_SECOND_MS, _MINUTE_MS, _HOUR_MS = 1_000, 60_000, 3_600_000
_UNITS = ((_HOUR_MS, "h", 4), (_MINUTE_MS, "min", 2), (_SECOND_MS, "s", 1_000), (1, "ms", 1_000))
"""A unit in ms, its name, and into how many parts a label may divide it: 1.25 h, but 61 s."""
_MAX_TICKS = 7
_MIN_TICKS = 2
_MARGIN = 1.25
"""How far a log axis reaches beyond the values."""
_LABEL_WIDTH = 4.5
"""Of one such as "500 ms" with some room, in font sizes."""
_TOLERANCE = 1e-9


def _round_durations(
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


_LOG_TICKS = (
    _round_durations((1,), (10,), (1, 10), (1, 10)),
    _round_durations((1, 3), (10, 30), (1, 3, 10, 30), (1, 3, 10, 30)),
    _round_durations((1, 2, 5), (10, 20, 40), (1, 2, 5, 10, 20, 40), (1, 2, 5, 10, 20, 50)),
    _round_durations(
        (1, 1.5, 2, 3, 4, 6, 8),
        (10, 15, 20, 30, 40),
        (1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 40),
        (1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50),
    ),
)
"""Possible ticks of a log axis, the coarsest first."""
_LINEAR_STEPS = _round_durations(
    (1, 2, 5), (10, 15, 30), (1, 2, 5, 10, 15, 30), (1, 2, 6, 12, 24, 48)
)
"""Possible distances between the ticks of a linear axis."""


class DurationLocator(Locator):
    """Ticks at round durations: evenly spaced on a linear axis, like 1, 2, 5, 10 on a log axis.

    Args:
        log: Whether the axis is logarithmic.
        square: Whether the other axis, which is as long, has the same ticks.
    """

    def __init__(self, *, log: bool, square: bool = False) -> None:
        self.log = log
        self.square = square

    def __call__(self) -> Sequence[float]:
        """Return the ticks of the visible part of the axis."""
        axis: Any = self.axis
        return self.tick_values(*axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Return the ticks between two durations in ms."""
        low, high = min(vmin, vmax), max(vmin, vmax)
        max_ticks = _MAX_TICKS
        if self.axis is not None:
            max_ticks = int(np.clip(self._count_labels(), 2, _MAX_TICKS))
        if not self.log:
            return _space_evenly(low, high, max_ticks)
        zero = [0.0] if low <= 0 else []
        inside = [ticks[(low <= ticks) & (ticks <= high)] for ticks in _LOG_TICKS]
        fitting = [ticks for ticks in inside if len(ticks) + len(zero) <= max_ticks]
        if not fitting or len(fitting[-1]) < min(_MIN_TICKS, max_ticks):
            return _space_evenly(low, high, max_ticks)
        return [*zero, *fitting[-1].tolist()]

    def _count_labels(self) -> int:
        """Return how many labels the axis has room for."""
        axis: Any = self.axis
        if axis.axis_name == "y" and not self.square:
            return int(axis.get_tick_space())
        box = axis.axes.get_window_extent()
        length = (box.width if axis.axis_name == "x" else box.height) * 72 / axis.axes.figure.dpi
        size = FontProperties(size=mpl.rcParams["xtick.labelsize"]).get_size_in_points()
        # a square is one but for the last digits
        return int(length / (size * _LABEL_WIDTH) + _TOLERANCE)


class DurationFormatter(Formatter):
    """Labels such as `0`, `500 ms`, `1.5 s`, `2 min`.

    Args:
        uniform: Whether all ticks have the same unit, as suits a linear axis.
    """

    def __init__(self, *, uniform: bool) -> None:
        self.uniform = uniform

    def __call__(self, x: float, pos: int | None = None) -> str:  # noqa: ARG002 - matplotlib's
        """Return the label of a duration in ms."""
        return _format_tick(x, [x])

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the labels of all ticks of an axis."""
        return [_format_tick(x, values if self.uniform else [x]) for x in values]

    def format_data_short(self, value: float) -> str:
        """Return the duration under the mouse."""
        return format_duration(value)


def set_log_duration_axis(
    ax: Axes, which: Literal["x", "y"], ms: Floats, name: str, *, square: bool = False
) -> None:
    """Make an axis logarithmic, from a bit below the shortest duration to a bit above the longest.

    If there are durations of 0, the axis is linear from 0 to the shortest other duration, which
    takes half a decade. Both axes of a square plot have the same ticks.
    """
    above_zero = ms[ms > 0]
    low, high = (above_zero.min(), above_zero.max()) if len(above_zero) else (1.0, 1.0)
    if len(above_zero) < len(ms):
        getattr(ax, f"set_{which}scale")("symlog", linthresh=low, linscale=0.5)
        begin = -low / 5
    else:
        getattr(ax, f"set_{which}scale")("log")
        begin = low / _MARGIN
    getattr(ax, f"set_{which}lim")(begin, high * _MARGIN)
    _format_axis(ax, which, name, DurationLocator(log=True, square=square))


def set_duration_axis(ax: Axes, which: Literal["x", "y"], name: str) -> None:
    """Give a linear axis of milliseconds its ticks and its name."""
    _format_axis(ax, which, name, DurationLocator(log=False))


def _format_axis(ax: Axes, which: Literal["x", "y"], name: str, locator: DurationLocator) -> None:
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(locator)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(DurationFormatter(uniform=not locator.log))
    axis.set_label_text(name)


def _space_evenly(low: float, high: float, max_ticks: int) -> list[float]:
    """Return evenly spaced ticks, at most as many as given."""
    fitting = _LINEAR_STEPS[(high - low) / _LINEAR_STEPS <= max_ticks - 1]
    step = fitting.min() if len(fitting) else (high - low) / max_ticks
    numbers = np.arange(np.ceil(low / step - _TOLERANCE), np.floor(high / step + _TOLERANCE) + 1)
    return [float(number * step) for number in numbers]


def _format_tick(ms: float, ticks: Sequence[float]) -> str:
    """Return a duration in the largest unit in which all the ticks are short numbers."""
    if abs(ms) < _TOLERANCE:
        return "0"
    values = np.abs(np.asarray(ticks, dtype=np.float64))
    for unit, name, parts in _UNITS:
        scaled = values / unit * parts
        if values.max() >= unit and np.allclose(scaled, np.round(scaled), rtol=0, atol=1e-6):
            return f"{ms / unit:.10g} {name}"
    return f"{ms:.6g} ms"
