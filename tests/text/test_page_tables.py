from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from factories import texts

from retab_frames.text.labels import find_heading
from retab_frames.text.page_tables import lay_out

if TYPE_CHECKING:
    from retab_frames.text.tables import Table

NOTE = "An interval with one end, such as “from 5 s”: too few jobs to say where the other end is."


def shown(**columns: Any) -> Table:
    return lay_out(pd.DataFrame(columns))[0]


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("run_id", "run"),
        ("duration_ms", "duration"),
        ("baseline_queue_ms", "baseline queue"),
        ("p50_ms", "median"),
        ("p99.9_ms", "99.9 % within"),
        ("ratio_to_run_median", "times the run's median"),
        ("failure_p_adjusted", "p (adjusted)"),
        ("still_failing", "still failing"),
    ],
)
def test_a_column_has_a_heading_in_words(name: str, heading: str) -> None:
    assert find_heading(name) == heading


@pytest.mark.parametrize(
    ("name", "values", "cells"),
    [
        ("delta_ms", [250.0, -1500.0], ["+250 ms", "-1.50 s"]),
        ("speed_p_adjusted", [0.0004, 0.02], ["< 0.001", "0.02"]),
        ("rate", [0.25, None], ["25 %", "-"]),
        ("total_ratio", [1.2, 0.9], ["x 1.20", "x 0.90"]),
        ("log_sd", [0.0953, 0.0], ["10 %", "0 %"]),
        ("score", [0.887, None], ["0.887", "-"]),
        ("score_delta", [-0.0017, 0.25, -0.0001], ["-0.002", "+0.250", "0.000"]),
        ("ratios", [1.2, 0.9], ["1.20", "0.90"]),
        ("runs", [1, 2], ["1", "2"]),
        ("change", ["still_failing", "broken"], ["still failing", "broken"]),
        ("filename", ["still_failing", "_"], ["still_failing", "_"]),
    ],
)
def test_a_value_has_the_unit_of_its_column(name: str, values: list[Any], cells: list[str]) -> None:
    assert shown(**{name: values}).cells == [cells]


def test_an_interval_stands_behind_its_estimate_in_one_cell_that_does_not_wrap() -> None:
    frame = pd.DataFrame(
        {
            "p90_ms": [4000.0, 4000.0, 4000.0, 4000.0, None],
            "p90_low_ms": [3000.0, 3000.0, None, None, 1.0],
            "p90_high_ms": [5000.0, None, 5000.0, None, 2.0],
        }
    )
    table, note = lay_out(frame)
    assert table.headers == ["90 % within"]
    assert table.cells == [
        [
            "4.00 s (3.00 s to 5.00 s)",
            "4.00 s (from 3.00 s)",
            "4.00 s (up to 5.00 s)",
            "4.00 s (too few jobs to say)",
            "-",
        ]
    ]
    assert table.styles == ["text-align: right"]  # by which a page knows what does not wrap
    assert note == NOTE
    assert not lay_out(frame.iloc[[0, 3]])[1]


def test_the_ends_of_an_interval_of_no_estimate_are_one_column() -> None:
    table = shown(composite_from=[0.9, None], composite_to=[float("inf"), None], pairs=[1, 2])
    assert table.cells == [["x 0.90 to x ∞", "too few jobs to say"], ["1", "2"]]


def test_only_ids_and_names_are_broken_to_fit() -> None:
    table = shown(document_id=texts("a"), filename=texts("b"), status=texts("c"), jobs=[1])
    broken = ["anywhere" in style for style in table.styles]
    assert broken == [True, True, False, False]
