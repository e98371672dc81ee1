from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from factories import data, file, run

from .pairs import BARE, inputs_changed, paired


@pytest.mark.parametrize(
    ("baseline", "candidate", "expected"),
    [
        (data({"a": 1, "b": 2}), data({"b": 2, "a": 1}), False),
        (data({"a": 1}), data({"a": 2}), True),
        (data({"a": 1}), data({"a": True}), True),
        (data({}), data(None), True),
        (data(None), {"handle_inputs": {"in": {"type": "json"}}}, True),
        (data({"n": 2**70, "a": 1}), data({"n": 2**70, "a": 2}), True),
        (file(id="f1", filename="x.pdf"), file(id="f1", filename="renamed.pdf"), False),
        (file(id="f1", filename="x.pdf"), file(id="f2", filename="x.pdf"), True),
        (file(filename="x.pdf"), file(id="f2", filename="x.pdf"), False),
        (file(filename="x.pdf"), file(filename="y.pdf"), True),
        (file(filename="x.pdf"), {"handle_inputs": {}}, True),
        (file(filename="x.pdf"), {"handle_inputs": {"other": {"type": "file"}}}, True),
        (data("x"), file(filename="x"), True),
        ({"handle_inputs": {"in": {}}}, {"handle_inputs": {}}, True),
        ({}, {}, False),
    ],
)
def test_inputs_are_compared_by_value(
    baseline: dict[str, Any],
    candidate: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert inputs_changed(baseline, candidate) == [expected]
    assert inputs_changed(candidate, baseline) == [expected]


def test_inputs_beyond_the_columns_of_the_jobs_are_compared_too() -> None:
    many = {f"h{n}": {"type": "json", "data": n} for n in range(250)}
    other = many | {"h249": {"type": "json", "data": "changed"}}

    assert inputs_changed({"handle_inputs": many}, {"handle_inputs": other}) == [True]
    assert inputs_changed({"handle_inputs": many}, {"handle_inputs": many}) == [False]


def test_files_are_compared_by_content_where_the_api_tells_it() -> None:
    one, other = (file(filename="x.pdf", content_fingerprint=mark) for mark in ("f1", "f2"))
    moved = file(original_id="moved", filename="y.pdf", content_fingerprint="f1")

    assert inputs_changed(one, other) == [True]
    assert inputs_changed(one, moved) == [False]


def test_the_inputs_of_the_final_job_count() -> None:
    first = {"document_id": "d", "attempt": 0, **data("first")}
    final = {"document_id": "d", "attempt": 1, **data("final")}

    found = paired(run(first, final), run({"document_id": "d", **data("final")}, run_id="s"))

    assert found["inputs_changed"].tolist() == [False]


@pytest.mark.parametrize("text", ["{broken", "[" * 100_000, '{"a":1}\x00', "1e999", '"\\ud800"'])
def test_json_that_cannot_be_decoded_is_compared_as_text(text: str) -> None:
    jobs = run(data({"a": 1})).jobs
    odd = jobs.assign(**{"handle_inputs.in.data": text})

    assert paired(odd, jobs)["inputs_changed"].tolist() == [True]
    assert paired(odd, odd)["inputs_changed"].tolist() == [False]


def test_whether_the_inputs_changed_is_unknown_without_their_columns() -> None:
    with_inputs, without = run(data(1)), run(data(1)).jobs[BARE]

    for sides in ((with_inputs, without), (without, with_inputs.jobs), (without, without)):
        assert paired(*sides)["inputs_changed"].tolist() == [pd.NA]
