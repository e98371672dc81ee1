"""The command `retab-frames`: the group of all commands, and how it ends."""

from __future__ import annotations

import sys
import traceback
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.exit_codes import (
    EXIT_BUG,
    EXIT_CODES,
    EXIT_INTERRUPTED,
    CommandError,
    describe_exit_codes,
)
from retab_frames.cli.streams import echo, finish_streams, prepare_streams
from retab_frames.errors import Advised, RetabFramesError
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["SECTIONS", "main"]


class _Helped(click.Command):
    """Prints its help to a reader that may have enough of it, such as `head`."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the arguments, which prints the help if they ask for it."""
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError:
            raise click.exceptions.Exit(0) from None


SECTIONS = {
    "Try it": ("demo", "sandbox"),
    "From the API": ("experiments", "runs", "pull"),
    "Measure": ("stats", "slowest", "failures", "sql"),
    "Compare": ("compare", "report", "plan", "trend"),
    "Look after a store": ("ls", "label", "unlabel", "verify", "compact", "publish"),
    "Delete from a store": ("remove", "prune", "clean"),
}


class _Command(_Helped):
    """Refuses what click takes in silence, and says what the command takes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises:
            click.UsageError: If there are too many arguments, a value is empty or the name of an
                option, or an option of one value is given twice or with another that excludes it.
        """
        if not ctx.resilient_parsing:
            values, extra, given = self.make_parser(ctx).parse_args(list(args))
            if not any(one.is_eager for one in given):  # --help
                self._check_order(ctx, given)
                self._check_values(ctx, values)
                self._check_extra(ctx, extra)
        return super().parse_args(ctx, args)

    @staticmethod
    def _check_order(ctx: click.Context, given: list[click.Parameter]) -> None:
        """Refuse a second value: of two click would take the last, and say nothing."""
        single = [one for one in given if isinstance(one, click.Option) and not one.multiple]
        for n, option in enumerate(single):
            if option in single[:n]:
                names = "/".join([*option.opts, *option.secondary_opts])
                raise click.UsageError(f"{names} is given twice.", ctx)
            for other in single[:n]:
                if other.name == option.name:
                    both = f"{other.opts[0]} and {option.opts[0]}"
                    raise click.UsageError(f"{both} exclude each other: give one.", ctx)

    def _check_values(self, ctx: click.Context, values: Mapping[str, Any]) -> None:
        """Refuse an empty text, and an option in the place of the value of another."""
        options = [one for one in self.params if isinstance(one, click.Option)]
        names = {name for one in options for name in (*one.opts, *one.secondary_opts)}
        for param in self.params:
            value = values.get(param.name or "")
            for one in value if isinstance(value, list | tuple) else [value]:
                if one == "":
                    raise click.BadParameter("it is empty, as an unset variable is.", ctx, param)
                if one in names and param in options:
                    name = param.opts[0]
                    raise click.BadOptionUsage(name, f"{name} needs a value before {one}.", ctx)

    def _check_extra(self, ctx: click.Context, extra: list[str]) -> None:
        if not extra:
            return
        arguments = [one for one in self.params if isinstance(one, click.Argument)]
        takes = " ".join(one.human_readable_name for one in arguments)
        hint = f"takes {takes}; quote what has spaces" if takes else "takes options alone"
        if any("--run" in one.opts for one in self.params):
            hint += "; --run takes a run"
        raise click.UsageError(
            f"Got unexpected extra argument ({' '.join(extra)}): {ctx.info_name} {hint}.", ctx
        )


class _Group(_Helped, click.Group):
    """Ends every command with one line and an exit code, whatever happens in it."""

    command_class = _Command

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command that was named, and exit."""
        run: Any = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        try:
            prepare_streams()
            code = run(*args, standalone_mode=False, **extra)
        except (click.Abort, KeyboardInterrupt):
            code = EXIT_INTERRUPTED
            echo("Interrupted.", err=True)
        except click.UsageError as error:
            code = error.exit_code
            _show_usage(error)
        except click.ClickException as error:
            code = error.exit_code
            error.show()
        finally:
            finish_streams()
        sys.exit(code or 0)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under headings, in the order in which one comes to need them."""
        for heading, names in SECTIONS.items():
            width = formatter.width - 6 - max(map(len, self.commands))
            with formatter.section(heading):
                formatter.write_dl(
                    [(name, self.commands[name].get_short_help_str(width)) for name in names]
                )

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the arguments of the group itself."""
        with _told(debug=False):
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        with _told(debug=ctx.params["debug"]), warnings.catch_warnings():
            warnings.showwarning = _print_warning
            return super().invoke(ctx)


@contextmanager
def _told(*, debug: bool) -> Iterator[None]:
    """Turn errors into those that click knows, with a message of their own and an exit code."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit):
        raise
    except (KeyboardInterrupt, click.Abort):
        raise click.Abort from None
    except Exception as error:  # noqa: BLE001 - whatever it is, it must end in one line
        if debug:
            echo(traceback.format_exc(), err=True)
        if isinstance(error, RetabFramesError | ValueError | OSError | MemoryError):
            raise CommandError(_tell(error) or type(error).__name__) from None
        echo(
            f"Error: this is a bug of retab-frames ({type(error).__name__}: "
            f"{printable(str(error), 200)}): `retab-frames --debug COMMAND ...` shows where",
            err=True,
        )
        raise click.exceptions.Exit(EXIT_BUG) from None


def _show_usage(error: click.UsageError) -> None:
    if error.ctx is not None:
        echo(error.ctx.get_usage(), err=True)
        echo(f"Try '{error.ctx.command_path} --help' for help.\n", err=True)
    echo(f"Error: {error.format_message()}", err=True)


def _print_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    echo(f"Note: {_tell(message)}", err=True)


def _tell(message: BaseException | str) -> str:
    """Return the text of an error or a warning, with the next step in the words of the shell."""
    return message.tell("shell") if isinstance(message, Advised) else str(message)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=describe_exit_codes(*EXIT_CODES),
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
