"""Two runs paired by document, for the tests of the parts of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from factories import run

from retab_frames.compare.documents import pair_documents
from retab_frames.compare.sides import make_side

if TYPE_CHECKING:
    import pandas as pd

    import retab_frames as rf

BARE = ["run_id", "job_id", "document_id", "status", "is_placeholder", "duration_ms"]


def paired(
    baseline: rf.RunContent | pd.DataFrame, candidate: rf.RunContent | pd.DataFrame
) -> pd.DataFrame:
    return pair_documents(make_side(baseline, "baseline"), make_side(candidate, "candidate"))


def inputs_changed(baseline: dict[str, Any], candidate: dict[str, Any]) -> list[Any]:
    return paired(run(baseline), run(candidate, run_id="s"))["inputs_changed"].tolist()
