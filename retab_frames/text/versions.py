"""Versions of this library and its dependencies, for a report of a bug."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["show_versions"]

_GROUPS = ("all", "test", "dev")
"""Extras that are unions of others or for development; their packages are not listed for them."""


def show_versions() -> pd.DataFrame:
    """Return the versions of this library, of Python and of the dependencies.

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
    requirements = [Requirement(text) for text in requires("retab-frames") or ()]
    for requirement in requirements:
        if requirement.marker is None:  # the others belong to an extra
            yield requirement.name, version(requirement.name), None
    extras = metadata("retab-frames").get_all("Provides-Extra", [])
    for extra in (name for name in extras if name not in _GROUPS):
        for requirement in requirements:
            if requirement.marker is None or not requirement.marker.evaluate({"extra": extra}):
                continue
            try:
                yield requirement.name, version(requirement.name), extra
            except PackageNotFoundError:
                yield requirement.name, None, extra
