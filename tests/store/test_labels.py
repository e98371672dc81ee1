"""Names for runs: labels, and the words latest, latest_ended and previous."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from factories import run

import retab_frames as rf
from retab_frames.store import labels
from retab_frames.store.manifest import seal

if TYPE_CHECKING:
    from collections.abc import Callable

HEX = "0" * 32


def run_of(name: str, experiment: str, minute: int, status: str = "completed") -> rf.RunContent:
    """Return a run of one job, created at this minute."""
    return run(
        {"experiment_id": experiment, "status": status},
        run_id=name,
        experiment_id=experiment,
        timing={"created_at": f"2026-11-01T08:{minute:02}:00Z"},
    )


@pytest.fixture
def store(tmp_path: Path) -> rf.SnapshotStore:
    made = rf.SnapshotStore(tmp_path / "store")
    for number, status in enumerate(["completed", "completed", "error", "running"], start=1):
        made.write(run_of(f"exprun_a{number}", "exp_a", number, status))
    made.write(run_of("exprun_b1", "exp_b", 9))
    return made


def label_file(store: rf.SnapshotStore) -> Path:
    [file] = Path(store.root).glob("labels/*/*.json")
    return file


@pytest.mark.parametrize(
    ("name", "experiment", "found"),
    [
        ("exprun_a2", None, "exprun_a2"),
        ("latest", "exp_a", "exprun_a4"),
        ("latest_ended", "exp_a", "exprun_a3"),
        ("previous", "exp_a", "exprun_a2"),
        ("latest", "exp_b", "exprun_b1"),
        ("baseline", None, "exprun_a1"),
        ("baseline", "exp_a", "exprun_a1"),
        ("Übung 7/8", None, "exprun_b1"),
    ],
)
def test_names_stand_for_runs(
    store: rf.SnapshotStore, name: str, experiment: str | None, found: str
) -> None:
    store.label("exprun_a1", "baseline")
    store.label("latest", "Übung 7/8", experiment_id="exp_b")
    assert store.resolve(name, experiment_id=experiment) == found
    assert store.read(name, experiment_id=experiment).run_id == found


@pytest.mark.parametrize(
    ("name", "experiment", "message"),
    [
        ("latest", None, "latest can be a run of 2 experiments in .*; give experiment_id"),
        (
            "previous",
            "exp_b",
            "no run 'previous' of experiment exp_b .*: 1 run, 1 of them complete",
        ),
        ("latest", "exp_c", r"no run of experiment exp_c in .* \(did you mean exp_[ab]\?\)"),
        ("basline", None, r"no run or label basline in .* \(did you mean baseline\?\)"),
        ("exprun_a9", None, r"no run or label exprun_a9 in .* \(did you mean exprun_a\d\?\)"),
        ("exprun_a1", "exp_b", "run exprun_a1 is of experiment exp_a, not of exp_b"),
        ("baseline", None, "baseline can be a run of 2 experiments"),
        ("all", None, "no run or label all in"),
    ],
)
def test_a_name_of_no_run_or_of_several_says_what_to_do(
    store: rf.SnapshotStore, name: str, experiment: str | None, message: str
) -> None:
    store.label("exprun_a1", "baseline")
    store.label("exprun_b1", "baseline")
    with pytest.raises(rf.SnapshotError, match=message) as told:
        store.resolve(name, experiment_id=experiment)
    assert told.value.next_step is not None


def test_a_label_moves_within_its_experiment(store: rf.SnapshotStore) -> None:
    store.label("exprun_a1", "prod")
    store.label("exprun_a1", "baseline")
    store.label("exprun_a2", "prod")
    store.label("exprun_b1", "prod")
    runs = store.list().set_index("run_id")["labels"].dropna().to_dict()
    assert runs == {"exprun_a1": "baseline", "exprun_a2": "prod", "exprun_b1": "prod"}
    store.label("exprun_a2", "baseline")
    assert store.list().set_index("run_id")["labels"]["exprun_a2"] == "baseline, prod"


def test_unlabel(store: rf.SnapshotStore) -> None:
    store.label("exprun_a1", "prod")
    store.label("exprun_b1", "prod")
    with pytest.raises(
        rf.SnapshotError, match=r"2 experiments have the label prod \(exp_a, exp_b\)"
    ):
        store.unlabel("prod")
    store.unlabel("prod", experiment_id="exp_a")
    assert store.resolve("prod") == "exprun_b1"
    with pytest.raises(
        rf.SnapshotNotFoundError, match=r"no label prd in .* \(did you mean prod\?\)"
    ):
        store.unlabel("prd")


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("", "is empty"),
        (" prod", "spaces around it"),
        ("a\nb", "cannot be seen"),
        ("x" * 65, "has 65 characters, the most is 64"),
        ("--yes", "begins as an option"),
        ("latest", "has a meaning of its own"),
        ("all", "has a meaning of its own"),
        ("exprun_a2", "is the id of a run"),
    ],
)
def test_labels_that_are_refused(store: rf.SnapshotStore, label: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        store.label("exprun_a1", label)
    assert store.list()["labels"].isna().all()


def test_a_label_of_another_type_is_refused(store: rf.SnapshotStore) -> None:
    label: Any = 7
    with pytest.raises(TypeError, match="a label is text, not int"):
        store.label("exprun_a1", label)


def damage(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"exprun_a1", b"exprun_a2"))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20])


def rename(file: Path) -> None:
    file.rename(file.with_name(file.name.replace("prod", "dorp")))


@pytest.mark.parametrize("change", [damage, cut, rename])
def test_a_damaged_label_is_told_and_goes_with_its_run(
    store: rf.SnapshotStore, change: Callable[[Path], None]
) -> None:
    store.label("exprun_a1", "prod")
    change(label_file(store))
    with pytest.warns(rf.RetabFramesWarning, match="labels/.* is damaged: .*set the label again"):
        assert store.list()["labels"].isna().all()
    problems = store.verify()
    assert problems["kind"].tolist() == ["damaged"]
    assert problems["action"].tolist() == ["set the label again, or delete it"]
    store.remove("exprun_a1", dry_run=False)
    assert not list(Path(store.root).glob("labels/*/*"))


def test_a_label_of_a_run_that_is_gone(store: rf.SnapshotStore) -> None:
    store.label("exprun_a1", "prod")
    kept = label_file(store).read_bytes()
    store.remove("exprun_a1", dry_run=False)
    folder = Path(store.root, "labels")
    assert not list(folder.glob("*/*"))
    store.label("exprun_a2", "prod")
    label_file(store).write_bytes(kept)
    with pytest.raises(rf.SnapshotNotFoundError, match="prod is of run exprun_a1, which is not in"):
        store.read("prod")
    assert store.verify()["kind"].tolist() == ["stray"]


def test_a_run_removed_meanwhile_has_no_label(
    store: rf.SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_first(struct: Any) -> bytes:
        store.remove("exprun_a1", dry_run=False)
        return seal(struct)

    monkeypatch.setattr(labels, "seal", remove_first)
    with pytest.raises(rf.SnapshotNotFoundError, match="exprun_a1 was removed meanwhile"):
        store.label("exprun_a1", "prod")
    assert not list(Path(store.root).glob("labels/*/*"))


def test_leftovers_of_labels_are_cleaned_and_others_are_told(store: rf.SnapshotStore) -> None:
    store.label("exprun_a1", "prod")
    file = label_file(store)
    left = file.with_name(f".{file.name}.{HEX}.tmp")
    left.write_bytes(b"x")
    file.with_name("notes.txt").write_text("mine")
    problems = store.verify().set_index("kind")["file"].to_dict()
    assert {kind: Path(name).name for kind, name in problems.items()} == {
        "leftover": left.name,
        "stray": "notes.txt",
    }


def test_labels_in_a_bucket() -> None:
    made = rf.SnapshotStore("memory://labels")
    made.write(run_of("exprun_a1", "exp_a", 1))
    made.label("latest", "prod")
    assert made.list()["labels"].tolist() == ["prod"]
    assert rf.SnapshotStore("memory://labels").read("prod").run_id == "exprun_a1"
    made.remove("exprun_a1", dry_run=False)
    assert made.list().empty
