"""What a pull fetches, keeps and tells, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import retab_frames as rf
from retab_frames.sandbox.faults import Hang, Status
from retab_frames.store.pulling import PulledRun, pull_runs

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW, EXPERIMENT, NEVER_RUN = "wf_sandbox", "exp_invoices", "exp_contracts"
NESTED = f"/v1/workflows/{WORKFLOW}/experiments"
RUNS = [f"exprun_invoices_{n}" for n in (5, 4, 3, 2, 1)]
MAILROOM = [f"exprun_mailroom_{n}" for n in (5, 4, 3, 2, 1)]
RUNNING = "still running: 3 of 12 jobs have ended"


@pytest.fixture
def store(tmp_path: Path) -> rf.SnapshotStore:
    return rf.SnapshotStore(tmp_path / "snapshots")


def actions(pulled: pd.DataFrame) -> dict[str, str]:
    return dict(zip(pulled["run_id"], pulled["action"], strict=True))


def paths(sandbox: rf.Sandbox) -> list[str]:
    asked = [request.path.rpartition("/")[2] for request in sandbox.requests]
    sandbox.requests.clear()
    return asked


@pytest.mark.parametrize(
    ("run_id", "ids"),
    [
        ("latest", RUNS[:1]),
        (None, RUNS[:1]),
        ("latest_ended", RUNS[1:2]),
        ("exprun_invoices_2", ["exprun_invoices_2"]),
        (["exprun_invoices_4", "exprun_invoices_1"], ["exprun_invoices_4", "exprun_invoices_1"]),
        (pd.Series(["exprun_invoices_3"]), ["exprun_invoices_3"]),
        ("all", RUNS),
    ],
)
def test_the_runs_that_are_asked_for(
    store: rf.SnapshotStore, client: rf.Client, run_id: Any, ids: list[str]
) -> None:
    pulled = store.pull(WORKFLOW, EXPERIMENT, run_id=run_id, client=client)
    rf.PulledSchema.validate(pulled)
    assert actions(pulled) == dict.fromkeys(ids, "created")
    assert pulled["jobs"].tolist() == [12] * len(ids)
    assert store.list()["run_id"].tolist() == sorted(ids)
    loaded = rf.load_jobs(WORKFLOW, EXPERIMENT, run_id=ids, client=client)
    stored = pd.concat([store.read(one).jobs for one in ids], ignore_index=True)
    assert_frame_equal(
        stored.drop(columns="fetched_at"), loaded.drop(columns="fetched_at"), check_exact=True
    )


def test_what_is_complete_is_not_fetched_again(
    store: rf.SnapshotStore, client: rf.Client, sandbox: rf.Sandbox
) -> None:
    first = store.pull(WORKFLOW, EXPERIMENT, client=client)
    assert first["complete"].tolist() == [False, True, True, True, True]
    assert first["note"].isna().tolist() == [False, True, True, True, True]
    assert first["note"][0] == RUNNING
    paths(sandbox)

    again = store.pull(WORKFLOW, EXPERIMENT, client=client)
    assert actions(again) == {RUNS[0]: "unchanged", **dict.fromkeys(RUNS[1:], "kept")}
    assert again["revision"].tolist() == [1] * 5
    assert paths(sandbox) == ["runs", "content"]

    refreshed = store.pull(WORKFLOW, EXPERIMENT, refresh=True, client=client)
    assert actions(refreshed) == dict.fromkeys(RUNS, "unchanged")
    assert sorted(paths(sandbox)) == ["content"] * 5 + ["runs"]


def test_a_named_run_that_is_complete_takes_no_request(
    store: rf.SnapshotStore, client: rf.Client, sandbox: rf.Sandbox
) -> None:
    store.pull(WORKFLOW, EXPERIMENT, run_id=RUNS[1:3], client=client)
    paths(sandbox)
    assert actions(store.pull(WORKFLOW, EXPERIMENT, run_id=RUNS[1], client=client)) == {
        RUNS[1]: "kept"
    }
    assert paths(sandbox) == []
    pulled = store.pull(WORKFLOW, EXPERIMENT, run_id=RUNS[1:4], client=client)
    assert actions(pulled) == {RUNS[1]: "kept", RUNS[2]: "kept", RUNS[3]: "created"}


def test_a_run_that_still_ran_becomes_its_next_revision(
    store: rf.SnapshotStore, client: rf.Client, sandbox: rf.Sandbox
) -> None:
    latest: dict[str, Any] = {"run_id": "latest", "client": client}
    assert store.pull(WORKFLOW, EXPERIMENT, **latest)["revision"].tolist() == [1]
    rows = [json.loads(bytes(row)) for row in client.content(WORKFLOW, EXPERIMENT, None)[0].rows]
    running = [row for row in rows if row["status"] != "completed"]
    running[0].update(status="completed", duration_ms=10)
    body = {"experiment_id": EXPERIMENT, "run_id": RUNS[0], "content": {"jobs": rows}}
    sandbox.answer(f"{NESTED}/{EXPERIMENT}/content", body)
    [row] = store.pull(WORKFLOW, EXPERIMENT, **latest).itertuples()
    assert (row.action, row.revision, row.complete) == ("revised", 2, False)
    assert row.note == "still running: 4 of 12 jobs have ended"


def test_a_damaged_manifest_is_no_complete_run(
    store: rf.SnapshotStore, client: rf.Client, tmp_path: Path
) -> None:
    store.pull(WORKFLOW, EXPERIMENT, run_id=RUNS[2], client=client)
    [manifest] = tmp_path.glob("snapshots/revisions/*/000001.json")
    manifest.write_bytes(manifest.read_bytes()[:-20])
    pulled = store.pull(WORKFLOW, EXPERIMENT, run_id=RUNS[2], client=client)
    assert actions(pulled) == {RUNS[2]: "created"}


# Several experiments


def test_a_whole_workflow(store: rf.SnapshotStore, client: rf.Client, sandbox: rf.Sandbox) -> None:
    with pytest.warns(rf.RetabFramesWarning, match=f"experiment {NEVER_RUN} was never run: no"):
        pulled = store.pull(WORKFLOW, client=client)
    assert len(pulled) == 16
    [never] = pulled[pulled["run_id"].isna()].to_dict("records")
    assert (never["experiment_id"], never["note"]) == (NEVER_RUN, "never run")
    assert never["action"] is None
    runs = pulled[pulled["run_id"].notna()]
    expected = [
        *(f"exprun_packets_{n}" for n in (5, 4, 3, 2, 1)),
        *MAILROOM,
        *RUNS,
    ]
    assert runs["run_id"].tolist() == expected
    assert set(runs["action"]) == {"created"}
    assert sorted(paths(sandbox)) == ["content"] * 15 + ["experiments"] + ["runs"] * 4


def test_named_runs_of_several_experiments(store: rf.SnapshotStore, client: rf.Client) -> None:
    wanted = ["exprun_mailroom_2", "exprun_invoices_3"]
    experiments = pd.Series([EXPERIMENT, "exp_mailroom", EXPERIMENT])
    pulled = store.pull(WORKFLOW, experiments, run_id=wanted, client=client)
    assert pulled["run_id"].tolist() == wanted
    assert pulled["experiment_id"].tolist() == ["exp_mailroom", EXPERIMENT]


@pytest.mark.parametrize("run_id", [None, "all", "latest_ended"])
def test_an_experiment_never_run(
    store: rf.SnapshotStore, client: rf.Client, tmp_path: Path, run_id: str | None
) -> None:
    with pytest.warns(rf.RetabFramesWarning, match=f"experiment {NEVER_RUN} was never run: no sn"):
        pulled = store.pull(WORKFLOW, NEVER_RUN, run_id=run_id, client=client)
    assert pulled["note"].tolist() == ["never run"]
    assert pulled["complete"].tolist() == [False]
    assert list(tmp_path.iterdir()) == []


def test_no_runs_give_no_rows(store: rf.SnapshotStore, client: rf.Client) -> None:
    pulled = store.pull(WORKFLOW, EXPERIMENT, run_id=[], client=client)
    rf.PulledSchema.validate(pulled)
    assert len(pulled) == 0


# Filters


@pytest.mark.parametrize(
    ("filters", "runs"),
    [
        ({"since": "2026-09-08T00:00:00Z"}, RUNS[:3]),
        ({"since": "2026-09-15T06:01:00Z", "status": "ended"}, RUNS[1:2]),
        ({"status": "running"}, RUNS[:1]),
        ({"status": ["running", "error"]}, RUNS[:2]),
        ({"status": "ended"}, RUNS[1:]),
        ({"status": "queued"}, []),
        ({"status": "completed", "run_id": RUNS[1:3]}, RUNS[1:3]),
        ({"status": "completed", "run_id": "latest"}, []),
        ({"since": "2030-01-01T00:00:00+02:00"}, []),
    ],
)
def test_filters(
    store: rf.SnapshotStore, client: rf.Client, filters: dict[str, Any], runs: list[str]
) -> None:
    pulled = store.pull(WORKFLOW, EXPERIMENT, client=client, **filters)
    assert pulled["run_id"].tolist() == runs


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"status": "runing"}, ValueError, r"no run has the status 'runing' \(did you mean run"),
        ({"status": ""}, ValueError, "no run has the status ''; known are pending, queued, "),
        ({"status": 5}, TypeError, "status takes statuses as text, not int"),
        ({"status": [5]}, TypeError, "status must hold statuses as text, found 5"),
        ({"since": "yesterday"}, ValueError, "since is not a valid time: yesterday"),
        ({"since": "2026-09-08"}, ValueError, "since needs a time zone"),
        ({"errors": "ignore"}, ValueError, "errors must be 'raise' or 'collect', not 'ignore'"),
        ({"run_id": ["all", RUNS[0]]}, ValueError, "run_id takes 'all' alone"),
        ({"run_id": [RUNS[0], RUNS[0]]}, ValueError, "is asked for twice"),
        ({"experiment_id": ""}, ValueError, "an experiment id is empty; None asks for all"),
        ({"experiment_id": [None]}, TypeError, "experiment_id must hold experiment ids as text"),
        ({"experiment_id": 7}, TypeError, "experiment_id takes ids as text, not int"),
    ],
)
def test_arguments_that_cannot_be_used(
    store: rf.SnapshotStore,
    client: rf.Client,
    tmp_path: Path,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        store.pull(WORKFLOW, **{"experiment_id": EXPERIMENT, **arguments}, client=client)
    assert list(tmp_path.iterdir()) == []


# Errors


@pytest.fixture
def failing(sandbox: rf.Sandbox) -> rf.Sandbox:
    """Return a sandbox whose second newest run of the mailroom cannot be loaded."""
    sandbox.misbehave(Status(500), path=f"{NESTED}/exp_mailroom/content", times=None)
    return sandbox


def impatient(sandbox: rf.Sandbox) -> rf.Client:
    return rf.Client(sandbox.api_key, base_url=sandbox.url, retries=0)


BOTH = [EXPERIMENT, "exp_mailroom"]


def test_a_run_that_fails_is_a_row(store: rf.SnapshotStore, failing: rf.Sandbox) -> None:
    with impatient(failing) as client:
        pulled = store.pull(WORKFLOW, BOTH, run_id="latest_ended", errors="collect", client=client)
    rf.PulledSchema.validate(pulled)
    assert actions(pulled) == {RUNS[1]: "created", MAILROOM[1]: "failed"}
    failed = pulled.iloc[1]
    assert failed["note"].startswith(f"GET {NESTED}/exp_mailroom/content: 500 Internal Server")
    assert failed["jobs"] is pd.NA
    assert not failed["complete"]
    assert store.list()["run_id"].tolist() == [RUNS[1]]


def test_an_error_says_how_many_runs_were_written(
    store: rf.SnapshotStore, failing: rf.Sandbox
) -> None:
    with impatient(failing) as client, pytest.raises(rf.ApiStatusError) as caught:
        store.pull(WORKFLOW, BOTH, status="ended", client=client)
    assert str(caught.value).startswith(f"run {MAILROOM[1]}: GET ")
    assert caught.value.__notes__ == [
        "Runs written before this error: 4; SnapshotStore.list() shows the runs."
    ]
    assert store.list()["run_id"].tolist() == RUNS[:0:-1]


def test_what_was_saved_is_told_before_the_error(
    store: rf.SnapshotStore, sandbox: rf.Sandbox
) -> None:
    told: list[PulledRun] = []
    sandbox.misbehave(Hang(20), path=f"{NESTED}/exp_mailroom/content", times=None)
    with rf.Client(sandbox.api_key, base_url=sandbox.url, timeout=5) as client:
        store.pull(WORKFLOW, EXPERIMENT, run_id=RUNS[4], client=client)  # all is imported now
        pulling = pull_runs(store, WORKFLOW, BOTH[::-1], run_id="latest_ended", client=client)
        with pytest.raises(rf.DeadlineError, match=MAILROOM[1]):
            told += pulling
    assert [(row.run_id, row.action) for row in told] == [(RUNS[1], "created")]
    assert store.list()["run_id"].tolist() == [RUNS[4], RUNS[1]]


def test_an_experiment_that_cannot_be_listed_is_a_row_among_others(
    store: rf.SnapshotStore, client: rf.Client
) -> None:
    several: dict[str, Any] = {"run_id": "latest_ended", "client": client, "errors": "collect"}
    pulled = store.pull(WORKFLOW, ["exp_invoice", "exp_mailroom"], **several)
    assert actions(pulled).popitem() == (MAILROOM[1], "created")
    [row] = pulled[pulled["action"] == "failed"].to_dict("records")
    assert (row["experiment_id"], row["run_id"]) == ("exp_invoice", None)
    assert "(did you mean exp_invoices?)" in row["note"]
    with pytest.raises(rf.NotFoundError, match="exp_invoice "):
        store.pull(WORKFLOW, "exp_invoice", **several)


def test_a_run_of_no_experiment_is_a_row_with_the_nearest(
    store: rf.SnapshotStore, client: rf.Client
) -> None:
    ids = ["exprun_invoices_3x", RUNS[3]]
    pulled = store.pull(WORKFLOW, BOTH, run_id=ids, errors="collect", client=client)
    assert actions(pulled) == {ids[0]: "failed", RUNS[3]: "created"}
    assert pulled["note"][0] == (
        f"run {ids[0]} is in none of 2 experiments of workflow {WORKFLOW} (did you mean {RUNS[2]}?)"
    )
    with pytest.raises(rf.NotFoundError, match="did you mean exprun_invoices_3"):
        store.pull(WORKFLOW, BOTH, run_id=ids, client=client)


def test_a_store_that_cannot_be_written_stops_the_pull(client: rf.Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ValueError, match=r"a store is a folder, and .*file is a file"):
        rf.SnapshotStore(tmp_path / "file")
    store = rf.SnapshotStore(tmp_path / "file" / "snapshots")
    with pytest.raises(rf.SnapshotError):
        store.pull(WORKFLOW, EXPERIMENT, errors="collect", client=client)


PULL = """
import sys
import retab_frames as rf
from retab_frames.store.pulling import PulledRun, pull_runs

client = rf.Client(sys.argv[2], base_url=sys.argv[1], api="content")
store = rf.SnapshotStore("snapshots")
try:
    for row in pull_runs(store, "wf_sandbox", ["exp_invoices", "exp_mailroom"], client=client):
        print(row.run_id, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_an_interrupt_tells_all_that_was_saved(sandbox: rf.Sandbox, tmp_path: Path) -> None:
    sandbox.misbehave(Hang(20), path=f"{NESTED}/exp_mailroom/content", times=None)
    command = [sys.executable, "-c", PULL, sandbox.url, sandbox.api_key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        while len(list(tmp_path.glob("snapshots/revisions/*/*.json"))) < len(RUNS):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=10)
    store = rf.SnapshotStore(tmp_path / "snapshots")
    *runs, last = told.split()
    assert (sorted(runs), last) == (sorted(RUNS), "interrupted")
    assert store.list()["run_id"].tolist() == sorted(RUNS)
    assert len(store.verify("full")) == 0


def test_the_bar_counts_what_is_fetched(
    store: rf.SnapshotStore, client: rf.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    store.pull(WORKFLOW, EXPERIMENT, run_id=RUNS[2:], client=client, progress=False)
    store.pull(WORKFLOW, BOTH, client=client, progress=True)
    assert "Pulling runs: 100%" in (told := capsys.readouterr().err)
    assert "7/7" in told


def test_a_damaged_file_is_written_again_by_a_refresh(
    store: rf.SnapshotStore, client: rf.Client, tmp_path: Path
) -> None:
    one: dict[str, Any] = {"run_id": RUNS[2], "client": client}
    store.pull(WORKFLOW, EXPERIMENT, **one)
    [file] = tmp_path.glob("snapshots/revisions/*/jobs-*.parquet")
    file.unlink()
    assert "pull the run again with refresh" in store.verify()["action"][0]
    assert actions(store.pull(WORKFLOW, EXPERIMENT, **one)) == {RUNS[2]: "kept"}
    assert actions(store.pull(WORKFLOW, EXPERIMENT, refresh=True, **one)) == {RUNS[2]: "repaired"}
    assert len(store.read(RUNS[2]).jobs) == 12
