"""Law: a forked process uses no connection, no lock and no thread of its parent."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from buckets import point_at, s3_server
from factories import timed

import retab_frames as rf
from retab_frames import Client, ForkError, Sandbox, SnapshotStore, iter_content, load_runs
from retab_frames.forks import ProcessThreads, delay_forks
from retab_frames.load.parallel import map_in_order

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    # what Python 3.12 says of every fork of a process with threads
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork"),
]
PATIENCE_S = 30


def in_child(work: Callable[[], object]) -> object:
    """Return what the function returns or raises in a forked process."""
    fork: Any = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)

    def run() -> None:
        try:
            sender.send(work())
        except BaseException as error:  # noqa: BLE001 - it is what the test looks at
            sender.send(error)

    process = fork.Process(target=run)
    process.start()
    came = receiver.poll(PATIENCE_S)
    found = receiver.recv() if came else "it hangs"
    process.kill()
    process.join()
    return found


def test_a_client_opens_connections_of_its_own(client: Client, sandbox: Sandbox) -> None:
    here = load_runs("wf_sandbox", "exp_invoices", client=client)["run_id"].tolist()
    before = len(client._http._idle)
    there = in_child(
        lambda: (
            len(client._http._idle),
            load_runs("wf_sandbox", "exp_packets", client=client)["run_id"].tolist(),
        )
    )
    assert there == (0, list(reversed(sandbox.run_ids("exp_packets"))))
    assert len(client._http._idle) == before == 1
    # the parent's own connection still works
    assert load_runs("wf_sandbox", "exp_invoices", client=client)["run_id"].tolist() == here


def test_a_lock_that_a_thread_of_the_parent_holds_hangs_nothing(client: Client) -> None:
    load_runs("wf_sandbox", "exp_invoices", client=client)
    with client._http._lock:
        assert in_child(lambda: len(load_runs("wf_sandbox", "exp_invoices", client=client))) == 5


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="cached properties have no lock any more")
def test_a_property_that_a_thread_of_the_parent_computes_hangs_nothing() -> None:
    lock: Any = vars(vars(rf.RunContent)["jobs"])["lock"]
    assert isinstance(vars(rf.RunContent)["jobs"], cached_property)
    content = timed(1, 2, run_id="run_1")
    with lock:
        thread = threading.Thread(target=time.sleep, args=(0,))
        thread.start()
        # a thread of the child, which does not hold the lock as this one does
        assert in_child(lambda: in_thread(lambda: len(content.jobs))) == 2


def in_thread(work: Callable[[], object]) -> object:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(PATIENCE_S / 3)
    return found[0] if found else "it hangs"


def test_an_iterator_of_the_parent_says_so(client: Client, sandbox: Sandbox) -> None:
    runs = iter_content(
        "wf_sandbox", "exp_invoices", run_id=sandbox.run_ids("exp_invoices"), client=client
    )
    next(runs)
    error = in_child(lambda: next(runs))
    assert isinstance(error, ForkError)
    assert "this iterator was used before this process was forked" in str(error)
    assert len(list(runs)) == 4


def test_an_iterator_that_has_not_begun_is_the_childs_own() -> None:
    numbers = map_in_order(str, range(3), workers=2)
    assert in_child(lambda: list(numbers)) == ["0", "1", "2"]


def test_a_store_on_disk_works_in_both(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    store.write(timed(1, 2, run_id="run_1"))
    assert in_child(lambda: store.write(timed(1, 2, 3, run_id="run_2")).action) == "created"
    assert store.list()["run_id"].sort_values().tolist() == ["run_1", "run_2"]
    assert len(store.read("run_2").jobs) == 3


USE_ENGINES = """
import sys
import retab_frames as rf
from factories import timed
from test_forks import in_child

def count(engine):
    frame = rf.scan(sys.argv[1], engine=engine)
    if engine == "polars":
        return len(frame.collect())
    return len(frame.df() if engine == "duckdb" else rf.duration_stats(frame, by="run_id"))

def count_all():
    store = rf.SnapshotStore(sys.argv[1])
    return [rf.scan(store).count_rows(), len(rf.query(store, "from jobs")), len(store.list())]

rf.SnapshotStore(sys.argv[1]).write(timed(1, run_id="run_1"))
for engine in ("duckdb", "polars", "dask"):
    print(in_child(lambda: count(engine)), count(engine), in_child(lambda: count(engine)), sep="; ")
print(count_all(), in_child(count_all))
"""


def test_an_engine_of_the_parent_says_so(tmp_path: Path) -> None:
    """Arrow, SQL and the store itself work in both; a scan with another engine works in one."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", USE_ENGINES, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    assert done.stderr == ""
    *engines, others = done.stdout.splitlines()
    for line, owner in zip(engines, ["DuckDB's default connection", "Polars", "Dask"], strict=True):
        before, parent, after = line.split("; ")
        assert (before, parent) == ("1", "1")
        assert after.startswith(f"{owner} was used before this process was forked")
    assert others == "[1, 1, 1] [1, 1, 1]"


USE_BUCKET = """
import os
import retab_frames as rf

def say(work):
    if not os.fork():
        try:
            print(work(), flush=True)
        except rf.ForkError as error:
            print(error, flush=True)
        os._exit(0)
    os.wait()

store = rf.SnapshotStore("s3://bucket/snapshots")
say(lambda: len(store.list()))
print(len(store.list()), flush=True)
say(lambda: len(store.list()))
say(lambda: len(rf.SnapshotStore("s3://bucket/other").list()))
"""


def test_a_bucket_of_the_parent_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server() as url:
        point_at(url, monkeypatch)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", USE_BUCKET],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
    unused, own, *refused = done.stdout.splitlines()
    assert (unused, own) == ("0", "0")
    assert len(refused) == 2
    for line in refused:
        assert line.startswith("a bucket was used before this process was forked")
        assert "'spawn' or 'forkserver'" in line


def test_a_fork_waits_for_what_holds_a_lock_of_the_process() -> None:
    lock = threading.Lock()
    begun = threading.Event()

    def work() -> None:
        with delay_forks(), lock:
            begun.set()
            time.sleep(0.5)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    begin = time.monotonic()
    assert in_child(lambda: lock.acquire(timeout=1)) is True
    assert time.monotonic() - begin > 0.4
    thread.join()


def test_a_fork_inside_of_the_block_waits_for_nobody() -> None:
    def nest() -> int:
        with delay_forks():
            return 1

    with delay_forks():
        begin = time.monotonic()
        assert in_child(nest) == 1
    assert time.monotonic() - begin < 4
    assert in_child(nest) == 1


def test_threads_belong_to_the_process_that_used_them_first() -> None:
    threads = ProcessThreads("it")
    assert in_child(threads.check) is None
    threads.check()
    assert isinstance(in_child(threads.check), ForkError)


def test_a_sandbox_goes_on_when_a_child_closes_its_copy(sandbox: Sandbox, client: Client) -> None:
    assert in_child(sandbox.close) is None
    assert len(load_runs("wf_sandbox", "exp_invoices", client=client)) == 5
