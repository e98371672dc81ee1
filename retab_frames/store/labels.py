"""Labels: names that people give to runs, such as "baseline", one file each.

    <root>/labels/<experiment>/<label>.json

A label is of one experiment, so that each can have its "baseline". The file is replaced as a whole;
who reads it finds the old run or the new one.
"""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from retab_frames.errors import (
    RetabFramesWarning,
    SnapshotCorruptError,
    SnapshotError,
    SnapshotNotFoundError,
)
from retab_frames.schemas.vocabulary import STORE_WORDS
from retab_frames.store.manifest import check_seal, folder_name, seal
from retab_frames.text.messages import did_you_mean, printable
from retab_frames.text.next_steps import GIVE_EXPERIMENT, LIST_STORED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from retab_frames.store.catalog import Catalog
    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import Manifest

__all__ = [
    "LABELS",
    "LABEL_FILE",
    "Label",
    "delete_label",
    "find_labels",
    "label_files",
    "label_files_of_run",
    "labels_by_run",
    "parse_label",
    "set_label",
    "suggest_label",
]

LABELS = "labels"
"""The folder of all labels."""
LABEL_FILE = re.compile(
    rf"{LABELS}/([a-z0-9][a-z0-9_-]*-[0-9a-f]{{16}})/[a-z0-9][a-z0-9_-]*-[0-9a-f]{{16}}\.json"
)
_FORMAT = "retab-frames-label"
_VERSION = 1
_MOST_BYTES = 2**16
_MOST_LENGTH = 64
_REMEDY = "set the label again"

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A name for a run of an experiment; `seal` adds the hash that shows whether it is altered."""

    format: str = _FORMAT
    version: int = _VERSION
    label: Text
    experiment_id: Text
    run_id: Text
    set_at: str
    seal: str = ""

    @property
    def file(self) -> str:
        """Its file, from the root."""
        return f"{LABELS}/{folder_name(self.experiment_id)}/{folder_name(self.label)}.json"


_decoder = msgspec.json.Decoder(Label)


def set_label(files: Storage, catalog: Catalog, run: Manifest, label: str) -> None:
    """Give a run a label; the run of this experiment that had it loses it.

    Raises:
        ValueError: If the label is empty, too long, or stands for something else.
        SnapshotNotFoundError: If the run is removed meanwhile.
        SnapshotWriteError: If the file system refuses.
    """
    _check(catalog, label)
    made = Label(
        label=label,
        experiment_id=run.experiment_id,
        run_id=run.run_id,
        set_at=datetime.now(UTC).isoformat(),
    )
    files.put(made.file, seal(made))
    files.flush_folder(made.file.rpartition("/")[0])
    files.flush_folder(LABELS)
    if catalog.newest(run.run_id) is None:
        # whoever removes a run marks it first, and then looks for its labels
        files.delete(made.file)
        raise SnapshotNotFoundError(
            f"run {printable(run.run_id)} was removed meanwhile, so it has no label"
        ).advise(LIST_STORED)


def _check(catalog: Catalog, label: str) -> None:
    if not isinstance(label, str):
        raise TypeError(f"a label is text, not {type(label).__name__}")
    problem = None
    if not label.strip() or label != label.strip() or not label.isprintable():
        problem = "is empty, or has spaces around it or characters that cannot be seen"
    elif len(label) > _MOST_LENGTH:
        problem = f"has {len(label)} characters, the most is {_MOST_LENGTH}"
    elif label.startswith("-"):
        problem = "begins as an option of the shell does"
    elif label in STORE_WORDS:
        problem = f"has a meaning of its own, as {', '.join(STORE_WORDS)} have"
    elif catalog.newest(label) is not None:
        problem = "is the id of a run in this store"
    if problem is not None:
        raise ValueError(f"the label {printable(repr(label))} {problem}: choose another one")


def delete_label(files: Storage, label: str, experiment_id: str | None) -> None:
    """Delete a label; its run stays.

    Raises:
        SnapshotNotFoundError: If there is no such label.
        SnapshotError: If several experiments have it, and none is given.
        SnapshotWriteError: If the file system refuses.
    """
    found = find_labels(files, label, experiment_id)
    if not found:
        raise SnapshotNotFoundError(
            f"there is no label {printable(label)} in {printable(str(files))}"
            f"{suggest_label(files, label)}"
        ).advise(LIST_STORED)
    if len(found) > 1:
        names = ", ".join(printable(one.experiment_id) for one in found)
        raise SnapshotError(
            f"{len(found)} experiments have the label {printable(label)} ({names})"
        ).advise(GIVE_EXPERIMENT)
    files.delete(found[0].file)
    files.flush_folder(found[0].file.rpartition("/")[0])


def suggest_label(files: Storage, label: str, words: Iterable[str] = ()) -> str:
    """Return which experiments have a label, or else " (did you mean X?)" with the nearest one.

    Args:
        files: The files of the store.
        label: The label that the experiment, or the store, does not have.
        words: What can be meant besides labels.
    """
    stored = list(_read_all(files))
    owners = sorted({one.experiment_id for one in stored if one.label == label})
    if owners:
        return f" for this experiment, only for {printable(', '.join(owners))}"
    return did_you_mean(label, [*words, *{one.label for one in stored}])


def find_labels(files: Storage, label: str, experiment_id: str | None) -> list[Label]:
    """Return the label of each experiment, or of the one given, that has it."""
    name = f"{folder_name(label)}.json"
    folders = files.names(LABELS) if experiment_id is None else [folder_name(experiment_id)]
    found = (_read_label(files, f"{LABELS}/{folder}/{name}") for folder in folders)
    return [one for one in found if one is not None and one.label == label]


def _read_label(files: Storage, file: str) -> Label | None:
    """Return the label in a file, None if there is none; a damaged one gives a warning."""
    try:
        return parse_label(files, file)
    except FileNotFoundError:
        return None
    except SnapshotError as error:
        warnings.warn(f"left out: {error}", RetabFramesWarning, stacklevel=5)
        return None


def parse_label(files: Storage, file: str) -> Label:
    """Return the label in a file.

    Raises:
        FileNotFoundError: If there is none.
        SnapshotCorruptError: If it is damaged.
        SnapshotError: If it cannot be read, or a newer version of this library wrote it.
    """
    body = check_seal(files.read(file, _MOST_BYTES), file, _FORMAT, _VERSION, _REMEDY)
    try:
        found = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        problem = printable(error, 200)
    else:
        if found.file == file:
            return found
        problem = f"it is the label {printable(found.label)} of another experiment, or was renamed"
    raise SnapshotCorruptError(f"{printable(file)} is damaged: {problem}; {_REMEDY}", file=file)


def label_files(files: Storage) -> Iterator[str]:
    """Yield the files of all labels."""
    for folder, names in files.subfolders(LABELS):
        yield from (
            file
            for name in names or ()
            if LABEL_FILE.fullmatch(file := f"{LABELS}/{folder}/{name}")
        )


def _read_all(files: Storage) -> Iterator[Label]:
    yield from filter(None, (_read_label(files, file) for file in label_files(files)))


def labels_by_run(files: Storage) -> dict[str, list[str]]:
    """Return the labels of each run that has some, sorted."""
    found: dict[str, list[str]] = {}
    for one in sorted(_read_all(files), key=lambda one: one.label):
        found.setdefault(one.run_id, []).append(one.label)
    return found


def label_files_of_run(files: Storage, run: Manifest) -> Iterator[str]:
    """Yield the files of the labels of a run, and those of its experiment that cannot be read.

    Such a one, or a temporary file of a writer that was killed, may have the id of the run in it.
    """
    folder = f"{LABELS}/{folder_name(run.experiment_id)}"
    for name in files.names(folder):
        file = f"{folder}/{name}"
        if name.startswith(".") and name.endswith(".tmp"):
            yield file
        elif LABEL_FILE.fullmatch(file):
            try:
                is_of_run = parse_label(files, file).run_id == run.run_id
            except FileNotFoundError:
                continue
            except SnapshotError:
                is_of_run = True
            if is_of_run:
                yield file
