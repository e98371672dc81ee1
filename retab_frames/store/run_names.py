"""What stands for a run of a store: its id, a label, or a word such as "latest"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from retab_frames.errors import SnapshotError, SnapshotNotFoundError
from retab_frames.schemas.vocabulary import ALL, LATEST, LATEST_ENDED, PREVIOUS
from retab_frames.store.catalog import unknown_experiment
from retab_frames.store.labels import find_labels, suggest_label
from retab_frames.store.listing import list_runs
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import GIVE_EXPERIMENT, LIST_STORED
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.store.catalog import Catalog
    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import Manifest

__all__ = ["find_run", "find_runs"]

_WORDS = (LATEST, LATEST_ENDED, PREVIOUS)
_MOST_SHOWN = 5
_FOR_WORDS = ["experiment_id", "run_id", "complete"]


def find_run(
    files: Storage, catalog: Catalog, name: str, experiment_id: str | None = None
) -> Manifest:
    """Return the newest revision of the run that a name stands for.

    Args:
        files: The files of the store.
        catalog: Its manifests.
        name: The id of a run; else a label; or "latest", "latest_ended", "previous".
        experiment_id: The experiment that the run must be of; None for any.

    Raises:
        SnapshotNotFoundError: If there is no such run, or it is of another experiment.
        SnapshotError: If the name can be a run of several experiments.
        SnapshotCorruptError: If its manifest is damaged.
    """
    run_id = name
    if name in _WORDS:
        run_id = _find_by_word(files, catalog, name, experiment_id)
    found = catalog.newest(run_id)
    if found is None:
        run_id = _find_by_label(files, catalog, name, experiment_id)
        found = catalog.newest(run_id)
    if found is None:
        raise SnapshotNotFoundError(
            f"the label {printable(name)} is of run {printable(run_id)}, which is not in "
            f"{printable(str(files))} any more"
        ).advise(LIST_STORED)
    if experiment_id not in (None, found.experiment_id):
        raise SnapshotNotFoundError(
            f"run {printable(run_id)} is of experiment {printable(found.experiment_id)}, not of "
            f"{printable(experiment_id)}"
        ).advise(LIST_STORED)
    return found


def find_runs(
    files: Storage, catalog: Catalog, names: Sequence[str], experiments: Sequence[str] | None
) -> list[str] | None:
    """Return the runs that names stand for, each once; None for all of them.

    Args:
        files: The files of the store.
        catalog: Its manifests.
        names: Names of runs. A single word is of each experiment: its latest run, or all.
        experiments: The experiments that the runs must be of; None for any.

    Raises:
        SnapshotNotFoundError, SnapshotError: As `find_run`.
        ValueError: If "all" stands beside other names.
    """
    if list(names) == [ALL]:
        return None
    if ALL in names:
        raise ValueError(f"{ALL!r} stands for every run: give it alone, or name the runs")
    if len(names) == 1 and names[0] in _WORDS:
        runs = list_runs(files, catalog).select(_FOR_WORDS).to_pylist()
        of_each: dict[str, list[dict[str, Any]]] = {}
        for run in runs:
            of_each.setdefault(run["experiment_id"], []).append(run)
        chosen = [
            _choose_by_word(of_one, names[0])
            for experiment, of_one in of_each.items()
            if experiments is None or experiment in experiments
        ]
        return [run for run in chosen if run is not None]
    only = experiments[0] if experiments is not None and len(experiments) == 1 else None
    found = [find_run(files, catalog, name, only) for name in names]
    for one in found:
        if experiments is not None and one.experiment_id not in experiments:
            raise SnapshotNotFoundError(
                f"run {printable(one.run_id)} is of experiment {printable(one.experiment_id)}, "
                "which is not among those asked for"
            ).advise(LIST_STORED)
    return list(dict.fromkeys(one.run_id for one in found))


def _choose_by_word(runs: Sequence[dict[str, Any]], word: str) -> str | None:
    """Return the run of one experiment that a word stands for; None if there is none.

    Args:
        runs: Rows of `SnapshotStore.list`, oldest first.
        word: "latest", the newest run; "latest_ended", the newest that is complete; "previous", the
            complete one before that.
    """
    ended = [run["run_id"] for run in runs if word == LATEST or run["complete"]]
    place = 2 if word == PREVIOUS else 1
    return ended[-place] if len(ended) >= place else None


def _find_by_word(files: Storage, catalog: Catalog, word: str, experiment_id: str | None) -> str:
    runs = list_runs(files, catalog).select(_FOR_WORDS).to_pylist()
    experiments = list(dict.fromkeys(run["experiment_id"] for run in runs))
    if experiment_id is not None:
        if experiment_id not in experiments:
            raise unknown_experiment(files, experiment_id, experiments)
        runs = [run for run in runs if run["experiment_id"] == experiment_id]
        experiments = [experiment_id]
    if len(experiments) > 1:
        _refuse_several(files, word, experiments)
    found = _choose_by_word(runs, word)
    if found is not None:
        return found
    of = "" if experiment_id is None else f" of experiment {printable(experiment_id)}"
    complete = sum(run["complete"] for run in runs)
    raise SnapshotNotFoundError(
        f"there is no run {word!r}{of} in {printable(str(files))}: "
        f"{format_count(len(runs), 'run')}, {complete} of them complete"
    ).advise(LIST_STORED)


def _find_by_label(files: Storage, catalog: Catalog, name: str, experiment_id: str | None) -> str:
    found = find_labels(files, name, experiment_id)
    if len(found) > 1:
        _refuse_several(files, name, [one.experiment_id for one in found])
    if found:
        return found[0].run_id
    hint = suggest_label(files, name, _WORDS) or catalog.suggest(name)
    raise SnapshotNotFoundError(
        f"there is no run or label {printable(name)} in {printable(str(files))}{hint}"
    ).advise(LIST_STORED)


def _refuse_several(files: Storage, name: str, experiments: list[str]) -> NoReturn:
    shown = ", ".join(map(printable, experiments[:_MOST_SHOWN]))
    more = ", …" if len(experiments) > _MOST_SHOWN else ""
    raise SnapshotError(
        f"{printable(name)} can be a run of {len(experiments)} experiments in "
        f"{printable(str(files))} ({shown}{more})"
    ).advise(GIVE_EXPERIMENT)
