"""The command `retab-frames`: the group of all commands, and how it reports errors and warnings."""

from __future__ import annotations

import traceback
import warnings
from typing import Any

import click

from retab_frames.cli.exit_codes import EXIT_CODES, EXIT_INTERRUPTED, CommandError
from retab_frames.errors import RetabFramesError

__all__ = ["main"]


class _Group(click.Group):
    """Prints the library's own errors and warnings as one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _print_warning
                return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:
            raise  # the reader of a pipe, such as `head`, has enough: click ends quietly
        except (RetabFramesError, ValueError, OSError) as error:
            if ctx.params.get("debug"):
                click.echo(traceback.format_exc(), err=True)
            message = str(error)
        raise CommandError(message)


def _print_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Note: {message}", err=True)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=f"Exit codes: {', '.join(f'{code} {text}' for code, text in EXIT_CODES.items())}.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="retab-frames")
def main(*, debug: bool) -> None:
    """Retab workflow experiments as dataframes, snapshots and statistics.

    The API key is read from the environment variable RETAB_API_KEY.
    No key yet? Try: retab-frames demo

    Shell completion: eval "$(_RETAB_FRAMES_COMPLETE=bash_source retab-frames)";
    for other shells: zsh_source, fish_source.
    """
