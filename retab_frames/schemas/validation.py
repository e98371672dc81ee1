"""The cells of a frame that do not fit its schema, told by the key of their row."""

from __future__ import annotations

from typing import Any

import pandas as pd

from retab_frames.text.messages import printable

__all__ = ["FAILURE_COLUMNS", "failing_cells", "failure_message"]

FAILURE_COLUMNS = ["column", "check", "value", "key"]


def failing_cells(cases: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that fail, by the key of their row instead of its number.

    Args:
        cases: What pandera found, as `SchemaErrors.failure_cases`.
        frame: The frame that was validated.
    """
    key = next((k for k in ("job_id", "run_id", "experiment_id") if k in frame.columns), None)
    by_index = frame[key] if key and frame.index.is_unique else None

    def name_of(index: Any) -> str | None:
        if by_index is None or index is None or pd.isna(index):
            return None
        return (
            printable(by_index.get(index)) if not pd.isna(by_index.get(index)) else f"row {index}"
        )

    failing = pd.DataFrame(
        [
            _failure(case, frame, name_of(case.index_))
            for case in cases.rename(columns={"index": "index_"}).itertuples()
        ],
        columns=FAILURE_COLUMNS,
        dtype=object,
    )
    return failing.drop_duplicates(ignore_index=True)


def _failure(case: Any, frame: pd.DataFrame, key: str | None) -> tuple[str, str, str, str | None]:
    """Return the column, the check, what failed it, and the key of the row."""
    check = str(case.check)
    if check == "column_in_dataframe":
        return str(case.failure_case), check, "want of the column", None
    if check.startswith("dtype("):
        # the type of a column is no fault of one row
        return str(case.column), check, str(frame[case.column].dtype), None
    return str(case.column), check, printable(case.failure_case), key


def failure_message(schema_name: str, failures: pd.DataFrame, rows: int) -> str:
    """Return in words which checks fail for which cells, with three of each as examples."""
    lines = [f"{rows} rows do not fit {schema_name}:"]
    for (column, check), group in failures.groupby(["column", "check"], sort=False):
        examples = [
            f"{key} has {value}" if key else value
            for key, value in zip(group["key"], group["value"], strict=True)
        ]
        few, more = examples[:3], len(examples[3:])
        rest = f" and {more} more" if more else ""
        lines.append(f"  {column}: {check} fails for {'; '.join(few)}{rest}")
    lines.append("  `.failures` of this error lists every failing cell.")
    return "\n".join(lines)
