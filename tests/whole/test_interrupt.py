"""Ctrl-C stops a load at once, leaves nothing behind, and passes through as it is."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import retab_frames as rf
from retab_frames.sandbox import faults

if TYPE_CHECKING:
    from pathlib import Path

LATENCY_S = 4.0
RUNS = 5
CONTENT = "/v1/workflows/wf_sandbox/experiments/exp_invoices/content"

LOAD = """
import sys
import retab_frames as rf

url, key = sys.argv[1:]
client = rf.Client(key, base_url=url, api="content")
runs = [f"exprun_invoices_{{n}}" for n in (1, 2, 3, 4, 5)]
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
CALLS = {
    "load_jobs": "rf.load_jobs('wf_sandbox', 'exp_invoices', run_id=runs, client=client)",
    "pull": (
        "rf.SnapshotStore('store').pull('wf_sandbox', 'exp_invoices', run_id=runs, client=client)"
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_interrupt_stops_a_load_at_once(call: str, tmp_path: Path) -> None:
    with rf.Sandbox() as sandbox:
        sandbox.misbehave(faults.Hang(LATENCY_S), path=CONTENT, times=None)
        command = [sys.executable, "-c", LOAD.format(call=call), sandbox.url, sandbox.api_key]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            while len(sandbox.requests) < 1 + RUNS:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            out, err = process.communicate(timeout=30)
            took = time.monotonic() - began

    assert (out, err) == ("interrupted\n", "")
    assert process.returncode == 0
    assert took < LATENCY_S / 2
    assert list(tmp_path.rglob("*.tmp")) == []
    assert list(tmp_path.rglob("*.parquet")) == []
