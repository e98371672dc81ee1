"""Commands that look after a store."""

from __future__ import annotations

from retab_frames.cli.commands import Form, form_option, main, opened, show, store_option


@main.command("ls")
@store_option
@form_option
def list_snapshots(*, root: str, form: Form) -> None:
    """List the runs in a store.

    Example: retab-frames ls --store snapshots
    """
    found = opened(root).list()
    names = ["run_id", "revision", "complete", "jobs", "completed", "error", "run_created_at"]
    show(found, form, found[names].rename(columns={"run_created_at": "created"}))
