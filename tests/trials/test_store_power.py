"""A power cut at any moment of a save, in a model of what a disk keeps.

The calls of two saves of one run are written down. For a cut after each call, the disk has what was
flushed, and any part of the rest:

- bytes of a file are kept once the file is flushed; before, all or none of them may be there;
- a name (made, linked, removed) is kept once its folder is flushed; before, any subset of the names
  that are under way may be there;
- a renaming is one change, kept once the folder of the new name is flushed.

Each different state is laid out as files and read by the store. What was acknowledged before the
cut must be there; otherwise the run is as before or complete.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import retab_frames as rf
from retab_frames.store.table_versions import TABLES

from .crashes import Calls, Step, folder, ready, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN = "exprun_1"
SAVES = ((1, 2), (1, 3, 4))
CHANGES = frozenset(("mkdir", "link", "unlink", "replace", "create", "write", "fsync"))
EXHAUSTIVE = 6
SAMPLED = 24
MOST = 400


class Change(NamedTuple):
    """A change of names: a folder made, a name given to a file, a name taken away, or both."""

    made: str | None
    inode: int | None
    removed: str | None

    @property
    def folder(self) -> str:
        return str(Path(self.made or self.removed or "").parent)


class Disk:
    """What was asked of the disk so far: names under way and kept, bytes under way and kept."""

    def __init__(self) -> None:
        self.kept: list[Change] = []
        self.under_way: list[Change] = []
        self.names: dict[str, int] = {}
        self.bytes: list[bytes] = []
        self.flushed: list[int] = []

    def take(self, step: Step) -> None:
        path, *rest = step.arguments
        if step.call == "create":
            self.names[path] = len(self.bytes)
            self.bytes.append(b"")
            self.flushed.append(0)
            self.under_way.append(Change(path, self.names[path], None))
        elif step.call == "write":
            self.bytes[self.names[path]] += rest[0]
        elif step.call == "mkdir":
            self.under_way.append(Change(path, None, None))
        elif step.call == "link":
            self.names[rest[0]] = self.names[path]
            self.under_way.append(Change(rest[0], self.names[path], None))
        elif step.call == "unlink":
            del self.names[path]
            self.under_way.append(Change(None, None, path))
        elif step.call == "replace":
            self.names[rest[0]] = self.names.pop(path)
            self.under_way.append(Change(rest[0], self.names[rest[0]], path))
        elif path in self.names:
            self.flushed[self.names[path]] = len(self.bytes[self.names[path]])
        else:
            self.kept += [one for one in self.under_way if one.folder == path]
            self.under_way = [one for one in self.under_way if one.folder != path]

    def states(self, chance: random.Random) -> Iterator[dict[str, bytes]]:
        """Yield what may be on the disk after a cut: the bytes of each file that has a name."""
        picks: Iterator[tuple[bool, ...]]
        if len(self.under_way) <= EXHAUSTIVE:
            picks = itertools.product((False, True), repeat=len(self.under_way))
        else:
            count = len(self.under_way)
            some = [tuple(chance.random() < 0.5 for _ in range(count)) for _ in range(SAMPLED)]
            picks = iter([(True,) * count, (False,) * count, *some])
        for pick in picks:
            names, folders = self._names(pick)
            for whole in (True, False):
                yield {
                    path: self.bytes[n] if whole else self.bytes[n][: self.flushed[n]]
                    for path, n in names.items()
                    if all(str(parent) in folders for parent in Path(path).parents)
                }

    def _names(self, pick: tuple[bool, ...]) -> tuple[dict[str, int], set[str]]:
        names: dict[str, int] = {}
        folders = {"", ".", "/"}
        there = [one for one, is_there in zip(self.under_way, pick, strict=True) if is_there]
        for change in [*self.kept, *there]:
            if change.removed is not None:
                names.pop(change.removed, None)
            if change.made is not None and change.inode is None:
                folders.add(change.made)
            elif change.made is not None and change.inode is not None:
                names[change.made] = change.inode
        return names, folders


def recorded() -> list[Step | int]:
    """Return the calls of the saves, paths from the root, and after each its number."""
    with folder() as place:
        root = Path(place) / "store"
        told_of: list[Step | int] = []

        def write_down(_: int, step: Step) -> None:
            last = [one for one in step.arguments if isinstance(one, str)][-1]
            if Path(last).relative_to(place).parts[1:2] in [(table,) for table in TABLES]:
                # views are made again, so it does not matter what is left of them
                return
            paths = (
                str(Path(one).relative_to(place)) if isinstance(one, str) else one
                for one in step.arguments
            )
            told_of.append(Step(step.call, tuple(paths)))

        for number, durations in enumerate(SAVES):
            content = ready(RUN, *durations)
            with Calls(Path(place), after=write_down, only=CHANGES).watched():
                rf.SnapshotStore(root).write(content)
            told_of.append(number)
    return told_of


def laid_out(place: Path, state: dict[str, bytes]) -> rf.SnapshotStore:
    for name, data in state.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return rf.SnapshotStore(place / "store")


def cut(steps: list[Step | int], most: int | None = None) -> tuple[int, int, int]:
    """Cut the power after every call; return the states tried, torn, and acknowledged but gone."""
    chance, disk = random.Random(7), Disk()
    seen: dict[int, set[frozenset[tuple[str, bytes]]]] = {}
    acknowledged = 0
    for step in steps:
        if isinstance(step, int):
            acknowledged = step + 1
        else:
            disk.take(step)
        for kept in disk.states(chance):
            seen.setdefault(acknowledged, set()).add(frozenset(kept.items()))
    tried = [(done, state) for done, states in seen.items() for state in sorted(states, key=sorted)]
    if most is not None and len(tried) > most:
        tried = chance.sample(tried, most)
    torn = gone = 0
    for done, state in tried:
        with folder() as place:
            found = told(laid_out(Path(place), dict(state)), RUN)
        torn += isinstance(found, str) and found.startswith("torn")
        allowed = [("absent", *SAVES)[done], SAVES[done]] if done < len(SAVES) else [SAVES[-1]]
        gone += found not in allowed and not str(found).startswith("torn")
    return len(tried), torn, gone


def is_flush(step: Step | int, *, of_folder: bool) -> bool:
    if isinstance(step, int) or step.call != "fsync":
        return False
    return (Path(step.arguments[0]).suffix not in {".tmp", ".json", ".parquet"}) == of_folder


def test_power_cut_after_every_call(figure: Callable[[str], None]) -> None:
    steps = recorded()
    tried, torn, gone = cut(steps)
    figure(
        f"states of the disk after a power cut at any call of two saves, modelled: {tried}; torn: "
        f"{torn}; acknowledged but gone: {gone}"
    )
    assert (torn, gone) == (0, 0)
    assert tried > 60


def test_without_flushing_there_is_loss(figure: Callable[[str], None]) -> None:
    steps = recorded()
    no_file = [step for step in steps if not is_flush(step, of_folder=False)]
    no_folder = [step for step in steps if not is_flush(step, of_folder=True)]
    assert len(steps) > len(no_file) > len(no_folder) > 0
    for what, fewer in (("files", no_file), ("folders", no_folder)):
        tried, torn, gone = cut(fewer, MOST)
        figure(
            f"the same without flushing {what}, {tried} states: torn: {torn}; acknowledged but "
            f"gone: {gone}"
        )
        assert torn + gone > 0
