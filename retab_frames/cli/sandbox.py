"""The command that serves the sandbox."""

from __future__ import annotations

import time

import click

from retab_frames.cli.application import main
from retab_frames.cli.exit_codes import CommandError
from retab_frames.cli.options import Count
from retab_frames.cli.streams import echo


@main.command()
@click.option(
    "--port",
    type=Count(0, 65_535),
    metavar="PORT",
    default=8788,
    show_default=True,
    help="The port to listen on; 0 for any free port.",
)
@click.option(
    "--seed",
    metavar="NUMBER",
    default=0,
    show_default=True,
    help="The seed of the random data; the same seed gives the same data.",
)
@click.option(
    "--documents",
    type=Count(1, 10_000),
    metavar="NUMBER",
    default=12,
    show_default=True,
    help="How many documents each experiment has.",
)
def sandbox(*, port: int, seed: int, documents: int) -> None:
    """Serve a local Retab API with synthetic experiments.

    Ctrl-C ends it.

    Example: retab-frames sandbox --port 8788
    """
    from retab_frames.sandbox import Sandbox  # noqa: PLC0415 - only this command needs it

    try:
        server = Sandbox(seed, port=port, documents=documents)
        server.start()
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(f"port {port}: {reason}; --port 0 takes a free one") from None
    with server:
        echo(f"A synthetic Retab workspace runs at {server.url}; Ctrl-C stops it.")
        echo("In another shell:\n")
        echo(f"  export RETAB_API_BASE_URL={server.url}")
        echo(f"  export RETAB_API_KEY={server.api_key}")
        echo(f"  retab-frames pull {server.workflow_id} {server.experiment_ids[0]}\n")
        echo(f"Its experiments: {', '.join(server.experiment_ids)}")
        while True:
            time.sleep(3600)
