"""Retab workflow experiments as validated dataframes, snapshots and duration statistics.

Everything but the errors is imported when it is first used: `import retab_frames` loads neither
pandas nor httpx.
"""

from __future__ import annotations

import sys
from importlib import import_module

from retab_frames import errors
from retab_frames.errors import *  # noqa: F403 - every error is public

TYPE_CHECKING = False  # type checkers know the name; typing takes longer to import than all this
if TYPE_CHECKING:  # what type checkers and editors see; a test holds it against the table below
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from retab_frames import plots as plots
    from retab_frames.api.client import Client as Client
    from retab_frames.compare.gate import (
        assert_no_regression as assert_no_regression,
        check_regression as check_regression,
    )
    from retab_frames.compare.many_runs import (
        ManyComparison as ManyComparison,
        compare_many as compare_many,
    )
    from retab_frames.compare.planner import RunPlan as RunPlan, plan as plan
    from retab_frames.compare.run_trend import RunTrend as RunTrend, trend as trend
    from retab_frames.compare.two_runs import (
        RunComparison as RunComparison,
        compare_runs as compare_runs,
    )
    from retab_frames.load.content import RunContent as RunContent
    from retab_frames.load.from_api import (
        iter_content as iter_content,
        load_content as load_content,
        load_experiments as load_experiments,
        load_handle_inputs as load_handle_inputs,
        load_jobs as load_jobs,
        load_runs as load_runs,
    )
    from retab_frames.load.from_responses import (
        read_content as read_content,
        read_contents as read_contents,
    )
    from retab_frames.reports import report as report
    from retab_frames.sandbox import Sandbox as Sandbox
    from retab_frames.schemas.dictionary import describe as describe
    from retab_frames.schemas.pandera_models import (
        ExperimentsSchema as ExperimentsSchema,
        HandlesSchema as HandlesSchema,
        IssuesSchema as IssuesSchema,
        JobsSchema as JobsSchema,
        PulledSchema as PulledSchema,
        RawSchema as RawSchema,
        RunsSchema as RunsSchema,
        SnapshotsSchema as SnapshotsSchema,
    )
    from retab_frames.schemas.validation import validate as validate
    from retab_frames.spreadsheets import to_excel as to_excel
    from retab_frames.stats.durations import duration_stats as duration_stats, slowest as slowest
    from retab_frames.stats.failures import failed_jobs as failed_jobs, failures as failures
    from retab_frames.stats.incidence import cumulative_incidence as cumulative_incidence
    from retab_frames.stats.timeline import timeline as timeline
    from retab_frames.store.compaction import Compaction as Compaction
    from retab_frames.store.scan.scan import scan as scan
    from retab_frames.store.scan.sql import query as query
    from retab_frames.store.snapshots import Snapshot as Snapshot, SnapshotStore as SnapshotStore
    from retab_frames.text.versions import show_versions as show_versions

    __version__: str

_PUBLIC = {
    "api.client": ("Client",),
    "compare.gate": ("assert_no_regression", "check_regression"),
    "compare.many_runs": (
        "ManyComparison",
        "compare_many",
    ),
    "compare.planner": (
        "RunPlan",
        "plan",
    ),
    "compare.run_trend": (
        "RunTrend",
        "trend",
    ),
    "compare.two_runs": (
        "RunComparison",
        "compare_runs",
    ),
    "load.content": ("RunContent",),
    "load.from_api": (
        "iter_content",
        "load_content",
        "load_experiments",
        "load_handle_inputs",
        "load_jobs",
        "load_runs",
    ),
    "load.from_responses": (
        "read_content",
        "read_contents",
    ),
    "reports": ("report",),
    "sandbox": ("Sandbox",),
    "schemas.dictionary": ("describe",),
    "schemas.pandera_models": (
        "ExperimentsSchema",
        "HandlesSchema",
        "IssuesSchema",
        "JobsSchema",
        "PulledSchema",
        "RawSchema",
        "RunsSchema",
        "SnapshotsSchema",
    ),
    "schemas.validation": ("validate",),
    "spreadsheets": ("to_excel",),
    "stats.durations": (
        "duration_stats",
        "slowest",
    ),
    "stats.failures": (
        "failed_jobs",
        "failures",
    ),
    "stats.incidence": ("cumulative_incidence",),
    "stats.timeline": ("timeline",),
    "store.compaction": ("Compaction",),
    "store.scan.scan": ("scan",),
    "store.scan.sql": ("query",),
    "store.snapshots": (
        "Snapshot",
        "SnapshotStore",
    ),
    "text.versions": ("show_versions",),
}
"""The public names of each module; those of `errors` are all that it has."""

_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted([*errors.__all__, *_MODULE_OF])  # noqa: PLE0605 - derived


if not TYPE_CHECKING:  # or checkers would believe any name

    def __getattr__(name: str) -> object:
        """Import the module of a public name when it is first asked for (PEP 562)."""
        if name == "__version__":
            return import_module("importlib.metadata").version("retab-frames")
        if name == "plots":
            return import_module(f"{__name__}.plots")
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        return value


def __dir__() -> list[str]:
    """List the public names, imported or not; what this module itself imports is not public."""
    special = (name for name in globals() if name.startswith("__"))
    return [*__all__, "plots", "__version__", *special]


class _PandasFinder:
    """Registers `df.retab` as soon as pandas is loaded, whichever of the two is imported first.

    It finds pandas by the other finders, and adds a step to its loading. wrapt.when_imported would
    do the same, but takes twice as long to import as all of this package may take.
    """

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of pandas with our step added; None for any other module."""
        if name != "pandas":
            return None
        others = (finder for finder in sys.meta_path if finder is not _PandasFinder)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, specs), None)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            load = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                _register_accessor()

            loader.exec_module = exec_module
        return spec


def _register_accessor() -> None:
    import_module(f"{__name__}.accessor")


if "pandas" in sys.modules:
    _register_accessor()
else:
    sys.meta_path.insert(0, _PandasFinder)
