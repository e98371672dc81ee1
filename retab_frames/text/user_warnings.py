"""Warnings that point at the line of the user."""

from __future__ import annotations

import inspect
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from retab_frames.errors import RetabFramesWarning

if TYPE_CHECKING:
    from retab_frames.text.next_steps import NextStep

__all__ = ["warn_user"]

_PACKAGE = str(Path(__file__).parents[1]) + os.sep


def warn_user(text: str, next_step: NextStep | None = None) -> None:
    """Give a warning that points at the line outside this library that called it."""
    warning = RetabFramesWarning(text)
    if next_step is not None:
        warning.advise(next_step)
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level + 1)
