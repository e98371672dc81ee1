"""No message has a character that a terminal would obey, whatever data is in it."""

from __future__ import annotations

import inspect
import pickle
import warnings

import pandas as pd
import pytest

import retab_frames as rf
from retab_frames import errors
from retab_frames.text.messages import printable

HOSTILE = (
    "\x00\x07\x08\r\x1b[2J\x1b]0;owned\x7f\x85\x9b31m\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202e"
    "\u2066\u2067\u2068\u2069\ufeff\ud800\udcff\U000e0041"
)
KINDS = sorted(
    (one for one in vars(errors).values() if isinstance(one, type)), key=lambda kind: kind.__name__
)


def make(kind: type[Exception], message: str) -> Exception:
    """Return an error or a warning of the kind, with the arguments that it needs."""
    options = {
        **dict.fromkeys(("path", "schema_name", "file"), "x"),
        **dict.fromkeys(("failures", "checks"), pd.DataFrame()),
        "status_code": 400,
    }
    needed = inspect.signature(kind.__init__).parameters
    return kind(message, **{name: value for name, value in options.items() if name in needed})


@pytest.mark.parametrize("kind", KINDS)
def test_no_error_or_warning_has_one(kind: type[Exception]) -> None:
    error = make(kind, f"one {HOSTILE}\ntwo")

    first, second = str(error).split("\n")
    assert first == f"one {printable(HOSTILE, 400)}"
    assert first.isprintable()
    assert second == "two"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - made here


def test_a_warning_is_shown_without_one() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.warn(HOSTILE, rf.RetabFramesWarning, stacklevel=1)
    assert [str(one.message) for one in told] == [printable(HOSTILE, 400)]
    assert warnings.formatwarning(told[0].message, told[0].category, "f", 1, "").isascii()


def test_what_is_printable_stays_as_it_is() -> None:
    assert printable("請求書 é \\x1b.pdf") == "請求書 é \\x1b.pdf"
    assert printable(printable(HOSTILE, 400), 400) == printable(HOSTILE, 400)
    assert printable(HOSTILE, 400).isascii()
