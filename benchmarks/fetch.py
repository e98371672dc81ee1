"""Runs fetched over HTTP with latency, and made one frame."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

import retab_frames as rf
from benchmarks import ours, peers
from benchmarks.contest import ROOT, Row, in_turn, row, sdk_python
from benchmarks.payloads import encoded, response, run_id
from retab_frames.sandbox.messages import make_verbatim_response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.sandbox.messages import Request, Response

JOBS = 50
EXPERIMENT = "exp_bench"
_SDK = (
    "import json, sys, time; from benchmarks.sdk import fetch_in_turn; "
    "given = json.loads(sys.argv[1]); began = time.perf_counter(); "
    "rows = fetch_in_turn(*given); print(json.dumps([time.perf_counter() - began, rows]))"
)


class ManyRuns(rf.Sandbox):
    """A sandbox with as many runs as one likes, generation A."""

    def __init__(self, runs: int, *, latency: float) -> None:
        super().__init__(latency=latency)
        self.bodies = {run_id(n): response(JOBS, run=n) for n in range(runs)}
        self._router = self  # type: ignore[assignment] # it has the one method that is called

    def respond(self, request: Request) -> Response:
        """Answer the listing of runs, and the content of each."""
        if request.path.endswith("/content"):
            return make_verbatim_response(self.bodies[request.query["run_id"][0]], 200, None)
        records = [{"id": name, "status": "completed"} for name in self.bodies]
        return make_verbatim_response(encoded({"runs": records}), 200, None)


@contextmanager
def served(runs: int, latency: float) -> Iterator[str]:
    """Serve the runs from a process of its own; its URL."""
    command = [sys.executable, "-m", "benchmarks.fetch", str(runs), str(latency)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()  # it ends with its input


def rows(runs: int, repeats: int, *, latency: float = 0.05) -> Iterator[Row]:
    """Fetch and frame, with 16 and 64 connections, against the SDK and httpx in turn."""
    names = [run_id(n) for n in range(runs)]
    with served(runs, latency) as url, rf.Sandbox() as any_sandbox:
        key, workflow = any_sandbox.api_key, "wf_bench"
        given = (url, key, workflow, EXPERIMENT, names)
        taken: dict[str, list[float]] = {name: [] for name in ("16", "64", "SDK", "httpx")}
        for _ in range(repeats):
            for most in (16, 64):
                began = time.perf_counter()
                assert ours.fetch(*given, most) == runs * JOBS
                taken[str(most)].append(time.perf_counter() - began)
            taken["httpx"].append(_httpx_in_turn(*given))
            command = [sdk_python(), "-c", _SDK, json.dumps(given)]
            done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
            seconds, came = json.loads(done.stdout)
            assert came == runs * JOBS
            taken["SDK"].append(seconds)
    middle = {name: sorted(times)[len(times) // 2] * 1e3 for name, times in taken.items()}
    for connections, bar in (("16", "15 x"), ("64", "40 x")):
        for peer in ("SDK", "httpx"):
            yield Row(
                "fetch",
                f"{runs} runs of {JOBS} jobs at {latency * 1e3:g} ms, {connections} connections",
                f"{peer} in turn",
                middle[connections],
                middle[peer],
                middle[peer] / middle[connections],
                None,
                bar if peer == "SDK" else "",
            )


def pull(runs: int, repeats: int, *, latency: float = 0.05) -> Iterator[Row]:
    """Fetch runs and save them, against fetching them alone, in turn."""
    names = [run_id(n) for n in range(runs)]
    with (
        served(runs, latency) as url,
        rf.Sandbox() as any_sandbox,
        rf.Client(any_sandbox.api_key, base_url=url) as client,
        tempfile.TemporaryDirectory() as folder,
    ):
        roots = (Path(folder) / str(number) for number in itertools.count())

        def save() -> None:
            store = rf.SnapshotStore(next(roots))
            assert len(store.pull("wf_bench", EXPERIMENT, run_id=names, client=client)) == runs

        def load() -> None:
            for content in rf.iter_content("wf_bench", EXPERIMENT, run_id=names, client=client):
                assert len(content.jobs) == JOBS

        work = f"pull {runs} runs of {JOBS} jobs at {latency * 1e3:g} ms into a new store"
        yield row("pull", work, "iter_content of them", in_turn(save, load, repeats), "1/1.3 x")


def _httpx_in_turn(url: str, key: str, workflow: str, experiment: str, runs: list[str]) -> float:
    began = time.perf_counter()
    with httpx.Client(headers={"Api-Key": key}) as client:
        route = f"{url}/v1/workflows/{workflow}/experiments/{experiment}/content"
        bodies = [client.get(route, params={"run_id": run}).content for run in runs]
    jobs, _ = peers.json_normalize_at_once(bodies)
    assert len(jobs) == len(runs) * JOBS
    return time.perf_counter() - began


if __name__ == "__main__":
    with ManyRuns(int(sys.argv[1]), latency=float(sys.argv[2])) as sandbox:
        print(sandbox.url, flush=True)
        sys.stdin.read()
