"""Options that several commands share."""

from __future__ import annotations

import math
from typing import Any, Literal

import click

from retab_frames.stats.measures import MEASURES
from retab_frames.text.messages import printable

__all__ = [
    "DAYS",
    "FRACTION",
    "MARGIN",
    "Count",
    "OutputFormat",
    "add_client_options",
    "add_format_options",
    "check_once",
    "confidence_option",
    "experiment_option",
    "margin_option",
    "measure_option",
    "one_experiment_option",
    "runs_option",
    "store_option",
]

OutputFormat = Literal["json", "csv"] | None
"""How a table is printed; None for an aligned table with the most important columns."""

_MOST_DAYS = 36_500


class Count(click.IntRange):
    """A whole number in a range."""

    name = "whole number"  # what click's messages call it


class _Number(click.FloatRange):
    """A number in a range; click takes nan for a number in every range."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number.

        Raises:
            click.BadParameter: If it is none, or is out of range.
        """
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


DAYS = _Number(0, _MOST_DAYS)
MARGIN = _Number(0, 1_000, min_open=True)
FRACTION = _Number(0, 1, min_open=True, max_open=True)


def check_once(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> Any:
    """Refuse a value that is given twice: it would count twice, or a mistyped one not at all."""
    twice = next((one for n, one in enumerate(values) if one in values[:n]), None)
    if twice is not None:
        raise click.BadParameter(f"{printable(twice)} is given twice.", ctx, param)
    return values


experiment_option = click.option(
    "--experiment",
    "experiment_id",
    metavar="EXPERIMENT_ID",
    help="Only the runs of this experiment.  [default: all experiments]",
)
one_experiment_option = click.option(
    "--experiment",
    "experiment_id",
    metavar="EXPERIMENT_ID",
    help="The experiment, where a label or a word can be a run of several.  [default: the only "
    "one]",
)
runs_option = click.option(
    "--run",
    "run_ids",
    multiple=True,
    callback=check_once,
    metavar="RUN",
    help="Only this run: its id, a label, latest, latest_ended or previous; can be repeated.  "
    "[default: all runs]",
)
margin_option = click.option(
    "--margin",
    type=MARGIN,
    metavar="FRACTION",
    default=0.05,
    show_default=True,
    help="The largest slowdown that does not matter; 0.05 is 5 %.",
)
confidence_option = click.option(
    "--confidence",
    type=FRACTION,
    metavar="FRACTION",
    default=0.95,
    show_default=True,
    help="The confidence level of the intervals; 0.95 is 95 %.",
)
measure_option = click.option(
    "--measure",
    type=click.Choice(MEASURES),
    default="duration",
    show_default=True,
    help="duration: as the API reports it; queue: from created to started; elapsed: from started "
    "to completed; turnaround: from created to completed.",
)
store_option = click.option(
    "--store",
    "root",
    metavar="PATH",
    default="snapshots",
    show_default=True,
    help="The snapshot store: a folder, or a bucket (s3://, gs://, az://).",
)


def add_format_options(command: Any) -> Any:
    """Add --json and --csv, which set `output_format`."""
    for name in ("csv", "json"):
        text = f"Print {name.upper()}: all columns, raw values.  [default: a table]"
        command = click.option(f"--{name}", "output_format", flag_value=name, help=text)(command)
    return command


def add_client_options(command: Any) -> Any:
    """Add the options of a Client, which are passed on under its names."""
    for option in (
        click.option(
            "--connections",
            "max_connections",
            type=Count(1, 1_000),
            metavar="NUMBER",
            default=16,
            show_default=True,
            help="How many requests run at a time.",
        ),
        click.option(
            "--retries",
            type=Count(0, 100),
            metavar="NUMBER",
            default=3,
            show_default=True,
            help="How often a request is tried again that failed for a while.",
        ),
        click.option(
            "--timeout",
            type=_Number(0, min_open=True),
            metavar="SECONDS",
            default=120.0,
            show_default=True,
            help="How long one request may take, with its retries.",
        ),
        click.option(
            "--base-url",
            metavar="URL",
            help="Address of the API.  [default: RETAB_API_BASE_URL, else https://api.retab.com]",
        ),
    ):
        command = option(command)
    return command
