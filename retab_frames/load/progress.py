"""A progress bar over runs, where someone may look at it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["with_bar"]

T = TypeVar("T")


def with_bar(
    results: Iterable[T],
    total: int,
    what: str,
    *,
    show: bool | None,
    runs_of: Callable[[T], int] = lambda _: 1,
) -> Iterator[T]:
    """Yield the results, and show a bar while they come.

    Args:
        results: Each stands for a run, or for several.
        total: How many runs they are.
        what: What is being done, as "Loading runs".
        show: None shows it for several runs in a terminal or a notebook.
        runs_of: How many runs a result stands for.
    """
    if show is None:
        show = total > 1 and (sys.stderr.isatty() or "ipykernel" in sys.modules)
    if not show:
        yield from results
        return
    from tqdm.auto import tqdm  # noqa: PLC0415 - it looks for a notebook when it is imported

    with tqdm(total=total, unit="run", desc=what, smoothing=0) as bar:
        for result in results:
            yield result
            bar.update(runs_of(result))
