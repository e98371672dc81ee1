"""What all commands share: the group, its errors and exit codes, and the forms of output."""

from __future__ import annotations

import shutil
import traceback
import warnings
from typing import TYPE_CHECKING, Any, Literal

import click

from retab_frames.errors import RetabFramesError

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.store.snapshots import SnapshotStore

__all__ = [
    "FOUND",
    "Form",
    "Refusal",
    "form_option",
    "main",
    "opened",
    "say",
    "show",
    "store_option",
]

FOUND = 1
"""A regression, or a problem in a store."""
COULD_NOT = 2
"""Could not run, or could not tell."""
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells say it."""

Form = Literal["json", "csv"] | None


class Refusal(click.ClickException):
    """An error of one line, with the exit code that means: could not run, or could not tell."""

    exit_code = COULD_NOT


class _Commands(click.Group):
    """Shows the library's own errors as one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except (RetabFramesError, ValueError, OSError) as error:
            if ctx.params.get("debug"):
                click.echo(traceback.format_exc(), err=True)
            message = str(error)
        raise Refusal(message)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Note: {message}", err=True)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="retab-frames")
def main(*, debug: bool) -> None:
    """Retab workflow experiments as dataframes, snapshots and statistics.

    The key is read from RETAB_API_KEY. Begin with: retab-frames demo

    Completion: eval "$(_RETAB_FRAMES_COMPLETE=bash_source retab-frames)", or
    zsh_source, fish_source.

    Exit codes: 0 fine, 1 a regression or a problem in a store, 2 could not run or could not tell,
    130 interrupted.
    """


store_option = click.option(
    "--store",
    "root",
    default="snapshots",
    show_default=True,
    help="The folder of snapshots, or s3://, gs://, az:// and a bucket.",
)


def form_option(command: Any) -> Any:
    """Add --json and --csv."""
    as_csv = click.option("--csv", "form", flag_value="csv", help="Print CSV: raw values.")
    as_json = click.option("--json", "form", flag_value="json", help="Print JSON: raw values.")
    return as_json(as_csv(command))


def opened(root: str) -> SnapshotStore:
    """Return the store, which must be there."""
    from retab_frames.store.snapshots import SnapshotStore  # noqa: PLC0415 - help must not load pandas

    store = SnapshotStore(root)
    if not store.exists():
        raise Refusal(f"there is no store in {root}: `retab-frames pull` writes one")
    return store


def show(frame: pd.DataFrame, form: Form, brief: pd.DataFrame | None = None) -> None:
    """Print the whole frame as JSON or CSV, or its brief form as a table as wide as the screen."""
    from retab_frames.text import tables  # noqa: PLC0415 - help must not load pandas

    if form == "json":
        click.echo(frame.to_json(orient="records", date_format="iso", date_unit="us", indent=2))
    elif form == "csv":
        click.echo(tables.render_csv(frame), nl=False)
    else:
        width = shutil.get_terminal_size().columns
        click.echo(tables.render_terminal(frame if brief is None else brief, width=width))


def say(text: str) -> None:
    """Print sentences, wrapped at the width of the screen."""
    width = shutil.get_terminal_size().columns
    for line in text.splitlines():
        click.echo(click.wrap_text(line, width=width, subsequent_indent="  "))
