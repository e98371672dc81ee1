"""Law: 32 forked and threaded workers over one parent's client and store get their own answers."""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from factories import timed
from servers import http_ok, make_identity, raw_server

import retab_frames as rf
from retab_frames import Client, SnapshotStore

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork"),
]

PROCESSES, THREADS, REQUESTS = 16, 2, 32
PATIENCE_S = 60


def answer(connection: socket.socket, number: int, head: bytes) -> None:
    """Answer a listing of runs with a run of the experiment that is asked for."""
    del number
    experiment = head.split(b"/experiments/")[1].split(b"/")[0].decode()
    run = {"id": f"run_of_{experiment}", "experiment_id": experiment, "status": "completed"}
    time.sleep(0.002)
    connection.sendall(http_ok(json.dumps({"runs": [run]}).encode()))


def work(client: Client, store: SnapshotStore, name: str, outcomes: list[str]) -> None:
    """Ask for what nobody else asks for, and look whether that is what came."""
    for n in range(REQUESTS):
        experiment = f"exp_{name}_{n}"
        try:
            runs = rf.load_runs("wf_1", experiment, client=client)
            right = runs["run_id"].tolist() == [f"run_of_{experiment}"]
            if n % 8 == 0:
                run = f"run_{n % 3}"
                right &= set(store.read(run).jobs["run_id"]) == {run}
                right &= len(store.list()) == 3
            outcomes.append("right" if right else "crossed")
        except Exception as error:  # noqa: BLE001 - it is counted
            outcomes.append(type(error).__name__)


def run_threads(client: Client, store: SnapshotStore, name: str, answers: Any) -> None:
    faulthandler.dump_traceback_later(PATIENCE_S / 2)  # says where it hangs
    outcomes: list[str] = []
    threads = [
        threading.Thread(target=work, args=(client, store, f"{name}_{n}", outcomes))
        for n in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    faulthandler.cancel_dump_traceback_later()
    answers.put(outcomes)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_no_answer_crosses_and_nothing_hangs(
    tmp_path: Path, figure: Callable[[str], None], *, tls: bool
) -> None:
    store = SnapshotStore(tmp_path / "store")
    for n in range(3):
        store.write(timed(1, 2, 3, run_id=f"run_{n}"))
    identity = make_identity(tmp_path)
    fork: Any = multiprocessing.get_context("fork")
    with raw_server(answer, identity.context if tls else None) as (port, _):
        url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        with Client("key", base_url=url, verify=identity.ca, timeout=30, retries=0) as client:
            rf.load_runs("wf_1", "exp_parent", client=client)
            answers = fork.Queue()
            # the parent goes on meanwhile, so that it is forked in the middle of its requests
            own: list[str] = []
            busy = [
                threading.Thread(target=work, args=(client, store, f"parent_{n}", own))
                for n in range(4)
            ]
            for thread in busy:
                thread.start()
            children = [
                fork.Process(target=run_threads, args=(client, store, f"child_{n}", answers))
                for n in range(PROCESSES)
            ]
            for child in children:
                child.start()
            outcomes = [one for _ in children for one in answers.get(timeout=PATIENCE_S)]
            for child in children:
                child.join(PATIENCE_S)
            for thread in busy:
                thread.join(PATIENCE_S)
    counts = {one: outcomes.count(one) for one in sorted(set(outcomes))}
    figure(
        f"requests of {PROCESSES * THREADS} workers in {PROCESSES} forked processes over one "
        f"client and one store, {'TLS' if tls else 'plain'}: {len(outcomes):,}; crossed or failed: "
        f"{len(outcomes) - counts.get('right', 0)}; hung: "
        f"{sum(child.is_alive() for child in children)}"
    )
    assert counts == {"right": PROCESSES * THREADS * REQUESTS}
    assert set(own) == {"right"}
    assert not any(child.is_alive() for child in children)
