"""Plots of durations, runs and comparisons. Each takes `ax=` and returns Axes.

Without `ax`, a plot makes a new figure outside of pyplot. So plots can be drawn in threads and
without a display, and a figure is freed with its last reference. A notebook shows the axes if they
are the last value of a cell, or by `display(ax)`; elsewhere use `ax.figure.savefig("plot.png")`.
For a window or a widget, or for several plots side by side, pass axes of pyplot:
`figure, axes = plt.subplots(1, 2)`.

Colour is never the only distinction: markers, line styles, hatches and lightness differ too.
"""

from __future__ import annotations

from importlib import import_module

from retab_frames.errors import MissingExtraError

TYPE_CHECKING = False
if TYPE_CHECKING:  # what type checkers and editors see; a test holds it against the table below
    from retab_frames.plots.distributions import durations as durations, ecdf as ecdf
    from retab_frames.plots.gantt import timeline as timeline
    from retab_frames.plots.grid import matrix as matrix
    from retab_frames.plots.planning import plan as plan
    from retab_frames.plots.run_trends import run_trend as run_trend
    from retab_frames.plots.scatter import paired as paired
    from retab_frames.plots.trends import trend as trend

_PUBLIC = {
    "distributions": ("durations", "ecdf"),
    "gantt": ("timeline",),
    "grid": ("matrix",),
    "planning": ("plan",),
    "run_trends": ("run_trend",),
    "scatter": ("paired",),
    "trends": ("trend",),
}
"""The plots of each module; they are imported when first used, because matplotlib is optional."""

_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605 - derived


if not TYPE_CHECKING:  # or checkers would believe any name

    def __getattr__(name: str) -> object:
        """Import the module of a plot when it is first asked for (PEP 562)."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            module = import_module(f"{__name__}.{_MODULE_OF[name]}")
        except ImportError as error:
            if (error.name or "").partition(".")[0] == "retab_frames":
                raise
            raise MissingExtraError(
                "plots need matplotlib, from the extra `plots`: pip install 'retab-frames[plots]'"
            ) from error
        value = globals()[name] = getattr(module, name)
        return value


def __dir__() -> list[str]:
    """List the plots, imported or not."""
    return [*__all__, "__all__", "__doc__", "__name__"]
