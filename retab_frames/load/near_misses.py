"""Hints at mistyped ids: what exists, and is nearest to what the API does not have."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from retab_frames.errors import NotFoundError, RetabFramesError
from retab_frames.text.messages import did_you_mean
from retab_frames.wire.envelopes import record_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retab_frames.api.client import Client

__all__ = ["add_near_miss", "suggest_experiment", "suggest_run"]


def add_near_miss(error: NotFoundError, missing: str, known: Iterable[str]) -> None:
    """Add the nearest of the known ids to an error about a missing one, if one is near."""
    known = list(known)
    if missing not in known:
        error.args = (f"{error.args[0]}{did_you_mean(missing, known)}", *error.args[1:])


def suggest_experiment(
    api: Client, error: NotFoundError, workflow_id: str, experiment_id: str
) -> None:
    """Add the nearest experiment of the workflow to an error; nothing if they cannot be listed."""
    with suppress(RetabFramesError):
        records = api.experiments(workflow_id).records
        add_near_miss(error, experiment_id, map(record_id, records))


def suggest_run(
    api: Client,
    error: NotFoundError,
    workflow_id: str,
    experiment_id: str,
    run_id: str,
    *,
    also: Iterable[str],
) -> None:
    """Add the nearest run of the experiment to an error, or the nearest experiment.

    Args:
        api: The client.
        error: The error.
        workflow_id: The workflow of the experiment.
        experiment_id: The experiment, which may be what is missing.
        run_id: The run.
        also: What else may be meant by the id of the run.
    """
    try:
        records = api.runs(workflow_id, experiment_id).records
    except NotFoundError:
        suggest_experiment(api, error, workflow_id, experiment_id)
    except RetabFramesError:
        return
    else:
        add_near_miss(error, run_id, [*map(record_id, records), *also])
