"""Why documents broke: the messages of their failed jobs, counted by template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.stats.failures import failures

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["count_broken_messages"]

_EXAMPLES = ["example_document_id", "example_filename", "example_job_id"]


def count_broken_messages(broken: pd.DataFrame) -> pd.DataFrame:
    """Return one row per template of the messages, the most frequent first.

    Args:
        broken: The jobs of documents that broke: `run_id`, `job_id`, `document_id`, `filename`,
            `status`, `error_message`.

    Returns:
        `template` (see `failures`), `documents`, `runs`, then of the first such job `example_*`:
        `document_id`, `filename`, `job_id` and `message`.
    """
    found = failures(broken.assign(is_placeholder=False))
    messages = broken.drop_duplicates("job_id").set_index("job_id")["error_message"]
    counted = found[["template", "documents", "runs", *_EXAMPLES]]
    return counted.assign(example_message=messages.reindex(found["example_job_id"]).array)
