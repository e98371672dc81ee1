"""A key that must never show is looked for on every surface that a user, a log or a file has."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import traceback
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pandas as pd
import stamina

import retab_frames as rf
from retab_frames.sandbox import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "rt_live_c4n4ryK3Y/7Zq"
TOKEN = "t0k3n-c4n4ry+/=?"  # noqa: S105 - a canary
ECHO = f'{{"detail": "sent Api-Key {KEY}, Bearer {KEY}, {TOKEN}"}}'

FAULTS: list[faults.Fault] = [
    *(faults.Status(code, body=ECHO) for code in (400, 401, 403, 404, 422, 429, 500, 503)),
    faults.Status(429, retry_after="999", body=ECHO),
    faults.CutBody(keep=0.5),
    faults.Reset(keep=10),
    faults.Html(),
    faults.Empty(),
    faults.Redirect("https://elsewhere.example/v1"),
    faults.Encoding("br"),
]


def forms() -> set[str]:
    """Return the spellings of the secrets that count as a hit."""
    return {
        spelled
        for secret in (KEY, TOKEN)
        for spelled in (secret, quote(secret), quote_plus(secret), quote(secret, safe=""))
    }


def failing(call: Callable[[], object]) -> Exception:
    """Return what a call raises; the frames above this one are not of the library."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is searched
        return error
    raise AssertionError("nothing was raised")


def everything_told(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield every text of an error and of the errors behind it."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        chain += [one.__cause__, one.__context__]
        yield "str", str(one)
        yield "repr", f"{one!r} {one.args!r} {vars(one)!r}"
        yield "pickle", repr(pickle.dumps(one)) if isinstance(one, rf.RetabFramesError) else ""
    trace = error.__traceback__
    while trace and trace.tb_next and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next  # the frames of this file know the secrets, of course
    told = traceback.TracebackException.from_exception(
        error.with_traceback(trace), capture_locals=True
    )
    yield "traceback with locals", "".join(told.format())


BAD_SETTINGS: list[dict[str, Any]] = [
    {"base_url": "ftp://x"},
    {"timeout": -1},
    {"access_token": f"{TOKEN}\n\u2603"},
]


def surfaces(tmp_path: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield everything there is to see of loads that go well and of loads that fail."""
    with rf.Sandbox(api_key=KEY, generations=("A1",)) as sandbox:
        client = rf.Client(KEY, base_url=sandbox.url, access_token=TOKEN)
        yield "client", f"{client} {client!r} {vars(client)} {vars(client._http)}"
        for travel in (pickle.dumps, copy.copy, copy.deepcopy):
            for what, text in everything_told(failing(partial(travel, client))):
                yield f"{what} of {travel.__name__} of a client", text
        yield from of_frames(client, tmp_path)
        ids = sandbox.run_ids("exp_invoices")
        yield (
            "several runs",
            rf.load_jobs("wf_sandbox", "exp_invoices", run_id=ids, client=client).to_csv(),
        )
        for connection in client._http._idle:
            yield "connection", f"{connection!r} {vars(connection)!r}"
            yield "pool", f"{connection._pool!r} {vars(connection._pool)!r}"
        client.close()
    for fault in FAULTS:
        for what, text in everything_told(failing(partial(load_with, fault))):
            yield f"{what} after {type(fault).__name__}", text
    for settings in BAD_SETTINGS:
        error = failing(partial(rf.Client, KEY, **settings))
        for what, text in everything_told(error):
            yield f"{what} of a client that cannot be made", text


def load_with(fault: faults.Fault) -> None:
    with rf.Sandbox(api_key=KEY, generations=("A1",)) as sandbox:
        sandbox.misbehave(fault, times=None)
        with rf.Client(KEY, base_url=sandbox.url, access_token=TOKEN) as client:
            del fault
            rf.load_jobs("wf_sandbox", "exp_invoices", client=client)


def of_frames(client: rf.Client, tmp_path: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield what a load that went well leaves: frames, files and their metadata."""
    content = rf.load_content("wf_sandbox", "exp_invoices", client=client)
    runs = rf.load_runs("wf_sandbox", "exp_invoices", client=client)
    yield "content", f"{content!r} {vars(content)!r}"
    for name in ("jobs", "handle_inputs", "handle_outputs", "run", "issues", "raw"):
        frame = getattr(content, name)
        yield f"{name} as CSV", frame.to_csv()
        yield f"{name} in a notebook", frame._repr_html_()
        yield f"attrs of {name}", repr(frame.attrs)
        stream = io.BytesIO()
        frame.to_parquet(stream)
        yield f"{name} as Parquet", stream.getvalue()
    yield "runs", runs.to_csv()
    store = rf.SnapshotStore(tmp_path / "store")
    yield "snapshot", repr(store.write(content))
    for path in sorted((tmp_path / "store").rglob("*")):
        if path.is_file():
            yield f"file {path.name}", path.read_bytes()
            if path.suffix == ".parquet":
                yield f"table {path.name}", pd.read_parquet(path).to_csv()


def test_the_canary_is_nowhere(tmp_path: Path, figure: Callable[[str], None]) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    for name in ("httpx", "httpcore", "stamina", "retab_frames"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        with stamina.set_testing(True, attempts=2), warnings.catch_warnings():
            found = list(surfaces(tmp_path))
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(logging.WARNING)
    found += [(f"log line {n}", line) for n, line in enumerate(stream.getvalue().splitlines())]

    needles = forms()
    hits = [
        what
        for what, text in found
        for needle in needles
        if (needle.encode() in text if isinstance(text, bytes) else needle in text)
    ]
    figure(f"surfaces searched for the canary: {len(found):,}; hits: {len(hits)}")
    assert hits == []
    assert len(found) > 500
