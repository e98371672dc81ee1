"""Which versions are at work, for a report of a bug."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from retab_frames.frames import TEXT, frame_of_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

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
    return frame_of_rows(_rows(), {"package": TEXT, "version": TEXT, "extra": TEXT})


def _rows() -> Iterator[tuple[str, str | None, str | None]]:
    yield "retab-frames", version("retab-frames"), None
    yield "python", platform.python_version(), None
    yield "system", f"{platform.system()} {platform.machine()}", None
    always = [one for one in requires("retab-frames") or () if "extra ==" not in one]
    for requirement in always:
        name = requirement.split("<")[0].split(">")[0].strip()
        yield name, version(name), None
    for name, extra in _EXTRAS.items():
        try:
            yield name, version(name), extra
        except PackageNotFoundError:
            yield name, None, extra
