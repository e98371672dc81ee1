from __future__ import annotations

import pandas as pd
import pytest

from retab_frames.tables import duration, terminal


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (0, "0 ms"),
        (87, "87 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (4120, "4.12 s"),
        (9996, "10.0 s"),
        (12_267, "12.3 s"),
        (59_960, "1 min 00 s"),
        (185_000, "3 min 05 s"),
        (3_599_700, "1 h 00 min"),
        (7_800_000, "2 h 10 min"),
        (-381, "-381 ms"),
        (-2630, "-2.63 s"),
    ],
)
def test_durations_have_a_unit_and_few_digits(ms: float | None, expected: str) -> None:
    assert duration(ms) == expected


def test_numbers_stand_to_the_right_and_null_is_a_dash() -> None:
    frame = pd.DataFrame({"run": ["a", None], "jobs": [7, 120], "delta_ms": [1310.0, None]})

    assert (
        terminal(frame)
        == "run  jobs    delta\n---  ----  -------\na       7  +1.31 s\n-     120        -"
    )


def test_the_widest_text_is_cut_to_fit() -> None:
    frame = pd.DataFrame({"name": ["n" * 100], "other": ["o" * 20]})

    lines = terminal(frame, width=40).splitlines()

    assert max(map(len, lines)) == 40
    assert lines[2] == f"{'n' * 18}…  {'o' * 18}…"


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = terminal(pd.DataFrame({"id\x1b[2J": ["\x1b[31mred\u202e", "a\nb"]}))

    assert text.splitlines()[2:] == [r"\x1b[31mred\u202e", r"a\nb"]
    assert "\x1b" not in text


def test_wide_characters_take_two_columns() -> None:
    frame = pd.DataFrame({"name": ["請求書_2026_09.pdf", "e\u0301te\u0301.pdf"], "n": [1, 2]})

    lines = terminal(frame, width=16).splitlines()

    assert lines[2:] == ["請求書_2026_…  1", "e\u0301te\u0301.pdf        2"]


def test_no_rows_are_told_with_the_columns() -> None:
    assert terminal(pd.DataFrame({"a": [], "b": []})) == "(no rows; columns: a, b)"


def test_booleans_and_times_are_words() -> None:
    when = pd.Timestamp("2026-09-01T07:24:55Z")

    assert terminal(pd.DataFrame({"ok": [True], "at": [when]})).splitlines()[2] == (
        "yes  2026-09-01 07:24"
    )
