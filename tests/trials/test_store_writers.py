"""Many processes write one run at once: of each revision there is one winner."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import retab_frames as rf

from .crashes import folder, plain, pooled, ready, told

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSES = 6
ROUNDS = 20


def raced(root: Path, contents: list[rf.RunContent]) -> list[str]:
    """Write the contents at the same moment, each from a process; return what became of each."""
    told_by, tells = os.pipe()
    waits, start = os.pipe()
    for number, content in enumerate(contents):
        if not os.fork():
            os.close(start)
            os.read(waits, 1)
            try:
                written = rf.SnapshotStore(root).write(content)
                result = f"{written.action} {written.revision}"
            except rf.SnapshotConflictError:
                result = "conflict"
            except BaseException as error:  # noqa: BLE001 - whatever it is, the round tells of it
                result = f"foreign: {type(error).__name__}"
            os.write(tells, f"{number} {result}\n".encode())
            os._exit(0)
    os.close(tells)
    os.close(waits)
    os.close(start)
    for _ in contents:
        os.wait()
    with os.fdopen(told_by) as lines:
        results = dict(line.rstrip("\n").split(" ", 1) for line in lines)
    return [results.get(str(number), "died") for number in range(len(contents))]


def rounds(_: int) -> Counter[str]:
    found: Counter[str] = Counter()
    with folder() as name:
        root = Path(name) / "store"
        store = rf.SnapshotStore(root)
        for number in range(ROUNDS):
            run_id, equal = f"run_{number}", number % 2
            contents = [ready(run_id, 0 if equal else n, 1) for n in range(PROCESSES)]
            results = raced(root, contents)
            made = [one.split()[1] for one in results if one.startswith(("created", "revised"))]
            won = {one.split()[1]: n for n, one in enumerate(results) if one.split()[-1] in made}
            newest = max(made, key=int, default="0")
            last = (0, 1) if equal else (won.get(newest), 1)
            found["rounds"] += 1
            found["more than one winner"] += len(set(made)) != len(made) or "1" not in made
            found["lost"] += told(store, run_id) != last or plain(root, run_id) != [last]
            found["odd"] += any(one.startswith(("foreign", "died")) for one in results)
            for one in results:
                found[one.split()[0]] += 1
        found["problems"] += int((store.verify("full")["kind"] != "leftover").sum())
    return found


def test_one_winner_each(figure: Callable[[str], None]) -> None:
    found = pooled(rounds, 1)
    figure(
        f"{PROCESSES} processes write one run at once, rounds: {found['rounds']}; with more than "
        f"one winner: {found['more than one winner']}; with another content than the winner's: "
        f"{found['lost']}"
    )
    wrong = ("more than one winner", "lost", "odd", "problems")
    assert {name: found[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert found["rounds"] == found["created"] == ROUNDS
    assert found["conflict"] + found["unchanged"] > PROCESSES


def rounds_that_overwrite(worker: int) -> Counter[str]:
    """Do the same where a link replaces what has its name already."""
    link = os.link

    def overwrite(source: Path, target: Path, **options: bool) -> None:
        if target.suffix == ".json":
            os.replace(source, target)  # noqa: PTH105
        else:
            link(source, target, **options)

    os.link = overwrite  # type: ignore[assignment]
    return rounds(worker)


def test_without_create_if_absent_there_is_more_than_one(figure: Callable[[str], None]) -> None:
    found = pooled(rounds_that_overwrite, 1)
    figure(
        f"the same without create-if-absent: rounds with more than one winner: "
        f"{found['more than one winner']} of {found['rounds']}"
    )
    assert found["more than one winner"] > 0
