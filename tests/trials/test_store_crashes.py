"""A save that is cut short, refused or killed leaves what was there, or all that was to come."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import retab_frames as rf

from .crashes import CHANGES, Calls, Step, folder, plain, pooled, ready, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN = "exprun_1"
OLD, NEW = (1, 2), (1, 3, 4)
KILLS = 1_000
RUNS = 10
WORKERS = 2
ERRNOS = ("ENOSPC", "EIO", "EACCES", "EROFS", "EMFILE")
PAGE_KIB = 4
EVERY_NTH = 16
EVERY_4TH = 4


def template(place: Path, *, revised: bool) -> Path:
    root = place / "template"
    if revised:
        rf.SnapshotStore(root).write(ready(RUN, *OLD))
    else:
        root.mkdir()
    return root


def steps_of(place: Path, base: Path, only: frozenset[str] | None) -> int:
    root = Path(shutil.copytree(base, place / "counted"))
    with Calls(root, only=only).watched() as calls:
        rf.SnapshotStore(root).write(ready(RUN, *NEW))
    return len(calls.steps)


def checked(
    root: Path,
    new: rf.RunContent,
    before: tuple[int, ...] | str,
    found: Counter[str],
    *,
    again: bool = True,
) -> None:
    """Count what a cut save left, and whether the same save then succeeds."""
    store = rf.SnapshotStore(root)
    state = told(store, RUN)
    if before == "absent" and "it ends before its end" in str(state):
        # a manifest that was cut short never counted
        state = "absent"
    found["complete" if state == NEW else "as before" if state == before else "torn"] += 1
    seen = plain(root, RUN)
    found["seen twice"] += len(seen) > 1
    # before the manifest is there, plain readers see what they saw
    found["touched"] += state == before and seen != ([OLD] if before == OLD else [])
    if not again:
        return
    store.write(new)
    found["tried again"] += 1
    found["re-run"] += told(store, RUN) == NEW and plain(root, RUN) == [NEW]
    if found["re-run"] % EVERY_NTH == 0:
        found["problems"] += (store.verify()["kind"] != "leftover").sum()


def crash_at(root: Path, new: rf.RunContent, number: int, *, after: bool) -> None:
    """Save in a child that ends, without cleaning up, right before or after a system call."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return

    def end(step: int, _: Step) -> None:
        if step == number:
            os._exit(9)

    hooks = {"after": end} if after else {"before": end}
    with Calls(root, only=CHANGES, **hooks).watched():
        rf.SnapshotStore(root).write(new)
    os._exit(0)


def refuse_links(*_: object, **__: object) -> None:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def crashes_without_links(worker: int) -> Counter[str]:
    """Do the same on a file system that has no hard links."""
    os.link = refuse_links
    return crashes(worker)


def crashes(worker: int) -> Counter[str]:
    found: Counter[str] = Counter()
    with folder() as name:
        place, revised = Path(name), worker % 2 == 1
        new = ready(RUN, *NEW)
        base = template(place, revised=revised)
        for number in range(steps_of(place, base, CHANGES)):
            for after in (False, True):
                root = Path(shutil.copytree(base, place / f"{number}-{after}"))
                crash_at(root, new, number, after=after)
                checked(root, new, OLD if revised else "absent", found)
                shutil.rmtree(root)
                found["tried"] += 1
    return found


def test_crash_before_and_after_every_system_call(figure: Callable[[str], None]) -> None:
    found = pooled(crashes)
    figure(
        f"crashes before and after every system call of a save: {found['tried']} "
        f"({found['as before']} as before, {found['complete']} complete); torn: {found['torn']}; "
        f"re-runs that succeed: {found['re-run']}"
    )
    assert found["tried"] > 180
    assert found["re-run"] == found["tried"]
    assert (found["torn"], found["seen twice"], found["touched"], found["problems"]) == (0, 0, 0, 0)
    assert min(found["as before"], found["complete"]) > 20


@pytest.mark.filterwarnings("ignore:left out")
def test_crashes_where_there_are_no_hard_links(figure: Callable[[str], None]) -> None:
    found = pooled(crashes_without_links)
    figure(
        f"the same without hard links: {found['tried']} ({found['as before']} as before, "
        f"{found['complete']} complete); torn: {found['torn']}; re-runs that succeed: "
        f"{found['re-run']}"
    )
    assert found["tried"] > 140
    assert found["re-run"] == found["tried"]
    assert (found["torn"], found["seen twice"], found["touched"], found["problems"]) == (0, 0, 0, 0)
    assert min(found["as before"], found["complete"]) > 20


def kill_once(root: Path, content: rf.RunContent, delay: float) -> bool:
    """Kill a save some time after it began; return whether it had told that it was done."""
    told_by, tells = os.pipe()
    child = os.fork()
    if not child:
        os.write(tells, b"b")
        rf.SnapshotStore(root).write(content)
        os.write(tells, b"a")
        signal.pause()
    os.close(tells)
    os.read(told_by, 1)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(told_by, "rb") as pipe:
        return pipe.read() == b"a"


def kills(worker: int) -> Counter[str]:
    found: Counter[str] = Counter()
    chance, longest = random.Random(worker), 0.05
    contents = {
        (f"run_{n}", (n, other)): ready(f"run_{n}", n, other)
        for other in (1, 2)
        for n in range(RUNS)
    }
    while found["killed"] < KILLS // WORKERS:
        with folder() as name:
            root = Path(name) / "store"
            store = rf.SnapshotStore(root)
            # first each run is created, then it is revised, twice
            for (run_id, after), content in [*contents.items(), *list(contents.items())[:RUNS]]:
                before = told(store, run_id)
                acknowledged = kill_once(root, content, chance.uniform(0, longest))
                # so that the times stay spread over a save, however busy the machine is
                longest *= 0.95 if acknowledged else 1.05
                state = told(store, run_id)
                found["killed"] += 1
                found["acknowledged"] += acknowledged
                found["complete"] += state == after
                found["torn"] += state not in (before, after)
                found["missing"] += acknowledged and state != after
                store.write(content)
                found["re-run"] += told(store, run_id) == after and plain(root, run_id) == [after]
            found["problems"] += int((store.verify()["kind"] != "leftover").sum())
    return found


def test_kills_at_random_times(figure: Callable[[str], None]) -> None:
    found = pooled(kills)
    figure(
        f"saves killed at a random time: {found['killed']:,}; torn: {found['torn']}; acknowledged "
        f"but missing: {found['missing']}; re-runs that succeed: {found['re-run']:,}"
    )
    assert found["killed"] >= KILLS
    assert (found["torn"], found["missing"], found["problems"]) == (0, 0, 0)
    assert found["re-run"] == found["killed"]
    # the kills are spread over the whole of a save
    assert KILLS // 20 < found["acknowledged"] <= found["complete"] < KILLS * 19 // 20


def refused_at(root: Path, new: rf.RunContent, number: int, code: int) -> str:
    """Save while one system call fails; return what became of it."""

    def refuse(step: int, _: Step) -> None:
        if step == number:
            raise OSError(code, os.strerror(code))

    try:
        with Calls(root, before=refuse).watched():
            rf.SnapshotStore(root).write(new)
    except rf.SnapshotError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - these are what the trial looks for
        return f"foreign: {type(error).__name__}: {error}"
    return "written"


def refusals(worker: int) -> Counter[str]:
    found: Counter[str] = Counter()
    with folder() as name:
        place, new = Path(name), ready(RUN, *NEW)
        base = template(place, revised=True)
        steps = steps_of(place, base, None)
        for n, code in enumerate(ERRNOS):
            for number in range((worker + n) % WORKERS, steps, WORKERS):
                root = Path(shutil.copytree(base, place / f"{code}-{number}"))
                outcome = refused_at(root, new, number, getattr(errno, code))
                found[outcome] += 1
                done = told(rf.SnapshotStore(root), RUN) == NEW
                found["written but missing"] += outcome == "written" and not done
                checked(root, new, OLD, found, again=number % EVERY_4TH == 0)
                shutil.rmtree(root)
                found["tried"] += 1
    return found


def test_every_error_at_every_system_call(figure: Callable[[str], None]) -> None:
    found = pooled(refusals)
    foreign = {what: n for what, n in found.items() if what.startswith("foreign")}
    figure(
        f"errors at every system call of a save, {', '.join(ERRNOS)}: {found['tried']:,} "
        f"({found['refused']:,} refused); partial: {found['torn'] + found['touched']}; foreign "
        f"exceptions: {sum(foreign.values())}"
    )
    assert foreign == {}
    assert (found["torn"], found["touched"], found["seen twice"]) == (0, 0, 0)
    assert found["written but missing"] == 0
    assert found["re-run"] == found["tried again"] > 60
    assert found["tried"] > 50 * len(ERRNOS)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Return what mounts a file system of so many KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted: list[Path] = []

    def mount(kib: int) -> Path:
        for path in mounted:
            subprocess.run(["umount", path], check=True)  # noqa: S607
        mounted.clear()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for path in mounted:
        subprocess.run(["umount", path], check=True)  # noqa: S607


def test_full_disk(small_disk: Callable[[int], Path], figure: Callable[[str], None]) -> None:
    found: Counter[str] = Counter()
    old, new = ready(RUN, *OLD), ready(RUN, *range(2_000))
    for kib in range(PAGE_KIB, 260, PAGE_KIB):
        root = small_disk(kib) / "store"
        store = rf.SnapshotStore(root)
        for content in (old, new):
            before = told(store, RUN)
            try:
                store.write(content)
                found["written"] += 1
            except rf.SnapshotWriteError:
                found["refused"] += 1
                found["partial"] += told(store, RUN) != before
                found["temporary"] += sum(1 for _ in root.rglob("*.tmp"))
    figure(
        f"saves on file systems of {PAGE_KIB} to 256 KiB: {found['written'] + found['refused']} "
        f"({found['refused']} found no room); partial: {found['partial']}"
    )
    assert (found["partial"], found["temporary"]) == (0, 0)
    assert min(found["written"], found["refused"]) > 10
