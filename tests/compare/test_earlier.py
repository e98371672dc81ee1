"""Earlier runs of one definition, given or found in a store."""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from factories import run, timed
from scipy import stats

import retab_frames as rf
from retab_frames.compare.gate import check_regression

if TYPE_CHECKING:
    from pathlib import Path

RECORD = {"definition_fingerprint": "d1", "documents_fingerprint": "set1", "status": "completed"}
DOCUMENTS = 12


def noisy_run(name: str, *, shift: float = 0, day: int = 1, **record: Any) -> rf.RunContent:
    """Return a run of the same documents that is shifted as a whole; each job scatters by 5 %."""
    chance = np.random.default_rng(sum(map(ord, name)))
    base = np.geomspace(1_000, 60_000, DOCUMENTS)
    durations = base * np.exp(shift + chance.normal(0, 0.05, DOCUMENTS))
    created = f"2026-01-{day:02}T00:00:00Z"
    fields = RECORD | {"created_at": created} | record
    return run(*({"duration_ms": round(ms)} for ms in durations), run_id=name, **fields)


BASELINE = noisy_run("base", shift=0.05, day=5)
CANDIDATE = noisy_run("new", shift=0.25, day=9)
EARLIER = [noisy_run(f"old{n}", shift=s, day=n + 1) for n, s in enumerate((-0.05, 0.02, 0, 0.06))]


def typical(before: rf.RunContent, after: rf.RunContent) -> float:
    """Return the median of the Walsh averages of the log ratios."""
    old, new = (side.jobs["duration_ms"].to_numpy(float) for side in (before, after))
    logs = np.log(new / old)
    first, second = np.triu_indices(len(logs))
    return float(np.median((logs[first] + logs[second]) / 2))


@pytest.mark.parametrize("count", [1, 4])
def test_the_change_is_students_t_of_the_runs(count: int) -> None:
    found = rf.compare_runs(BASELINE, CANDIDATE, earlier=EARLIER[:count])

    runs = [BASELINE, *EARLIER[:count]]
    k = len(runs)
    squares = [typical(a, b) ** 2 for n, a in enumerate(runs) for b in runs[:n]]
    spread = math.sqrt(sum(squares) / (k * (k - 1)))
    mean = float(np.mean([typical(one, CANDIDATE) for one in runs]))
    reach = stats.t(k - 1).ppf(0.975) * spread * math.sqrt(1 + 1 / k)
    speed = found.speed.iloc[0]
    expected = [math.exp(mean), math.exp(mean - reach), math.exp(mean + reach)]
    assert speed[["ratio", "ratio_low", "ratio_high"]].tolist() == pytest.approx(expected)
    assert speed["interval"] == "runs"
    assert found.verdict == speed["verdict"] == ("inconclusive" if count == 1 else "slower")
    # of two runs alone it is the shift of the baseline too
    assert found.ratio.ratio == pytest.approx(math.exp(typical(BASELINE, CANDIDATE)))
    assert found.earlier is not None
    assert found.earlier.runs["run_id"].tolist() == ["base", *(f"old{n}" for n in range(count))]
    assert found.earlier.runs["used"].all()
    assert found.earlier.runs["pairs"].tolist() == [DOCUMENTS] * k
    ratios = [math.exp(typical(one, CANDIDATE)) for one in runs]
    assert found.earlier.runs["ratio"].tolist() == pytest.approx(ratios)


def test_the_words_are_about_the_definition() -> None:
    told = rf.compare_runs(BASELINE, CANDIDATE, earlier=EARLIER).summary().splitlines()[-1]

    assert told.startswith("Speed: slower. A typical document takes ")
    assert " longer than in 5 runs of the baseline's definition (95 % interval +" in told
    assert "; 12 documents in each of 5 runs). All together, in the two runs alone: " in told
    assert "These two runs" not in told
    assert "earlier runs would tell" not in told


def test_the_gate_takes_the_interval_of_the_runs() -> None:
    few, many = (
        check_regression(
            rf.compare_runs(BASELINE, CANDIDATE, earlier=EARLIER[:count]),
            max_broken=None,
            max_slowdown=0.05,
        )
        for count in (1, 4)
    )

    assert few["outcome"].tolist() == ["inconclusive"]
    assert many["outcome"].tolist() == ["regression"]
    alone = rf.compare_runs(BASELINE, CANDIDATE, earlier=[])
    missing = check_regression(alone, max_broken=None, max_slowdown=0.05)
    assert missing["outcome"].tolist() == ["missing"]
    assert missing["reason"].tolist() == [
        "too few runs of the baseline's definition for an interval"
    ]


def test_without_another_run_of_the_definition_nothing_is_known() -> None:
    found = rf.compare_runs(BASELINE, CANDIDATE, earlier=[])

    assert found.verdict == "inconclusive"
    speed = found.speed.iloc[0]
    assert speed["interval"] == "none"
    assert speed[["ratio_low", "ratio_high", "p_value", "detectable_ratio"]].isna().all()
    told = "Speed: not known. This takes two runs of the baseline's definition, with documents"
    assert told in found.summary()
    assert "in the candidate; the baseline is the only one." in found.summary()
    assert found.earlier is not None
    assert found.earlier.runs["used"].tolist() == [False]


def test_an_earlier_run_counts_once() -> None:
    earlier = timed(*[100] * 8, run_id="e")
    with pytest.raises(ValueError, match="earlier run e is given twice"):
        rf.compare_runs(BASELINE, CANDIDATE, earlier=[earlier, earlier])


def test_runs_that_do_not_differ_give_no_measure() -> None:
    same = [timed(*[100] * 8, run_id=f"r{n}") for n in range(3)]
    found = rf.compare_runs(same[0], timed(*[150] * 8, run_id="s"), earlier=same[1:])

    assert found.verdict == "inconclusive"
    told = "Speed: not known. The 3 runs of the baseline's definition do not differ at all, so"
    assert told in found.summary()


def test_a_baseline_without_documents_of_its_own_is_left_out() -> None:
    taken_over = [{"id": f"new/job_{n}", "duration_ms": 900} for n in range(DOCUMENTS)]
    baseline = run(*taken_over, run_id="base", **RECORD)
    found = rf.compare_runs(baseline, CANDIDATE, earlier=EARLIER)

    assert found.earlier is not None
    assert found.earlier.runs["used"].tolist() == [False, True, True, True, True]
    assert found.speed["pairs"].tolist() == [0]
    assert found.verdict == "slower"
    assert "12 documents in each of 4 runs)" in found.summary()


def test_the_order_of_the_runs_makes_no_difference() -> None:
    there, back = (
        rf.compare_runs(BASELINE, CANDIDATE, earlier=runs) for runs in (EARLIER, EARLIER[::-1])
    )

    pd.testing.assert_frame_equal(there.speed, back.speed)
    # the baseline among them counts once
    again = rf.compare_runs(BASELINE, CANDIDATE, earlier=[*EARLIER, BASELINE])
    pd.testing.assert_frame_equal(there.speed, again.speed)
    frames = rf.compare_runs(
        BASELINE.jobs, CANDIDATE.jobs, earlier=[content.jobs for content in EARLIER]
    )
    pd.testing.assert_frame_equal(there.speed, frames.speed)


@pytest.fixture
def store(tmp_path: Path) -> rf.SnapshotStore:
    made = rf.SnapshotStore(tmp_path / "store")
    for content in (BASELINE, CANDIDATE):
        made.write(content)
    return made


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_store_finds_the_earlier_runs(store: rf.SnapshotStore, count: int) -> None:
    for content in EARLIER[:count]:
        store.write(content)

    found = rf.compare_runs(store.read("base"), store.read("new"), earlier="store")

    given = rf.compare_runs(BASELINE, CANDIDATE, earlier=EARLIER[:count])
    pd.testing.assert_frame_equal(found.speed, given.speed)
    assert found.earlier is not None
    # the newest first
    names = [f"old{n}" for n in reversed(range(count))]
    assert found.earlier.runs["run_id"].tolist() == ["base", *names]


def test_a_store_takes_the_newest_ten(store: rf.SnapshotStore) -> None:
    for n in range(12):
        store.write(noisy_run(f"more{n}", day=n // 2 + 1))

    found = rf.compare_runs(store.read("base"), store.read("new"), earlier="store")

    assert found.earlier is not None
    assert set(found.earlier.runs["run_id"]) == {"base", *(f"more{n}" for n in range(2, 12))}


@pytest.mark.parametrize(
    "other",
    [
        {"definition_fingerprint": "d2"},
        {"documents_fingerprint": "set2"},
        {"definition_fingerprint": None},
        {"day": 10},
    ],
)
def test_a_store_leaves_out_other_definitions_documents_and_later_runs(
    store: rf.SnapshotStore, other: dict[str, Any]
) -> None:
    store.write(EARLIER[0])
    store.write(noisy_run("odd", **other))

    found = rf.compare_runs(store.read("base"), store.read("new"), earlier="store")

    assert found.earlier is not None
    assert found.earlier.runs["run_id"].tolist() == ["base", "old0"]


def test_a_store_leaves_out_incomplete_runs_and_other_experiments(store: rf.SnapshotStore) -> None:
    store.write(EARLIER[0])
    unfinished = run(*[{}] * (DOCUMENTS - 1), {"status": "running"}, run_id="unfinished", **RECORD)
    assert not unfinished.complete
    store.write(unfinished)

    found = rf.compare_runs(store.read("base"), store.read("new"), earlier="store")

    assert found.earlier is not None
    assert found.earlier.runs["run_id"].tolist() == ["base", "old0"]


def test_a_content_without_a_store_cannot_look_there(store: rf.SnapshotStore) -> None:
    sides = store.read("base"), store.read("new")
    pickled = pickle.loads(pickle.dumps(sides))  # noqa: S301 - our own bytes

    for contents in (pickled, (BASELINE, CANDIDATE), (BASELINE.jobs, CANDIDATE.jobs)):
        with pytest.raises(ValueError, match=r"earlier=\"store\" takes runs that a store has read"):
            rf.compare_runs(*contents, earlier="store")


def test_a_baseline_without_fingerprint_cannot_be_looked_for(store: rf.SnapshotStore) -> None:
    store.write(timed(1, 2, run_id="plain"))

    with pytest.raises(ValueError, match="the record of plain has no definition_fingerprint"):
        rf.compare_runs(store.read("plain"), store.read("new"), earlier="store")


@pytest.mark.parametrize(
    ("earlier", "error", "message"),
    [
        ("shop", ValueError, "earlier must be a list of runs, or \"store\", not 'shop'"),
        (EARLIER[0], TypeError, "earlier must be a list of runs: put the run into brackets"),
        (EARLIER[0].jobs, TypeError, "earlier must be a list of runs: put the run into brackets"),
        ([CANDIDATE], ValueError, "the candidate new is among the earlier runs"),
        (
            [noisy_run("odd", definition_fingerprint="d2")],
            ValueError,
            "earlier run odd has another definition than the baseline",
        ),
        (["old0"], TypeError, "earlier run 0 must be a RunContent or a jobs frame, not str"),
        (5, TypeError, "earlier must be a list of runs, not int"),
        ([EARLIER[0].jobs.assign(run_id=None)], ValueError, "earlier run 0 has no run id"),
    ],
)
def test_odd_earlier_runs_are_refused(earlier: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rf.compare_runs(BASELINE, CANDIDATE, earlier=earlier)


def test_runs_that_cannot_be_compared_get_no_verdict_from_earlier_ones() -> None:
    other = run(
        *[{"block_kind": "split", "duration_ms": 90_000}] * DOCUMENTS, run_id="odd", **RECORD
    )
    kinds = [
        run(
            *[{"block_kind": "extract", "duration_ms": 100 + n + 7 * m} for m in range(DOCUMENTS)],
            run_id=f"e{n}",
            **RECORD,
        )
        for n in range(3)
    ]

    assert rf.compare_runs(kinds[0], other, earlier=kinds[1:]).verdict == "inconclusive"
