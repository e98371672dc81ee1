"""Which versions are at work, for a report of a bug."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["show_versions"]

_EXTRAS = {
    "matplotlib": "jupyter",
    "ipywidgets": "jupyter",
    "duckdb": "duckdb",
    "polars": "polars",
    "dask": "dask",
    "distributed": "dask",
    "obstore": "cloud",
}


def show_versions() -> pd.DataFrame:
    """Return the versions of this library, of Python and of what it stands on.

    Returns:
        One row per package: `package`, `version` (null where it is not installed), `extra` (the
        one that installs it; null for what is always there). No path and no setting is in it.

    Example:
        >>> import retab_frames as rf
        >>> rf.show_versions()["package"].tolist()[:3]
        ['retab-frames', 'python', 'system']
    """
    columns = ["package", "version", "extra"]
    return pd.DataFrame(list(_rows()), columns=columns, dtype=pd.ArrowDtype(pa.string()))


def _rows() -> Iterator[tuple[str, str | None, str | None]]:
    yield "retab-frames", version("retab-frames"), None
    yield "python", platform.python_version(), None
    yield "system", f"{platform.system()} {platform.machine()}", None
    for requirement in map(Requirement, requires("retab-frames") or ()):
        if requirement.marker is None:  # the others belong to an extra
            yield requirement.name, version(requirement.name), None
    for name, extra in _EXTRAS.items():
        try:
            yield name, version(name), extra
        except PackageNotFoundError:
            yield name, None, extra
